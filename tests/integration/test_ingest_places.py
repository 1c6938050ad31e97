"""Rows that lack what most have: match rows of one key, directors with repeated ids."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ingested import Shards, check_parts
from support.schemas import places_database

from qserv_py.catalog.model import Database
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.run import run_ingest
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.transactions import parts_of

HEADER = "id,number,ra,dec"

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
    file = path / f"{table}.csv"
    file.write_text("\n".join(lines) + "\n")
    done = run_ingest(
        destination,
        database=database.name,
        table=table,
        files=[file],
        rejects_dir=path,
        **further,  # type: ignore[arg-type]
    )
    return done.rows_loaded


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


def check(session: Session, *questions: tuple[str, Collection[tuple[object, ...]]]) -> None:
    """Ask, and compare with the rows that must come, in any order."""
    for query, answer in questions:
        rows = [tuple(row.values()) for batch in session.answer(query).batches() for row in batch.to_pylist()]
        assert sorted(rows, key=repr) == sorted(answer, key=repr), query
