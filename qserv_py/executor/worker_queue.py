"""The statements that want to run on one worker: each gets a thread when it is its turn, as ``turns`` decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress

from qserv_py.executor.turns import Ticket, Turns


class WorkerQueue:
    """Runs work when a place on the worker is free for it; thread-safe.

    Parameters
    ----------
    places
        Statements that the worker runs at a time.
    threads
        Run them; it should have as many threads as there are places on all workers.
    """

    def __init__(self, places: int, threads: Executor) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._turns = Turns(places)
        self._work: dict[Ticket, tuple[Future[None], Callable[[], None]]] = {}
        """Work that waits for its turn."""

    def submit(self, ticket: Ticket, work: Callable[[], None]) -> Future[None]:
        """Let work run when it is its turn; the future can be cancelled as long as it has not begun.

        Parameters
        ----------
        ticket
            How urgent it is, and whose; one for each piece of work.
        work
            Called in a thread; must not raise.
        """
        future: Future[None] = Future()
        with self._lock:
            self._work[ticket] = future, work
            begin = self._turns.ask(ticket)
        self._begin(begin)
        future.add_done_callback(lambda done: self._leave(ticket) if done.cancelled() else None)
        return future

    def _begin(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            with suppress(RuntimeError):  # the session is being closed, and its queries end
                self._threads.submit(self._run, ticket)

    def _run(self, ticket: Ticket) -> None:
        """Do the work of a ticket whose turn it is; in a thread."""
        with self._lock:
            known = self._work.pop(ticket, None)
        if known is None or not known[0].set_running_or_notify_cancel():
            return  # it has left
        future, work = known
        try:
            work()
        finally:
            future.set_result(None)
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        with self._lock:
            self._work.pop(ticket, None)
            begin = self._turns.leave(ticket)
        self._begin(begin)
