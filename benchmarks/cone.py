"""What a warm cone search costs through the Python API beyond the bare PostgreSQL query.

For each of some cones around catalogue positions, the same chunk query runs twice: through ``Connection.query`` and by
psycopg on the worker that holds the chunk. Prints one JSON document.

    python benchmarks/cone.py --cluster DIR [--cones 200] [--radius-arcmin 1]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import psycopg

import qserv_py
from qserv_py.config import cluster_directory
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.session import Session
from qserv_py.planner.fill import chunk_queries
from qserv_py.planner.plan import ShardStage

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
    directory = cluster_directory(options.cluster)
    cluster = open_cluster(directory)
    with qserv_py.connect(directory) as db, Session(cluster) as session:
        step = max(1, len(db.query("SELECT objectId FROM dr1.Object")) // options.cones)
        places = db.query(f"SELECT coord_ra, coord_dec FROM dr1.Object WHERE MOD(objectId, {step}) = 0").to_arrow()
        queries = [
            CONE.format(ra=ra, dec=dec, radius=options.radius_arcmin / 60)
            for ra, dec in zip(*(column.to_pylist()[: options.cones] for column in places.columns), strict=True)
        ]
        bare = [psycopg.connect(worker.conninfo, autocommit=True) for worker in cluster.workers]
        for query in queries:
            compare(db, session, bare, query)  # warm up
        ours, theirs, planning, rows = zip(*(compare(db, session, bare, query) for query in queries), strict=True)
    beyond = np.array(ours) - np.array(theirs)
    print(
        json.dumps(
            {
                "benchmark": "cone",
                "cones": len(ours),
                "rows": sum(rows),
                "api_p50_ms": round(float(np.median(ours)) * 1e3, 3),
                "api_p95_ms": round(float(np.percentile(ours, 95)) * 1e3, 3),
                "bare_p50_ms": round(float(np.median(theirs)) * 1e3, 3),
                "planning_p50_ms": round(float(np.median(planning)) * 1e3, 3),
                "beyond_bare_p50_ms": round(float(np.median(beyond)) * 1e3, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
