"""What a warm cone search costs through the Python API beyond the bare PostgreSQL query.

For each of some cones around catalogue positions, the same chunk query runs twice: through ``Connection.query`` and by
psycopg on the worker that holds the chunk. Prints one JSON document.

    python benchmarks/cone.py [--cluster DIR] [--cones 200] [--radius-arcmin 1]

Without a cluster it makes a demo of 200,000 objects in a temporary directory and removes it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import psycopg

import qserv_py
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.session import Session
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.fill import chunk_queries

CONE = (
    "SELECT objectId, coord_ra, coord_dec, g_psfFlux, r_psfFlux FROM dr1.Object"
    " WHERE 1 = CONTAINS(POINT('ICRS', coord_ra, coord_dec), CIRCLE('ICRS', {ra!r}, {dec!r}, {radius!r}))"
)


def compare(
    db: qserv_py.Connection, session: Session, bare: list[psycopg.Connection], query: str
) -> tuple[float, float, float, int]:
    """Return seconds through the API, seconds by psycopg, seconds of planning, rows."""
    started = time.perf_counter()
    answer = db.query(query)
    table = answer.to_arrow()
    through_api = time.perf_counter() - started
    plan = session.plan(query)
    stages = [stage for stage in plan.stages if isinstance(stage, ShardStage)]
    statements = [statement for stage in stages for statement in chunk_queries(stage, plan.catalog)]
    started = time.perf_counter()
    found = sum(len(bare[one.worker].execute(one.sql.encode(), binary=True).fetchall()) for one in statements)
    directly = time.perf_counter() - started
    assert found == table.num_rows
    return through_api, directly, answer.stats.planning_s, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster")
    parser.add_argument("--cones", type=int, default=200)
    parser.add_argument("--radius-arcmin", type=float, default=1.0)
    options = parser.parse_args()
    with demo_cluster() if options.cluster is None else nullcontext(Path(options.cluster)) as directory:
        print(json.dumps(measure(directory, cones=options.cones, radius_arcmin=options.radius_arcmin)))


@contextmanager
def demo_cluster(objects: int = 200_000) -> Iterator[Path]:
    """Yield the directory of a demo that is removed at the end."""
    # beside the account of this process, the servers' account must reach it
    scratch = Path(tempfile.mkdtemp(prefix="qb"))
    scratch.chmod(0o711)
    directory = scratch / "demo"
    command = [sys.executable, "-c", "from qserv_py.cli.main import main; main()"]
    try:
        subprocess.run(
            [*command, "demo", "--objects", str(objects), "--keep", "--dir", str(directory)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield directory
    finally:
        subprocess.run([*command, "cluster", "stop", str(directory)], check=False)
        shutil.rmtree(scratch, ignore_errors=True)


def measure(directory: Path, *, cones: int, radius_arcmin: float) -> dict[str, object]:
    """Return the figures of some cones."""
    cluster = open_cluster(directory)
    with qserv_py.connect(directory) as db, Session(cluster) as session:
        step = max(1, len(db.query("SELECT objectId FROM dr1.Object")) // cones)
        places = db.query(f"SELECT coord_ra, coord_dec FROM dr1.Object WHERE MOD(objectId, {step}) = 0").to_arrow()
        queries = [
            CONE.format(ra=ra, dec=dec, radius=radius_arcmin / 60)
            for ra, dec in zip(*(column.to_pylist()[:cones] for column in places.columns), strict=True)
        ]
        bare = [psycopg.connect(worker.conninfo, autocommit=True) for worker in cluster.workers]
        for query in queries:
            compare(db, session, bare, query)  # warm up
        ours, theirs, planning, rows = zip(*(compare(db, session, bare, query) for query in queries), strict=True)
    beyond = np.array(ours) - np.array(theirs)
    return {
        "benchmark": "cone",
        "cones": len(ours),
        "rows": sum(rows),
        "api_p50_ms": milliseconds(ours),
        "api_p95_ms": milliseconds(ours, 95),
        "bare_p50_ms": milliseconds(theirs),
        "planning_p50_ms": milliseconds(planning),
        "beyond_bare_p50_ms": milliseconds(beyond),
    }


def milliseconds(seconds: Sequence[float] | np.ndarray, percentile: int = 50) -> float:
    """Return a percentile in milliseconds."""
    return round(float(np.percentile(seconds, percentile)) * 1e3, 3)


if __name__ == "__main__":
    main()
