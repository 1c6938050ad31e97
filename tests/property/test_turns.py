"""Who is served when: random comings and goings against the rules, each counted in its own way."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.executor.turns import ENOUGH, PATIENCE, Priority, Ticket, Turns

WISHES = st.builds(Ticket, st.sampled_from(Priority), st.sampled_from("abc"))
STEPS = st.lists(WISHES | st.integers(0, 1000), max_size=120)
"""A wish, or a number that says which of those who are there leaves."""


class Watched:
    """Turns, and what somebody sees who stands beside them."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.turns = Turns(places)
        self.waiting: list[Ticket] = []
        self.held: list[Ticket] = []
        self.passed: Counter[Priority] = Counter()

    def ask(self, ticket: Ticket) -> None:
        self.waiting.append(ticket)
        self._see(self.turns.ask(ticket))

    def leave(self, ticket: Ticket) -> None:
        for there in (self.waiting, self.held):
            if ticket in there:
                there.remove(ticket)
        self._see(self.turns.leave(ticket))

    def may_have(self, priority: Priority) -> bool:
        """Whether there is a place for one of a priority, by the sentence of the docs."""
        if len(self.held) >= self.places:
            return False
        scans = sum(ticket.priority is not Priority.LOOK_UP for ticket in self.held)
        jobs = sum(ticket.priority is Priority.JOB for ticket in self.held)
        if self.places < ENOUGH or priority is Priority.LOOK_UP:
            return True
        return scans < self.places - 1 and (priority is Priority.SCAN or jobs < self.places - 2)

    def _count_passed(self, ticket: Ticket) -> None:
        """See that no priority that waits and could be served is passed over more often than said."""
        for priority in {other.priority for other in self.waiting}:
            if priority is ticket.priority:
                self.passed[priority] = 0
            elif self.may_have(priority):
                self.passed[priority] += 1
                assert self.passed[priority] <= PATIENCE + 1, "one later where two are due at a time"

    def _see(self, served: list[Ticket]) -> None:
        for ticket in served:
            alike = [other for other in self.waiting if other.priority is ticket.priority]
            of = Counter(held.who for held in self.held)
            assert self.may_have(ticket.priority)
            assert of[ticket.who] == min(of[other.who] for other in alike)
            assert ticket is next(other for other in alike if of[other.who] == of[ticket.who])
            self._count_passed(ticket)
            self.waiting.remove(ticket)
            self.held.append(ticket)
        assert (self.turns.waiting, self.turns.held) == (len(self.waiting), len(self.held))
        assert not any(self.may_have(ticket.priority) for ticket in self.waiting), "a place stands empty"


@given(st.integers(1, 9), STEPS)
def test_places_are_filled_by_the_rules(places: int, steps: list[Ticket | int]) -> None:
    watched = Watched(places)
    for step in steps:
        if isinstance(step, Ticket):
            watched.ask(Ticket(step.priority, step.who))
        elif there := watched.waiting + watched.held:
            watched.leave(there[step % len(there)])


def served_before(first: Priority, second: Priority, *, places: int) -> int:
    """Return how many of a priority are served, each after the one before, while one of another waits."""
    turns = Turns(places)
    for _ in range(places):
        turns.ask(Ticket(Priority.LOOK_UP, "holder"))
    late = Ticket(second, "late")
    assert turns.ask(late) == []
    held = [Ticket(first, "busy") for _ in range(places)]
    for ticket in held:
        turns.ask(ticket)
    count = 0
    while count < 100:
        turns.ask(Ticket(first, "busy"))
        leaving = next(iter(turns._held))
        served = turns.leave(leaving)
        if late in served:
            break
        count += len(served)
    return count


@pytest.mark.parametrize("places", [1, 3, 8])
def test_a_job_is_served_after_a_few_who_are_more_urgent(places: int) -> None:
    assert served_before(Priority.LOOK_UP, Priority.JOB, places=places) == PATIENCE
    assert served_before(Priority.LOOK_UP, Priority.SCAN, places=places) == PATIENCE
    assert served_before(Priority.JOB, Priority.LOOK_UP, places=places) == 0


def test_a_look_up_finds_a_place_behind_scans_and_jobs() -> None:
    turns = Turns(8)
    jobs = [Ticket(Priority.JOB, f"job {number}") for number in range(8)]
    assert [ticket for job in jobs for ticket in turns.ask(job)] == jobs[:6]
    scans = [Ticket(Priority.SCAN, f"scan {number}") for number in range(8)]
    assert [ticket for scan in scans for ticket in turns.ask(scan)] == scans[:1]
    look_up = Ticket(Priority.LOOK_UP, "look-up")
    assert turns.ask(look_up) == [look_up]
    assert turns.leave(look_up) == []
    assert turns.leave(jobs[0]) == [scans[1]]
    assert turns.leave(jobs[7]) == [], "it had waited"


def test_a_lone_query_has_all_places_of_a_small_session() -> None:
    turns = Turns(2)
    scans = [Ticket(Priority.JOB, "one"), Ticket(Priority.JOB, "one")]
    assert [ticket for scan in scans for ticket in turns.ask(scan)] == scans
