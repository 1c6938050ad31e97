"""A query is ended by another process than the one that runs it: by its owner or the operator, and nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from support.catalogues import Loaded
from support.cluster import count_statements
from support.slow_queries import SLOW
from support.waiting import AT_ONCE_S, wait_until

from qserv_py.cli.main import run
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR, Identity, Proof
from qserv_py.czar.queries.cancel_orders import cancel_query, queries_of
from qserv_py.czar.queries.running import QueryKind
from qserv_py.czar.session import Session
from qserv_py.errors import ClusterError, NotFoundError, QservError, QueryCancelledError
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import CancelOrder, cancels_heard, hear_cancels, tell_cancel

ADA, BOB = (Identity(user=name, proof=Proof.TOKEN) for name in ("ada", "bob"))


@pytest.fixture
def registry(cluster: Cluster) -> Iterator[Registry]:
    with cluster.registry() as opened:
        yield opened


def running_id(registry: Registry) -> str:
    """Return the id of the slow query, when others can see it."""
    assert wait_until(lambda: [entry for entry in queries_of(registry, OPERATOR) if entry.text == SLOW], seconds=60)
    [entry] = [entry for entry in queries_of(registry, OPERATOR) if entry.text == SLOW]
    return entry.query_id


@contextmanager
def asking(cluster: Cluster) -> Iterator[subprocess.Popen[str]]:
    """Have another process ask for something slow."""
    command = [sys.executable, "-m", "qserv_py.cli.main", "--cluster", str(cluster.config.directory), "query", SLOW]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Asked(threading.Thread):
    """Somebody's slow query in a session of this process; notes when and how it ended."""

    def __init__(self, session: Session, identity: Identity) -> None:
        super().__init__(daemon=True)
        query = session.queries.make(kind=QueryKind.SYNC, identity=identity, text=SLOW)
        self.answer = session.answer(SLOW, query=query)
        self.failure: QservError | None = None
        self.ended_at = 0.0
        self.start()

    def run(self) -> None:
        try:
            list(self.answer.batches())
        except QservError as error:
            self.failure = error
        self.ended_at = time.monotonic()


def test_the_command_ends_the_query_of_another_process(
    cluster: Cluster, field: Loaded, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--cluster", str(cluster.config.directory), "cancel"]
    with asking(cluster) as process:
        query_id = running_id(registry)
        told_at = time.monotonic()
        assert run([*command, query_id]) == 0
        assert time.monotonic() - told_at < AT_ONCE_S
        assert capsys.readouterr().err == f"The query {query_id} has ended.\n"
        assert process.wait(20) == 8
        assert process.stderr is not None
        assert "the query was cancelled by the operator" in process.stderr.read()
    assert wait_until(lambda: count_statements(cluster) == 0)
    assert run([*command, query_id]) == 3
    assert f'no query "{query_id}" runs' in capsys.readouterr().err


def test_it_ends_at_once_and_others_go_on(session: Session, field: Loaded, registry: Registry) -> None:
    ended, other = Asked(session, ADA), Asked(session, BOB)
    assert wait_until(lambda: len(queries_of(registry, OPERATOR)) == 2)
    told_at = time.monotonic()
    cancel_query(registry, ended.answer.query.id, ADA)
    ended.join(20)
    assert ended.ended_at - told_at < AT_ONCE_S
    assert isinstance(ended.failure, QueryCancelledError)
    assert ended.failure.message == "the query was cancelled by its owner"
    assert other.is_alive()
    cancel_query(registry, other.answer.query.id, OPERATOR)
    other.join(20)
    assert other.failure is not None
    assert other.failure.message == "the query was cancelled by the operator"


@pytest.mark.parametrize("who", [BOB, ANONYMOUS, Identity(user="operator", proof=Proof.TOKEN)])
def test_nobody_ends_the_query_of_another(session: Session, field: Loaded, registry: Registry, who: Identity) -> None:
    for owner in (ADA, ANONYMOUS, OPERATOR):
        asked = Asked(session, owner)
        query_id = asked.answer.query.id
        assert wait_until(lambda: queries_of(registry, OPERATOR, query_id))  # noqa: B023
        assert queries_of(registry, who) == []
        with pytest.raises(NotFoundError):
            cancel_query(registry, query_id, who)
        assert asked.is_alive()
        cancel_query(registry, query_id, OPERATOR)
        asked.join(20)


def test_the_row_of_a_process_that_died_goes(cluster: Cluster, field: Loaded, registry: Registry) -> None:
    with asking(cluster) as process:
        query_id = running_id(registry)
        process.kill()
        process.wait()
        assert wait_until(lambda: _is_unknown(registry, query_id))


def _is_unknown(registry: Registry, query_id: str) -> bool:
    """Whether cancelling says that there is none; PostgreSQL may take a moment to see that a client has died."""
    try:
        cancel_query(registry, query_id, OPERATOR, wait_s=0.1)
    except NotFoundError:
        return True
    except ClusterError:
        return False
    return False


def test_a_process_that_stands_still_is_told_of(cluster: Cluster, field: Loaded, registry: Registry) -> None:
    with asking(cluster) as process:
        query_id = running_id(registry)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(ClusterError, match="has not ended within"):
            cancel_query(registry, query_id, OPERATOR, wait_s=0.5)
        process.send_signal(signal.SIGCONT)
        code = process.wait(20)
        assert process.stderr is not None
        told = process.stderr.read()
        assert (code, "cancelled by the operator" in told) == (8, True), told


def test_a_connection_that_is_cut_hears_it_when_it_is_new(session: Session, field: Loaded, registry: Registry) -> None:
    asked = Asked(session, ADA)
    query_id = asked.answer.query.id
    assert wait_until(lambda: queries_of(registry, OPERATOR, query_id))
    with psycopg.connect(registry.conninfo, autocommit=True) as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        ).fetchall()
    assert cut
    cancel_query(registry, query_id, OPERATOR)
    asked.join(1)
    assert isinstance(asked.failure, QueryCancelledError)


def test_what_nobody_of_ours_can_have_said_hides_no_order(cluster: Cluster) -> None:
    order = CancelOrder(czar="c1", query_id="q1", by_operator=True)
    with cluster.registry() as registry, registry.connection() as hearing, cluster.registry() as other:
        hear_cancels(hearing)
        with other.connection() as connection:
            for told in ("[]", '"x"', "nonsense", "{}", '{"czar": "c1", "query": 5}', '{"by_operator": 1}', ""):
                connection.execute("SELECT pg_notify('qserv_cancel_query', %s)", [told])
        tell_cancel(other, order)
        heard: list[CancelOrder] = []
        assert wait_until(lambda: heard.extend(cancels_heard(hearing, czar="c1")) or heard)
        assert heard == [order]
