"""Parts and index runs on disk: what is written is read, layout and checksum as promised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.schemas import small_database

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.part import PartRole
from qserv_py.errors import WorkerError
from qserv_py.partitioner.director_index import DirectorIndex, IndexRun, encode_ids
from qserv_py.workers.index_files import open_director_index, open_index_run, write_index_run
from qserv_py.workers.parts import PartWriter, file_sha256, part_path, part_schema, read_part, verify_file, write_part


def rows_of(schema: pa.Schema) -> pa.Table:
    columns = {
        "objectId": [3, 1],
        "ra": [1.0, 2.0],
        "dec": [3.0, 4.0],
        "gFlux": [None, 1.5],
        "label": ["ä", None],
        "healpix29": [5, 7],
    }
    return pa.table(columns, schema=schema)


def test_a_part_is_written_and_read(tmp_path: Path) -> None:
    table = small_database(tmp_path).table("Object")
    rows = rows_of(part_schema(table))
    path = tmp_path / "a" / "b" / "x.parquet"
    written = write_part(path, rows, table)
    assert (written.rows, written.bytes, written.sha256) == (2, path.stat().st_size, file_sha256(path))
    assert read_part(path).equals(rows)
    columns = pq.ParquetFile(path).metadata.row_group(0)
    by_name = {columns.column(place).path_in_schema: columns.column(place) for place in range(columns.num_columns)}
    assert by_name["gFlux"].compression == "LZ4"
    assert "BYTE_STREAM_SPLIT" in by_name["gFlux"].encodings
    assert [column.column_index for column in columns.sorting_columns] == [5]


def test_a_part_that_fails_leaves_no_file(tmp_path: Path) -> None:
    table = small_database(tmp_path).table("Object")
    path = tmp_path / "x.parquet"

    def fail() -> None:
        with PartWriter(path, table) as writer:
            writer.write(rows_of(part_schema(table)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not path.exists()


def test_damage_is_found(tmp_path: Path) -> None:
    table = small_database(tmp_path).table("Object")
    path = tmp_path / "x.parquet"
    written = write_part(path, rows_of(part_schema(table)), table)
    verify_file(path, sha256=written.sha256, bytes=written.bytes)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(WorkerError, match=r"x\.parquet is damaged: \d+ bytes with sha256"):
        verify_file(path, sha256=written.sha256, bytes=written.bytes)
    path.write_bytes(b"")
    with pytest.raises(WorkerError, match="cannot be read"):
        read_part(path)
    path.unlink()
    with pytest.raises(WorkerError, match="is missing"):
        verify_file(path, sha256=written.sha256, bytes=written.bytes)


def test_the_layout_is_that_of_hats() -> None:
    chunk = ChunkId(10, 123_456)
    own = part_path("dr1", "object", role=PartRole.CHUNK, chunk=chunk, name="t5_1")
    assert str(own) == "dr1/object/dataset/Norder=10/Dir=120000/Npix=123456/t5_1.parquet"
    margin = part_path("dr1", "object", role=PartRole.OVERLAP, chunk=chunk, name="t5_2")
    assert str(margin) == "dr1/object_margin/dataset/Norder=10/Dir=120000/Npix=123456/t5_2.parquet"
    ref = part_path("dr1", "visit", role=PartRole.REF, chunk=None, name="t5_3")
    assert str(ref) == "dr1/visit/dataset/t5_3.parquet"


@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=50),
    cut=st.integers(0, 50),
    others=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=10),
)
def test_look_up_of_numbers(ids: list[int], cut: int, others: list[int]) -> None:
    runs = [np.array(sorted(part), dtype=np.int64) for part in (ids[:cut], ids[cut:])]
    index = DirectorIndex([IndexRun(run, np.abs(run // 2)) for run in runs])
    wanted = np.array(ids + others, dtype=np.int64)
    known = set(ids)
    expected = [abs(one // 2) if one in known else -1 for one in wanted.tolist()]
    assert index.lookup(wanted).tolist() == expected


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)


@given(ids=st.lists(TEXTS, unique=True, max_size=40), cut=st.integers(0, 40), others=st.lists(TEXTS, max_size=10))
def test_look_up_of_texts_of_any_width(ids: list[str], cut: int, others: list[str]) -> None:
    places = {one: place for place, one in enumerate(ids)}
    runs = []
    for part in (ids[:cut], ids[cut:]):
        names = np.sort(encode_ids(part)) if part else np.empty(0, dtype="S1")
        runs.append(IndexRun(names, np.array([places[name.decode()] for name in names.tolist()], dtype=np.int64)))
    wanted = [*ids, *others, *(one + "longer than any" for one in ids)]
    if wanted:
        found = DirectorIndex(runs).lookup(encode_ids(wanted))
        assert found.tolist() == [places.get(one, -1) for one in wanted]


def test_index_runs_on_disk(tmp_path: Path) -> None:
    numbers = IndexRun(np.array([-5, 3, 2**62]), np.array([1, 2, 3]))
    texts = IndexRun(np.sort(encode_ids(["b", "äöü", "a"])), np.array([7, 8, 9]))
    written = write_index_run(tmp_path / "i" / "n.arrow", numbers)
    assert written.sha256 == file_sha256(tmp_path / "i" / "n.arrow")
    write_index_run(tmp_path / "i" / "t.arrow", texts)
    back = open_index_run(tmp_path / "i" / "t.arrow")
    assert back.ids.tolist() == texts.ids.tolist()
    assert back.cells.tolist() == [7, 8, 9]
    index = open_director_index(tmp_path, ["i/n.arrow"])
    assert index.lookup(np.array([3, 4, 2**62])).tolist() == [2, -1, 3]
    with pytest.raises(WorkerError, match=r"director index run .*none\.arrow cannot be read"):
        open_index_run(tmp_path / "none.arrow")
