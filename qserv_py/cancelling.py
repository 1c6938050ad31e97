"""Telling everybody who works for one thing that it is to end, and why.

A query has one ``Cancel``. Whoever ends it (its user, its time limit, a client that left, Ctrl-C) calls ``cancel``;
whoever works for it asks ``is_cancelled`` where it goes on by itself, and is called back where it waits. So nobody who
waits has to look now and then, and nobody has a flag of his own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from qserv_py.errors import QservError, QueryCancelledError


class Cancel:
    """Says whether something is to end; every method may be called from any thread.

    Parameters
    ----------
    parent
        What this is a part of: it ends no later than that.
    """

    def __init__(self, parent: Cancel | None = None) -> None:
        self._parent = parent
        self._lock = threading.Lock()
        self._reason: QservError | None = None
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._numbers = count()

    @property
    def is_cancelled(self) -> bool:
        """Whether it is to end."""
        return self._reason is not None or (self._parent is not None and self._parent.is_cancelled)

    @property
    def reason(self) -> QservError:
        """Why it is to end; the one that was given first."""
        if self._reason is not None:
            return self._reason
        return self._parent.reason if self._parent is not None else QueryCancelledError("the query was cancelled")

    def raise_if_cancelled(self) -> None:
        """Raise the reason if there is one."""
        if self.is_cancelled:
            raise self.reason

    def cancel(self, reason: QservError | None = None) -> None:
        """Let it end.

        Those who wait are called back each time: a server may be told before it has begun, and not hear it.

        Parameters
        ----------
        reason
            What the user is told; the first one counts.
        """
        with self._lock:
            self._reason = self._reason or reason or QueryCancelledError("the query was cancelled")
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Be called back when it is to end, at once if it is already; no more after the block.

        Parameters
        ----------
        callback
            Called in the thread of whoever cancels, which must not wait for anything. A call that has begun may
            outlive the block.
        """
        if self._parent is not None:
            with self._parent.calling(callback), self._calling(callback):
                yield
        else:
            with self._calling(callback):
                yield

    @contextmanager
    def _calling(self, callback: Callable[[], object]) -> Iterator[None]:
        number = next(self._numbers)
        with self._lock:
            self._callbacks[number] = callback
            is_cancelled = self._reason is not None
        try:
            if is_cancelled:
                callback()
            yield
        finally:
            with self._lock:
                del self._callbacks[number]

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is to end, for some seconds at the most; return whether it is."""
        told = threading.Event()
        with self.calling(told.set):
            return told.wait(timeout_s)
