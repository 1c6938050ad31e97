"""``qserv query`` writes every format to a file or a pipe, and leaves no half of one."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from support.catalogues import Loaded, load_catalogue
from support.sky import catalogue

from qserv_py.cli import main
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.formats import FORMATS
from qserv_py.czar.formats.known import Format

QUERY = "SELECT objectId, coord_ra, gFlux, label FROM shown.Object ORDER BY objectId"

READERS: dict[str, Callable[[bytes], int]] = {
    "votable": lambda data: len(parse(io.BytesIO(data)).get_first_table().array),
    "fits": lambda data: len(fits.open(io.BytesIO(data))[1].data),
    "parquet": lambda data: int(pq.read_table(io.BytesIO(data)).num_rows),
    "arrow": lambda data: int(pa.ipc.open_stream(data).read_all().num_rows),
    "json": lambda data: len(json.loads(data)["data"]),
    "html": lambda data: data.count(b"<tr><td>"),
    "csv-no-header": lambda data: data.count(b"\n"),
    "tsv-no-header": lambda data: data.count(b"\n"),
    "table": lambda data: data.count(b"\n") - 2,
}


@pytest.fixture(scope="module")
def shown(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    tables = catalogue(5, "sparse", count=300)
    return load_catalogue(cluster, tmp_path_factory.mktemp("shown"), name="shown", tables=tables, target_rows=30)


@pytest.fixture
def qserv(cluster: Cluster, shown: Loaded) -> Callable[..., int]:
    return lambda *arguments: main.run(["--cluster", str(cluster.config.directory), "query", *map(str, arguments)])


def count(known: Format, data: bytes) -> int:
    family = known.name.split("/")[0]
    return READERS.get(family, lambda text: text.count(b"\n") - 1)(data)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_every_format(known: Format, qserv: Callable[..., int], tmp_path: Path) -> None:
    path = tmp_path / "answer"
    query = QUERY.replace(", label", "") if known.name == "fits" else QUERY
    assert qserv("--format", known.name, "-o", path, query) == 0
    assert count(known, path.read_bytes()) == 300
    for suffix in known.suffixes:
        named = tmp_path / f"answer{suffix}"
        assert qserv("-o", named, query) == 0
        assert count(known, named.read_bytes()) == 300


def test_a_text_that_a_format_cannot_hold(
    qserv: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert qserv("-o", tmp_path / "x.fits", QUERY) == 1
    assert "column \"label\" holds 'Ångström', which a text of FITS cannot hold" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["query", "explain", "validate"])
def test_a_command_loads_only_what_it_needs(command: str, cluster: Cluster, shown: Loaded) -> None:
    """Each of these takes as long to load as a query does to be answered."""
    arguments = [
        command,
        "--cluster",
        str(cluster.config.directory),
        "SELECT objectId FROM shown.Object WHERE rFlux > 3",
    ]
    program = (
        f"import sys; from qserv_py.cli.main import run; assert run({arguments}) == 0;"
        "print([name for name in ('astropy', 'duckdb', 'pandas') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.endswith("[]\n")


def test_a_mime_type_to_a_pipe(qserv: Callable[..., int], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert qserv("--format", "text/csv;header=absent", QUERY) == 0
    assert capsysbinary.readouterr().out.count(b"\n") == 300


def test_overflow(qserv: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert qserv("--maxrec", 7, "-o", tmp_path / "x.json", QUERY) == 0
    document = json.loads((tmp_path / "x.json").read_text())
    assert (len(document["data"]), document["status"]) == (7, "OVERFLOW")
    assert document["infos"] == [{"name": "QUERY", "value": QUERY}]
    assert "more than 7 rows" in capsys.readouterr().err
    assert qserv("--maxrec", 0, "-o", tmp_path / "x.json", f"{QUERY} OFFSET 1000") == 0
    assert capsys.readouterr().err == "the query was not run: --maxrec 0 asks for the columns alone\n"


@pytest.mark.parametrize("name", ["votable", "fits", "csv", "parquet"])
def test_a_query_that_fails_leaves_the_old_file(name: str, qserv: Callable[..., int], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    assert qserv("--format", name, "-o", path, "SELECT 1 / (objectId - objectId) AS x FROM shown.Object") == 1
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_query_from_a_file(encoding: str, qserv: Callable[..., int], tmp_path: Path) -> None:
    """Editors of Windows begin a text with a mark of its encoding."""
    path = tmp_path / "query.adql"
    path.write_text(QUERY, encoding=encoding)
    assert qserv("-o", tmp_path / "x.csv", "-f", path) == 0
    assert len((tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()) == 301


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "votabel"], 'format "votabel" is not known. Did you mean "votable"?'),
        (["-o", "answer.doc"], "does not say the format; give --format."),
        (["-o", "no/such/place/x.csv"], "no/such/place/x.csv cannot be written: No such file or directory"),
    ],
)
def test_mistakes(
    arguments: list[str], message: str, qserv: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert qserv(*arguments, QUERY) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["fits", "parquet", "arrow"])
def test_binary_formats_are_not_for_a_terminal(
    name: str, qserv: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert qserv("--format", name, QUERY) == 2
    assert f"{name} is not for a terminal; give -o FILE or redirect the output." in capsys.readouterr().err
