"""Queries of a service are ended from outside: by their owner over HTTP, by the operator on the cluster's machine."""

from __future__ import annotations

import threading
import time
from xml.etree import ElementTree

import httpx2
import pytest
from support.cluster import count_statements
from support.identified import bearer, token_of
from support.tap_server import ENDLESS, TapServer
from support.waiting import AT_ONCE_S, wait_until

import qserv_py
from qserv_py.cli.main import run
from qserv_py.czar.cluster import Cluster
from qserv_py.errors import QueryCancelledError

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"


class Asked(threading.Thread):
    """A synchronous query whose reply is awaited."""

    def __init__(self, tap: TapServer, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._tap, self._headers = tap, headers
        self.reply: httpx2.Response | None = None
        self.ended_at = 0.0
        self.start()

    def run(self) -> None:
        self.reply = self._tap.post("/tap/sync", data={"QUERY": ENDLESS}, headers=self._headers)
        self.ended_at = time.monotonic()


def ids(tap: TapServer, headers: dict[str, str]) -> list[str]:
    reply = tap.get("/api/queries", headers=headers)
    assert reply.status_code == 200, reply.text
    return [query["id"] for query in reply.json()["queries"]]


def cancel(tap: TapServer, query_id: str, headers: dict[str, str]) -> int:
    return httpx2.delete(f"{tap.root}/api/queries/{query_id}", headers=headers, timeout=30).status_code


def test_the_owner_ends_a_query(tap: TapServer, cluster: Cluster) -> None:
    ada, bob = (bearer(token_of(cluster, user)) for user in ("ada", "bob"))
    asked = Asked(tap, ada)
    assert wait_until(lambda: ids(tap, ada))
    [query_id] = ids(tap, ada)
    assert ids(tap, bob) == []
    assert tap.get("/api/queries").status_code == 401, "who has no name has no queries"
    assert (cancel(tap, query_id, bob), cancel(tap, query_id, {}), cancel(tap, "other", ada)) == (404, 401, 404)
    assert asked.is_alive()
    told_at = time.monotonic()
    assert cancel(tap, query_id, ada) == 200
    asked.join(20)
    assert asked.ended_at - told_at < AT_ONCE_S
    assert asked.reply is not None
    assert (asked.reply.status_code, "the query was cancelled by its owner" in asked.reply.text) == (503, True)
    assert wait_until(lambda: count_statements(cluster) == 0)
    assert ids(tap, ada) == []


def test_the_operator_ends_a_job(tap: TapServer, cluster: Cluster) -> None:
    job = tap.submit(ENDLESS, PHASE="RUN")
    assert tap.wait(job, "EXECUTING") == "EXECUTING"
    query_id = job.rpartition("/")[2]
    command = ["--cluster", str(cluster.config.directory), "cancel", query_id]
    assert wait_until(lambda: run(command) == 0), "it is listed a moment after it began"
    assert tap.wait(job) == "ERROR"
    document = ElementTree.fromstring(tap.get(job).content)
    message = document.findtext(f"{UWS}errorSummary/{UWS}message")
    assert message is not None
    assert message.startswith("the query was cancelled by the operator")
    assert tap.get(f"{job}/results/result").status_code == 404
    with pytest.raises(QueryCancelledError, match="by the operator") as caught:
        qserv_py.connect(tap.root, token="").job(query_id).wait()
    assert caught.value.hint.startswith("Ask whoever runs the cluster")
    assert wait_until(lambda: count_statements(cluster) == 0)


def test_who_shows_no_token_is_told_where_it_goes(
    tap: TapServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for token, hint in (("", "HINT: Set QSERV_TOKEN to your token"), ("qserv_wrong", "HINT: QSERV_TOKEN, or token=")):
        monkeypatch.setenv("QSERV_TOKEN", token)
        for command in (["list", "queries"], ["cancel", "9c0f3a55e0f2d1b7"]):
            assert run([*command, "--url", tap.root]) == 4
            assert hint in capsys.readouterr().err, command


def test_the_command_at_a_service(
    tap: TapServer, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    token = token_of(cluster, "ada")
    monkeypatch.setenv("QSERV_TOKEN", token)
    asked = Asked(tap, bearer(token))
    assert wait_until(lambda: ids(tap, bearer(token)))
    [query_id] = ids(tap, bearer(token))
    assert run(["list", "queries", "--url", tap.root, "--format", "csv"]) == 0
    assert query_id in capsys.readouterr().out
    assert run(["cancel", query_id, "--url", tap.root]) == 0
    asked.join(20)
    assert not asked.is_alive()
    assert run(["cancel", query_id, "--url", tap.root]) == 3
