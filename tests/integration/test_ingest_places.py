"""Rows that lack what most have: match rows of one key, directors with repeated ids, child rows without a director."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.ingested import Shards, check_parts

from qserv_py.catalog.model import Database
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import ContributionError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.felis_schema import read_schema
from qserv_py.registry.transactions import parts_of

FELIS = """\
name: {name}
tables:
- name: Object
  columns:
  - {{name: id, datatype: long}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Star
  columns:
  - {{name: name, datatype: string, length: 20}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Pair
  columns:
  - {{name: id, datatype: long}}
  - {{name: star, datatype: string, length: 20}}
- name: StrictPair
  columns:
  - {{name: id, datatype: long, nullable: false}}
  - {{name: star, datatype: string, length: 20}}
"""

PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: 2, min_order: 1, max_order: 8, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: id, ra: ra, dec: dec}}
  Star: {{kind: director, id: name, ra: ra, dec: dec}}
  Pair: {{kind: match, directors: [Object, Star], keys: [id, star]}}
  StrictPair: {{kind: match, directors: [Object, Star], keys: [id, star]}}
"""

OBJECTS = ("id,ra,dec", "0,10,10", "1,120,-40", "2,250,60")
STARS = ("name,ra,dec", "a,10.001,10", "b,120,-40.001", "far,300,-80")


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


@pytest.fixture
def database(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    name = f"p{abs(hash(request.node.nodeid)) % 10**9}"
    schema, partition = tmp_path / "schema.yaml", tmp_path / "partition.yaml"
    schema.write_text(FELIS.format(name=name))
    partition.write_text(PARTITION.format(name=name))
    made = read_schema(schema, partition)
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
        for query, answer in (
            (
                f"SELECT s.name, p.id FROM {name}.Pair p JOIN {name}.Star s ON s.name = p.star",
                {("a", 0), ("far", None)},
            ),
            (f"SELECT o.id, p.star FROM {name}.Object o JOIN {name}.Pair p ON p.id = o.id", {(0, "a"), (2, None)}),
            (f"SELECT id, COUNT(*) AS n FROM {name}.Pair GROUP BY id", {(0, 1), (2, 1), (None, 1)}),
            (f"SELECT id FROM {name}.Object WHERE id NOT IN (SELECT id FROM {name}.Pair)", set()),
            (f"SELECT id, star FROM {name}.Pair WHERE star = 'far'", {(None, "far")}),
        ):
            rows_found = [tuple(row.values()) for batch in session.answer(query).batches() for row in batch.to_pylist()]
            assert set(rows_found) == answer, query
            assert len(rows_found) == len(answer), query
