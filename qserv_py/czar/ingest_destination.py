"""A cluster as ingest uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qserv_py.czar.cluster import Cluster
from qserv_py.ingest.destination import Destination


@contextmanager
def open_destination(cluster: Cluster, *, sync: bool = True) -> Iterator[Destination]:
    """Yield the destination of ingests into a running cluster; its registry's connection is closed at the end.

    Parameters
    ----------
    sync
        Flush files to the disk before a commit names them.
    """
    with cluster.registry() as registry:
        yield Destination(
            registry=registry,
            workers=cluster.workers,
            admin=cluster.admin,
            czar_dir=cluster.config.czar_dir,
            sync=sync,
        )
