"""Who may hold how much: random wishes against the rules, each counted in its own way."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from qserv_py.executor.room import Granted, Holder, Outcome, Refused, Room

MOST = 100


@dataclass
class Query:
    """One that gathers some bytes, piece by piece, and has an answer when it has them all."""

    needs: int
    can_be_ended: bool = True
    holder: Holder = field(init=False)
    held: int = 0
    asked: int = 0
    state: str = "gathers"
    """It gathers, waits, is settled, refused or gone."""


class Watched:
    """A room, and what somebody sees who stands beside it."""

    def __init__(self, queries: list[Query]) -> None:
        self.room = Room(MOST)
        self.queries = queries
        for query in queries:
            query.holder = self.room.enter(may_be_refused=query.can_be_ended)

    def step(self, number: int, size: int) -> None:
        """Let one of them do what comes next for it."""
        query = self.queries[number]
        if query.state == "gathers" and query.held < query.needs:
            query.asked = min(size, query.needs - query.held)
            query.state = "waits"
            self.see(self.room.ask(query.holder, query.asked))
        elif query.state == "gathers":
            query.state = "settled"
            self.room.settle(query.holder)
        elif query.state in {"settled", "refused"}:
            held, query.held = query.held, 0
            query.state = "answered" if query.state == "settled" else "sent away"
            self.see(self.room.give_back(query.holder, held))
        self.check()

    def see(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            number = next(place for place, query in enumerate(self.queries) if query.holder is outcome.holder)
            query = self.queries[number]
            if isinstance(outcome, Granted):
                assert query.state == "waits"
                query.held, query.state = query.held + query.asked, "gathers"
                assert self.held() <= MOST
            else:
                self.see_refusal(number)

    def see_refusal(self, number: int) -> None:
        """See that there is no room for all who were there, and that nobody younger holds what could be had."""
        query = self.queries[number]
        assert query.state in {"waits", "gathers"}, "who has all that he needs is not refused"
        alive = [other for other in self.queries if other.state != "refused" or not other.can_be_ended]
        assert sum(other.held + other.asked * (other.state == "waits") for other in alive) > MOST
        for younger in self.queries[number + 1 :]:
            assert not (younger.held and younger.can_be_ended and younger.state in {"waits", "gathers"})
        query.state = "refused"

    def held(self) -> int:
        return sum(query.held for query in self.queries)

    def check(self) -> None:
        assert self.room.held == self.held() <= MOST
        if any(query.state == "waits" for query in self.queries):
            leaving = (query for query in self.queries if query.state == "refused" and query.can_be_ended)
            assert any(query.held for query in leaving), "it waits for nobody"


STEPS = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 40)), max_size=200)


def run(queries: list[Query], steps: list[tuple[int, int]]) -> Watched:
    """Let all go on in the order of the steps, and then in turns until all have ended."""
    watched = Watched(queries)
    for number, size in steps:
        watched.step(number % len(queries), size)
    while any(query.state not in {"answered", "sent away"} for query in queries):
        for number in range(len(queries)):
            watched.step(number, 10)
    assert watched.room.held == 0
    return watched


@given(st.lists(st.builds(Query, st.integers(1, MOST), st.booleans()), min_size=1, max_size=12), STEPS)
def test_the_youngest_is_refused_and_none_waits_for_ever(queries: list[Query], steps: list[tuple[int, int]]) -> None:
    run(queries, steps)


@given(st.integers(1, MOST), STEPS)
def test_as_many_alike_are_answered_as_have_room(needs: int, steps: list[tuple[int, int]]) -> None:
    queries = [Query(needs) for _ in range(12)]
    run(queries, steps)
    assert sum(query.state == "answered" for query in queries) >= min(12, MOST // needs)


@given(st.lists(st.integers(1, MOST), min_size=1, max_size=12), STEPS)
def test_at_least_one_is_answered(needs: list[int], steps: list[tuple[int, int]]) -> None:
    queries = [Query(size) for size in needs]
    run(queries, steps)
    assert any(query.state == "answered" for query in queries)


def test_an_older_one_waits_for_the_youngest_to_leave() -> None:
    room = Room(10)
    old, middle, young = (room.enter(may_be_refused=True) for _ in range(3))
    assert room.ask(middle, 4) == [Granted(middle)]
    assert room.ask(young, 5) == [Granted(young)]
    assert room.ask(old, 3) == [Refused(young)]
    assert room.give_back(young, 5) == [Granted(old)]
    assert room.ask(middle, 4) == [Refused(middle)]


def test_who_waits_no_longer_takes_nothing() -> None:
    room = Room(10)
    old, young = (room.enter(may_be_refused=True) for _ in range(2))
    room.ask(young, 8)
    assert room.ask(old, 5) == [Refused(young)]
    assert room.withdraw(old) == []
    assert room.give_back(young, 8) == []
    assert room.held == 0
