"""Rows that lack what most have: match rows of one key, directors with repeated ids, child rows without a director."""

from __future__ import annotations

import csv
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.ingested import Shards, check_parts
from support.schemas import places_database

from qserv_py.catalog.model import Database
from qserv_py.cli.data.ingest_output import print_summary
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest import run, table_staging
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import IngestSummary, InputOptions
from qserv_py.ingest.run import run_ingest
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.snapshots import parts_of

HEADER = "id,number,ra,dec"

PLACED = ("number", "healpix29")

OBJECTS = ("id,ra,dec", "0,10,10", "1,120,-40", "2,250,60")
STARS = ("name,ra,dec", "a,10.001,10", "b,120,-40.001", "far,300,-80")


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    made = places_database(tmp_path, name=f"p{abs(hash(request.node.nodeid)) % 10**9}")
    with cluster.registry() as registry:
        registry.add_database(made)
    return made


def ingest(destination: Destination, database: Database, path: Path, table: str, *lines: str, **further: object) -> int:
    """Ingest a CSV file; return the rows loaded."""
    return summary(destination, database, path, table, *lines, **further).rows_loaded


def summary(
    destination: Destination, database: Database, path: Path, table: str, *lines: str, **further: object
) -> IngestSummary:
    """Ingest a CSV file; return what came of it."""
    file = path / f"{table}.csv"
    file.write_text("\n".join(lines) + "\n")
    return run_ingest(
        destination,
        database=database.name,
        table=table,
        files=[file],
        rejects_dir=path,
        **further,  # type: ignore[arg-type]
    )


def cell(ra: float, dec: float) -> int:
    return int(healpix29_of(np.array([ra]), np.array([dec]))[0])


def rejected(path: Path, table: str) -> list[tuple[int, str, str]]:
    with (path / f"{table}.csv.rejects.csv").open(newline="") as file:
        return [(int(row["reject_row"]), row["reject_column"], row["reject_reason"]) for row in csv.DictReader(file)]


def test_match_rows_with_one_key(
    destination: Destination, database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    """They stand in the chunk of the row that their only key names; an id 0 is no NULL."""
    ingest(destination, database, tmp_path, "Object", *OBJECTS)
    ingest(destination, database, tmp_path, "Star", *STARS)
    rows = ("id,star", "0,a", ",far", "2,", ",", "9,a", ",none", "0,none")
    with pytest.raises(ContributionError, match="4 of 7 rows rejected"):
        ingest(destination, database, tmp_path, "Pair", *rows)
    assert rejected(tmp_path, "Pair") == [
        (4, "id, star", "no key tells the place of the row: all are NULL"),
        (5, "id", f'"{database.name}.Object" has no row of this id'),
        (6, "star", f'"{database.name}.Star" has no row of this id'),
        (7, "star", f'"{database.name}.Star" has no row of this id'),
    ]
    assert ingest(destination, database, tmp_path, "Pair", *rows, max_rejects=4) == 3
    with pytest.raises(ContributionError, match="1 of 2 rows rejected") as caught:
        ingest(destination, database, tmp_path, "StrictPair", "id,star", ",far", "2,")
    assert "id: NULL in a column without NULLs (row 1)" in caught.value.detail
    with pytest.raises(ContributionError, match=r'no column "star", which table ".*Pair" needs in every row'):
        ingest(destination, database, tmp_path, "Pair", "id", "1")
    publish_database(destination, database.name)
    places = {
        key: cell(ra, dec) for key, ra, dec in (((0, "a"), 10, 10), ((None, "far"), 300, -80), ((2, None), 250, 60))
    }
    found = Shards(cluster, database).rows("Pair", ["id", "star", "healpix29"])
    assert {(row[0], row[1]): row[2] for row in found} == places
    check_parts(destination, database)
    pairs = parts_of(destination.registry, database.name, tables=["Pair"])
    assert max(part.farthest_pair_deg or 0 for part in pairs) == pytest.approx(0.001, rel=0.02), "pairs of two alone"
    name = database.name
    with Session(cluster) as session:
        check(
            session,
            (
                f"SELECT s.name, p.id FROM {name}.Pair p JOIN {name}.Star s ON s.name = p.star",
                {("a", 0), ("far", None)},
            ),
            (f"SELECT o.id, p.star FROM {name}.Object o JOIN {name}.Pair p ON p.id = o.id", {(0, "a"), (2, None)}),
            (f"SELECT id, COUNT(*) AS n FROM {name}.Pair GROUP BY id", {(0, 1), (2, 1), (None, 1)}),
            (f"SELECT id FROM {name}.Object WHERE id NOT IN (SELECT id FROM {name}.Pair)", []),
            (f"SELECT id, star FROM {name}.Pair WHERE star = 'far'", {(None, "far")}),
        )


def test_a_ref_table_without_a_key_takes_a_file_once(
    destination: Destination, database: Database, tmp_path: Path
) -> None:
    assert ingest(destination, database, tmp_path, "Note", "text", "a", "a") == 2
    with pytest.raises(ContributionError, match='table "Note" has the rows of this file already'):
        ingest(destination, database, tmp_path, "Note", "text", "a", "a")


def test_a_director_with_repeated_ids(
    destination: Destination, database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    """Every row is there and found by its id, in whatever chunk; so is each beside the chunks that it comes near to."""
    rows = ["7,1,10,10", "7,2,120,-40", "8,3,10.01,10", "7,4,250,60", "9,5,10,10.01", "7,1,10,10"]
    ingest(destination, database, tmp_path, "Detection", HEADER, *rows)
    with pytest.raises(ContributionError, match='table "Detection" has the rows of this file already'):
        ingest(destination, database, tmp_path, "Detection", HEADER, *rows)
    with pytest.raises(
        UserError, match=r'ids of ".*Detection" repeat \(unique: false\), so it is not known which rows'
    ):
        ingest(destination, database, tmp_path, "Detection", HEADER, options=InputOptions(keep_known=True))
    ingest(destination, database, tmp_path, "Detection", HEADER, "7,6,300,-80", "10,7,119.999,-40")
    publish_database(destination, database.name)
    check_parts(destination, database)
    table = f"{database.name}.Detection"
    near = f"(SELECT COUNT(*) FROM {table} b WHERE DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.0095)"
    with Session(cluster) as session:
        check(
            session,
            (f"SELECT number FROM {table} WHERE id = 7", [(1,), (1,), (2,), (4,), (6,)]),
            (f"SELECT number FROM {table} WHERE id IN (7, 10) AND number > 3", [(4,), (6,), (7,)]),
            (f"SELECT number FROM {table} WHERE id BETWEEN 8 AND 9", [(3,), (5,)]),
            (f"SELECT id, COUNT(*) AS n FROM {table} GROUP BY id", [(7, 5), (8, 1), (9, 1), (10, 1)]),
            (f"SELECT COUNT(*) AS n FROM {table} a JOIN {table} b ON a.id = b.id", [(28,)]),
            (f"SELECT a.number FROM {table} a WHERE {near} > 1", [(1,), (1,), (2,), (7,)]),
        )


def test_orphans_stand_at_their_own_position(
    destination: Destination,
    database: Database,
    cluster: Cluster,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows of one key stay together, in all tables; a director's row that comes after them is turned away."""
    ingest(destination, database, tmp_path, "Object", *OBJECTS)
    name = database.name
    before = len(destination.registry.family(name).state.orders)
    rows = ("0,1,,", ",2,200,5", "50,3,40,-10", "50,4,222,-33", "2,5,250,60", "60,6,10,10.2")
    with pytest.raises(ContributionError, match="3 of 9 rows rejected"):
        ingest(destination, database, tmp_path, "Source", HEADER, *rows, ",7,,", ",8,400,0", "51,9,10,")
    lost = f'"{name}.Object" has no row of its key, and the row has no position of its own'
    assert rejected(tmp_path, "Source") == [(7, "ra", lost), (8, "ra", lost), (9, "ra", lost)]
    done = summary(destination, database, tmp_path, "Source", HEADER, *rows)
    print_summary(done)
    assert f"{name}.Source: 6 rows read, 6 loaded (4 without a director), 0 rejected;" in capsys.readouterr().err
    assert len(destination.registry.family(name).state.orders) > before, "there are chunks where there was none"
    with pytest.raises(ContributionError, match="1 of 2 rows rejected"):
        ingest(destination, database, tmp_path, "Loose", HEADER, ",1,77,7", "50,2,40,-10")
    assert summary(destination, database, tmp_path, "Loose", HEADER, ",1,77,7", "0,3,,").orphans == 1
    assert rejected(tmp_path, "Loose") == [(2, "id", f'"{name}.Object" has no row of this id')]
    forced_rows = ("50,10,1,1", "70,11,2,2", "0,12,3,3")
    assert summary(destination, database, tmp_path, "Forced", HEADER, *forced_rows).orphans == 2
    with pytest.raises(ContributionError, match="3 of 4 rows rejected") as caught:
        ingest(destination, database, tmp_path, "Object", "id,ra,dec", "50,40,-10", "4,5,5", "60,1,1", "70,2,2")
    reason = "child rows of this id stand at their own positions, as they came before it"
    assert f"3 x id: {reason} (rows 1, 3, 4)" in caught.value.detail
    ingest(destination, database, tmp_path, "Object", "id,ra,dec", "4,200.001,5")
    publish_database(destination, name)
    check_parts(destination, database)
    shards = Shards(cluster, database)
    source, forced = ({row[0]: row[1] for row in shards.rows(table, PLACED)} for table in ("Source", "Forced"))
    first = cell(40, -10)  # the first row of key 50 decides
    assert source == {
        1: cell(10, 10), 2: cell(200, 5), 3: first, 4: first, 5: cell(250, 60), 6: cell(10, 10.2)
    }  # fmt: skip
    assert forced == {10: first, 11: cell(2, 2), 12: cell(10, 10)}
    s, f, o = f"{name}.Source s", f"{name}.Forced f", f"{name}.Object o"
    alone = [(None, 2), (None, 3), (None, 4), (None, 6)]
    with Session(cluster) as session:
        check(
            session,
            (f"SELECT number FROM {name}.Source WHERE id = 50", [(3,), (4,)]),
            (f"SELECT s.number FROM {s} JOIN {f} ON s.id = f.id", [(1,), (3,), (4,)]),
            (f"SELECT s.number FROM {s} JOIN {o} ON s.id = o.id", [(1,), (5,)]),
            (f"SELECT o.id, s.number FROM {s} LEFT JOIN {o} ON s.id = o.id", [(0, 1), (2, 5), *alone]),
            (
                f"SELECT o.id, s.number FROM {o} FULL JOIN {s} ON s.id = o.id",
                [(0, 1), (2, 5), (1, None), (4, None), *alone],
            ),
            (f"SELECT id, COUNT(*) AS n FROM {name}.Source GROUP BY id", [(None, 1), (0, 1), (2, 1), (50, 2), (60, 1)]),
            (f"SELECT id FROM {name}.Object WHERE id NOT IN (SELECT id FROM {name}.Source)", []),
            (f"SELECT COUNT(*) AS n FROM {name}.Source", [(6,)]),
        )


def test_a_director_waits_for_orphans_that_are_being_loaded(
    cluster: Cluster, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ingests at once: the orphans commit when the director would have read the keys, if nothing kept it."""
    came, read = threading.Event(), threading.Event()
    outcome: list[str] = []
    lock, keys, commit = run.family_lock, table_staging.orphan_keys, run.commit_transaction

    def director() -> None:
        mine = tmp_path / "director"
        mine.mkdir()
        with open_destination(cluster, sync=False) as own:
            try:
                outcome.append(f"{ingest(own, database, mine, 'Object', 'id,ra,dec', '5,9,9', '6,8,8')} loaded")
            except ContributionError as error:
                outcome.append(error.message)

    thread = threading.Thread(target=director)

    def locked(*arguments: Any) -> Any:
        if threading.current_thread() is thread:
            came.set()
        return lock(*arguments)

    def found(*arguments: Any) -> Any:
        there = keys(*arguments)
        read.set()
        return there

    def committed(*arguments: Any, **further: Any) -> Any:
        if threading.current_thread() is not thread:
            thread.start()
            assert came.wait(60)
            read.wait(0.5)
        return commit(*arguments, **further)

    monkeypatch.setattr(run, "family_lock", locked)
    monkeypatch.setattr(table_staging, "orphan_keys", found)
    monkeypatch.setattr(run, "commit_transaction", committed)
    with open_destination(cluster, sync=False) as destination:
        assert ingest(destination, database, tmp_path, "Source", HEADER, "5,1,9,9") == 1
    thread.join()
    assert len(outcome) == 1
    assert "Object.csv: 1 of 2 rows rejected" in outcome[0]


def test_rows_near_chunks_that_orphans_made_stand_beside_them(
    destination: Destination, database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    """Objects come to such chunks, and near them, before and after each other: no pair within the overlap is lost."""
    random = np.random.default_rng(8)
    ra, dec = random.uniform(30, 32, 150), random.uniform(-1, 1, 150)
    turn = random.uniform(0, 2 * np.pi, 150)
    places = np.stack([np.tile(ra, 2), np.tile(dec, 2)])
    places[:, 150:] += 50 / 3600 * np.stack([np.cos(turn), np.sin(turn)])
    rows = [f"{number},{x!r},{y!r}" for number, (x, y) in enumerate(places.T.tolist())]
    order = random.permutation(300)
    ingest(destination, database, tmp_path, "Source", HEADER, *(f",0,{x!r},{y!r}" for x, y in places.T[:70].tolist()))
    for batch in np.array_split(order, 3):
        ingest(destination, database, tmp_path, "Object", "id,ra,dec", *(rows[number] for number in batch))
    publish_database(destination, database.name)
    lon, lat = np.radians(places)
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    apart = np.degrees(np.arccos(np.clip(vectors @ vectors.T, -1, 1)))
    map_ = destination.registry.family(database.family.name).state
    own = ChunkMap.of_state(map_).index_of(healpix29_of(*places))
    near = apart < 0.015
    assert (near & (own[:, np.newaxis] != own)).sum() >= 20, "many pairs across a border"
    pairs = f"FROM {database.name}.Object a JOIN {database.name}.Object b ON DISTANCE(a.ra, a.dec, b.ra, b.dec) < 0.015"
    with Session(cluster) as session:
        check(session, (f"SELECT COUNT(*) AS n {pairs}", [(int(near.sum()),)]))


def check(session: Session, *questions: tuple[str, Collection[tuple[object, ...]]]) -> None:
    """Ask, and compare with the rows that must come, in any order."""
    for query, answer in questions:
        rows = [tuple(row.values()) for batch in session.answer(query).batches() for row in batch.to_pylist()]
        assert sorted(rows, key=repr) == sorted(answer, key=repr), query
