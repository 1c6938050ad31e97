"""Databases in the registry: what is written is what is read, and names are found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.postgres import TestServer
from support.schemas import small_database, write_schema

from qserv_py.catalog.model import TARGET_BYTES, DirectorTable, Family
from qserv_py.catalog.snapshot import Worker
from qserv_py.errors import ClusterError, NotFoundError, SchemaError
from qserv_py.registry.connection import Registry
from qserv_py.registry.schema_files.felis_schema import read_schema


def test_a_database_is_read_as_it_was_written(registry: Registry, tmp_path: Path) -> None:
    database = small_database(tmp_path)
    registry.add_database(database)
    assert registry.database("small") == database
    assert registry.describe({}).catalog().databases == (database,)


def test_the_units_of_positions_are_kept(registry: Registry, tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    felis.write_text(felis.read_text().replace("unit: deg, ivoa:ucd: pos.eq", "unit: rad, ivoa:ucd: pos.eq"))
    database = read_schema(felis, partition)
    registry.add_database(database)
    table = registry.database("small").table("Object")
    assert isinstance(table, DirectorTable)
    assert (table.ra.unit, table.dec.unit, table.column("ra").unit) == ("rad", "rad", "deg")
    assert registry.database("small") == database


def test_every_change_that_queries_see_raises_the_version(registry: Registry, tmp_path: Path) -> None:
    versions = [registry.catalog_version()]
    worker = Worker(name="w1", conninfo="host=here", parts_dir="/parts")
    for change in (
        lambda: registry.put_worker(worker),
        lambda: registry.put_worker(replace(worker, conninfo="host=there")),
        lambda: registry.add_database(small_database(tmp_path)),
        lambda: registry.drop_database("small"),
    ):
        change()
        versions.append(registry.catalog_version())
    assert versions == sorted(set(versions))
    registry.put_worker(replace(worker, conninfo="host=there"))
    assert registry.catalog_version() == versions[-1]  # nothing has changed
    assert registry.describe({}).version == versions[-1]


def test_names_are_found_in_any_case(registry: Registry, tmp_path: Path) -> None:
    registry.add_database(small_database(tmp_path, name="Small"))
    assert registry.database("SMALL").name == "Small"
    with pytest.raises(NotFoundError, match='database "smal" is not known') as caught:
        registry.database("smal")
    assert caught.value.hint == 'Did you mean "Small"?'
    with pytest.raises(NotFoundError) as caught:
        registry.database("xyz")
    assert caught.value.hint == "There is Small."


def test_a_second_database_of_a_name_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.add_database(small_database(tmp_path))
    with pytest.raises(SchemaError, match='there is a database "small" already'):
        registry.add_database(small_database(tmp_path))
    with pytest.raises(SchemaError, match='there is a database "SMALL" already'):
        registry.add_database(replace(small_database(tmp_path), name="SMALL"))
    assert len(registry.databases()) == 1


def test_a_family_has_the_same_settings_for_all_its_databases(registry: Registry, tmp_path: Path) -> None:
    database = small_database(tmp_path)
    registry.add_database(database)
    other = replace(database, name="other", physical="other")
    registry.add_database(other)
    third = replace(other, name="third", physical="third", family=replace(database.family, target_rows=7))
    with pytest.raises(SchemaError, match='family "small" exists with target_rows 100, not 7'):
        registry.add_database(third)
    assert [known.name for known in registry.databases()] == ["other", "small"]


def test_a_family_aims_at_bytes(registry: Registry, tmp_path: Path) -> None:
    database = small_database(tmp_path)
    sized = replace(database, family=Family(name="sized", target_bytes=5_000_000))
    registry.add_database(sized)
    assert registry.database("small").family == sized.family
    other = replace(sized, name="other", physical="other")
    with pytest.raises(SchemaError, match='family "sized" exists with target_bytes 5000000, not target_rows 7'):
        registry.add_database(replace(other, family=Family(name="sized", target_rows=7)))
    with pytest.raises(SchemaError, match='family "sized" exists with target_bytes 5000000, not 6000000'):
        registry.add_database(replace(other, family=replace(sized.family, target_bytes=6_000_000)))


def test_a_family_without_a_size_takes_that_of_the_one_that_is_there(registry: Registry, tmp_path: Path) -> None:
    database = small_database(tmp_path)
    registry.add_database(database)
    left_open = replace(database.family, target_rows=None)
    registry.add_database(replace(database, name="other", physical="other", family=left_open))
    assert registry.database("other").family == database.family
    with pytest.raises(SchemaError, match='family "small" exists with min_order 1, not 2'):
        registry.add_database(replace(database, name="third", physical="third", family=replace(left_open, min_order=2)))
    registry.add_database(replace(database, name="new", physical="new", family=Family(name="new")))
    assert registry.database("new").family == Family(name="new", target_bytes=TARGET_BYTES)


def test_rows_for_each_object_are_kept(registry: Registry, tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    text = partition.read_text().replace("key: objectId}", "key: objectId, rows_per_object: 191}")
    partition.write_text(text.replace("truthId]}", "truthId], rows_per_object: 0.5}"))
    registry.add_database(read_schema(felis, partition))
    tables = [registry.database("small").table(name) for name in ("Source", "ObjectMatch")]
    assert [table.rows_per_object for table in tables] == [191.0, 0.5]  # type: ignore[attr-defined]


def test_dropping_forgets_a_database(registry: Registry, tmp_path: Path) -> None:
    registry.add_database(small_database(tmp_path))
    registry.drop_database("small")
    assert registry.databases() == ()
    with pytest.raises(NotFoundError, match='database "small" is not known'):
        registry.drop_database("small")


def test_a_lost_connection_is_made_again(postgres_server: TestServer, registry: Registry) -> None:
    with registry.connection() as connection, Registry(registry.conninfo) as other, other.connection() as second:
        second.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
    assert registry.catalog_version() == 1


def test_a_server_that_does_not_answer_is_named() -> None:
    with (
        Registry("host=/nowhere port=2345 dbname=x connect_timeout=2") as registry,
        pytest.raises(ClusterError, match="the registry at /nowhere, port 2345 does not answer") as caught,
    ):
        registry.describe({})
    assert "qserv cluster start" in caught.value.hint
