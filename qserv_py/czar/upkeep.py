"""What a service does beside its queries: segments are compacted, and what nobody reads any more is dropped.

For example, a site appends a night's rows and publishes them. The 200 chunks that got some have a segment more each;
when they have four small ones, the service writes each four as one, and drops the four when the last query that read
them has ended. Of several services on one cluster one does it at a time.
"""

from __future__ import annotations

import logging
import threading

from qserv_py.closing import Closing
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.errors import QservError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.storage.compaction import CompactionSummary, compact_database
from qserv_py.ingest.storage.upkeep import keep_up

PERIOD_S = 30.0
"""Seconds between two looks."""

log = logging.getLogger("qserv.upkeep")


class UpkeepThread(Closing):
    """Looks after the databases of a cluster until it is closed.

    Parameters
    ----------
    cluster
        The cluster.
    period_s
        Seconds between two looks.
    """

    def __init__(self, cluster: Cluster, *, period_s: float = PERIOD_S) -> None:
        self._cluster = cluster
        self._period_s = period_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qserv-upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look; the first time after a period."""
        self._thread.start()

    def close(self) -> None:
        """End, after the super-transaction that is being worked on."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._period_s):
            try:
                with open_destination(self._cluster) as destination:
                    look_after(destination, closing=self._closing)
            except QservError as error:  # the registry is away, or the disk is full: the next look tries again
                log.warning("the upkeep of the cluster waits: %s", error.message)
            except OSError as error:
                log.warning("the upkeep of the cluster waits: %s", error)
            except Exception:
                log.exception("the upkeep of the cluster met a defect")


def look_after(destination: Destination, *, closing: threading.Event | None = None) -> list[CompactionSummary]:
    """Compact all databases, and drop what nobody reads; return what was compacted.

    Parameters
    ----------
    closing
        Ends it before the next super-transaction when set.
    """
    done = []
    for database in destination.registry.databases():
        if closing is not None and closing.is_set():
            break
        keep_up(destination, database)
        done.append(compact_database(destination, database.name, closing=closing))
    return done
