"""Every synchronous query ends and gives its place back, whatever its format and however it ends; over HTTP.

The formats are those of the registry, so one that is added is walked, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx2
import psycopg
import pytest
from support.cluster import count_statements
from support.identified import bearer, token_of
from support.tap_server import ENDLESS, TapServer, running_server
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.formats.known import FORMATS, Format

ROWS_WITHOUT_END = re.sub(r"COUNT\(\*\)(.*) WHERE.*", r"v0.visit\1", ENDLESS)
"""More rows than anybody waits for."""

BOUND_S = 20.0
"""Seconds within which a reply ends; a machine under load may need some of them."""

Ask = Callable[[TapServer, Format, dict[str, str]], str]


@pytest.fixture(scope="module")
def served(cluster: Cluster, tap: TapServer) -> Iterator[TapServer]:
    """A server with a user whose queries may run for one second; ``tap`` has loaded the catalogue."""
    settings = cluster.config.directory / "settings.yaml"
    settings.write_text("limits:\n  users:\n    short: {execution_s: 1}\n")
    try:
        with running_server(cluster) as server:
            yield server
    finally:
        settings.unlink()


def present(server: TapServer) -> int:
    """Return how many synchronous queries run or wait, by the service's own figures."""
    (number,) = re.findall(r"^qserv_sync_queries (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return int(float(number))


def ask(server: TapServer, asked: dict[str, str], headers: dict[str, str], *, seen: Event | None = None) -> str:
    """Return how the reply ended: its status, or that it broke off; ``seen`` is set at its first byte."""
    try:
        with httpx2.stream(
            "POST",
            f"{server.tap}/sync",
            data=asked,
            headers={"Accept-Encoding": "identity", **headers},  # a compressed answer has bytes even without rows
            timeout=BOUND_S,
        ) as reply:
            for _ in reply.iter_raw():
                if seen is not None and reply.status_code == 200:
                    seen.set()
            return str(reply.status_code)
    except httpx2.RemoteProtocolError:
        return "broken off"
    except httpx2.ReadTimeout:
        return "hangs"


def each_format(answer: Callable[[Format], str]) -> dict[str, str]:
    """Ask for all formats at a time; return what came of each."""
    with ThreadPoolExecutor(len(FORMATS)) as threads:
        found = threads.map(answer, FORMATS)
        return {known.name: what for known, what in zip(FORMATS, found, strict=True)}


def all_ended(server: TapServer, cluster: Cluster) -> None:
    assert wait_until(lambda: not present(server)), f"{present(server)} queries hold their place"
    assert wait_until(lambda: not count_statements(cluster)), "statements of queries that have ended still run"


@pytest.mark.parametrize(
    ("adql", "more", "status"),
    [
        pytest.param("SELECT objectId FROM clustered.Object WHERE objectId < 0", {}, "200", id="no rows"),
        pytest.param("SELECT objectId FROM clustered.Object", {"MAXREC": "0"}, "200", id="MAXREC=0"),
        pytest.param("SELECT 1 / (n - n) AS x FROM clustered.Object", {}, "400", id="error before the first byte"),
        pytest.param(ENDLESS, {}, "400", id="time limit"),
    ],
)
def test_every_format_ends(served: TapServer, cluster: Cluster, adql: str, more: dict[str, str], status: str) -> None:
    headers = bearer(token_of(cluster, "short")) if adql == ENDLESS else {}
    asked = {"QUERY": adql, **more}
    found = each_format(lambda known: ask(served, {**asked, "FORMAT": known.name}, headers))
    assert found == dict.fromkeys(found, status)
    all_ended(served, cluster)


def test_every_format_ends_with_an_error_among_the_rows(served: TapServer, cluster: Cluster) -> None:
    """The servers' sessions are ended once the first bytes are there, where a format has any before the last row."""
    seen = {known.name: Event() for known in FORMATS}

    def answer(known: Format) -> str:
        return ask(served, {"QUERY": ROWS_WITHOUT_END, "FORMAT": known.name}, {}, seen=seen[known.name])

    over = Event()

    def cut() -> None:
        while not over.wait(2):  # not all have their turn at the same time
            for conninfo in cluster.admin.values():
                with psycopg.connect(conninfo) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'qserv_reader'"
                    )

    with ThreadPoolExecutor(1) as threads:
        cutting = threads.submit(cut)
        found = each_format(answer)
        over.set()
        cutting.result()
    assert seen["csv"].is_set()
    assert found["csv"] == "broken off"
    for known in FORMATS:
        told = {"200"} if known.tells_errors else {"broken off"}
        assert found[known.name] in (told if seen[known.name].is_set() else {"503"}), known.name
    all_ended(served, cluster)


def test_every_format_ends_when_its_client_goes(served: TapServer, cluster: Cluster) -> None:
    def answer(known: Format) -> str:
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{served.tap}/sync", data={"QUERY": ENDLESS, "FORMAT": known.name}, timeout=1)
        return "gone"

    each_format(answer)
    all_ended(served, cluster)
