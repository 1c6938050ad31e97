"""Pairs of neighbours within and beyond the overlap: the sharded catalogue against a k-d tree in memory.

Made-up objects, ingested into a cluster of three workers with an overlap of 60 arcsec; for each radius all pairs are
counted, and the nearest neighbour of each object is found. The peer is SciPy's cKDTree on arrays that are in memory
already (pip install scipy; without it there is no peer). Prints one JSON document.

    python benchmarks/neighbours.py [--objects 1000000] [--target-rows 10000] [--radii 60 180 600]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.schema_files.felis_schema import read_schema

FELIS = """\
name: n
tables:
- name: Object
  primaryKey: '#Object.objectId'
  columns:
  - {name: objectId, datatype: long, nullable: false}
  - {name: ra, datatype: double, nullable: false}
  - {name: dec, datatype: double, nullable: false}
  - {name: mag, datatype: double}
"""
PARTITION = """\
database: n
family: {{name: n, target_rows: {target_rows}, min_order: 2, max_order: 12, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: objectId, ra: ra, dec: dec}}
"""
APART = "DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec)) < {radius!r}"
COUNT = "SELECT COUNT(*) FROM n.Object a, n.Object b WHERE " + APART
NEAREST = (
    "SELECT COUNT(d), AVG(d) FROM (SELECT a.objectId AS i, MIN(DISTANCE(POINT(a.ra, a.dec), POINT(b.ra, b.dec))) AS d"
    " FROM n.Object a JOIN n.Object b ON " + APART + " AND a.objectId <> b.objectId GROUP BY a.objectId) t"
)


def objects(count: int) -> pa.Table:
    """Return objects over 30 by 30 degrees, across right ascension 0; a third of them in clusters."""
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(-15, 15, count), np.degrees(np.arcsin(rng.uniform(0.0, 0.5, count)))
    centre = rng.integers(0, 300, count // 3)
    ra[: len(centre)] = rng.uniform(-15, 15, 300)[centre] + rng.normal(0, 0.2, len(centre))
    dec[: len(centre)] = rng.uniform(1, 29, 300)[centre] + rng.normal(0, 0.2, len(centre))
    columns = {"objectId": np.arange(count), "ra": ra % 360 % 360, "dec": dec, "mag": rng.uniform(15, 25, count)}
    return pa.table(columns)


@contextmanager
def loaded(rows: pa.Table, *, target_rows: int) -> Iterator[Cluster]:
    """Yield a cluster that holds the rows; it is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="qb") as name:
        scratch = Path(name)
        scratch.chmod(0o711)  # the servers' account must reach its directory
        cluster = init_cluster(scratch / "c", workers=3, sync=False)
        try:
            (scratch / "n.yaml").write_text(FELIS)
            (scratch / "p.yaml").write_text(PARTITION.format(target_rows=target_rows))
            pq.write_table(rows, scratch / "o.parquet")
            with cluster.registry() as registry:
                registry.add_database(read_schema(scratch / "n.yaml", scratch / "p.yaml"))
            with open_destination(cluster, sync=False) as destination:
                run_ingest(destination, database="n", table="Object", files=[scratch / "o.parquet"])
                publish_database(destination, "n")
            yield cluster
        finally:
            stop_cluster(cluster.config.directory)


def measure(session: Session, rows: pa.Table, radius: float) -> dict[str, object]:
    """Return the figures of one radius (degrees)."""
    found: dict[str, object] = {"radius_arcsec": round(radius * 3600)}
    for name, query in (("pairs", COUNT), ("nearest", NEAREST)):
        started = time.perf_counter()
        answer = session.answer(query.format(radius=radius))
        table = pa.Table.from_batches(list(answer.batches()), schema=answer.schema)
        found[f"{name}_s"] = round(time.perf_counter() - started, 3)
        found[name] = table.column(0)[0].as_py()
        found[f"{name}_kept_mb"] = round(answer.query.rows_held.most / 1e6, 3)
    return {**found, **peer(rows, radius)}


def peer(rows: pa.Table, radius: float) -> dict[str, object]:
    """Return what a k-d tree takes for the same, one thread."""
    try:
        from scipy.spatial import cKDTree
    except ImportError:
        return {}
    lon, lat = np.radians(np.asarray(rows["ra"])), np.radians(np.asarray(rows["dec"]))
    started = time.perf_counter()
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    tree = cKDTree(points)
    chord = 2 * np.sin(np.radians(radius) / 2)
    pairs = int(tree.count_neighbors(tree, chord))
    counted = time.perf_counter() - started
    started = time.perf_counter()
    distance, _ = tree.query(points, k=[2], distance_upper_bound=chord)
    nearest = int(np.isfinite(distance).sum())
    return {
        "peer_pairs": pairs,
        "peer_pairs_s": round(counted, 3),
        "peer_nearest": nearest,
        "peer_nearest_s": round(time.perf_counter() - started, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--target-rows", type=int, default=10_000)
    parser.add_argument("--radii", type=float, nargs="+", default=[60.0, 180.0, 600.0], help="arcsec")
    options = parser.parse_args()
    rows = objects(options.objects)
    with loaded(rows, target_rows=options.target_rows) as cluster, Session(cluster) as session:
        [state] = session.catalog_with_chunks(["n"]).families.values()
        figures = [measure(session, rows, radius / 3600) for radius in options.radii]
    print(
        json.dumps(
            {"benchmark": "neighbours", "objects": options.objects, "chunks": len(state.orders), "radii": figures}
        )
    )


if __name__ == "__main__":
    main()
