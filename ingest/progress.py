"""Counting rows from several threads for one listener."""

from __future__ import annotations

import threading

from qserv_py.ingest.requests import IngestProgress, IngestStage, ProgressListener


class RowCounter:
    """Counts the rows of a stage and tells the listener."""

    def __init__(self, listener: ProgressListener, stage: IngestStage, total: int | None) -> None:
        self._listener = listener
        self._stage = stage
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        if total is not None:
            self._listener(IngestProgress(stage, 0, total))

    def add(self, rows: int) -> None:
        """Count further rows."""
        with self._lock:
            self._done += rows
            self._listener(IngestProgress(self._stage, self._done, self._total))

    def tell(self, done: int, total: int | None) -> None:
        """Say how many rows are done in all."""
        with self._lock:
            self._listener(IngestProgress(self._stage, done, total))
