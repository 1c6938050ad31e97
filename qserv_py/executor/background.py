"""Rows made in a thread of their own while the caller's stays free."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa

from qserv_py.errors import InternalError, QservError

_PATIENCE_S = 0.05


def in_background(make: Callable[[], Iterator[pa.RecordBatch]], cancel: Callable[[], None]) -> Iterator[pa.RecordBatch]:
    """Yield from an iterator that runs in a thread of its own.

    A merge statement holds its thread inside DuckDB until it ends; the caller's thread stays free for Ctrl-C. Leaving
    early calls ``cancel`` and waits for the thread.
    """
    rows = _Rows()
    thread = threading.Thread(target=rows.fill, args=(make,), name="qserv-merge", daemon=True)
    thread.start()
    finished = False
    try:
        while True:
            item = rows.waiting.get()
            if item is None or isinstance(item, BaseException):
                finished = True
                if item is not None:
                    raise item
                return
            yield item
    finally:
        if not finished:
            rows.gone.set()
            cancel()
        thread.join()


class _Rows:
    """A few batches on their way from one thread to another; the last item is None or an error."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(4)
        self.gone = threading.Event()
        """Set when nobody reads any more."""

    def fill(self, make: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        """Put all that an iterator yields; the work of the thread."""
        try:
            for batch in make():
                if not self._put(batch):
                    return
            self._put(None)
        except QservError as error:
            self._put(error)
        except Exception as error:
            failure = InternalError(f"the query failed in an unforeseen way: {error}")
            failure.__cause__ = error
            self._put(failure)

    def _put(self, item: pa.RecordBatch | BaseException | None) -> bool:
        while not self.gone.is_set():
            try:
                self.waiting.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return True
        return False
