"""Cross-match uploaded positions with the objects of a demo, beside the same join in one plain PostgreSQL.

The positions are objects' own, some tenths of an arcsec away. The plain server gets the uploaded rows by COPY, too; its
objects stand in one table with a GiST index on the point (ra, dec), the best that PostgreSQL has for this without an
extension. ``text`` and ``copied`` are the two ways in which a few rows reach the workers, joined by the objects' ids.
Prints one JSON document.

    python benchmarks/uploads.py [--cluster DIR] [--rows 100000 1000000] [--plain-rows 100000]

Without a cluster it makes a demo of 1,000,000 objects in a temporary directory and removes it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
from cone import demo_cluster

import qserv_py
from qserv_py.catalog.types import DataType
from qserv_py.czar.cluster import open_cluster
from qserv_py.executor import sent_rows
from qserv_py.workers.copy_binary import CopyColumn, encode_copy

MATCH = (
    "SELECT u.id, o.objectId FROM TAP_UPLOAD.u u JOIN dr1.Object o"
    " ON DISTANCE(POINT(u.ra, u.dec), POINT(o.coord_ra, o.coord_dec)) < 1 / 3600.0"
)
BY_KEY = "SELECT COUNT(*) AS n, SUM(u.w) AS s FROM dr1.Object o JOIN TAP_UPLOAD.u u ON o.objectId = u.id"
PLAIN_MATCH = """
SELECT u.id, o.id
  FROM uploaded u
  JOIN objects o ON o.place <@ box(point(u.ra - 1 / 3600.0 / cos(radians(abs(u.dec) + 0.001)), u.dec - 1 / 3600.0),
                                   point(u.ra + 1 / 3600.0 / cos(radians(abs(u.dec) + 0.001)), u.dec + 1 / 3600.0))
 WHERE qserv.distance(u.ra, u.dec, o.place[0], o.place[1]) < 1 / 3600.0
"""
COLUMNS = [CopyColumn(name, DataType.LONG if name == "id" else DataType.DOUBLE) for name in ("id", "ra", "dec")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--plain-rows", type=int, default=100_000)
    options = parser.parse_args()
    with demo_cluster(1_000_000) if options.cluster is None else nullcontext(Path(options.cluster)) as directory:
        print(json.dumps(measure(directory, rows=options.rows, plain_rows=options.plain_rows)))


def measure(directory: Path, *, rows: list[int], plain_rows: int) -> dict[str, object]:
    """Return the figures."""
    with qserv_py.connect(directory) as db:
        objects = db.query("SELECT objectId, coord_ra, coord_dec FROM dr1.Object").to_arrow()
        matches = [cross_match(db, upload_of(objects, count)) for count in rows]
        few = {f"{count} rows": text_and_copied(db, objects, count) for count in (100, 300, 1000, 3000)}
    conninfo = open_cluster(directory).admin["w1"]
    return {
        "benchmark": "uploads",
        "objects": objects.num_rows,
        "cross_match": matches,
        "plain": plain_match(conninfo, objects, upload_of(objects, plain_rows)),
        "key_join_ms": few,
    }


def upload_of(objects: pa.Table, count: int) -> pa.Table:
    """Return positions near objects."""
    rng = np.random.default_rng(3)
    chosen = rng.integers(0, objects.num_rows, count)
    ra, dec = (np.asarray(objects[name])[chosen] for name in ("coord_ra", "coord_dec"))
    away, turn = rng.exponential(0.4 / 3600, count), rng.uniform(0, 2 * np.pi, count)
    east = away * np.cos(turn) / np.maximum(np.cos(np.radians(dec)), 1e-3)
    return pa.table(
        {"id": np.arange(count), "ra": (ra + east) % 360, "dec": np.clip(dec + away * np.sin(turn), -90, 90)}
    )


def cross_match(db: qserv_py.Connection, upload: pa.Table) -> dict[str, object]:
    """Return the figures of one size."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pairs = db.query(MATCH, uploads={"u": upload}).to_arrow().num_rows
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = best_of(lambda: db.query(MATCH, uploads={"u": upload}).to_arrow())
    left = best_of(lambda: db.query(MATCH.replace("JOIN", "LEFT JOIN"), uploads={"u": upload}).to_arrow(), 2)
    return {
        "rows": upload.num_rows,
        "pairs": pairs,
        "seconds": round(seconds, 3),
        "rows_per_s": round(upload.num_rows / seconds),
        "left_join_seconds": round(left, 3),
        "memory_growth_mb": round(grown / 1024),
    }


def plain_match(conninfo: str, objects: pa.Table, upload: pa.Table) -> dict[str, object]:
    """Return the figures of the plain server: a table of the first worker's, in a transaction that is rolled back."""
    with psycopg.connect(conninfo) as connection:
        copy_into(connection, "staged", objects.rename_columns(["id", "ra", "dec"]))
        connection.execute("CREATE TEMP TABLE objects AS SELECT id, point(ra, dec) AS place FROM staged")
        connection.execute("CREATE INDEX ON objects USING gist (place)")
        connection.execute("ANALYZE objects")
        started = time.perf_counter()
        copy_into(connection, "uploaded", upload)
        copied = time.perf_counter()
        pairs = len(connection.execute(PLAIN_MATCH).fetchall())
        seconds = time.perf_counter() - started
        connection.rollback()
    return {
        "rows": upload.num_rows,
        "pairs": pairs,
        "seconds": round(seconds, 3),
        "of_which_copy": round(copied - started, 3),
        "rows_per_s": round(upload.num_rows / seconds),
    }


def copy_into(connection: psycopg.Connection, name: str, rows: pa.Table) -> None:
    connection.execute(f"CREATE TEMP TABLE {name} (id bigint, ra float8, dec float8)".encode())
    with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN (FORMAT binary)".encode()) as copy:
        for block in encode_copy(rows, COLUMNS):
            copy.write(block)
    connection.execute(f"ANALYZE {name}".encode())


def text_and_copied(db: qserv_py.Connection, objects: pa.Table, count: int) -> dict[str, float]:
    """Return milliseconds of a join with few rows, written into the statements and copied to the workers."""
    upload = pa.table({"id": objects["objectId"].slice(0, count), "w": np.arange(count) * 1.0})
    known = sent_rows.MAX_TEXT_VALUES
    found = {}
    try:
        for way, most in (("text", 10**9), ("copied", 0)):
            sent_rows.MAX_TEXT_VALUES = most
            seconds = best_of(lambda: db.query(BY_KEY, uploads={"u": upload}).to_arrow(), 7)
            found[way] = round(seconds * 1000, 1)
    finally:
        sent_rows.MAX_TEXT_VALUES = known
    return found


def best_of(run: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the quickest run."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
