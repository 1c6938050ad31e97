"""Servers that are killed or told to stop: no finished job is lost, others go on or say why not."""

from __future__ import annotations

import signal
import threading
import time

import httpx2
from support.cluster import count_statements
from support.tap_server import ENDLESS, TapServer, running_server
from support.waiting import wait_until

from qserv_py.cli.main import run
from qserv_py.czar.cluster import Cluster

TOP = "SELECT TOP 5 objectId, coord_ra FROM clustered.Object ORDER BY objectId"


def no_statements(cluster: Cluster, *, within_s: float = 30) -> bool:
    return wait_until(lambda: not count_statements(cluster), seconds=within_s)


def test_kill_at_any_moment(tap: TapServer, cluster: Cluster) -> None:
    with running_server(cluster, "--jobs", "1") as first:
        done, pending = first.submit(TOP, PHASE="RUN", FORMAT="csv"), first.submit(TOP)
        assert first.wait(done) == "COMPLETED"
        rows = first.get(f"{done}/results/result").text
        tap.stop(signal.SIGSTOP)  # it would take the jobs over
        try:
            running = first.submit(ENDLESS, PHASE="RUN")
            assert first.wait(running, "EXECUTING") == "EXECUTING"
            queued = first.submit(TOP, PHASE="RUN")
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
            assert no_statements(cluster), "the statements of a killed server still run"
            with running_server(cluster, "--jobs", "2") as second:
                assert second.get(f"{done}/results/result").text == rows
                assert (second.phase(pending), second.wait(queued)) == ("PENDING", "COMPLETED")
                assert second.wait(running, "EXECUTING") == "EXECUTING"
                second.stop(signal.SIGKILL)
            with running_server(cluster, "--jobs", "2") as third:
                assert third.wait(running) == "ERROR"
                assert "the service was stopped 2 times while the job ran" in third.get(f"{running}/error").text
        finally:
            tap.process.send_signal(signal.SIGCONT)


def test_told_to_stop_it_ends_what_it_can(tap: TapServer, cluster: Cluster) -> None:
    with running_server(cluster, "--grace", "1") as server:
        tap.stop(signal.SIGSTOP)
        try:
            job = server.submit(ENDLESS, PHASE="RUN")
            assert server.wait(job, "EXECUTING") == "EXECUTING"
            replies: list[httpx2.Response] = []
            asking = threading.Thread(target=lambda: replies.append(server.query(ENDLESS)))
            waiting = threading.Thread(target=lambda: replies.append(server.get(job, params={"WAIT": "60"})))
            for thread in (asking, waiting):
                thread.start()
            time.sleep(0.5)
            assert server.stop() == 0
            for thread in (asking, waiting):
                thread.join(20)
            assert sorted(reply.status_code for reply in replies) == [200, 503]
            assert any("the service is being stopped" in reply.text for reply in replies)
            assert no_statements(cluster)
            log = "".join(server.lines)
            assert "Traceback" not in log
            assert "ERROR" not in log
        finally:
            tap.process.send_signal(signal.SIGCONT)
    tap.wait(job, "EXECUTING")  # another server runs it
    tap.post(job, data={"ACTION": "DELETE"})


def test_an_address_that_is_taken_is_said(tap: TapServer, cluster: Cluster, capfd: object) -> None:
    port = tap.root.rpartition(":")[2]
    assert run(["--cluster", str(cluster.config.directory), "serve", "tap", "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in capfd.readouterr().err  # type: ignore[attr-defined]
