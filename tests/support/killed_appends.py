"""Appends with their publishing and compaction, killed at a chosen moment; a program like ``killed_ingest``."""

from __future__ import annotations

from pathlib import Path

from support.killed_ingest import MOMENTS, serve, watch_all

from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest import publishing, run
from qserv_py.ingest.storage import compaction, upkeep
from qserv_py.workers.row_store import RowStore

ALL = (
    *MOMENTS,
    (publishing, "merge_index_runs"),
    (publishing, "publish_snapshot"),
    (publishing, "keep_up"),
    (compaction, "begin_transaction"),
    (compaction, "write_part"),
    (compaction, "write_index_run"),
    (compaction, "commit_transaction"),
    (compaction, "finish_transaction"),
    (compaction, "publish_compactions"),
    (upkeep, "note_followed"),
    (upkeep, "forget_parts"),
    (RowStore, "show"),
    (RowStore, "show_ref_table"),
)


def append(cluster: str, database: str, table: str, file: str, *, point: int, passed: int) -> None:
    """Ingest a file, publish and compact, watched."""
    watch_all(ALL, point=point, passed=passed)
    with open_destination(open_cluster(cluster), sync=False) as destination:
        path = Path(file)
        run.run_ingest(destination, database=database, table=table, files=[path], rejects_dir=path.parent)
        publishing.publish_database(destination, database)
        compaction.compact_database(destination, database)


if __name__ == "__main__":
    serve(append)
