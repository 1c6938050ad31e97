"""Every schema of Rubin's wheel, lsst-sdm-schemas: it loads, and the registry gives back what Felis itself reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import felis.datamodel
import pytest
import yaml
from felis import Schema
from support.postgres import TestServer

from qserv_py.catalog.model import TARGET_BYTES, DirectorTable, Table
from qserv_py.errors import SchemaError
from qserv_py.registry.connection import Registry
from qserv_py.registry.schema_files import felis_resources
from qserv_py.registry.schema_files.felis_schema import find_problems, read_schema
from qserv_py.registry.schema_files.yaml_file import read_yaml

SCHEMAS = Path(str(files("lsst.sdm.schemas")))
BROKEN = {"archive/baselineSchema.yaml": 100, "ivoa/obscore_nominal.yaml": 60}
"""Files of the wheel that Felis itself refuses, with the number of its complaints."""

DIRECTORS = {
    "dp1.yaml": {"DiaObject", "Object", "Source", "Visit"},
    "dp2.yaml": {"DiaObject", "Object", "ShearObject", "Source", "Visit"},
    "apdb.yaml": {"DiaObjectLast", "DiaSource"},
}
"""Some tables that have a key and a position."""

WITH_REGIONS = {
    "cdb_latiss.yaml", "cdb_lsstcam.yaml", "cdb_lsstcomcam.yaml", "cdb_lsstcomcamsim.yaml", "dp02_obscore.yaml",
    "ivoa_obscore.yaml", "oga_live_obscore.yaml",
}  # fmt: skip
"""Some files whose tables have a column s_region."""

NAMES = sorted(str(path.relative_to(SCHEMAS)) for path in SCHEMAS.rglob("*.yaml"))


@pytest.fixture(scope="module")
def registry(postgres_server: TestServer) -> Iterator[Registry]:
    """A registry that the schemas of the module share."""
    conninfo = postgres_server.create_registry()
    with Registry(conninfo) as opened:
        yield opened
    postgres_server.drop_database(conninfo)


@pytest.fixture(scope="module", autouse=True)
def quick_yaml() -> Iterator[None]:
    """Read each file once; let Felis do it with the C library: the same data in a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(felis_resources, "read_yaml", cache(read_yaml))
        patch.setattr(felis.datamodel.yaml, "safe_load", cache(lambda text: yaml.load(text, yaml.CSafeLoader)))
        yield


def written(name: str) -> list[dict[str, Any]]:
    """Return the tables of a file: as they are written, or where columns stand in other files, as Felis reads them."""
    data = felis_resources.read_yaml(SCHEMAS / name).data
    if "resources" not in data:
        return list(data["tables"])
    schema = Schema.from_uri(str(SCHEMAS / name), context={"id_generation": True})
    assert schema.resources
    return [
        {
            "name": table.name,
            "primaryKey": table.primary_key,
            "columns": [column.model_dump(mode="json", by_alias=True) for column in table.columns],
        }
        for table in schema.tables
    ]


def partition_for(tables: list[dict[str, Any]], name: str, directory: Path) -> Path:
    """Write a partition file: tables with one key and a position are directors, the others ref tables."""
    roles = {}
    for table in tables:
        columns = {column["name"]: column for column in table["columns"]}
        pairs = [pair for pair in (("coord_ra", "coord_dec"), ("ra", "dec")) if columns.keys() >= set(pair)]
        key = str(table.get("primaryKey")).rpartition(".")[2]
        if pairs and key in columns and columns[key]["datatype"] in {"long", "string"}:
            ra, dec = pairs[0]
            roles[table["name"]] = {"kind": "director", "id": key, "ra": ra, "dec": dec}
        else:
            roles[table["name"]] = {"kind": "ref"}
    path = directory / "partition.yaml"
    path.write_text(yaml.safe_dump({"database": name, "tables": roles}))
    return path


def said(column: dict[str, Any]) -> tuple[str, ...]:
    """Return what a schema says of a column: name, type, unit, UCD, description."""
    unit = column.get("ivoa:unit") or column.get("fits:tunit") or ""
    name, kind, ucd = column["name"], column["datatype"], column.get("ivoa:ucd") or ""
    return name, kind, unit, ucd, (column.get("description") or "").strip()


def said_of(table: Table) -> list[tuple[str, ...]]:
    """Return what a database says of the columns of a table."""
    columns = [column for column in table.columns if not column.hidden]
    return [(one.name, one.datatype.value, one.unit, one.ucd, one.description) for one in columns]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BROKEN])
def test_a_schema_of_rubin_loads(name: str, registry: Registry, tmp_path: Path) -> None:
    theirs, called = written(name), Path(name).stem
    made = read_schema(SCHEMAS / name, partition_for(theirs, called, tmp_path))
    assert {table.name: said_of(table) for table in made.tables} == {
        table["name"]: [said(column) for column in table["columns"]] for table in theirs
    }
    assert {table.name for table in made.tables if isinstance(table, DirectorTable)} >= DIRECTORS.get(name, set())
    regions = [column for table in made.tables for column in table.find_columns("s_region", exact=True)]
    assert {column.xtype for column in regions} <= {"adql:REGION"}
    assert regions or name not in WITH_REGIONS
    registry.add_database(made)
    sized = replace(made.family, target_bytes=TARGET_BYTES)
    assert registry.database(called) == replace(made, family=sized)
    registry.drop_database(called)


@pytest.mark.parametrize(
    ("name", "count"),
    [pytest.param(*item, marks=[pytest.mark.long] if item[1] > 60 else []) for item in BROKEN.items()],
)
def test_what_felis_refuses_is_refused_with_its_lines(name: str, count: int) -> None:
    problems = find_problems(SCHEMAS / name)
    assert len(problems) == count
    assert all(", line " in problem for problem in problems)


def test_the_text_that_is_kept_needs_no_other_file(tmp_path: Path) -> None:
    partition, alone = tmp_path / "partition.yaml", tmp_path / "alone.yaml"
    partition.write_text("tables: {PromptSource: {kind: ref}}")
    made = read_schema(SCHEMAS / "ap_extra.yaml", partition)
    alone.write_text(made.felis)
    assert read_schema(alone, partition).tables == made.tables


def test_the_broken_ones_cannot_be_loaded(tmp_path: Path) -> None:
    partition = tmp_path / "partition.yaml"
    partition.write_text("tables: {ivoa.ObsCore: {kind: ref}}")
    with pytest.raises(SchemaError, match="the datatype is missing"):
        read_schema(SCHEMAS / "ivoa/obscore_nominal.yaml", partition)
