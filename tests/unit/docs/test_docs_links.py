"""The pages of docs/ lead to each other, and their tables say what the code says."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from qserv_py import errors
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FORMS, FUNCTIONS, AggregateFunction, Form, Function
from qserv_py.catalog.model import TARGET_BYTES, Family
from qserv_py.catalog.types import DataType
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.identity.settings import IdentitySettings, OidcSettings, ProxySettings
from qserv_py.czar.settings.settings_file import Settings, read_settings
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.planes import Plane

SETTINGS = {
    "identity": IdentitySettings,
    "identity: oidc": OidcSettings,
    "identity: proxy": ProxySettings,
    "limits": Limits,
}

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def rows_of(page: Path) -> Iterator[list[str]]:
    """Yield the cells of the rows of all tables of a page, without backquotes."""
    for line in page.read_text().splitlines():
        if line.startswith("|") and not re.fullmatch(r"[|: -]+", line):
            yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", without_code(page.read_text())):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name} links to {target}, which has no such heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (DOCS / "index.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"index.md"}
    assert linked == pages


def test_every_error_code_is_explained() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.QservError)]
    listed = {row[0]: row[2] for row in rows_of(DOCS / "reference" / "errors.md") if row[0] != "code"}
    assert listed == {kind.code: kind.__name__ for kind in kinds}


@pytest.mark.parametrize(("title", "kind"), [("Planes of a mask", Plane), ("Flags of a source or a measurement", Flag)])
def test_every_bit_of_the_kernels_is_explained(title: str, kind: type[Plane] | type[Flag]) -> None:
    section = (DOCS / "reference" / "kernels.md").read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE))
    assert {name: int(bit) for name, bit in listed.items()} == {bit.name: bit.value for bit in kind}


def test_every_function_of_the_kernels_is_there() -> None:
    section = (DOCS / "reference" / "kernels.md").read_text().split("## Functions\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([\w.]+)` \| ((?:`\w+`(?:, )?)+) \|", section, re.MULTILINE)
    assert len(rows) > 10
    for module, functions in rows:
        kernels = importlib.import_module(f"qserv_py.pipelines.kernels.{module}")
        for function in re.findall(r"\w+", functions):
            assert callable(getattr(kernels, function)), f"{module}.{function}"


def test_the_type_table_is_that_of_the_code() -> None:
    listed = {row[0]: tuple(row[1:]) for row in rows_of(DOCS / "reference" / "types.md") if row[0] != "Felis"}
    names = {kind.value: (n.adql, n.postgres, n.arrow, n.votable) for kind in DataType if (n := kind.names)}
    assert listed == names


def test_the_defaults_of_the_partition_file_are_those_of_the_code() -> None:
    family = Family(name="x")
    listed = {row[0]: row[1] for row in rows_of(DOCS / "reference" / "partition-file.md") if hasattr(family, row[0])}
    assert listed.pop("name") == "the database's"
    assert listed.pop("target_rows") == "none"
    assert {name: float(value) for name, value in listed.items()} == {
        "target_bytes": TARGET_BYTES,
        "min_order": family.min_order,
        "max_order": family.max_order,
        "overlap_arcsec": family.overlap_arcsec,
    }


@pytest.mark.parametrize("heading", ["identity", "identity: oidc", "identity: proxy", "limits"])
def test_the_settings_are_those_of_the_code(heading: str) -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    assert set(listed) == {entry.name for entry in dataclasses.fields(SETTINGS[heading])}
    for entry in dataclasses.fields(SETTINGS[heading]):
        shown = listed[entry.name].replace("`", "").replace(",", "")
        match entry.default:
            case dataclasses.MISSING:
                assert shown == "needed"
            case None | "":
                assert shown in {"none", "the system's"}
            case tuple():
                assert tuple(shown.split()) == entry.default
            case _:
                assert shown == str(entry.default)


@pytest.mark.parametrize("page", ["how-to/identity.md", "reference/settings.md"])
def test_settings_that_are_shown_can_be_read(page: str, tmp_path: Path) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert shown
    for text in shown:
        (tmp_path / "settings.yaml").write_text(text)
        assert read_settings(tmp_path) != Settings()


def test_the_example_schema_has_the_columns_of_the_file() -> None:
    schema = yaml.safe_load((DOCS / "examples" / "ngc.yaml").read_text())
    columns = [column["name"] for column in schema["tables"][0]["columns"]]
    assert len(columns) == 32
    source = ROOT.parent / "shared" / "data" / "NGC.csv"
    if not source.exists():
        pytest.skip(f"{source} is not here; it is not part of the project")
    assert columns == source.read_text(encoding="utf-8").split("\n", 1)[0].split(";")


@pytest.mark.parametrize("known", [FUNCTIONS, AGGREGATE_FUNCTIONS, {form.name.upper(): form for form in FORMS}])
def test_every_function_of_adql_is_explained(known: Mapping[str, Function | AggregateFunction | Form]) -> None:
    rows = [row for row in rows_of(DOCS / "reference" / "adql.md") if row[0].split("(")[0].upper() in known]
    assert {row[0]: row[1] for row in rows} == {one.signature: one.doc for one in known.values()}
    assert len(rows) == len(known)
