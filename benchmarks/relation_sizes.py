"""What the size of a chunk's relation costs in PostgreSQL: the same rows in many small tables and in few large ones.

The rows are those of `qserv demo`. A size is the number of rows of an Object table; its sources (five an object) stand
in a table of their own. The tables are made, filled, indexed and analysed as workers/row_store.py does it, one
transaction each, on one embedded server and over one connection. Scans read all tables by statements of up to 64 of
them, as chunk queries do; an id and a cone read the tables that have the rows. Loads and scans are of all tables, in
seconds; an id and a cone are one, in milliseconds: of the clock, and of the processor (of the backend). The sizes take
turns. "kept_mb" is what a new backend has of its own after joins of 64 tables a statement. Prints one JSON document.

    python benchmarks/relation_sizes.py [--objects 600000] [--sizes 2000 8000 30000 100000 300000 600000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from qserv_py.catalog.model import Table
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.demo.survey import Survey, draw_block
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.workers import chunk_tables
from qserv_py.workers.copy_binary import CopyColumn, encode_copy
from qserv_py.workers.parts import part_schema
from qserv_py.workers.row_store import KEY_STATISTICS, ROUGH_STATISTICS

DEMO = Path(__file__).parent.parent / "qserv_py" / "demo"
LEGS = 64
CONE_ORDER = 11
"""Cells of 1.7 arc minutes: a cone reads the rows of one."""

POINTS = 200
SCANS = {
    "scan of objects": """SELECT floor(r_psfmag), COUNT(*), SUM(g_psfmag - r_psfmag) FROM {object}
        WHERE g_psfmag - r_psfmag BETWEEN 0.2 AND 1.2 GROUP BY 1""",
    "scan of sources": "SELECT band, COUNT(*), SUM(psfflux) FROM {source} WHERE psfflux > 1000 GROUP BY band",
    "join": """SELECT COUNT(*), SUM(s.psfflux / o.r_psfflux) FROM {object} o JOIN {source} s ON s.objectid = o.objectid
        WHERE o.r_psfmag < 22""",
}


@dataclass(frozen=True, kw_only=True)
class Size:
    """Tables of one size."""

    rows: int
    edges: tuple[int, ...]
    """First healpix29 of each table; rows before the first do not exist."""

    def name(self, table: Table, number: int) -> str:
        """Return the name of a relation."""
        return f"{table.physical}_{self.rows}_{number}"


def survey_rows(objects: int) -> tuple[pa.Table, pa.Table]:
    """Return rows of ``Object`` and ``Source``, sorted by ``healpix29`` that sources take from their object."""
    survey = Survey(objects=objects)
    blocks = [draw_block(survey, block) for block in range(survey.blocks)]
    found, sources = (pa.concat_tables([block[place] for block in blocks]) for place in (0, 1))
    cells = healpix29_of(found["coord_ra"].to_numpy(), found["coord_dec"].to_numpy())
    of_sources = cells[sources["objectId"].to_numpy() - found["objectId"][0].as_py()]
    return _sorted(found, cells), _sorted(sources, of_sources)


def _sorted(rows: pa.Table, cells: np.ndarray[Any, Any]) -> pa.Table:
    rows = rows.append_column(pa.field("healpix29", pa.int64(), nullable=False), pa.array(cells))
    return rows.take(pa.array(np.argsort(cells, kind="stable")))


class Server:
    """One connection to a shard, and what its backend takes."""

    def __init__(self, conninfo: str) -> None:
        self.connection = psycopg.connect(conninfo, autocommit=True)
        self.connection.execute("SET max_parallel_workers_per_gather = 0")
        self.connection.execute("CREATE SCHEMA IF NOT EXISTS b")
        self.pid = self.connection.info.backend_pid

    def cpu_s(self) -> float:
        """Return the processor's seconds of the backend so far."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def own_mb(self) -> float:
        """Return the megabytes of memory that the backend shares with nobody."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024, 1)

    def value(self, statement: str) -> Any:
        """Return the only value of a statement."""
        row = self.connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


@contextmanager
def timed(server: Server, found: dict[str, float]) -> Iterator[None]:
    """Note seconds of the clock and of the processor."""
    wall, cpu, own = time.perf_counter(), server.cpu_s(), time.process_time()
    yield
    found["s"] = time.perf_counter() - wall
    found["cpu_s"] = server.cpu_s() - cpu
    found["client_cpu_s"] = time.process_time() - own


def load(server: Server, table: Table, rows: pa.Table, size: Size) -> None:
    """Load rows into the tables of a size, one transaction each."""
    columns = [CopyColumn(column.name, column.datatype) for column in chunk_tables.stored_columns(table)]
    cells = rows["healpix29"].to_numpy()
    places = [*np.searchsorted(cells, size.edges).tolist(), len(cells)]
    for number, (low, high) in enumerate(pairwise(places)):
        name = size.name(table, number)
        with server.connection.transaction():
            server.connection.execute(chunk_tables.create_chunk_table("b", name, table, chunk=None))
            statement = chunk_tables.copy_statement("b", name, table, freeze=True)
            with server.connection.cursor() as cursor, cursor.copy(statement) as copy:
                for block in encode_copy(rows.slice(low, high - low), columns):
                    copy.write(block)
            for index in chunk_tables.create_indexes("b", name, table):
                server.connection.execute(index)
            keys = {table.column(column).physical for names in chunk_tables.index_columns(table) for column in names}
            for target, named in ((ROUGH_STATISTICS, ()), (KEY_STATISTICS, tuple(keys))):
                server.connection.execute(
                    sql.SQL("SET LOCAL default_statistics_target = {}").format(sql.Literal(target))
                )
                server.connection.execute(chunk_tables.analyze("b", name, named))


def load_all(server: Server, tables: tuple[Table, Table], rows: tuple[pa.Table, pa.Table], size: Size) -> Any:
    """Load both tables at a size; return what it took."""
    found: dict[str, Any] = {"relations": len(size.edges)}
    for table, these in zip(tables, rows, strict=True):
        before = server.value("SELECT pg_current_wal_insert_lsn()")
        took: dict[str, float] = {}
        with timed(server, took):
            load(server, table, these, size)
        wal = server.value(f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn")
        held = server.value(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            f"WHERE nspname = 'b' AND relname ~ '^{table.physical}_{size.rows}_[0-9]+$' AND relkind = 'r'"
        )
        took = {key: round(value, 2) for key, value in took.items()}
        found[table.name] = {**took, "wal_mb": round(float(wal) / 1e6, 1), "disk_mb": round(float(held) / 1e6, 1)}
    return found


def scans(server: Server, tables: tuple[Table, Table], size: Size) -> dict[str, Callable[[], object]]:
    """Return a call for each scan."""
    calls: dict[str, Callable[[], object]] = {}
    for name, query in SCANS.items():
        legs = [
            query.format(**{table.physical: f"b.{size.name(table, number)}" for table in tables})
            for number in range(len(size.edges))
        ]
        texts = [" UNION ALL ".join(legs[first : first + LEGS]) for first in range(0, len(legs), LEGS)]

        def run(texts: list[str] = texts) -> object:
            return [server.connection.execute(text.encode()).fetchall() for text in texts]

        calls[name] = run
    return calls


def points(server: Server, tables: tuple[Table, Table], rows: pa.Table, size: Size) -> dict[str, Callable[[], object]]:
    """Return calls that ask for ids and for cones, each of the table that has them."""
    random = np.random.default_rng(2)
    chosen = random.integers(0, rows.num_rows, POINTS)
    cells, ids = rows["healpix29"].to_numpy()[chosen], rows["objectId"].to_numpy()[chosen]
    width = 1 << (2 * (29 - CONE_ORDER))

    def table_of(cell: int) -> int:
        return int(np.searchsorted(size.edges, cell, "right")) - 1

    def of_id() -> object:
        return [
            server.value(f"SELECT r_psfmag FROM b.{size.name(tables[0], table_of(cell))} WHERE objectid = {number}")
            for cell, number in zip(cells.tolist(), ids.tolist(), strict=True)
        ]

    def cone() -> object:
        found = []
        for cell in cells.tolist():
            first = cell // width * width
            legs = [
                f"SELECT objectid, coord_ra FROM b.{size.name(tables[0], number)} "
                f"WHERE healpix29 BETWEEN {first} AND {first + width - 1}"
                for number in range(max(table_of(first), 0), table_of(first + width - 1) + 1)
            ]
            found.append(server.connection.execute(" UNION ALL ".join(legs).encode()).fetchall())
        return found

    return {"id": of_id, "cone": cone}


def measure(calls: dict[int, dict[str, Callable[[], object]]], server: Server, rounds: int) -> dict[int, Any]:
    """Run all calls of all sizes in turn, and return the medians."""
    seen: dict[tuple[int, str], list[dict[str, float]]] = {}
    for turn in range(rounds + 1):
        for size, named in calls.items():
            for name, call in named.items():
                took: dict[str, float] = {}
                with timed(server, took):
                    call()
                if turn:  # the first one warms up
                    seen.setdefault((size, name), []).append(took)
    found: dict[int, Any] = {size: {} for size in calls}
    for (size, name), figures in seen.items():
        factor, unit = (1e3 / POINTS, "ms") if name in ("id", "cone") else (1.0, "s")
        found[size][name] = {
            unit: round(statistics.median(one["s"] for one in figures) * factor, 3),
            f"cpu_{unit}": round(statistics.median(one["cpu_s"] for one in figures) * factor, 3),
        }
    return found


def kept_memory(conninfo: str, tables: tuple[Table, Table], size: Size) -> float:
    """Return the megabytes that a new backend has of its own after joins of the tables."""
    server = Server(conninfo)
    with server.connection:
        server.value("SELECT 1")
        scans(server, tables, size)["join"]()
        return server.own_mb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=600_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 8_000, 30_000, 100_000, 300_000, 600_000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    database = read_schema(DEMO / "survey.yaml", DEMO / "survey-partition.yaml")
    tables = (database.table("Object"), database.table("Source"))
    drawn = survey_rows(options.objects)
    rows = (drawn[0].cast(part_schema(tables[0])), drawn[1].cast(part_schema(tables[1])))
    del drawn
    cells = rows[0]["healpix29"].to_numpy()
    sizes = [Size(rows=size, edges=_edges(cells, size)) for size in options.sizes]
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="qb") as name:
        scratch = Path(name)
        scratch.chmod(0o711)  # the server's account must reach its directory
        cluster = init_cluster(scratch / "c", workers=1, settings={"autovacuum": "off"}, sync=False)
        try:
            conninfo = cluster.admin["w1"]
            server = Server(conninfo)
            for size in sizes:
                found[size.rows] = {"load": load_all(server, tables, rows, size)}
                server.connection.execute("CHECKPOINT")
            calls = {size.rows: scans(server, tables, size) | points(server, tables, rows[0], size) for size in sizes}
            for measured, figures in measure(calls, server, options.rounds).items():
                found[measured] |= figures
            for size in sizes:
                found[size.rows]["kept_mb"] = kept_memory(conninfo, tables, size)
            server.connection.close()
        finally:
            stop_cluster(cluster.config.directory)
    counts = {"objects": rows[0].num_rows, "sources": rows[1].num_rows}
    print(json.dumps({"benchmark": "relation_sizes", **counts, "sizes": found}))


def _edges(cells: Sequence[int] | np.ndarray[Any, Any], rows: int) -> tuple[int, ...]:
    """Return the first cell of each table of so many rows; rows of one cell are in one table."""
    starts = np.asarray(cells)[::rows]
    return (0, *np.unique(starts[1:]).tolist())


if __name__ == "__main__":
    main()
