"""Ends what a killed ingest left: an uncommitted super-transaction's files are removed, a committed one is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from qserv_py.catalog.model import Database
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.loading import load_pending
from qserv_py.ingest.staging import file_prefix
from qserv_py.registry.transactions import (
    TransactionState,
    abort_transaction,
    claim_transaction,
    database_lock,
    mark_loaded,
    transaction,
    unfinished_transactions,
)

CLAIM_WAIT_S = 0.5
"""How long the server may take to notice that the owner of a super-transaction is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One super-transaction that was brought to its end."""

    transaction_id: int
    database: str
    state: TransactionState
    """LOADED or ABORTED."""


def recover(destination: Destination, *, database: str | None = None) -> tuple[Recovered, ...]:
    """Bring super-transactions whose owner is gone to their end; those of living owners are left alone.

    Parameters
    ----------
    database
        Database whose super-transactions are looked at; all databases by default.
    """
    ended = []
    for found in unfinished_transactions(destination.registry, database=database):
        if claim_transaction(destination.registry, found.transaction_id, wait_s=CLAIM_WAIT_S):
            state = _end(destination, found.transaction_id, destination.registry.database(found.database))
            ended.append(Recovered(transaction_id=found.transaction_id, database=found.database, state=state))
    return tuple(ended)


def _end(destination: Destination, transaction_id: int, database: Database) -> TransactionState:
    # Its owner may have ended the super-transaction after the list was read and before the claim.
    state = transaction(destination.registry, transaction_id).state
    if state in (TransactionState.OPEN, TransactionState.ABORTED):
        remove_staged(destination, database, transaction_id)
        abort_transaction(destination.registry, transaction_id, reason="its process ended without committing")
        return TransactionState.ABORTED
    finish_transaction(destination, database, transaction_id)
    return TransactionState.LOADED


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
