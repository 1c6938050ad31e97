"""Who may hold bytes that all queries share, when there are too few: a state machine, without threads and clocks.

Whoever wants bytes asks, and gives them back when he has done with them; every call tells who gets bytes now and who is
refused. Three rules decide:

* **The oldest go on**: for one that finds no room, the youngest of those that hold bytes are refused until there is.
  Of twelve that begin at the same moment, as many are answered as have room together; were each refused who finds no
  room, all twelve could be.
* **Nobody is refused for an older one's sake who has all that he needs** (``settle``): he gives it back soon.
* **One who waits, waits for those that were refused** and have not given back yet, and for nobody else. Where these
  do not make room enough, he is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(slots=True, eq=False)
class Holder:
    """One that may hold bytes; ``Room.enter`` makes it."""

    age: int
    """The lower one came earlier."""

    may_be_refused: bool
    """Whether it can be told to give back what it holds."""

    held: int = 0
    wants: int = 0
    """Bytes that it waits for."""

    is_leaving: bool = False
    """Whether it was refused, so that it gives back all that it holds."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A holder has the bytes that it asked for."""

    holder: Holder


@dataclass(frozen=True, slots=True)
class Refused:
    """A holder does not get its bytes, or is to give back those that it has."""

    holder: Holder


Outcome = Granted | Refused


class Room:
    """Bytes, who holds them, and who waits.

    Parameters
    ----------
    most
        How many there are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._there: dict[Holder, None] = {}
        """Those that hold bytes or wait."""

        self._ages = count()

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return sum(holder.held for holder in self._there)

    def enter(self, *, may_be_refused: bool) -> Holder:
        """Return a new holder, the youngest."""
        return Holder(next(self._ages), may_be_refused)

    def ask(self, holder: Holder, size: int) -> list[Outcome]:
        """Want bytes; return who gets them and who is refused now. Who stands in neither way waits."""
        if holder.is_leaving:
            return [Refused(holder)]
        holder.wants = size
        self._there[holder] = None
        return list(self._decide())

    def give_back(self, holder: Holder, size: int) -> list[Outcome]:
        """Give bytes back; return who gets some now."""
        holder.held -= size
        return self._without(holder)

    def withdraw(self, holder: Holder) -> list[Outcome]:
        """Wait no longer; return who gets bytes now."""
        holder.wants = 0
        return self._without(holder)

    def settle(self, holder: Holder) -> None:
        """Say that a holder has all that it needs."""
        holder.may_be_refused = False

    def _without(self, holder: Holder) -> list[Outcome]:
        if not holder.held and not holder.wants:
            self._there.pop(holder, None)
        return list(self._decide())

    def _decide(self) -> Iterator[Outcome]:
        """Let the oldest of those that wait choose first, and keep for it what it waits for."""
        promised = 0
        for holder in sorted((one for one in self._there if one.wants), key=lambda one: one.age):
            if not holder.wants:
                continue  # it was refused for the sake of an older one
            free = self._most - promised - self.held
            coming = sum(other.held for other in self._there if other.is_leaving)
            while holder.wants > free + coming and (victim := self._youngest_after(holder)) is not None:
                coming += victim.held
                yield self._refuse(victim)
            if holder.wants <= free:
                holder.held, holder.wants = holder.held + holder.wants, 0
                yield Granted(holder)
            elif holder.wants <= free + coming:
                promised += holder.wants
            else:
                yield self._refuse(holder)

    def _youngest_after(self, holder: Holder) -> Holder | None:
        """Return the youngest that holds bytes, is younger than a holder and can be refused."""
        younger = (
            other
            for other in self._there
            if other.age > holder.age and other.held and other.may_be_refused and not other.is_leaving
        )
        return max(younger, key=lambda other: other.age, default=None)

    def _refuse(self, holder: Holder) -> Refused:
        holder.wants = 0
        holder.is_leaving = holder.may_be_refused
        if not holder.held:
            self._there.pop(holder, None)
        return Refused(holder)
