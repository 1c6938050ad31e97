"""A bounded queue from the threads that make things to the one that reads them.

For example, chunk queries put Arrow batches in, and wait when eight are there (``runner.QUEUE_LENGTH``) until the merge
has taken one: so PostgreSQL is never asked for rows faster than they are used.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_S = 0.05
"""How often a waiting reader looks up: another thread may have taken the signal of Ctrl-C, and does not wake it."""


class Handover(Generic[T]):
    """A bounded queue. Either side closes it when it leaves, so that the other does not wait for ever.

    Parameters
    ----------
    room
        Things that may wait for the reader; who makes more of them waits, too.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._things: deque[T] = deque()
        self._lock = threading.Lock()
        self._has_room = threading.Condition(self._lock)
        self._has_things = threading.Condition(self._lock)
        self._closed = False

    def put(self, thing: T) -> bool:
        """Hand something over, waiting for room; False once it is closed."""
        with self._lock:
            while len(self._things) >= self._room and not self._closed:
                self._has_room.wait()
            if self._closed:
                return False
            self._things.append(thing)
            self._has_things.notify()
            return True

    def get(self) -> T | None:
        """Return the next thing, waiting for it; None once it is closed."""
        with self._lock:
            while not self._things and not self._closed:
                self._has_things.wait(LOOK_S)
            if self._closed:
                return None
            self._has_room.notify()
            return self._things.popleft()

    def close(self) -> None:
        """End the waiting on both sides; what is on its way is dropped."""
        with self._lock:
            self._closed = True
            self._things.clear()
            self._has_room.notify_all()
            self._has_things.notify_all()
