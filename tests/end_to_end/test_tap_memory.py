"""How much memory a service takes while twelve queries at a time bring, order and send rows, and what it gives back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.identified import bearer, token_of
from support.tap_server import TapServer, running_server
from support.waiting import wait_until

from qserv_py.catalog.grants import PUBLIC
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import grant
from qserv_py.registry.schema_files.felis_schema import read_schema

MIB = 1 << 20
PROCESS_BYTES = 64 * MIB
BESIDES = 48 * MIB
"""What they may take beside ``process_bytes``: threads, a batch of each statement, what is being written."""

ROWS = 60_000
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
"""
PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: 10000, min_order: 1, max_order: 8, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: objectId, ra: ra, dec: dec}}
"""
QUERIES = (
    "SELECT x.objectId, x.a, y.b FROM heavy.Object x JOIN weighty.Object y ON x.k = y.k AND x.a < y.a + {number}",
    "SELECT objectId, ra, dec, a, b FROM heavy.Object ORDER BY a + {number}",
    "SELECT * FROM weighty.Object",
)
"""Both tables come together at the czar; all rows are ordered; all rows are sent."""


@pytest.fixture(scope="module")
def small(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TapServer]:
    """A service that may take little, over two tables whose chunks do not agree."""
    place = tmp_path_factory.mktemp("memory")
    for seed, name in enumerate(("heavy", "weighty")):
        _load(cluster, place, name, seed)
    settings = cluster.config.directory / "settings.yaml"
    settings.write_text(
        f"memory: {{process_bytes: {PROCESS_BYTES}}}\n"
        "limits: {anonymous: {requests_per_minute: 1000, concurrent_queries: 12, rows: 1000000}}\n"
    )
    try:
        with running_server(cluster) as server:
            yield server
    finally:
        settings.unlink()


def _load(cluster: Cluster, place: Path, name: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360, ROWS), np.degrees(np.arcsin(random.uniform(-1, 1, ROWS)))
    a, b = random.normal(size=(2, ROWS))
    rows = {"objectId": np.arange(ROWS), "ra": ra, "dec": dec, "k": random.permutation(ROWS), "a": a, "b": b}
    pq.write_table(pa.table(rows), place / f"{name}.parquet")
    (place / f"{name}.yaml").write_text(FELIS.format(name=name))
    (place / f"{name}-partition.yaml").write_text(PARTITION.format(name=name))
    with cluster.registry() as registry:
        registry.add_database(read_schema(place / f"{name}.yaml", place / f"{name}-partition.yaml"))
    with open_destination(cluster, sync=False) as destination:
        run_ingest(destination, database=name, table="Object", files=[place / f"{name}.parquet"])
        publish_database(destination, name)
    with cluster.registry() as registry:
        grant(registry, name, PUBLIC)


def taken(server: TapServer, field: str) -> int:
    """Return a figure of the service's process: VmRSS, or VmHWM for its highest."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) << 10


def test_twelve_queries_grow_the_service_no_further_than_it_may(small: TapServer) -> None:
    for query in QUERIES:  # what is loaded and made at the first use stays
        assert small.query(query.format(number=-9), FORMAT="csv", MAXREC=10).status_code == 200
    before = taken(small, "VmRSS")
    together = threading.Barrier(12)

    def ask(number: int) -> str:
        together.wait()
        reply = small.query(QUERIES[number % 3].format(number=number), FORMAT="csv")
        return reply.text if reply.status_code != 200 else "answered"

    with ThreadPoolExecutor(12) as threads:
        for _ in range(2):
            outcomes = list(threads.map(ask, range(12)))
            assert outcomes.count("answered") >= 5, "those that only send rows, and one of the joins"
            for refusal in set(outcomes) - {"answered"}:
                assert "process_bytes" in refusal
    assert taken(small, "VmHWM") - before <= PROCESS_BYTES + BESIDES
    assert wait_until(lambda: taken(small, "VmRSS") - before <= BESIDES), "what is free goes back"


def test_rows_of_user_tables_count_in_the_same_account(small: TapServer, cluster: Cluster) -> None:
    ada = bearer(token_of(cluster, "ada"))
    large, few = ("n\n" + "1\n" * count for count in (3_000_000, 3))
    for method, path in (("PUT", "/tables"), ("POST", "/load")):
        url = f"{small.tap}{path}/mydb.mine"
        refused = httpx2.request(method, url, content=large, headers=ada, timeout=60)
        assert "more than 16 MiB of rows would have to be held for one query" in refused.text
        taken_in = httpx2.request(method, url, content=few, headers=ada, timeout=60)
        assert taken_in.status_code in {201, 303}, taken_in.text
    assert httpx2.delete(f"{small.tap}/tables/mydb.mine", headers=ada).status_code == 204
