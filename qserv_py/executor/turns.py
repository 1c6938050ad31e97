"""Whose turn it is where few may work at a time and many want to: a state machine, without threads and clocks.

Whoever wants a place asks, and leaves when he has done with it or does not want it any more; both calls tell who has a
place from now on. Three rules decide:

* **The more urgent first**: look-ups, then scans that somebody waits for, then jobs. Within one of them the one who
  holds the fewest places is first, and of several such the one who has waited longest.
* **Nobody is passed over for ever**: a priority that has seen ``PATIENCE`` others served is next.
* **Some places are kept**: where there are enough of them, scans leave one and jobs two, so that a look-up finds a
  place though a scan holds its own for minutes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

PATIENCE = 4
"""Times that others are served before a less urgent one that waits."""

ENOUGH = 4
"""Places from which on some are kept."""


class Priority(IntEnum):
    """How urgent a query is; the lower number's turn comes first."""

    LOOK_UP = 0
    """It asks few chunks, and somebody waits for it."""

    SCAN = 1
    """It asks many chunks, and somebody waits for it."""

    JOB = 2
    """Nobody waits for it."""


@dataclass(slots=True, eq=False)
class Ticket:
    """The wish for one place."""

    priority: Priority
    who: str
    """Whose wish it is.

    Of two names the one that holds fewer places goes first: a name with a hundred tickets keeps no other one waiting.
    """


class Turns:
    """Places, who has one, and who waits.

    Parameters
    ----------
    places
        How many there are.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: dict[Ticket, None] = {}
        """In the order in which they came."""

        self._held: dict[Ticket, None] = {}
        self._passed = dict.fromkeys(Priority, 0)
        """Others that were served while somebody of the priority waited and could have been."""

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def held(self) -> int:
        """How many have a place."""
        return len(self._held)

    def ask(self, ticket: Ticket) -> list[Ticket]:
        """Want a place; return who gets one now."""
        self._waiting[ticket] = None
        return self._serve()

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Give a place back, or want none any more; return who gets one now. Leaving again does nothing."""
        self._waiting.pop(ticket, None)
        self._held.pop(ticket, None)
        return self._serve()

    def _serve(self) -> list[Ticket]:
        served = []
        while (ticket := self._next()) is not None:
            del self._waiting[ticket]
            self._held[ticket] = None
            served.append(ticket)
        return served

    def _next(self) -> Ticket | None:
        """Choose whose turn it is."""
        wanted = {ticket.priority for ticket in self._waiting}
        possible = [priority for priority in Priority if priority in wanted and self._has_room(priority)]
        if not possible:
            return None
        overdue = [priority for priority in possible if self._passed[priority] >= PATIENCE]
        chosen = max(overdue, key=lambda priority: self._passed[priority]) if overdue else possible[0]
        for priority in possible:
            self._passed[priority] = 0 if priority is chosen else self._passed[priority] + 1
        return self._first(chosen)

    def _has_room(self, priority: Priority) -> bool:
        """Whether one more of a priority leaves the places that are kept for each more urgent one."""
        return all(
            sum(held.priority >= limited for held in self._held)
            < self._places - (limited if self._places >= ENOUGH else 0)
            for limited in Priority
            if limited <= priority
        )

    def _first(self, priority: Priority) -> Ticket:
        """Return who is first of those of a priority that wait; there are some."""
        holds = Counter(held.who for held in self._held)
        return min(
            (ticket for ticket in self._waiting if ticket.priority is priority), key=lambda ticket: holds[ticket.who]
        )
