"""Ingest into real shards: every row once and in its chunk, or nothing; published, appended to, published again."""

from __future__ import annotations

import csv
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from support.ingested import (
    Shards,
    add_small,
    check_parts,
    followers,
    ingest,
    objects,
    sorted_rows,
)

from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import ContributionError, NotFoundError, UserError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import IngestProgress, IngestStage, InputOptions
from qserv_py.ingest.run import run_ingest
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.healpix import healpix29_of, unit_vectors
from qserv_py.registry.snapshots import parts_of, segments_of
from qserv_py.registry.transactions import unfinished_transactions
from qserv_py.workers.index_files import open_director_index

COLUMNS = {
    "Object": ["objectId", "ra", "dec", "gFlux", "label"],
    "Source": ["sourceId", "objectId", "mjd", "visit"],
    "ObjectMatch": ["objectId", "truthId"],
    "Truth": ["truthId", "ra", "dec"],
    "Visit": ["visit", "band"],
}
ORDER = ("Object", "Source", "Truth", "ObjectMatch", "Visit")


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    return add_small(cluster, tmp_path, f"i{abs(hash(request.node.nodeid)) % 10**9}")


@pytest.fixture
def shards(cluster: Cluster, database: Database) -> Shards:
    return Shards(cluster, database)


def ingest_all(
    destination: Destination,
    directory: Path,
    database: Database,
    rows: pa.Table,
    *,
    first_visit: int = 0,
    **further: object,
) -> dict[str, pa.Table]:
    tables = {"Object": rows, **followers(rows, seed=int(rows.num_rows), first_visit=first_visit)}
    for table in ORDER:
        ingest(destination, directory, database.name, table, tables[table], **further)
    return tables


def check_chunks(destination: Destination, database: Database) -> ChunkMap:
    """Check that each row stands in the chunk of its director's row; return the chunk map."""
    chunk_map = ChunkMap.of_state(destination.registry.family(database.family.name).state)
    place: dict[object, int] = {}
    for part in parts_of(destination.registry, database.name, tables=["Object"], roles=[PartRole.CHUNK]):
        rows = pq.ParquetFile(destination.file_of(part)).read()
        cells = rows.column("healpix29").to_numpy()
        assert (np.diff(cells) >= 0).all(), "a part is sorted"
        assert (cells == healpix29_of(rows.column("ra").to_numpy(), rows.column("dec").to_numpy())).all()
        place.update(zip(rows.column("objectId").to_pylist(), cells.tolist(), strict=True))
    for part in parts_of(destination.registry, database.name, roles=[PartRole.CHUNK]):
        rows = pq.ParquetFile(destination.file_of(part)).read()
        cells = rows.column("healpix29").to_numpy()
        assert part.chunk is not None
        assert ((cells >= part.chunk.first) & (cells < part.chunk.end)).all()
        if "objectId" in rows.column_names:
            assert [place[key] for key in rows.column("objectId").to_pylist()] == cells.tolist()
    return chunk_map


def check_overlap(destination: Destination, database: Database, table: str, rows: pa.Table) -> None:
    """Check by brute force that rows within the overlap of another chunk's row stand beside that chunk."""
    chunk_map = ChunkMap.of_state(destination.registry.family(database.family.name).state)
    key = COLUMNS[table][0]
    beside: Counter[tuple[object, object]] = Counter()
    for part in parts_of(destination.registry, database.name, tables=[table], roles=[PartRole.OVERLAP]):
        found = pq.ParquetFile(destination.file_of(part)).read()
        beside.update((one, part.chunk) for one in found.column(key).to_pylist())
    assert all(count == 1 for count in beside.values()), "a copy stands once beside a chunk"
    ra, dec = rows.column("ra").to_numpy(), rows.column("dec").to_numpy()
    own = chunk_map.index_of(healpix29_of(ra, dec))
    vectors = unit_vectors(ra, dec)
    near = np.linalg.norm(vectors[:, np.newaxis] - vectors[np.newaxis], axis=-1) <= np.radians(
        database.family.overlap_arcsec / 3600.0
    )
    keys = rows.column(key).to_pylist()
    assert (near & (own[:, np.newaxis] != own[np.newaxis])).sum() > 10
    for one, other in zip(*np.nonzero(near & (own[:, np.newaxis] != own[np.newaxis])), strict=True):
        assert beside[keys[one], chunk_map.chunk(int(own[other]))] == 1
    assert all(own[keys.index(one)] != chunk_map.index_of(np.array([chunk.first]))[0] for one, chunk in beside)  # type: ignore[attr-defined]


def test_every_kind_of_table(destination: Destination, database: Database, shards: Shards, tmp_path: Path) -> None:
    seen: list[IngestProgress] = []
    rows = objects(900, seed=1)
    tables = ingest_all(destination, tmp_path, database, rows, progress=seen.append)
    assert shards.rows("Object", ["objectId"]) == [], "nothing is visible before publishing"
    summary = publish_database(destination, database.name)
    assert summary.snapshot == 1
    for table, columns in COLUMNS.items():
        assert shards.rows(table, columns) == sorted_rows(tables[table], columns)
    chunk_map = check_chunks(destination, database)
    assert len(chunk_map) > 9, "target_rows is 100"
    check_overlap(destination, database, "Object", rows)
    check_overlap(destination, database, "Truth", tables["Truth"])
    check_parts(destination, database)
    assert {stage.stage for stage in seen} == set(IngestStage)
    runs = parts_of(destination.registry, database.name, tables=["Truth"], roles=[PartRole.INDEX])
    index = open_director_index(destination.czar_dir, [run.path for run in runs])
    wanted = np.array([b"t-5", b"nothing", b"t-12345678901234567890"])
    assert (index.lookup(wanted) >= 0).tolist() == [True, False, False]


def test_reader_may_read_and_only_read(
    destination: Destination, database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    ingest(destination, tmp_path, database.name, "Object", objects(50, seed=2))
    publish_database(destination, database.name)
    with psycopg.connect(cluster.workers[0].conninfo, autocommit=True) as connection:
        parent = sql.Identifier(database.physical, "object")
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(parent))
        with pytest.raises(psycopg.Error, match=r"permission denied|read-only"):
            connection.execute(sql.SQL("DELETE FROM {}").format(parent))


def test_appending_before_and_after_publishing(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    pieces = [
        objects(300, seed=3),
        objects(300, seed=4, first_id=1000),
        objects(600, seed=5, first_id=2000, ra=40.0),  # into old chunks, and new ones beside them
    ]
    collected: dict[str, list[pa.Table]] = {table: [] for table in COLUMNS}
    for number, piece in enumerate(pieces):
        tables = ingest_all(destination, tmp_path, database, piece, first_visit=50 * number)
        for table, rows in tables.items():
            collected[table].append(rows)
        if number:
            publish_database(destination, database.name)
            whole = {table: pa.concat_tables(rows) for table, rows in collected.items()}
            for table in ("Object", "Source", "ObjectMatch", "Truth"):
                assert shards.rows(table, COLUMNS[table]) == sorted_rows(whole[table], COLUMNS[table])
            check_overlap(destination, database, "Object", whole["Object"])
            check_overlap(destination, database, "Truth", whole["Truth"])
    check_chunks(destination, database)
    check_parts(destination, database)
    segments = segments_of(destination.registry, database.name)
    assert {segment.generation for segment in segments} == {1, 2}
    held = {name for _, name in shards.relations()}
    served = {
        database.table(segment.table).relation(segment.chunk, generation=segment.generation, overlap=overlap)
        for segment in segments
        for overlap in (False, True)
    }
    assert held <= served
    assert shards.rows("Visit", ["visit"]) == sorted([(number,) for number in range(150)], key=repr)


@pytest.mark.parametrize("budget", [1, 50_000])
def test_rows_that_do_not_fit_in_memory_go_over_the_disk(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path, budget: int
) -> None:
    tables = ingest_all(destination, tmp_path, database, objects(700, seed=7), budget=budget)
    publish_database(destination, database.name)
    for table, columns in COLUMNS.items():
        assert shards.rows(table, columns) == sorted_rows(tables[table], columns)
    check_overlap(destination, database, "Object", tables["Object"])
    check_parts(destination, database)


def test_two_directors_at_once_share_the_chunk_map(
    cluster: Cluster, destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with open_destination(cluster, sync=False) as own:
                rows = objects(300, seed=8 + number, first_id=1000 * number)
                directory = tmp_path / str(number)
                directory.mkdir()
                ingest(own, directory, database.name, "Object", rows)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    publish_database(destination, database.name)
    assert len(set(shards.rows("Object", ["objectId"]))) == 900
    check_chunks(destination, database)
    check_parts(destination, database)


def write_csv(path: Path, header: str, *lines: str) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def reject_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rejects_are_named_and_nothing_is_left(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    good = write_csv(tmp_path / "one.csv", "objectId,ra,dec,gFlux,label", "1,10,10,1.5,a", "2,11,11,,")
    bad = write_csv(
        tmp_path / "two.csv",
        "objectId,ra,dec,gFlux,label",
        "3,12,12,1.5,a",
        "1,13,13,,again",
        "4,,13,,",
        "5,400,13,,",
        "x,14,14,,",
        "6,15,15,1e99,",
        "7,16,16,,much too long for it",
        "8,17",
        "3,18,18,,twice here",
        ",19,19,,",
    )
    with pytest.raises(ContributionError) as caught:
        run_ingest(destination, database=database.name, table="object", files=[good, bad], rejects_dir=tmp_path)
    assert "two.csv: 9 of 10 rows rejected, --max-rejects allows 0" in caught.value.message
    assert "1 x ra: position is missing (row 3)" in caught.value.detail
    assert "2 x objectId: another row of these files has this id (rows 2, 9)" in caught.value.detail
    assert str(tmp_path / "two.csv.rejects.csv") in caught.value.hint
    found = reject_rows(tmp_path / "two.csv.rejects.csv")
    assert {int(row["reject_row"]): row["reject_column"] for row in found} == {
        2: "objectId", 3: "ra", 4: "ra", 5: "objectId", 6: "gFlux", 7: "label", 8: "", 9: "objectId", 10: "objectId",
    }  # fmt: skip
    by_row = {row["reject_row"]: row for row in found}
    assert by_row["6"]["gFlux"] == "1e99"
    assert by_row["9"]["label"] == "twice here"
    assert by_row["8"]["objectId"] == "8,17"
    assert shards.files() == set()
    assert parts_of(destination.registry, database.name) == ()
    assert unfinished_transactions(destination.registry, database=database.name) == ()

    summary = run_ingest(
        destination, database=database.name, table="Object", files=[good, bad], max_rejects=9, rejects_dir=tmp_path
    )
    assert (summary.rows_read, summary.rows_loaded, summary.rows_rejected) == (12, 3, 9)
    assert [file.rows_rejected for file in summary.files] == [0, 9]
    publish_database(destination, database.name)
    assert shards.rows("Object", ["objectId", "ra"]) == [(1, 10.0), (2, 11.0), (3, 12.0)]
    check_parts(destination, database)


def test_ids_and_keys_are_checked_against_what_is_there(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    rows = objects(60, seed=9)
    ingest(destination, tmp_path, database.name, "Object", rows)
    with pytest.raises(ContributionError, match=r"60 of 60 rows rejected") as caught:
        ingest(destination, tmp_path, database.name, "Object", rows)
    assert f'"{database.name}.Object" has a row of this id already' in caught.value.detail
    source = write_csv(tmp_path / "s.csv", "sourceId,objectId,mjd,visit", "1,5,60000,1", "2,99,60000,1", "3,,60000,1")
    with pytest.raises(ContributionError, match="2 of 3 rows rejected") as caught:
        run_ingest(destination, database=database.name, table="Source", files=[source], rejects_dir=tmp_path)
    assert f'objectId: "{database.name}.Object" has no row of this id (row 2)' in caught.value.detail
    run_ingest(destination, database=database.name, table="Source", files=[source], rejects_dir=tmp_path, max_rejects=2)
    truth = write_csv(tmp_path / "t.csv", "truthId,ra,dec", "ä,1,1", "ab,2,2", "ä,3,3")
    run_ingest(destination, database=database.name, table="Truth", files=[truth], rejects_dir=tmp_path, max_rejects=1)
    match = write_csv(tmp_path / "m.csv", "objectId,truthId", "5,ä", "5,a", "6,äb", "77,ab")
    run_ingest(
        destination, database=database.name, table="ObjectMatch", files=[match], rejects_dir=tmp_path, max_rejects=3
    )
    publish_database(destination, database.name)
    assert shards.rows("ObjectMatch", COLUMNS["ObjectMatch"]) == [(5, "ä")]
    assert shards.rows("Truth", ["truthId", "ra"]) == [("ab", 2.0), ("ä", 1.0)]
    assert shards.rows("Source", ["sourceId"]) == [(1,)]


def test_keys_of_ref_tables_are_checked(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    one = write_csv(tmp_path / "one.csv", "visit,band", "1,u", "2,g", "1,r")
    two = write_csv(tmp_path / "two.csv", "visit,band", "3,u", "2,z")
    with pytest.raises(ContributionError, match=r"1 of 3 rows rejected.*; 1 more file has too many") as caught:
        run_ingest(destination, database=database.name, table="Visit", files=[one, two], rejects_dir=tmp_path)
    assert "1 x visit: another row of these files has this id (row 3)" in caught.value.detail
    run_ingest(
        destination, database=database.name, table="Visit", files=[one, two], rejects_dir=tmp_path, max_rejects=1
    )
    with pytest.raises(ContributionError, match="2 of 2 rows rejected") as caught:
        run_ingest(destination, database=database.name, table="Visit", files=[two], rejects_dir=tmp_path)
    assert f'"{database.name}.Visit" has a row of this key already' in caught.value.detail
    publish_database(destination, database.name)
    assert shards.rows("Visit", ["visit", "band"]) == [(1, "u"), (2, "g"), (3, "u")]
    check_parts(destination, database)


def test_reject_file_can_be_ingested_when_it_is_mended(
    destination: Destination, database: Database, shards: Shards, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "o.csv", "objectId,ra,dec,gFlux,label", "1,1,1,,", "2,2,,,")
    run_ingest(destination, database=database.name, table="Object", files=[path], rejects_dir=tmp_path, max_rejects=1)
    rejects = tmp_path / "o.csv.rejects.csv"
    rejects.write_text(rejects.read_text().replace("2,2,", "2,2,2"))
    run_ingest(
        destination,
        database=database.name,
        table="Object",
        files=[rejects],
        options=InputOptions(ignore_extra=True),
        rejects_dir=tmp_path,
    )
    publish_database(destination, database.name)
    assert shards.rows("Object", ["objectId", "dec"]) == [(1, 1.0), (2, 2.0)]


def test_ingest_of_nothing(
    destination: Destination, cluster: Cluster, database: Database, shards: Shards, tmp_path: Path
) -> None:
    rows = objects(4, seed=1)
    ingest(destination, tmp_path, database.name, "Object", rows.slice(0, 0))
    ingest(destination, tmp_path, database.name, "Visit", followers(rows, seed=1)["Visit"].slice(0, 0))
    publish_database(destination, database.name)
    assert shards.files() == set()
    near = "DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.01"
    with Session(cluster) as session:
        for query, count in (
            (f"SELECT COUNT(*) AS n FROM {database.name}.Object", 1),
            (f"SELECT label, COUNT(*) AS n FROM {database.name}.Object GROUP BY label", 0),
            (f"SELECT a.objectId FROM {database.name}.Object a JOIN {database.name}.Object b ON {near}", 0),
            (f"SELECT o.ra, s.mjd FROM {database.name}.Object o JOIN {database.name}.Source s USING (objectId)", 0),
            (f"SELECT v.visit FROM {database.name}.Source s JOIN {database.name}.Visit v ON v.visit = s.visit", 0),
        ):
            assert sum(batch.num_rows for batch in session.answer(query).batches()) == count
            assert session.explain(query)
    with pytest.raises(UserError, match="no files"):
        run_ingest(destination, database=database.name, table="Object", files=[])
    with pytest.raises(NotFoundError, match='has no table "Objekt"') as caught:
        run_ingest(destination, database=database.name, table="Objekt", files=[tmp_path])
    assert 'Did you mean "Object"?' in caught.value.hint


def test_overlap_beside_chunks_that_another_database_added(
    destination: Destination, cluster: Cluster, tmp_path: Path
) -> None:
    """Rows that were there before the chunk, rows that came after it, and new rows: each stands beside it once."""
    first = add_small(cluster, tmp_path, "shared1")
    second = replace(add_small(cluster, tmp_path, "shared2"), family=first.family, name="shared3", physical="shared3")
    with cluster.registry() as registry:
        registry.add_database(second)
    rows = objects(900, seed=5)
    coarse = healpix29_of(rows.column("ra").to_numpy(), rows.column("dec").to_numpy()) >> (2 * 28)
    east = coarse % 2 == 0  # no chunk is coarser, so the others are not among their chunks
    early, late = rows.filter(pa.array(east)), rows.filter(pa.array(~east))
    ingest(destination, tmp_path, first.name, "Object", early.slice(50))
    ingest(destination, tmp_path, second.name, "Object", objects(900, seed=6))
    ingest(destination, tmp_path, first.name, "Object", early.slice(0, 50))
    ingest(destination, tmp_path, first.name, "Object", late)
    check_overlap(destination, first, "Object", rows)
    check_parts(destination, first)
