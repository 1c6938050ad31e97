"""Calls back whoever waits for a job's phase, when this process has changed it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watchers:
    """Calls back, from any thread, whenever a job's phase has changed; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: dict[str, set[Callable[[], None]]] = {}

    def add(self, job_id: str, changed: Callable[[], None]) -> None:
        """Call back until ``remove``."""
        with self._lock:
            self._changed.setdefault(job_id, set()).add(changed)

    def remove(self, job_id: str, changed: Callable[[], None]) -> None:
        """Call back no more."""
        with self._lock:
            self._changed.get(job_id, set()).discard(changed)
            if not self._changed.get(job_id):
                self._changed.pop(job_id, None)

    def tell(self, job_id: str) -> None:
        """Call all who watch a job."""
        with self._lock:
            watchers = list(self._changed.get(job_id, ()))
        for changed in watchers:
            changed()
