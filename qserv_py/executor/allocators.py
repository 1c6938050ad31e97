"""Memory that is free goes back to the system, in a process that answers many queries at a time.

By default the C library gives each thread an arena of its own and keeps what was freed in it, and Arrow's own pool
does the like. A service has some sixty threads: it grew by what each of them had ever held at its highest.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's ``mallopt``."""

TRIM_S = 1.0

MAPPED_BYTES = 256 << 10
"""Bytes from which on an allocation is a mapping of its own, which goes when it is freed: large columns of batches."""


def give_back_what_is_free() -> None:
    """Let this process give freed memory back; to be called before it has many threads.

    What the environment says (``MALLOC_ARENA_MAX``, ``ARROW_DEFAULT_MEMORY_POOL`` and the like) stays as it is. Where
    the C library is not glibc nothing is changed in it.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        pa.set_memory_pool(pa.system_memory_pool())
    _set("MALLOC_ARENA_MAX", _ARENA_MAX, max(2, os.cpu_count() or 2))
    _set("MALLOC_MMAP_THRESHOLD_", _MMAP_THRESHOLD, MAPPED_BYTES)
    _set("MALLOC_TRIM_THRESHOLD_", _TRIM_THRESHOLD, MAPPED_BYTES)


@contextmanager
def trimming(is_due: Callable[[], bool]) -> Iterator[None]:
    """Give back, now and then, the pages that are free between others that are in use; until the end of the block.

    Parameters
    ----------
    is_due
        Whether something was freed, probably; asked every ``TRIM_S`` seconds.
    """
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(TRIM_S):
            if is_due():
                trim()

    thread = threading.Thread(target=work, name="qserv-trim", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def trim() -> None:
    """Give back the pages that are free between others that are in use: some 50 ms where there are 200 MiB of them."""
    if _trim is not None:
        _trim(0)


def _set(variable: str, parameter: int, value: int) -> None:
    if variable not in os.environ and _mallopt is not None:
        _mallopt(parameter, value)


_C = ctypes.CDLL(None)
_mallopt = getattr(_C, "mallopt", None)
_trim = getattr(_C, "malloc_trim", None)
