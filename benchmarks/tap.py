"""What TAP costs: warm cones by /sync beside the bare PostgreSQL query, many clients, every format through HTTP.

The server runs as a process of its own, as users run it. For each cone the same chunk query runs by HTTP and by psycopg
on the worker that holds the chunk. ``server_growth_mb`` is by how much the server's peak memory grew while one large
result was sent. Prints one JSON document.

    python benchmarks/tap.py [--cluster DIR] [--cones 500] [--clients 16] [--seconds 10] [--rows 500000]

Without a cluster it makes a demo of 200,000 objects (a million sources) in a temporary directory and removes it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from cone import CONE, demo_cluster, milliseconds

import qserv_py
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.session import Session
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.fill import chunk_queries

TEN_COLUMNS = (
    "SELECT sourceId, objectId, visit, coord_ra, coord_dec, psfFlux, psfFluxErr, band, midpointMjdTai, detector"
    " FROM dr1.Source"
)
FORMATS = ("votable", "votable/b", "votable/td", "fits", "csv", "tsv", "json", "parquet", "arrow", "html")


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, adql: str, **parameters: object) -> tuple[int, int]:
        """Return the status and the bytes of an answer."""
        body = urlencode({"LANG": "ADQL", "QUERY": adql, **parameters})
        self._connection.request("POST", "/tap/sync", body, {"Content-Type": "application/x-www-form-urlencoded"})
        reply = self._connection.getresponse()
        size = 0
        while piece := reply.read(1 << 20):
            size += len(piece)
        return reply.status, size


@contextmanager
def server(directory: Path) -> Iterator[tuple[int, int]]:
    """Run ``qserv serve``; yield its port and process id."""
    command = [sys.executable, "-c", "from qserv_py.cli.main import main; main()", "--cluster", str(directory)]
    with subprocess.Popen([*command, "serve", "tap", "--port", "0"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = next(filter(None, (re.search(r"serving at http://\S+:(\d+)", line) for line in process.stderr)))
            threading.Thread(target=process.stderr.read, daemon=True).start()  # or its log would fill the pipe
            yield int(found[1]), process.pid
        finally:
            process.terminate()
            process.wait()


def cones(directory: Path, count: int) -> tuple[list[str], list[list[tuple[int, bytes]]]]:
    """Return queries and, for each, the bare statements with the number of their worker."""
    with qserv_py.connect(directory) as db, Session(open_cluster(directory)) as session:
        step = max(1, len(db.query("SELECT objectId FROM dr1.Object")) // count)
        places = db.query(f"SELECT coord_ra, coord_dec FROM dr1.Object WHERE MOD(objectId, {step}) = 0").to_arrow()
        pairs = zip(*(column.to_pylist()[:count] for column in places.columns), strict=True)
        queries = [CONE.format(ra=ra, dec=dec, radius=1 / 60) for ra, dec in pairs]
        plans = [session.plan(query) for query in queries]
        bare = [
            [
                (one.worker, one.sql.encode())
                for stage in plan.stages
                if isinstance(stage, ShardStage)
                for one in chunk_queries(stage, plan.catalog)
            ]
            for plan in plans
        ]
    return queries, bare


def latency(directory: Path, port: int, count: int) -> dict[str, object]:
    """Return what warm cones take by TAP, and beyond the bare statements."""
    queries, bare = cones(directory, count)
    client = Client(port)
    workers = [psycopg.connect(worker.conninfo, autocommit=True) for worker in open_cluster(directory).workers]
    for query in queries[:50]:
        client.ask(query)
    ours, theirs = [], []
    for query, statements in zip(queries, bare, strict=True):
        started = time.perf_counter()
        status, _ = client.ask(query)
        ours.append(time.perf_counter() - started)
        assert status == 200
        started = time.perf_counter()
        for worker, statement in statements:
            workers[worker].execute(statement, binary=True).fetchall()
        theirs.append(time.perf_counter() - started)
    beyond = [mine - bare_s for mine, bare_s in zip(ours, theirs, strict=True)]
    return {
        "cones": len(ours),
        "tap_p50_ms": milliseconds(ours),
        "tap_p95_ms": milliseconds(ours, 95),
        "bare_p50_ms": milliseconds(theirs),
        "beyond_bare_p50_ms": milliseconds(beyond),
    }


def many_clients(directory: Path, port: int, clients: int, seconds: float) -> dict[str, object]:
    """Return what clients that ask at the same time get."""
    queries, _ = cones(directory, 200)
    taken: list[float] = []
    errors = [0]
    ends = time.monotonic() + seconds

    def work(number: int) -> None:
        client = Client(port)
        while time.monotonic() < ends:
            started = time.perf_counter()
            try:
                status, _ = client.ask(queries[number % len(queries)])
            except (OSError, http.client.HTTPException):
                status, client = 0, Client(port)
            errors[0] += status != 200
            taken.append(time.perf_counter() - started)
            number += 7

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "queries_per_s": round(len(taken) / seconds, 1),
        "clients_p50_ms": milliseconds(taken),
        "clients_p95_ms": milliseconds(taken, 95),
        "errors": errors[0],
    }


def formats(port: int, pid: int, rows: int) -> dict[str, dict[str, float]]:
    """Return rows/s of each format through HTTP, and how the server's memory grew."""
    client, found = Client(port), {}
    client.ask(TEN_COLUMNS, MAXREC=1000, FORMAT="votable")
    for name in FORMATS:
        before = peak_memory(pid)
        started = time.perf_counter()
        status, size = client.ask(TEN_COLUMNS, MAXREC=rows, FORMAT=name)
        seconds = time.perf_counter() - started
        assert status == 200
        found[name] = {
            "rows_per_s": round(rows / seconds),
            "mb_per_s": round(size / seconds / 1e6, 1),
            "server_growth_mb": round((peak_memory(pid) - before) / 1e6, 1),
        }
    return found


def peak_memory(pid: int) -> int:
    """Return the greatest size that a process had, bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cluster")
    parser.add_argument("--cones", type=int, default=500)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rows", type=int, default=500_000)
    options = parser.parse_args(arguments)
    cluster = demo_cluster() if options.cluster is None else nullcontext(Path(options.cluster))
    with cluster as directory, server(directory) as (port, pid):
        figures = latency(directory, port, options.cones)
        figures |= many_clients(directory, port, options.clients, options.seconds)
        print(json.dumps({"benchmark": "tap", **figures, "formats": formats(port, pid, options.rows)}))


if __name__ == "__main__":
    main()
