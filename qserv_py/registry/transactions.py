"""Super-transactions, parts and snapshots: what ingest tells the registry, and what it may ask.

The life of a super-transaction (each step one PostgreSQL transaction):

    begin_transaction   OPEN       staged files may appear on disk; nobody names them
    commit_transaction  COMMITTED  parts, chunks and placements exist: the moment of truth
    mark_loaded         LOADED     the row stores hold the rows too
    abort_transaction   ABORTED    from OPEN only; the staged files may be removed

``snapshots.publish_snapshot`` makes the parts of LOADED transactions visible. The process that works on a transaction
holds an advisory lock on it for as long as its registry connection lives, so another process can tell a killed owner
(whose transaction ``claim_transaction`` hands over) from a busy one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from psycopg.types.json import Jsonb

from qserv_py.catalog.dataset import Image, NewDataset
from qserv_py.catalog.part import NewChunk, NewPart, Part
from qserv_py.errors import NotFoundError
from qserv_py.registry import transaction_steps as steps
from qserv_py.registry.connection import Registry
from qserv_py.registry.databases import no_database
from qserv_py.registry.datasets import add_datasets, add_images
from qserv_py.registry.statements import run
from qserv_py.registry.transaction_steps import SuperTransaction, TransactionState

__all__ = [
    "SuperTransaction",
    "TransactionState",
    "abort_transaction",
    "begin_transaction",
    "claim_transaction",
    "commit_transaction",
    "database_lock",
    "family_lock",
    "mark_loaded",
    "record_contribution",
    "transaction",
    "undo_compaction",
    "unfinished_transactions",
]


def begin_transaction(
    registry: Registry, database: str, *, context: Mapping[str, object] | None = None, compacts: bool = False
) -> int:
    """Open a super-transaction on a database and claim it; return its id.

    Parameters
    ----------
    context
        What the process notes for people: files, host, process id.
    compacts
        Whether its parts are to hold rows again that others hold.

    Raises
    ------
    NotFoundError
        If there is no such database.
    """
    # The claim comes before others can see the row: to a recovery, a transaction without an owner is abandoned.
    with registry.transaction() as connection:
        values = {"database": database, "context": Jsonb(dict(context or {})), "compacts": compacts}
        row = run(connection, "insert_transaction", **values).fetchone()
        if row is None:
            raise no_database(database, [known.name for known in registry.databases()])
        transaction_id = int(row[0])
        run(connection, "lock", name=steps.lock_name(transaction_id))
        registry.owned.add(transaction_id)
    return transaction_id


def claim_transaction(registry: Registry, transaction_id: int) -> bool:
    """Become the owner of a transaction whose owner is gone; False while the server sees the owner.

    The claim ends with ``mark_loaded``, ``abort_transaction`` or the registry's connection.
    """
    with registry.connection() as connection:
        if transaction_id in registry.owned:
            return True
        row = run(connection, "try_lock", name=steps.lock_name(transaction_id)).fetchone()
        if row is None or not row[0]:
            return False
        registry.owned.add(transaction_id)
        return True


def record_contribution(
    registry: Registry,
    transaction_id: int,
    *,
    table: str,
    source: str,
    format: str,
    bytes: int,
    rows_read: int,
    rows_loaded: int,
    rows_rejected: int,
    reject_file: str | None = None,
    error: str | None = None,
    sha256: str | None = None,
) -> int:
    """Write down what came of one input file; return the contribution's id."""
    values = {"table": table, "source": source, "format": format, "bytes": bytes, "rows_read": rows_read}
    values |= {"rows_loaded": rows_loaded, "rows_rejected": rows_rejected, "reject_file": reject_file, "error": error}
    values |= {"sha256": sha256}
    with registry.connection() as connection:
        row = run(connection, "insert_contribution", transaction_id=transaction_id, **values).fetchone()
    if row is None:
        raise NotFoundError(f'super-transaction {transaction_id} has no table "{table}" in its database')
    return int(row[0])


def commit_transaction(
    registry: Registry,
    transaction_id: int,
    *,
    parts: Sequence[NewPart],
    chunks: Sequence[NewChunk] = (),
    datasets: Sequence[tuple[str, NewDataset, int]] = (),
    images: Sequence[Image] = (),
    new_contents: tuple[str, Mapping[str, str]] | None = None,
    replaced: Sequence[int] = (),
) -> tuple[Part, ...]:
    """Commit: add chunks with their placements, then parts; return the parts with their ids, in the given order.

    Every (table, chunk) that gets a chunk or overlap part has a segment that waits afterwards: the one that waits
    already, or a new one. So does a ref table that gets a part.

    Parameters
    ----------
    datasets
        Table, dataset and rows of each dataset that the parts hold.
    images
        Images that the rows were measured on.
    new_contents
        Table, and files (SHA-256 to label) whose rows it must not have from another transaction.
    replaced
        Ids of the published parts whose rows a compaction holds again.

    Raises
    ------
    TransactionStateError
        If the transaction is not OPEN (another process has declared it dead), if a new chunk overlaps one that exists,
        if a part names a chunk that is not in the chunk map, if a replaced part has been replaced by another
        compaction, or if a table has the rows of a dataset already.
    ContributionError
        If a table has the rows of one of the new contents.
    """
    with registry.transaction() as connection:
        _, family_id = steps.hold(connection, transaction_id, {TransactionState.OPEN})
        if new_contents is not None:  # the database is locked: of two ingests the second is refused
            steps.check_contents(connection, transaction_id, *new_contents)
        if chunks:
            steps.add_chunks(connection, family_id, chunks)
        ids = steps.add_parts(connection, transaction_id, parts)
        add_datasets(connection, transaction_id, datasets)
        add_images(connection, transaction_id, images)
        run(connection, "await_segments", transaction_id=transaction_id)
        steps.add_replacements(connection, transaction_id, replaced)
        run(connection, "add_worker_rows", transaction_id=transaction_id)
        steps.set_state(connection, transaction_id, TransactionState.COMMITTED)
    return tuple(
        steps.known_part(part, part_id=part_id, transaction_id=transaction_id)
        for part, part_id in zip(parts, ids, strict=True)
    )


def mark_loaded(registry: Registry, transaction_id: int) -> None:
    """COMMITTED to LOADED: all row stores hold the transaction's parts. Does nothing if it is LOADED already."""
    with registry.transaction() as connection:
        state, _ = steps.hold(connection, transaction_id, {TransactionState.COMMITTED, TransactionState.LOADED})
        if state is TransactionState.COMMITTED:
            steps.set_state(connection, transaction_id, TransactionState.LOADED)
    steps.disown(registry, transaction_id)


def abort_transaction(registry: Registry, transaction_id: int, *, reason: str = "") -> None:
    """OPEN to ABORTED. Does nothing if it is ABORTED already; TransactionStateError if it is COMMITTED or LOADED."""
    with registry.transaction() as connection:
        state, _ = steps.hold(connection, transaction_id, {TransactionState.OPEN, TransactionState.ABORTED})
        if state is TransactionState.OPEN:
            steps.set_state(connection, transaction_id, TransactionState.ABORTED, reason)
    steps.disown(registry, transaction_id)


def undo_compaction(registry: Registry, transaction_id: int, *, reason: str) -> None:
    """COMMITTED to ABORTED, of a compaction: its parts are forgotten. Does nothing if it is not COMMITTED."""
    with registry.transaction() as connection:
        state, _ = steps.hold(connection, transaction_id, set(TransactionState))
        if state is TransactionState.COMMITTED:
            run(connection, "undo_compaction", transaction_id=transaction_id, reason=reason)
            run(connection, "forget_compaction", transaction_id=transaction_id)
    steps.disown(registry, transaction_id)


def unfinished_transactions(registry: Registry, *, database: str | None = None) -> tuple[SuperTransaction, ...]:
    """Return the OPEN and COMMITTED transactions, oldest first, whether or not their owners live."""
    with registry.connection() as connection:
        rows = run(connection, "unfinished_transactions", database=database)
        return tuple(steps.transaction_of(row) for row in rows)


def transaction(registry: Registry, transaction_id: int) -> SuperTransaction:
    """Return a transaction in its present state; NotFoundError if there is none."""
    with registry.connection() as connection:
        row = run(connection, "transaction", transaction_id=transaction_id).fetchone()
    if row is None:
        raise NotFoundError(f"there is no super-transaction {transaction_id}")
    return steps.transaction_of(row)


@contextmanager
def family_lock(registry: Registry, family: str) -> Iterator[None]:
    """Hold a family's chunk map: from reading it to committing chunks. Waits for other holders, in any process."""
    with registry.lock(f"qserv family {family}"):
        yield


@contextmanager
def database_lock(registry: Registry, database: str) -> Iterator[None]:
    """Hold a database's row stores while loading or reconciling them. Waits for other holders, in any process."""
    with registry.lock(f"qserv row stores of {database}"):
        yield
