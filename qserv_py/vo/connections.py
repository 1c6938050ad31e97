"""Bounds on idle connections: uvicorn keeps them for ever; here their time and their number are limited.

A connection waits from its beginning, or from the end of its last request, until the head of a request has come. It is
closed when it waits too long; and when too many wait, the one that has waited longest goes, so that whoever really asks
is let in however many others do not.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_WAITING = 1000
WAIT_S = 15.0

log = logging.getLogger("qserv.http")


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with bounds on idle connections."""

    waiting: dict[PatientProtocol, None] = {}  # noqa: RUF012 (shared by the connections of the process)
    """Connections that wait, oldest first."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Wait no longer once the head of a request is there."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._end_wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._begin_to_wait()
        super().on_response_complete()

    def _begin_to_wait(self) -> None:
        self._end_wait()
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(WAIT_S, self._give_up)
        self.waiting[self] = None
        if len(self.waiting) > MOST_WAITING:
            next(iter(self.waiting))._give_up()

    def _end_wait(self) -> None:
        timer = getattr(self, "_timer", None)
        if timer is not None:
            timer.cancel()
        self._timer = None
        self.waiting.pop(self, None)

    def _give_up(self) -> None:
        self._end_wait()
        if not self.transport.is_closing():
            self.transport.abort()
