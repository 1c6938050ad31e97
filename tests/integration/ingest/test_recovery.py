"""Whose ingests are ended, and what that costs those beside living ones."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import idle_ingests
from support.ingested import add_small
from support.waiting import AT_ONCE_S

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest import recovery
from qserv_py.registry.transactions import begin_transaction, unfinished_transactions


@contextmanager
def idle(cluster: Cluster, database: str, number: int) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Run a process that has begun ingests; the process, and the ids of its super-transactions."""
    command = [sys.executable, idle_ingests.__file__, str(cluster.config.directory), database, str(number)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, [int(word) for word in process.stdout.readline().split()]
    finally:
        process.kill()
        process.communicate()


def test_the_living_cost_nothing_and_the_dead_are_ended(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "CLAIM_WAIT_S", 3 * AT_ONCE_S)
    add_small(cluster, tmp_path, "beside")
    with open_destination(cluster, sync=False) as destination, idle(cluster, "beside", 10) as (process, living):
        assert len(living) == 10
        started = time.monotonic()
        assert recovery.recover(destination, database="beside") == ()
        with idle(cluster, "beside", 1) as (other, [killed]):
            other.kill()
            other.wait()
            ended = recovery.recover(destination, database="beside")
        assert [one.transaction_id for one in ended] == [killed]
        assert time.monotonic() - started < AT_ONCE_S
        process.kill()
        process.wait()
        assert [one.transaction_id for one in recovery.recover(destination, database="beside")] == living
        assert time.monotonic() - started < 2 * AT_ONCE_S


def test_those_of_unknown_owners_are_waited_for_together(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_small(cluster, tmp_path, "unknown")
    pauses: list[float] = []
    monkeypatch.setattr(recovery, "CLAIM_WAIT_S", 0.1)
    monkeypatch.setattr(recovery.time, "sleep", lambda seconds: pauses.append(seconds))
    with open_destination(cluster, sync=False) as destination, cluster.registry() as owner:
        kinds = [None, {"host": "elsewhere", "pid": 1}, {"host": "elsewhere"}]
        held = [begin_transaction(owner, "unknown", context=kind) for kind in kinds]
        started = time.monotonic()
        assert recovery.recover(destination, database="unknown") == ()
        assert pauses
        assert time.monotonic() - started < AT_ONCE_S
        owner.close()
        monkeypatch.setattr(recovery, "CLAIM_WAIT_S", AT_ONCE_S)
        assert [one.transaction_id for one in recovery.recover(destination, database="unknown")] == held
        assert unfinished_transactions(destination.registry, database="unknown") == ()
