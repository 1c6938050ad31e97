"""What planning costs over a map of 100,000 chunks: typical queries, selective ones and scans.

Planning is parsing, resolving, planning and writing the statements of the chunks kept (of scans: of the first hundred).
No server runs; the director index is an array in memory. Prints one JSON document.

    python benchmarks/planning.py [--chunks 100000] [--repeat 20]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from importlib import resources
from types import MappingProxyType

import numpy as np

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import parse
from qserv_py.catalog.model import Database, DatabaseState
from qserv_py.catalog.snapshot import Catalog, FamilyState, Segments, Snapshot, TableSnapshot, Worker
from qserv_py.planner.build import plan_query
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.sky.keys import wanted_keys
from qserv_py.planner.writing.fill import chunk_queries
from qserv_py.registry.schema_files.felis_schema import read_schema

ORDER = 7
SELECTIVE = (
    "SELECT * FROM Object WHERE objectId = 1234567",
    "SELECT objectId, coord_ra FROM Object WHERE objectId IN (1, 5, 99, 1234)",
    "SELECT * FROM Source WHERE objectId = 77",
    "SELECT * FROM Object WHERE objectId BETWEEN 1000 AND 1020",
    "SELECT * FROM Object WHERE 1 = CONTAINS(POINT('ICRS', coord_ra, coord_dec), CIRCLE('ICRS', 10.5, -3, 0.0167))",
    "SELECT * FROM Object WHERE DISTANCE(POINT(coord_ra, coord_dec), POINT(200, 45)) < 0.1",
    "SELECT COUNT(*) FROM Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), CIRCLE(359.99, 1, 1))",
    "SELECT * FROM Object WHERE coord_ra BETWEEN 10 AND 11 AND coord_dec BETWEEN -1 AND 1",
    "SELECT * FROM Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), POLYGON(10, 10, 12, 10, 12, 12, 10, 12))",
    "SELECT * FROM Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), BOX(83.8, -5.4, 0.5, 0.5))",
    "SELECT * FROM Object WHERE (DISTANCE(coord_ra, coord_dec, 10, 10) < 0.1"
    " OR DISTANCE(coord_ra, coord_dec, 20, 10) < 0.1) AND r_psfMag < 22",
    "SELECT o.objectId, s.psfFlux FROM Object o JOIN Source s ON o.objectId = s.objectId WHERE o.objectId = 5"
    " ORDER BY s.visit",
    "SELECT o.objectId, s.psfFlux, v.airmass FROM Object o JOIN Source s ON o.objectId = s.objectId JOIN Visit v"
    " ON s.visit = v.visit WHERE DISTANCE(o.coord_ra, o.coord_dec, 50, -20) < 0.05",
    "SELECT o.objectId, COUNT(s.visit) FROM Object o LEFT JOIN Source s ON o.objectId = s.objectId"
    " WHERE DISTANCE(o.coord_ra, o.coord_dec, 50, -20) < 0.2 GROUP BY o.objectId",
    "SELECT TOP 10 objectId FROM Object WHERE DISTANCE(coord_ra, coord_dec, 50, -20) < 0.5 ORDER BY r_psfMag",
    "SELECT a.objectId, b.objectId FROM Object a, Object b WHERE DISTANCE(a.coord_ra, a.coord_dec, 50, -20) < 0.2"
    " AND DISTANCE(a.coord_ra, a.coord_dec, b.coord_ra, b.coord_dec) < 0.001",
    "SELECT g_psfMag - r_psfMag AS colour FROM Object WHERE NOT coord_dec > -89.5",
    "SELECT band, AVG(psfFlux) FROM Source WHERE objectId = 12 GROUP BY band",
    "SELECT objectId FROM Object o WHERE objectId = 4"
    " AND EXISTS (SELECT 1 FROM Source s WHERE s.objectId = o.objectId)",
    "WITH t AS (SELECT objectId FROM Object WHERE DISTANCE(coord_ra, coord_dec, 1, 1) < 0.1) SELECT COUNT(*) FROM t",
)
SCANS = (
    "SELECT COUNT(*) FROM Object",
    "SELECT COUNT(*) FROM Object WHERE r_psfMag < 20",
    "SELECT refExtendedness, COUNT(*), AVG(r_psfMag) FROM Object WHERE g_psfMag - r_psfMag > 0.5"
    " GROUP BY refExtendedness",
    "SELECT healpix29 / 70368744177664 AS cell, COUNT(*) FROM Object GROUP BY healpix29 / 70368744177664",
    "SELECT TOP 100 objectId FROM Object ORDER BY r_psfMag",
    "SELECT TOP 10 * FROM Source",
    "SELECT DISTINCT band FROM Source",
    "SELECT band, STDDEV_POP(psfFlux) FROM Source GROUP BY band",
    "SELECT objectId FROM Object WHERE objectId IN (SELECT objectId FROM Source WHERE psfFlux > 1e6)",
    "SELECT AVG(n) FROM (SELECT objectId, COUNT(*) AS n FROM Source GROUP BY objectId) t",
)


def catalogue(chunks: int) -> Catalog:
    """Return the demo's schema over a made-up map of chunks."""
    folder = resources.files("qserv_py.demo")
    with (
        resources.as_file(folder / "survey.yaml") as felis,
        resources.as_file(folder / "survey-partition.yaml") as roles,
    ):
        read = read_schema(felis, roles)
    database: Database = replace(read, state=DatabaseState.PUBLISHED)
    every = np.arange(chunks, dtype=np.int64)
    whole = TableSnapshot(
        chunks=every,
        rows=np.full(chunks, 400_000),
        own=Segments(every, np.ones(chunks, dtype=np.int64)),
        total_rows=400_000 * chunks,
        overlap_chunks=every,
        overlap=Segments(every, np.ones(chunks, dtype=np.int64)),
    )
    none = np.empty(0, dtype=np.int64)
    visit = TableSnapshot(chunks=none, rows=none, own=Segments(none, none), total_rows=100_000, ref_generations=(1,))
    tables = {table.name: whole if table.is_partitioned else visit for table in database.tables}
    names = tuple(f"w{number}" for number in range(20))
    state = FamilyState(
        orders=np.full(chunks, ORDER),
        pixels=every * (12 << (2 * ORDER)) // chunks,
        workers=every % len(names),
        worker_names=names,
    )
    return Catalog(
        version=1,
        databases=(database,),
        families=MappingProxyType({database.family.name: state}),
        snapshots=MappingProxyType({database.name: Snapshot(number=1, tables=MappingProxyType(tables))}),
        workers=tuple(Worker(name=name, conninfo="", parts_dir="") for name in names),
    )


def plan(text: str, known: Catalog) -> int:
    """Plan a query and write its statements; return how many chunks were kept."""
    resolved = resolve(parse(text), known)
    cells = {one: np.array([hash(str(one)) % (12 << 58)], dtype=np.int64) for one in wanted_keys(resolved)}
    found = plan_query(resolved, known, cells)
    for stage in found.stages:
        if isinstance(stage, ShardStage):
            for _ in itertools.islice(chunk_queries(stage, known), 100):
                pass
    return found.chunks


def times(queries: tuple[str, ...], known: Catalog, *, repeat: int) -> list[float]:
    """Return the median seconds of each query."""
    medians = []
    for text in queries:
        plan(text, known)
        seconds = []
        for _ in range(repeat):
            started = time.perf_counter()
            plan(text, known)
            seconds.append(time.perf_counter() - started)
        medians.append(float(np.median(seconds)))
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    result: dict[str, object] = {"benchmark": "planning", "chunks": options.chunks}
    for name, queries in (("selective", SELECTIVE), ("scans", SCANS)):
        for chunks in (options.chunks // 100, options.chunks):
            medians = np.array(times(queries, catalogue(chunks), repeat=options.repeat)) * 1e3
            kind = f"{name}_{chunks}_chunks"
            result[f"{kind}_p50_ms"] = round(float(np.percentile(medians, 50)), 3)
            result[f"{kind}_p95_ms"] = round(float(np.percentile(medians, 95)), 3)
            result[f"{kind}_queries"] = len(queries)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
