"""A small catalogue of every kind of table, ingested into a cluster, and what the shards hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql
from support.schemas import small_database
from support.skies import clustered

from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.snapshots import parts_of
from qserv_py.workers.parts import verify_file

Rows = dict[str, pa.Table]


def add_small(cluster: Cluster, directory: Path, name: str) -> Database:
    """Add the database of `support.schemas` to a cluster, under a name of its own."""
    database = small_database(directory, name=name)
    # With the overlap of a real survey so few rows would have no neighbours across a border.
    database = replace(database, family=replace(database.family, overlap_arcsec=5400.0))
    with cluster.registry() as registry:
        registry.add_database(database)
    return database


def objects(count: int, *, seed: int, first_id: int = 0, spread: float = 20.0, ra: float = 0.0) -> pa.Table:
    """Return objects around the wrap of right ascension (or another ``ra``) and a pole."""
    halves = [
        clustered(ra, 5.0, spread, count // 2, seed),
        clustered(80.0, 90.0, spread, count - count // 2, seed + 1),
    ]
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "objectId": first_id + random.permutation(count).astype(np.int64),
            "ra": np.concatenate([ra for ra, _ in halves]),
            "dec": np.concatenate([dec for _, dec in halves]),
            "gFlux": pa.array(random.normal(size=count).astype(np.float32), mask=random.random(count) < 0.2),
            "label": pa.array([f"object {number % 5}" if number % 3 else None for number in range(count)]),
        }
    )


def followers(rows: pa.Table, *, seed: int, first_visit: int = 0) -> Rows:
    """Return tables that go with objects: sources, truths, matches, visits."""
    random = np.random.default_rng(seed)
    ids = rows.column("objectId").to_numpy()
    count = 3 * len(ids)
    truth = np.array([f"t-{number}" for number in ids])
    return {
        "Source": pa.table(
            {
                "sourceId": np.arange(count) + 10 * int(ids.min()),
                "objectId": random.choice(ids, count),
                "mjd": random.uniform(60000, 61000, count),
                "visit": random.integers(0, 50, count).astype(np.int32),
            }
        ),
        "Truth": pa.table({"truthId": truth, "ra": rows.column("ra"), "dec": rows.column("dec")}),
        "ObjectMatch": pa.table({"objectId": ids, "truthId": random.permutation(truth)}),
        "Visit": pa.table({"visit": np.arange(50, dtype=np.int32) + first_visit, "band": [*"ugrizy" * 8, "u", "g"]}),
    }


def ingest(
    destination: Destination, directory: Path, database: str, table: str, rows: pa.Table, **further: object
) -> None:
    """Ingest rows through a Parquet file."""
    path = directory / f"{database}-{table}.parquet"
    pq.write_table(rows, path)
    run_ingest(destination, database=database, table=table, files=[path], rejects_dir=directory, **further)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Shards:
    """What the shards of a cluster hold of a database."""

    cluster: Cluster
    database: Database

    def relations(self) -> dict[tuple[str, str], int]:
        """Return the rows of each relation that holds parts, by worker and name."""
        found = {}
        for worker, conninfo in self.cluster.admin.items():
            with psycopg.connect(conninfo, autocommit=True) as connection:
                names = connection.execute(
                    "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
                    " WHERE nspname = %s AND relkind = 'r' AND relname <> ALL (%s) ORDER BY 1",
                    [self.database.physical, [table.physical for table in self.database.tables]],
                ).fetchall()
                for (name,) in names:
                    relation = sql.Identifier(self.database.physical, name)
                    counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(relation)).fetchone()
                    found[worker, name] = counted[0] if counted else 0
        return found

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple[object, ...]]:
        """Return the rows that psql sees of a table on all shards together, sorted; of a ref table, on the first."""
        found: list[tuple[object, ...]] = []
        physical = self.database.table(table).physical
        for conninfo in self.cluster.admin.values():
            with psycopg.connect(conninfo, autocommit=True) as connection:
                statement = sql.SQL("SELECT {} FROM {}").format(
                    sql.SQL(", ").join(
                        sql.Identifier(self.database.table(table).column(name).physical) for name in columns
                    ),
                    sql.Identifier(self.database.physical, physical),
                )
                found += connection.execute(statement, binary=True).fetchall()
            if not self.database.table(table).is_partitioned:
                break
        return sorted(found, key=repr)

    def files(self) -> set[str]:
        """Return the files of the database: parts and index runs."""
        folders = [Path(worker.parts_dir) / self.database.physical for worker in self.cluster.workers]
        folders.append(self.cluster.config.czar_dir / "index" / self.database.physical)
        return {str(file) for folder in folders for file in folder.rglob("*") if file.is_file()}


def check_parts(destination: Destination, database: Database) -> None:
    """Check that the files of a database are those of the registry, whole, and nothing else."""
    named = set()
    for part in parts_of(destination.registry, database.name):
        workers = [worker.name for worker in destination.workers] if part.role is PartRole.REF else [part.worker]
        for worker in workers:
            path = destination.file_of(part, worker=worker)
            verify_file(path, sha256=part.sha256, bytes=part.bytes)
            named.add(str(path))
    folders = [destination.parts_dir(worker.name) / database.physical for worker in destination.workers]
    folders.append(destination.czar_dir / "index" / database.physical)
    assert {str(file) for folder in folders for file in folder.rglob("*") if file.is_file()} == named
    spool = destination.czar_dir / "spool"
    assert not spool.exists() or not list(spool.rglob("*.arrow"))


def sorted_rows(table: pa.Table, columns: Sequence[str]) -> list[tuple[object, ...]]:
    """Return rows as `Shards.rows` does."""
    return sorted(zip(*(table.column(name).to_pylist() for name in columns), strict=True), key=repr)
