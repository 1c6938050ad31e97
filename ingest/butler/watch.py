"""Loads datasets as the runs of a pipeline finish: looks, loads, waits and looks again, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from qserv_py.errors import ClusterError, NotFoundError, QservError, RepositoryError, TransactionStateError
from qserv_py.ingest.butler.run import DatasetIngest

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0


def watch(
    ingest: DatasetIngest,
    stop: threading.Event,
    *,
    waiting: Callable[[float, QservError | None], None] = lambda seconds, error: None,
    first_wait_s: float = FIRST_WAIT_S,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> None:
    """Load datasets until ``stop`` is set.

    After a look that found nothing the next one comes later, up to a bound. A repository that does not answer, or that
    has no such collection or dataset type yet, is looked at again in the same way: runs that are to come make them.
    Publishing that had to wait for another ingest, in vain, is tried again, too.

    Parameters
    ----------
    waiting
        Told before each wait how long it is, and what kept the look from ending well.
    """
    wait_s = first_wait_s
    while not stop.is_set():
        error: QservError | None = None
        count = 0
        try:
            count = ingest.run()
        except (NotFoundError, RepositoryError, ClusterError, TransactionStateError) as caught:
            error = caught
        wait_s = first_wait_s if count else wait_s
        if stop.is_set():
            return
        waiting(wait_s, error)
        stop.wait(wait_s)
        wait_s = min(2 * wait_s, longest_wait_s)
