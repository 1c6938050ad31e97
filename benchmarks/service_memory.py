"""How the memory of a service grows while twelve queries at a time bring, order and send rows, round after round.

Made-up objects in two databases whose chunks do not agree (those of ``running_queries.py``), four workers, a process of
`qserv serve`. A round is twelve simultaneous synchronous queries, FORMAT=csv, whose clients read as fast as they can:
three times each a join that brings rows of both tables together, an ORDER BY of all rows of a table, a SELECT *, and a
join that is counted. Prints one JSON document; for each round, over the service's resident memory before the first:

* ``peak_mib``: the highest, ``rest_mib``: two seconds after the end;
* ``answered``, and the messages of those that were ``refused``.

    python benchmarks/service_memory.py [--rows 300000] [--rounds 4] [--process-bytes 300000000] [--cluster DIR]
        [--only join]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from running_queries import load

from qserv_py.catalog.grants import PUBLIC
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.registry.grants import grant

QUERIES = {
    "join": "SELECT x.objectId, y.objectId AS other, x.a, y.b FROM one.Object x JOIN two.Object y"
    " ON x.k = y.k AND x.a < y.a + {number}",
    "order": "SELECT objectId, ra, dec, a, b, c FROM one.Object ORDER BY a + {number}",
    "select": "SELECT * FROM two.Object",
    "count": "SELECT COUNT(*) AS n, SUM(x.a + y.a + x.b + y.b + x.c + y.c) AS s FROM one.Object x JOIN two.Object y"
    " ON x.k = y.k AND x.a < y.a + {number}",
}
SETTINGS = """\
memory: {{process_bytes: {process_bytes}}}
limits: {{anonymous: {{requests_per_minute: 100000, concurrent_queries: 12, rows: 10000000}}}}
"""
AT_A_TIME = 12


class Service:
    """A service of its own process."""

    def __init__(self, directory: Path) -> None:
        command = [
            sys.executable,
            "-m",
            "qserv_py.cli.main",
            "--cluster",
            str(directory),
            "serve",
            "tap",
            "--port",
            "0",
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        found = (re.search(r"serving at (http://\S+)", line) for line in self._process.stderr)
        self._url = next(match[1] for match in found if match) + "/tap/sync"
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def ask(self, adql: str) -> str:
        """Return how a query ended: "answered", or what it was refused with."""
        with httpx2.stream("POST", self._url, data={"QUERY": adql, "FORMAT": "csv"}, timeout=600) as reply:
            read = b"".join(reply.iter_bytes()) if reply.status_code != 200 else b""
            for _ in reply.iter_bytes() if not read else ():
                pass
        said = re.search(r"<INFO[^>]*QUERY_STATUS[^>]*>([^\n<]*)", read.decode())
        return "answered" if not read else said[1] if said else f"HTTP {reply.status_code}"

    def bytes(self, field: str) -> int:
        """Return a figure of the process: VmRSS, or VmHWM for the highest since ``begin``."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) << 10

    def begin(self) -> None:
        """Forget the highest so far."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(60)


def one_round(service: Service, kinds: list[str], before: int) -> dict[str, object]:
    """Return the figures of twelve queries at a time."""
    together = threading.Barrier(AT_A_TIME)

    def ask(number: int) -> str:
        together.wait()
        return service.ask(QUERIES[kinds[number % len(kinds)]].format(number=number))

    service.begin()
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        outcomes = Counter(threads.map(ask, range(AT_A_TIME)))
    seconds = time.perf_counter() - began
    peak = service.bytes("VmHWM") - before
    time.sleep(2)
    return {
        "peak_mib": peak >> 20,
        "rest_mib": (service.bytes("VmRSS") - before) >> 20,
        "seconds": round(seconds, 1),
        "answered": outcomes.pop("answered", 0),
        "refused": dict(outcomes),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--process-bytes", type=int, default=300_000_000, help="memory: process_bytes of settings.yaml")
    parser.add_argument("--cluster", type=Path, help="made here if it is not there, and left running")
    parser.add_argument("--only", choices=QUERIES, help="twelve of this kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qs") as place:
        Path(place).chmod(0o711)  # the servers' account must reach its directory
        directory = arguments.cluster or Path(place) / "c"
        if (directory / "cluster.json").exists():
            cluster = open_cluster(directory)
        else:
            cluster = init_cluster(directory, workers=4, sync=False)
            load(cluster, arguments.rows, Path(place))
        with cluster.registry() as registry:
            for name in ("one", "two"):
                grant(registry, name, PUBLIC)
        (directory / "settings.yaml").write_text(SETTINGS.format(process_bytes=arguments.process_bytes))
        service = Service(directory)
        try:
            service.ask("SELECT TOP 1 objectId FROM one.Object")
            before = service.bytes("VmRSS")
            kinds = [arguments.only] if arguments.only else list(QUERIES)
            rounds = [one_round(service, kinds, before) for _ in range(arguments.rounds)]
            print(
                json.dumps(
                    {
                        "rows": arguments.rows,
                        "process_mib": arguments.process_bytes >> 20,
                        "start_mib": before >> 20,
                        "rounds": rounds,
                    },
                    indent=1,
                )
            )
        finally:
            service.stop()
            (directory / "settings.yaml").unlink(missing_ok=True)
            if arguments.cluster is None:
                stop_cluster(directory)


if __name__ == "__main__":
    main()
