"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

AT_ONCE_S = 20.0
"""Much more than a busy machine needs for what happens at once, much less than the minutes of what is not waited for.

How fast a query ends is measured by ``benchmarks/running_queries.py``.
"""


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0) -> bool:
    """Return whether a condition comes true in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.02)
    return False
