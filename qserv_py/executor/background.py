"""Rows made in a thread of their own while the caller's stays free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from qserv_py.cancelling import Cancel
from qserv_py.errors import InternalError, QservError
from qserv_py.executor.handover import Handover

MOST_WAITING = 4
"""Batches that the working thread may have ready before it waits for the reader."""


@dataclass(frozen=True, slots=True)
class _End:
    """Marks the end of the rows in the queue: it comes after the last batch."""

    failure: BaseException | None = None


class BackgroundRows:
    """Rows of an iterator that runs in a thread of its own. ``batches`` may be iterated once.

    A merge statement holds its thread inside DuckDB until it ends; the caller's thread stays free for Ctrl-C.

    Parameters
    ----------
    make
        Makes the iterator, in the thread.
    cancel
        Says when the rows are not wanted any more.
    """

    def __init__(self, make: Callable[[], Iterator[pa.RecordBatch]], cancel: Cancel) -> None:
        self._make = make
        self._cancel = cancel
        self._coming: Handover[pa.RecordBatch | _End] = Handover(MOST_WAITING)
        self._thread = threading.Thread(target=self._fill, name="qserv-merge", daemon=True)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; the thread may outlive them when they are left early."""
        with self._cancel.calling(self._coming.close):
            self._thread.start()
            try:
                while not isinstance(item := self._coming.get(), _End):
                    if item is None:
                        raise self._cancel.reason
                    yield item
                if item.failure is not None:
                    raise item.failure
            finally:
                self._coming.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread, for some seconds at the most; return whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _fill(self) -> None:
        """Hand over all that the iterator yields; the work of the thread."""
        self._coming.put(self._hand_over())

    def _hand_over(self) -> _End:
        try:
            for batch in self._make():
                if not self._coming.put(batch):
                    break
        except QservError as error:
            return _End(error)
        except Exception as error:
            failure = InternalError(f"the query failed in an unforeseen way: {error}")
            failure.__cause__ = error
            return _End(failure)
        return _End()
