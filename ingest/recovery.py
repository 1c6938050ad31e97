"""Ends what a killed ingest left: an uncommitted super-transaction's files are removed, a committed one is loaded."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qserv_py.catalog.model import Database
from qserv_py.errors import WorkerError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.loading import load_pending
from qserv_py.ingest.staging import file_prefix
from qserv_py.registry.snapshots import segments_of
from qserv_py.registry.transactions import (
    SuperTransaction,
    TransactionState,
    abort_transaction,
    claim_transaction,
    database_lock,
    mark_loaded,
    transaction,
    undo_compaction,
    unfinished_transactions,
)
from qserv_py.workers.row_store import RowStore

CLAIM_WAIT_S = 0.5
"""How long the server may take to notice that the owners of super-transactions are gone, for all of them together."""

CLAIM_AGAIN_S = 0.02
"""Pause between two attempts to claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One super-transaction that was brought to its end."""

    transaction_id: int
    database: str
    state: TransactionState
    """LOADED or ABORTED."""


def process_context() -> dict[str, object]:
    """Return what a super-transaction notes of the process that works on it."""
    return {"host": socket.gethostname(), "pid": os.getpid()}


def recover(destination: Destination, *, database: str | None = None) -> tuple[Recovered, ...]:
    """Bring super-transactions whose owner is gone to their end; those of living owners are left alone.

    Parameters
    ----------
    database
        Database whose super-transactions are looked at; all databases by default.
    """
    ended = []
    for found in _claimed(destination, unfinished_transactions(destination.registry, database=database)):
        state = _end(destination, found.transaction_id, destination.registry.database(found.database))
        ended.append(Recovered(transaction_id=found.transaction_id, database=found.database, state=state))
    return tuple(ended)


def _claimed(destination: Destination, unfinished: tuple[SuperTransaction, ...]) -> Iterator[SuperTransaction]:
    """Claim super-transactions one after the other, and yield those whose owner is gone.

    The claim alone decides. Where an owner is seen to live nothing is waited for; for the others the wait is a common
    one, as the server notices a moment after a process has been killed that its connection is gone.
    """
    ends = time.monotonic() + CLAIM_WAIT_S
    while True:
        held = []
        for found in unfinished:
            if claim_transaction(destination.registry, found.transaction_id):
                yield found
            else:
                held.append(found)
        unfinished = tuple(found for found in held if not _is_seen_to_live(found))
        if not unfinished or time.monotonic() >= ends:
            return
        time.sleep(CLAIM_AGAIN_S)


def _is_seen_to_live(found: SuperTransaction) -> bool:
    """Whether the process that began a super-transaction is another one on this machine, and runs."""
    pid = found.context.get("pid")
    if found.context.get("host") != socket.gethostname() or pid == os.getpid():
        return False  # this process may have closed the connection and forgotten the ingest
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def _end(destination: Destination, transaction_id: int, database: Database) -> TransactionState:
    # Its owner may have ended the super-transaction after the list was read and before the claim.
    found = transaction(destination.registry, transaction_id)
    state = found.state
    if found.compacts and state is TransactionState.COMMITTED:
        break_off_compaction(destination, database, transaction_id, reason="its process ended before it was loaded")
        return TransactionState.ABORTED
    if state in (TransactionState.OPEN, TransactionState.ABORTED):
        remove_staged(destination, database, transaction_id)
        abort_transaction(destination.registry, transaction_id, reason="its process ended without committing")
        return TransactionState.ABORTED
    finish_transaction(destination, database, transaction_id)
    return TransactionState.LOADED


def break_off_compaction(destination: Destination, database: Database, transaction_id: int, *, reason: str) -> None:
    """Undo a compaction that is committed and not loaded: the segments that it was to replace are whole."""
    for segment in segments_of(destination.registry, database.name, transaction_id=transaction_id):
        table = database.table(segment.table)
        relations = [
            table.relation(segment.chunk, generation=segment.generation, overlap=overlap) for overlap in (False, True)
        ]
        for worker in segment.workers:
            with (
                suppress(WorkerError),
                RowStore(worker, destination.admin[worker]) as store,
            ):  # else it is replaced later
                store.show(database.physical, table, (), drop=relations)
    remove_staged(destination, database, transaction_id)
    undo_compaction(destination.registry, transaction_id, reason=reason)


def finish_transaction(
    destination: Destination,
    database: Database,
    transaction_id: int,
    *,
    loaded: Callable[[int], None] = lambda rows: None,
) -> None:
    """Load what a committed super-transaction brought, and remove its spool."""
    shutil.rmtree(destination.spool_dir(transaction_id), ignore_errors=True)
    with database_lock(destination.registry, database.name):
        load_pending(destination, database, transaction_id=transaction_id, loaded=loaded)
    mark_loaded(destination.registry, transaction_id)


def remove_staged(destination: Destination, database: Database, transaction_id: int) -> int:
    """Remove the files of a super-transaction that did not commit; return how many there were."""
    shutil.rmtree(destination.spool_dir(transaction_id), ignore_errors=True)
    folders = [destination.parts_dir(worker.name) / database.physical for worker in destination.workers]
    folders.append(destination.czar_dir / "index" / database.physical)
    removed = 0
    for folder in folders:
        for file in list(folder.rglob(f"{file_prefix(transaction_id)}*")):
            file.unlink(missing_ok=True)
            removed += 1
    return removed
