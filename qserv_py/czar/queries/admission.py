"""How much one requester may ask for, and whose turn it is: a rate, synchronous queries that are there and that run.

Used from the event loop alone, so it needs no locks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qserv_py.czar.identity.limits import LimitRules
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.czar.queries.requester import Requester
from qserv_py.errors import TooManyRequestsError
from qserv_py.executor.turns import Priority, Ticket, Turns

MOST_REMEMBERED = 50_000
"""Requesters whose rate is remembered; beyond, those whose bucket is full again are forgotten."""


class Admission:
    """Lets requests in, or refuses them with 429.

    Parameters
    ----------
    limits, rules
        Numbers and rates.
    clock
        Seconds; for tests.
    """

    def __init__(
        self, limits: ServiceLimits, rules: LimitRules, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._rules = rules
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens that a requester had, and when."""

        self._present: Counter[str] = Counter()
        self._turns = Turns(limits.sync_running)
        self._ready: dict[Ticket, asyncio.Future[None]] = {}
        """What tells those who want to run that it is their turn."""

    @property
    def present(self) -> int:
        """Synchronous queries that run or wait."""
        return self._present.total()

    def count(self, requester: Requester) -> None:
        """Count one request; TooManyRequestsError if it is one too many."""
        most = float(self._rules.limits_for(requester.identity).requests_per_minute)
        now = self._clock()
        tokens, then = self._buckets.get(requester.key, (most, now))
        tokens = min(most, tokens + (now - then) * most / 60)
        if tokens < 1:
            raise TooManyRequestsError(
                f"you sent more than {most:.0f} queries within a minute",
                retry_after_s=(1 - tokens) * 60 / most,
            )
        self._buckets[requester.key] = (tokens - 1, now)
        if len(self._buckets) > MOST_REMEMBERED:
            self._buckets = {key: value for key, value in self._buckets.items() if now - value[1] < 60}

    @asynccontextmanager
    async def presence(self, requester: Requester) -> AsyncIterator[None]:
        """Be one of a requester's synchronous queries until its reply has been sent."""
        if self.present >= self._limits.sync_present:
            raise TooManyRequestsError(
                f"{self.present} synchronous queries run or wait, which is the most",
                retry_after_s=10,
                hint="Send it again in a while, or as a job to /async.",
            )
        most = self._rules.limits_for(requester.identity).concurrent_queries
        if self._present[requester.key] >= most:
            raise TooManyRequestsError(
                f"you have {most} synchronous queries running, which is the most",
                retry_after_s=5,
                hint="Wait until some have ended, or send jobs to /async.",
            )
        self._present[requester.key] += 1
        try:
            yield
        finally:
            self._present[requester.key] -= 1
            if not self._present[requester.key]:
                del self._present[requester.key]

    @asynccontextmanager
    async def turn(self, requester: Requester, priority: Priority) -> AsyncIterator[None]:
        """Wait until a query may run, and be one that runs.

        The more urgent comes first, then the requester who has the fewest that run; ``executor.turns`` has the rules.
        """
        ticket = Ticket(priority, requester.key)
        self._ready[ticket] = asyncio.get_running_loop().create_future()
        self._tell(self._turns.ask(ticket))
        try:
            await self._ready[ticket]
            yield
        finally:
            del self._ready[ticket]
            self._tell(self._turns.leave(ticket))

    def _tell(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            if not self._ready[ticket].done():  # whoever was cancelled gives his place back
                self._ready[ticket].set_result(None)
