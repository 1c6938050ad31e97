"""The cluster of a demo: made where at most an earlier demo was, and gone when the demo fails or is not kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qserv_py.config import CLUSTER_FILE
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_init import init_cluster, remove_cluster
from qserv_py.demo import place
from qserv_py.demo.steps import DemoListener, timed


@contextmanager
def fresh_cluster(
    directory: Path, *, workers: int, keep: bool, check_disk: Callable[[], None], listener: DemoListener
) -> Iterator[Cluster]:
    """Yield a new cluster; whatever breaks the block off, Ctrl-C too, it is stopped and removed.

    Parameters
    ----------
    keep
        Leave it running when the block ends well.
    check_disk
        Raises ConfigError if there is too little room.

    Raises
    ------
    ConfigError
        If the directory holds something that is not a demo's.
    """
    if place.earlier_demo(directory):
        timed(listener, "earlier demo", lambda: remove_demo(directory), lambda _: "removed")
    check_disk()
    cluster = timed(
        listener,
        "cluster",
        lambda: init_cluster(directory, workers=workers),
        lambda made: f"{len(made.workers)} PostgreSQL servers started",
    )
    kept = False
    try:
        yield cluster
        kept = keep
    finally:
        if not kept:
            remove_demo(directory)


def remove_demo(directory: Path) -> None:
    """Remove a demo: its pipelines, wherever they were broken off, its servers and its files."""
    from qserv_py.pipelines.workflow.control import cancel
    from qserv_py.pipelines.workflow.plan import PLAN_FILE

    for plan in directory.glob(f"submit/**/{PLAN_FILE}"):
        cancel(plan.parent)
    if (directory / CLUSTER_FILE).exists():
        remove_cluster(directory)
    else:  # removed in part before
        shutil.rmtree(directory)
