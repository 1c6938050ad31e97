"""Felis files that take columns from other files: found where Felis finds them, and each mistake has its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qserv_py.registry.schema_files.felis_resources import OVERRIDES, read_felis
from qserv_py.registry.schema_files.felis_schema import find_problems
from qserv_py.registry.schema_files.yaml_file import Problems

BASE = """\
name: base
tables:
- name: Source
  columns:
  - {name: id, datatype: long, ivoa:ucd: meta.id}
  - {name: ra, datatype: double, ivoa:unit: deg}
  - {name: label, datatype: string, length: 12}
"""

TAKING = """\
name: taking
resources:
  base: {uri: base.yaml}
tables:
- name: Detection
  primaryKey: '#Detection.number'
  columnRefs:
    base:
      Source:
        number: {ref_name: id}
        ra:
        label: {overrides: {datatype: float, description: a number}}
  columns:
  - {name: flux, datatype: float}
"""


@pytest.fixture
def taking(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    path = tmp_path / "taking.yaml"
    path.write_text(TAKING)
    return path


def columns(path: Path) -> list[dict[str, object]]:
    problems = Problems()
    data = read_felis(path, problems).data
    assert problems.found == []
    return list(data["tables"][0]["columns"])


def test_columns_of_another_file_come_behind_the_own_ones(taking: Path) -> None:
    found = columns(taking)
    assert [column["name"] for column in found] == ["flux", "number", "ra", "label"]
    assert found[1] == {"name": "number", "datatype": "long", "ivoa:ucd": "meta.id", "@id": "#Detection.number"}
    assert (found[3]["datatype"], found[3]["length"], found[3]["description"]) == ("float", None, "a number")
    assert find_problems(taking) == ()


def test_what_can_be_changed_is_what_felis_lets_change() -> None:
    from felis.datamodel import ColumnOverrides

    known = {field.alias or name for name, field in ColumnOverrides.model_fields.items()}
    assert set(OVERRIDES) == known


@pytest.mark.parametrize("form", ["file://{}/base.yaml", "{}/base.yaml", "./base.yaml"])
def test_files_are_found_by_path_and_by_uri(taking: Path, form: str) -> None:
    taking.write_text(TAKING.replace("base.yaml", form.format(taking.parent)))
    assert len(columns(taking)) == 4


def test_files_are_found_in_packages_and_through_others(taking: Path) -> None:
    text = TAKING.replace("base.yaml", '"resource://lsst.sdm.schemas/ap_extra.yaml"').replace(
        "Source:", "PromptSource:"
    )
    text = text.replace("ref_name: id", "ref_name: sourceId").replace("label:", "calibFlux:")
    taking.write_text(text)
    assert [column["datatype"] for column in columns(taking)] == ["float", "long", "double", "float"]


MISTAKES = [
    ("uri: base.yaml", "uri: bare.yaml", r'line 3: resource "base": there is no file .*/bare.yaml'),
    ("uri: base.yaml", "uri: taking.yaml", r'line 3: resource "base": .*/taking.yaml refers to itself'),
    ("uri: base.yaml", "uri: 'https://x.example/b.yaml'", r"https://x.example/b.yaml is not fetched; copy it beside"),
    ("uri: base.yaml", "uri: 'resource://no.such/b.yaml'", r'there is no Python package "no.such"'),
    ("uri: base.yaml", "url: base.yaml", r'line 3: resource "base" is a mapping with a text'),
    ("resources:\n  base: {uri: base.yaml}", "resources: 7", r"line 2: resources is a mapping, such as"),
    ("  base: {uri: base.yaml}", "  [base.yaml]", r"line 2: resources is a mapping, such as"),
    ("    base:\n", "    bass:\n", r'line 8: table "Detection": "bass" is not among resources; did you mean "base"\?'),
    ("Source:", "Sauce:", r'line 9: table "Detection": base.yaml has no table "Sauce"; did you mean "Source"\?'),
    ("ref_name: id", "ref_name: ib", r'line 10: .*"number": table "Source" of base.yaml has no column "ib"'),
    ("        ra:\n", "        raa:\n", r'line 11: .*has no column "raa"; did you mean "ra"\?'),
    ("ref_name: id", "refname: id", r'line 10: .* "refname" cannot be said of a column of .* did you mean "ref_name"'),
    (
        "overrides: {datatype",
        "overrides: {ivoa:unit: m, datatype",
        r'line 12: .* "ivoa:unit" cannot be said of',
    ),
    ("datatype: float, des", "datatype: flaot, des", r'line 12: .*type "flaot" is not known; did you mean "float"'),
    ("datatype: float, des", "datatype: [float], des", r"line 12: .*type .*float.* is not known"),
    ("datatype: float, des", "datatype: {a: 1}, des", r"line 12: .*type .* is not known"),
    ("ref_name: id", "ref_name: [id]", r'line 10: .* has no column "\[.id.\]"'),
    ("        ra:\n", "        1: {ref_name: ra}\n        ra:\n        2.5:\n", r'line 13: .* has no column "2.5"'),
    ("columnRefs:\n", "columnRefs: 3\n  x:\n", r'line 7: "columnRefs" must be a mapping'),
    ("        ra:\n", "        ra: [1]\n", r'line 11: "ra" must be a mapping'),
    ("  - {name: flux", "  - {name: ra", r'line 11: table "Detection" has a column "ra" already'),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_in_a_reference_is_named(taking: Path, right: str, wrong: str, message: str) -> None:
    assert right in TAKING
    taking.write_text(TAKING.replace(right, wrong, 1))
    problems = find_problems(taking)
    assert any(re.search(message, problem) for problem in problems), problems


def test_files_that_refer_to_each_other_are_refused(taking: Path) -> None:
    (taking.parent / "base.yaml").write_text(TAKING.replace("uri: base.yaml", "uri: taking.yaml"))
    assert any("refers to itself" in problem for problem in find_problems(taking))
