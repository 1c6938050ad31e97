"""Running queries: how soon a cancelled one ends, what a look-up by id costs, how much memory many joins take.

Made-up objects in two databases whose chunks do not agree, so that a join by a column that is no key brings rows to the
czar. Three measurements, each in a session of its own; prints one JSON document.

* ``cancel_s``: a query that waits for the only place on a worker is told to end, five times; the longest.
* ``lookup_ms``: the median of 2,000 look-ups by id, after 200 others.
* ``joins``: twelve joins at a time that bring rows together: how the process's memory grew at its highest, how many
  were answered and how many refused.

Run it on another version of the code, too, with PYTHONPATH, on the cluster that ``--cluster`` makes and leaves running:

    python benchmarks/running_queries.py [--rows 300000] [--cluster DIR] [--only lookup_ms] [--process-bytes N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.czar.cluster import Cluster, open_cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import QservError
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.schema_files.felis_schema import read_schema

FELIS = """\
name: {name}
tables:
- name: Object
  primaryKey: '#Object.objectId'
  columns:
  - {{name: objectId, datatype: long, nullable: false}}
  - {{name: ra, datatype: double, nullable: false}}
  - {{name: dec, datatype: double, nullable: false}}
  - {{name: k, datatype: long}}
  - {{name: a, datatype: double}}
  - {{name: b, datatype: double}}
  - {{name: c, datatype: double}}
"""
PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: {target_rows}, min_order: 2, max_order: 12, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: objectId, ra: ra, dec: dec}}
"""
JOIN = (
    "SELECT COUNT(*) AS n, SUM(x.a + y.a + x.b + y.b + x.c + y.c) AS s"
    " FROM one.Object x JOIN two.Object y ON x.k = y.k AND x.a < y.a + {number}"
)
JOIN_SHARDS = (
    "SELECT COUNT(*) FROM one.Object x, one.Object y, one.Object z WHERE DISTANCE(x.ra, x.dec, y.ra, y.dec) < 0.016"
    " AND DISTANCE(y.ra, y.dec, z.ra, z.dec) < 0.016 AND x.a + y.a + z.a > 1000"
)
"""Neighbours within the overlap: some seconds of work in each chunk."""


def objects(rows: int) -> pa.Table:
    """Return objects all over the sky."""
    rng = np.random.default_rng(7)
    columns = {name: rng.normal(size=rows) for name in "abc"}
    place = {"ra": rng.uniform(0, 360, rows), "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))}
    return pa.table({"objectId": np.arange(rows), **place, "k": rng.integers(0, rows, rows), **columns})


def load(cluster: Cluster, rows: int, place: Path) -> None:
    """Load both databases."""
    file = place / "objects.parquet"
    pq.write_table(objects(rows), file)
    for name, target_rows in (("one", rows // 40), ("two", rows // 7)):
        (place / f"{name}.yaml").write_text(FELIS.format(name=name))
        (place / f"{name}-partition.yaml").write_text(PARTITION.format(name=name, target_rows=target_rows))
        with cluster.registry() as registry:
            registry.add_database(read_schema(place / f"{name}.yaml", place / f"{name}-partition.yaml"))
        with open_destination(cluster, sync=False) as destination:
            run_ingest(destination, database=name, table="Object", files=[file])
            publish_database(destination, name)


def memory_bytes(field: str) -> int:
    """Return a figure of this process: VmRSS or VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) << 10


def cancel_s(cluster: Cluster) -> float:
    """Return how long the slowest of five cancelled queries took to end."""
    found = []
    with Session(cluster, slots=1, connections=1) as session:
        holding = session.answer(JOIN_SHARDS)
        holder = threading.Thread(target=_drain, args=(holding.batches,))
        holder.start()
        time.sleep(1)
        for _ in range(5):
            answer = session.answer("SELECT TOP 5 objectId FROM one.Object")
            waiting = threading.Thread(target=_drain, args=(answer.batches,))
            waiting.start()
            time.sleep(0.2)
            told = time.perf_counter()
            answer.cancel()
            waiting.join(60)
            found.append(time.perf_counter() - told)
        holding.cancel()
        holder.join()
    return round(max(found), 3)


def _drain(batches: Callable[[], object]) -> None:
    try:
        for _ in batches():  # type: ignore[attr-defined]
            pass
    except QservError:
        return


def lookup_ms(cluster: Cluster, rows: int) -> dict[str, float]:
    """Return the median and the 95th percentile of look-ups by id."""
    rng = np.random.default_rng(11)
    with Session(cluster, connections=8) as session:
        seconds = []
        for number, key in enumerate(rng.integers(0, rows, 2200).tolist()):
            began = time.perf_counter()
            batches = list(session.answer(f"SELECT * FROM one.Object WHERE objectId = {key}").batches())
            assert sum(batch.num_rows for batch in batches) == 1
            if number >= 200:
                seconds.append(time.perf_counter() - began)
    return {"p50": round(statistics.median(seconds) * 1000, 3), "p95": round(np.quantile(seconds, 0.95) * 1000, 3)}


def joins(cluster: Cluster) -> dict[str, object]:
    """Return how memory grew while twelve joins ran at a time."""
    with Session(cluster, connections=8) as session:
        list(session.answer("SELECT COUNT(*) AS n FROM one.Object WHERE k IN (SELECT k FROM two.Object)").batches())
        before = memory_bytes("VmRSS")
        outcomes: list[str] = []

        def ask(number: int) -> None:
            try:
                list(session.answer(JOIN.format(number=number)).batches())
                outcomes.append("answered")
            except QservError as error:
                outcomes.append(error.message)

        began = time.perf_counter()
        with ThreadPoolExecutor(12) as threads:
            list(threads.map(ask, range(12)))
        seconds = time.perf_counter() - began
    return {
        "grown_mib": (memory_bytes("VmHWM") - before) >> 20,
        "seconds": round(seconds, 1),
        "answered": outcomes.count("answered"),
        "refused": sorted(set(outcomes) - {"answered"}),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--cluster", type=Path)
    parser.add_argument("--only", choices=("cancel_s", "lookup_ms", "joins"), action="append")
    parser.add_argument("--process-bytes", type=int, help="memory: process_bytes of settings.yaml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qs") as place:
        Path(place).chmod(0o711)  # the servers' account must reach its directory
        directory = arguments.cluster or Path(place) / "c"
        if (directory / "cluster.json").exists():
            cluster = open_cluster(directory)
        else:
            cluster = init_cluster(directory, workers=3, sync=False)
            load(cluster, arguments.rows, Path(place))
        if arguments.process_bytes:
            (directory / "settings.yaml").write_text(f"memory: {{process_bytes: {arguments.process_bytes}}}\n")
        try:
            asked = arguments.only or ("cancel_s", "lookup_ms", "joins")
            found: dict[str, object] = {"rows": arguments.rows}
            if "cancel_s" in asked:
                found["cancel_s"] = cancel_s(cluster)
            if "lookup_ms" in asked:
                found["lookup_ms"] = lookup_ms(cluster, arguments.rows)
            if "joins" in asked:
                found["joins"] = joins(cluster)
            print(json.dumps(found, indent=1))
        finally:
            (directory / "settings.yaml").unlink(missing_ok=True)
            if arguments.cluster is None:
                stop_cluster(directory)


if __name__ == "__main__":
    main()
