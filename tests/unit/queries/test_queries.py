"""Running queries of one process: made, limited in time, written down after a while, forgotten at their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from support.catalogs import plan
from support.waiting import wait_until

from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR
from qserv_py.czar.queries import queries as queries_module
from qserv_py.czar.queries.queries import Queries
from qserv_py.czar.queries.running import QueryKind, RunningQuery
from qserv_py.czar.queries.shares import Shares
from qserv_py.errors import ClusterError, LimitError
from qserv_py.executor.turns import Priority
from qserv_py.registry.connection import Registry
from qserv_py.registry.queries import CancelOrder

SHARES = Shares(merges=1, rows=1000, query_rows=600, replies=1, batch=1, merge_spill=1, reply_spill=1)


class Register:
    """Stands for the registry's table."""

    def __init__(self, registry: Registry) -> None:
        self.rows: set[str] = set()
        self.calls: list[set[str]] = []
        self.told: list[CancelOrder] = []
        self.is_away = False

    @property
    def is_empty(self) -> bool:
        return not self.rows

    def write(self, running: list[RunningQuery]) -> None:
        if self.is_away:
            raise ClusterError("the registry does not answer")
        self.rows = {query.id for query in running}
        self.calls.append(self.rows)

    def orders(self) -> list[CancelOrder]:
        found, self.told = self.told, []
        return found

    def close(self) -> None:
        self.rows = set()


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queries]:
    monkeypatch.setattr(queries_module, "QueryRegister", Register)
    with Queries(Registry(""), SHARES) as made:
        yield made


def rows(queries: Queries) -> Register:
    register = queries._register
    assert isinstance(register, Register)
    return register


def make(queries: Queries, **more: object) -> RunningQuery:
    return queries.make(kind=QueryKind.LOCAL, identity=OPERATOR, text="SELECT 1", **more)  # type: ignore[arg-type]


def test_a_query_is_written_down_after_a_while_and_taken_away(queries: Queries) -> None:
    query = make(queries)
    with queries.running(query):
        assert wait_until(lambda: rows(queries).rows == {query.id})
        assert time.monotonic() - query.begun >= queries_module.REGISTERED_S
        with queries.running(query):
            assert queries.of_kind(QueryKind.LOCAL) == [query]
        assert queries.of_kind(QueryKind.LOCAL) == [query], "it stays until the outer block ends"
    assert queries.of_kind(QueryKind.LOCAL) == []
    assert wait_until(lambda: rows(queries).rows == set())


def test_short_queries_are_not_written_down(queries: Queries) -> None:
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        with queries.running(make(queries)):
            pass
    assert not any(rows(queries).calls)


def test_a_query_ends_when_its_time_is_up(queries: Queries) -> None:
    late = LimitError("the query ran longer than 0.3 s")
    query, other = make(queries, longest_s=0.3, late=late), make(queries)
    with queries.running(query), queries.running(other):
        assert query.cancel.wait(5)
        assert time.monotonic() - query.begun >= 0.3
        assert query.cancel.reason is late
        assert not other.cancel.is_cancelled


def test_time_limits_hold_while_the_registry_is_away(queries: Queries) -> None:
    rows(queries).is_away = True
    query = make(queries, longest_s=0.2, late=LimitError("late"))
    with queries.running(query):
        assert query.cancel.wait(5)
        rows(queries).is_away = False
        assert wait_until(lambda: rows(queries).rows == {query.id})


def test_time_limits_hold_while_the_registry_does_not_answer(queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers = threading.Event(), threading.Event()

    def write(_: list[RunningQuery]) -> None:
        asked.set()
        answers.wait(60)

    monkeypatch.setattr(rows(queries), "write", write)
    try:
        with queries.running(make(queries)):
            assert asked.wait(20)
            query = make(queries, longest_s=0.2, late=LimitError("late"))
            with queries.running(query):
                assert query.cancel.wait(20)
    finally:
        answers.set()


def test_a_query_ends_when_another_process_says_so(queries: Queries) -> None:
    query, other = make(queries), make(queries)
    with queries.running(query), queries.running(other):
        assert wait_until(lambda: rows(queries).rows == {query.id, other.id})
        rows(queries).told = [
            CancelOrder(czar="ours", query_id=name, by_operator=True) for name in ("another", query.id)
        ]
        assert query.cancel.wait(5)
        assert query.cancel.reason.message == "the query was cancelled by the operator"
        assert not other.cancel.is_cancelled


@pytest.mark.parametrize(
    ("adql", "priority"),
    [
        ("SELECT ra FROM Object WHERE objectId = 5", Priority.LOOK_UP),
        ("SELECT ra FROM Object", Priority.SCAN),
        ("SELECT * FROM Visit", Priority.LOOK_UP),
        ("SELECT COUNT(*) FROM Visit a, Visit b, Visit c", Priority.SCAN),
    ],
)
def test_how_urgent_a_query_is_shows_in_its_plan(queries: Queries, adql: str, priority: Priority) -> None:
    query = make(queries)
    query.plan = plan(adql)
    assert query.priority is priority


def test_kinds(queries: Queries) -> None:
    job = queries.make(kind=QueryKind.JOB, identity=ANONYMOUS, text="SELECT 1", id="j1")
    assert (job.id, job.priority) == ("j1", Priority.JOB)
    assert make(queries).priority is Priority.SCAN, "until it is known to be small"
    with queries.running(job):
        assert (queries.of_kind(QueryKind.SYNC), queries.of_kind(QueryKind.JOB)) == ([], [job])
