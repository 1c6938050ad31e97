"""Twelve queries at a time that bring rows together: a process holds no more than it may, the others are refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.catalogues import Loaded

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session
from qserv_py.errors import LimitError
from qserv_py.executor.budget import Budget

JOIN = "SELECT COUNT(*) AS n FROM field.Source a JOIN field.Object b ON a.visit = b.k + {number} WHERE a.sourceId >= 0"
"""No chunk alone can answer it, so both sides come together."""


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    with Session(cluster, connections=8) as opened:
        yield opened


def count(session: Session, number: int) -> list[int]:
    (batch,) = session.answer(JOIN.format(number=number)).batches()
    found: list[int] = batch["n"].to_pylist()
    return found


def test_what_a_query_holds_is_counted_and_given_back(session: Session) -> None:
    answer = session.answer(JOIN.format(number=0))
    assert list(answer.batches())
    account = answer.query.rows_held
    assert account.most > 0
    assert (account.taken, session.queries.rows_held.taken) == (0, 0)


def test_one_query_is_bounded(session: Session) -> None:
    session.queries.rows_held = Budget("rows", 1 << 30, setting="process_bytes", each=1000, each_setting="query_bytes")
    with pytest.raises(LimitError, match="of rows would have to be held for one query") as caught:
        count(session, 0)
    assert '"query_bytes" in settings.yaml' in caught.value.hint
    assert session.queries.rows_held.taken == 0


def test_twelve_at_a_time_hold_no_more_than_the_process_may(session: Session) -> None:
    answer = session.answer(JOIN.format(number=0))
    list(answer.batches())
    one = answer.query.rows_held.most
    highest = Highest(4 * one)
    session.queries.rows_held = highest
    expected = {number: count(session, number) for number in range(12)}
    together = threading.Barrier(12)

    def ask(number: int) -> str:
        together.wait()
        try:
            found = count(session, number)
        except LimitError as error:
            return error.render()
        return "answered" if found == expected[number] else f"wrong: {found}"

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(ask, range(12)))
    assert "answered" in outcomes
    for refusal in set(outcomes) - {"answered"}:
        assert "of rows would have to be held at a time" in refusal
        assert '"process_bytes" in settings.yaml' in refusal
    assert highest.seen <= 4 * one
    assert highest.taken == 0
    assert count(session, 3) == expected[3], "there is room again"
    other = highest.account()
    other.take(4 * one - 1)
    with pytest.raises(LimitError, match="of rows would have to be held at a time"):
        count(session, 3)


class Highest(Budget):
    """A budget that remembers how much was held at its highest."""

    def __init__(self, most: int) -> None:
        super().__init__("rows", most, setting="process_bytes")
        self.seen = 0

    def take(self, size: int, *, of_account: int) -> None:
        super().take(size, of_account=of_account)
        self.seen = max(self.seen, self.taken)
