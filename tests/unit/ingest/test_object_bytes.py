"""How many bytes an object brings into its chunk, and so how many rows a chunk aims at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.schemas import small_database, write_schema

from qserv_py.catalog.model import Database, DirectorTable, Family, Table
from qserv_py.catalog.object_bytes import TableCount, bytes_per_row, chunk_rows, object_bytes, row_bytes
from qserv_py.registry.schema_files.felis_schema import read_schema

OBJECT = 8 + 8 + 8 + 4 + 12 + 8  # objectId, ra, dec, gFlux, label of 12 characters, healpix29
SOURCE = 8 + 8 + 8 + 4 + 8
MATCH = 8 + 20 + 8
TRUTH = 20 + 8 + 8 + 8


def declared(directory: Path, *, sources: str, matches: str = "1", target: str = "target_bytes: 1_000_000") -> Database:
    """Return the small database with rows that are declared for each object."""
    felis, partition = write_schema(directory)
    text = partition.read_text().replace("target_rows: 100", target)
    text = text.replace("key: objectId}", f"key: objectId, rows_per_object: {sources}}}")
    partition.write_text(text.replace("truthId]}", f"truthId], rows_per_object: {matches}}}"))
    return read_schema(felis, partition)


def director(database: Database, name: str = "Object") -> DirectorTable:
    table = database.table(name)
    assert isinstance(table, DirectorTable)
    return table


def test_a_row_has_the_bytes_of_its_columns(tmp_path: Path) -> None:
    database = small_database(tmp_path)
    found = {table.name: row_bytes(table, {}) for table in database.tables if table.is_partitioned}
    assert found == {"Object": OBJECT, "Source": SOURCE, "ObjectMatch": MATCH, "Truth": TRUTH}


def test_long_texts_and_texts_of_any_length_are_taken_for_32_bytes(tmp_path: Path) -> None:
    table = small_database(tmp_path).table("Object")

    def with_length(length: int | None) -> Table:
        columns = [replace(column, length=length) if column.name == "label" else column for column in table.columns]
        return replace(table, columns=tuple(columns))

    assert [row_bytes(with_length(length), {}) - OBJECT + 12 for length in (1, 32, 33, 4000, None)] == [
        1,
        32,
        32,
        32,
        32,
    ]


def test_an_object_brings_its_children_and_the_other_directors(tmp_path: Path) -> None:
    database = declared(tmp_path, sources="191", matches="0.5")
    assert object_bytes(database, director(database), {}) == OBJECT + 191 * SOURCE + 0.5 * MATCH + TRUTH


def test_a_chunk_of_heavy_children_has_few_objects(tmp_path: Path) -> None:
    light, heavy = (declared(tmp_path, sources=sources) for sources in ("1", "1064"))
    rows = [chunk_rows(database, database.table("Object"), {}) for database in (light, heavy)]
    assert rows == [
        1_000_000 // (OBJECT + SOURCE + MATCH + TRUTH),
        1_000_000 // (OBJECT + 1064 * SOURCE + MATCH + TRUTH),
    ]


def test_a_chunk_has_a_row_however_heavy_it_is(tmp_path: Path) -> None:
    database = declared(tmp_path, sources="1000000000", target="target_bytes: 1000")
    assert chunk_rows(database, database.table("Object"), {}) == 1


def test_a_family_that_aims_at_rows_has_them_whatever_is_declared(tmp_path: Path) -> None:
    database = declared(tmp_path, sources="1064", target="target_rows: 100")
    assert chunk_rows(database, database.table("Object"), {}) == 100


def test_what_is_published_counts_where_it_is_enough(tmp_path: Path) -> None:
    database = small_database(tmp_path)
    few = {"Object": TableCount(rows=9_999, bytes=9_999 * 700, chunks=10)}
    enough = {"Object": TableCount(rows=10_000, bytes=10_000 * 30, chunks=10)}
    assert row_bytes(database.table("Object"), few) == OBJECT
    assert row_bytes(database.table("Object"), enough) == 30.0


def test_rows_for_each_object_are_counted_unless_they_are_declared(tmp_path: Path) -> None:
    counts = {
        "Object": TableCount(rows=1000, bytes=0, chunks=10),
        "Source": TableCount(rows=5000, bytes=0, chunks=10),
        "Truth": TableCount(rows=2000, bytes=0, chunks=10),
    }
    database = small_database(tmp_path)
    assert object_bytes(database, director(database), counts) == OBJECT + 5 * SOURCE + MATCH + 2 * TRUTH
    # Seen from Truth, an object is half a row.
    seen = object_bytes(database, director(database, "Truth"), counts)
    assert seen == pytest.approx((OBJECT + 5 * SOURCE + MATCH + 2 * TRUTH) / 2)
    said = declared(tmp_path, sources="191")
    assert object_bytes(said, director(said), counts) == OBJECT + 191 * SOURCE + MATCH + 2 * TRUTH


def test_an_orphan_stands_for_its_share_of_an_object(tmp_path: Path) -> None:
    heavy = declared(tmp_path, sources="100")
    whole = object_bytes(heavy, director(heavy), {})
    assert bytes_per_row(heavy, heavy.table("Source"), {}) == whole / 100
    rare = declared(tmp_path, sources="0.001")
    assert bytes_per_row(rare, rare.table("Source"), {}) == object_bytes(rare, director(rare), {})


def test_a_family_that_says_nothing_aims_at_the_default(tmp_path: Path) -> None:
    database = replace(small_database(tmp_path), family=Family(name="open"))
    said = replace(database, family=Family(name="open", target_bytes=1_000_000))
    rows = [chunk_rows(one, one.table("Object"), {}) for one in (database, said)]
    assert rows[0] > 100 * rows[1]
