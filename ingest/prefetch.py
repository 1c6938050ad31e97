"""Read ahead in a thread, so that reading a file and working on its rows overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


@contextmanager
def read_ahead(source: Iterator[Item], *, depth: int = 2) -> Iterator[Iterator[Item]]:
    """Give the items of a source that a thread fetches, at most ``depth`` ahead; its exception is raised here."""
    waiting: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(thing: object) -> None:
        while not stop.is_set():
            try:
                waiting.put(thing, timeout=0.1)
            except queue.Full:
                continue
            return

    def fetch() -> None:
        try:
            for item in source:
                put(item)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:  # KeyboardInterrupt and MemoryError are passed on, too
            put(error)

    thread = threading.Thread(target=fetch, name="read-ahead", daemon=True)
    thread.start()
    try:
        yield _items(waiting)
    finally:
        stop.set()
        thread.join()


def _items(waiting: queue.Queue[object]) -> Iterator[Item]:
    while (thing := waiting.get()) is not _END:
        if isinstance(thing, BaseException):
            raise thing
        yield thing  # type: ignore[misc]
