"""``qserv serve`` as a process, for tests that ask it as any client does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from qserv_py.czar.cluster import Cluster

_TABLES = ", ".join(f"clustered.Visit v{number}" for number in range(12))
_SUM = " + ".join(f"v{number}.visit" for number in range(12))
ENDLESS = f"SELECT COUNT(*) FROM {_TABLES} WHERE {_SUM} = -1"
"""A query that one worker works on for as long as nobody stops it."""


@dataclass
class TapServer:
    """A running server."""

    process: subprocess.Popen[str]
    root: str
    """Its address without a slash at the end."""

    lines: list[str] = field(default_factory=list)
    """What it has logged so far."""

    @property
    def tap(self) -> str:
        """Address of TAP."""
        return f"{self.root}/tap"

    def get(self, path: str, **values: object) -> httpx2.Response:
        """Ask by GET."""
        return httpx2.get(f"{self.root}{path}", timeout=60, **values)  # type: ignore[arg-type]

    def post(self, path: str, **values: object) -> httpx2.Response:
        """Ask by POST."""
        return httpx2.post(f"{self.root}{path}", timeout=60, **values)  # type: ignore[arg-type]

    def query(self, adql: str, **parameters: object) -> httpx2.Response:
        """Answer a query by /sync."""
        return self.post("/tap/sync", data={"LANG": "ADQL", "QUERY": adql, **parameters})

    def submit(self, adql: str, **parameters: object) -> str:
        """Make a job; return its path."""
        reply = self.post("/tap/async", data={"LANG": "ADQL", "QUERY": adql, **parameters})
        assert reply.status_code == 303, reply.text
        return reply.headers["location"].removeprefix(self.root)

    def phase(self, job: str) -> str:
        """Return the phase of a job."""
        return self.get(f"{job}/phase").text

    def wait(self, job: str, *phases: str, seconds: float = 60) -> str:
        """Wait until a job has one of the phases, or has ended; return its phase."""
        ends = time.monotonic() + seconds
        wanted = {"COMPLETED", "ERROR", "ABORTED", *phases}
        while (phase := self.phase(job)) not in wanted:
            assert time.monotonic() < ends, f"{job} is still {phase}"
            time.sleep(0.05)
        return phase

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit code if it ends the process."""
        self.process.send_signal(how)
        if how is signal.SIGSTOP:
            return 0
        return self.process.wait(timeout=60)


@contextmanager
def running_server(cluster: Cluster, *options: str) -> Iterator[TapServer]:
    """Run ``qserv serve tap`` on a free port."""
    command = [sys.executable, "-m", "qserv_py.cli.main", "--cluster", str(cluster.config.directory)]
    process = subprocess.Popen(
        [*command, "serve", "all", "--port", "0", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    server = TapServer(process, "")
    follower = threading.Thread(target=_follow, args=(server,), daemon=True)
    with process:
        try:
            server.root = _address(server)
            follower.start()
            yield server
        finally:
            if process.poll() is None:
                process.kill()
            if follower.is_alive():
                follower.join(timeout=10)


def _address(server: TapServer) -> str:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        server.lines.append(line)
        if found := re.search(r"serving at (http://\S+)", line):
            return found[1].rstrip('",}')
    raise AssertionError(f"the server did not start: {''.join(server.lines)}")


def _follow(server: TapServer) -> None:
    assert server.process.stderr is not None
    for line in server.process.stderr:
        server.lines.append(line)
