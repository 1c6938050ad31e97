"""Super-transactions, parts and snapshots: what ingest tells the registry, and what it may ask.

The life of a super-transaction (each step one PostgreSQL transaction):

    begin_transaction   OPEN       staged files may appear on disk; nobody names them
    commit_transaction  COMMITTED  parts, chunks and placements exist: the moment of truth
    mark_loaded         LOADED     the row stores hold the rows too
    abort_transaction   ABORTED    from OPEN only; the staged files may be removed

``publish_snapshot`` makes the parts of LOADED transactions visible. The process that works on a transaction holds an
advisory lock on it for as long as its registry connection lives, so another process can tell a killed owner (whose
transaction ``claim_transaction`` hands over) from a busy one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from psycopg.types.json import Jsonb

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.dataset import Image, NewDataset
from qserv_py.catalog.part import ChunkTable, NewChunk, NewPart, Part, PartRole
from qserv_py.errors import NotFoundError, TransactionStateError
from qserv_py.registry import transaction_steps as steps
from qserv_py.registry.connection import Registry
from qserv_py.registry.contents import check_contents
from qserv_py.registry.databases import no_database
from qserv_py.registry.datasets import add_datasets, add_images
from qserv_py.registry.statements import run, stream
from qserv_py.registry.transaction_steps import SuperTransaction, TransactionState

__all__ = [
    "SuperTransaction",
    "TransactionState",
    "abort_transaction",
    "begin_transaction",
    "chunk_tables",
    "claim_transaction",
    "commit_transaction",
    "count_served",
    "database_lock",
    "family_lock",
    "followed_snapshot",
    "mark_loaded",
    "note_followed",
    "parts_of",
    "publish_snapshot",
    "record_contribution",
    "transaction",
    "unfinished_transactions",
    "worker_rows",
]


def begin_transaction(registry: Registry, database: str, *, context: Mapping[str, object] | None = None) -> int:
    """Open a super-transaction on a database and claim it; return its id.

    Raises
    ------
    NotFoundError
        If there is no such database.
    """
    # The claim comes before others can see the row: to a recovery, a transaction without an owner is abandoned.
    with registry.transaction() as connection:
        row = run(connection, "insert_transaction", database=database, context=Jsonb(dict(context or {}))).fetchone()
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
) -> tuple[Part, ...]:
    """Commit: add chunks with their placements, then parts; return the parts with their ids, in the given order.

    Every (table, chunk) that gets a chunk or overlap part has a pending generation afterwards: the one that is pending
    already, or one more than the served one, or 1. So does a ref table that gets a part.

    Parameters
    ----------
    datasets
        Table, dataset and rows of each dataset that the parts hold.
    images
        Images that the rows were measured on.
    new_contents
        Table, and files (SHA-256 to label) whose rows it must not have from another transaction.

    Raises
    ------
    TransactionStateError
        If the transaction is not OPEN (another process has declared it dead), if a new chunk overlaps one that exists,
        if a part names a chunk that is not in the chunk map, or if a table has the rows of a dataset already.
    ContributionError
        If a table has the rows of one of the new contents.
    """
    with registry.transaction() as connection:
        _, family_id = steps.hold(connection, transaction_id, {TransactionState.OPEN})
        if new_contents is not None:  # the database is locked: of two ingests the second is refused
            check_contents(connection, transaction_id, *new_contents)
        if chunks:
            steps.add_chunks(connection, family_id, chunks)
        ids = steps.add_parts(connection, transaction_id, parts)
        add_datasets(connection, transaction_id, datasets)
        add_images(connection, transaction_id, images)
        run(connection, "await_chunk_tables", transaction_id=transaction_id)
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


def parts_of(
    registry: Registry,
    database: str,
    *,
    tables: Collection[str] | None = None,
    roles: Collection[PartRole] | None = None,
    chunks: Collection[ChunkId] | None = None,
    transaction_id: int | None = None,
    published: bool | None = None,
) -> tuple[Part, ...]:
    """Return the committed parts of a database, oldest first; every keyword narrows them, None does not.

    ``published=True`` keeps the parts of the published snapshot, False those that await publishing.
    """
    with registry.connection() as connection:
        rows = stream(
            connection,
            "parts",
            database=database,
            tables=None if tables is None else list(tables),
            roles=None if roles is None else [role.value for role in roles],
            firsts=None if chunks is None else [chunk.first for chunk in chunks],
            transaction_id=transaction_id,
            published=published,
        )
        found = tuple(steps.part_of(row) for row in rows)
    if chunks is None:
        return found
    wanted = set(chunks)  # two chunks of different order may share their first cell
    return tuple(part for part in found if part.chunk in wanted)


def chunk_tables(
    registry: Registry,
    database: str,
    *,
    tables: Collection[str] | None = None,
    transaction_id: int | None = None,
    pending: bool | None = None,
    worker: str | None = None,
    since: int | None = None,
) -> tuple[ChunkTable, ...]:
    """Return the chunk tables (and ref tables) of a database with their generations; every keyword narrows them.

    ``transaction_id`` keeps those that the transaction has parts for, ``pending`` those with (without) a pending
    generation, ``worker`` those of one worker, ``since`` those whose served generation came with a snapshot after that
    one. A pending generation is to hold *all* parts of its table and chunk, published ones too.
    """
    with registry.connection() as connection:
        rows = stream(
            connection,
            "chunk_tables",
            database=database,
            tables=None if tables is None else list(tables),
            transaction_id=transaction_id,
            pending=pending,
            worker=worker,
            since=since,
        )
        return tuple(steps.chunk_table_of(row) for row in rows)


def publish_snapshot(registry: Registry, database: str) -> int:
    """Make all LOADED parts visible: pending generations become the served ones; return the snapshot's number.

    The database's state becomes PUBLISHED. With nothing to publish the number of the present snapshot is returned.

    Raises
    ------
    TransactionStateError
        If a transaction of the database is COMMITTED and not LOADED: load it first.
    """
    with registry.transaction() as connection:
        row = run(connection, "hold_database", name=database).fetchone()
        if row is None:
            raise no_database(database, [known.name for known in registry.databases()])
        database_id, present = row
        unloaded = run(connection, "unloaded_transactions", database_id=database_id).fetchall()
        if unloaded:
            raise TransactionStateError(
                f'{len(unloaded)} super-transactions of database "{database}" are committed and not loaded, '
                f"the first is {unloaded[0][0]}",
                hint="Another ingest may be loading them; try again when it has ended.",
            )
        waiting = run(connection, "unpublished_parts", database_id=database_id).fetchone()
        if present is not None and waiting is not None and not waiting[0]:
            return int(present)
        number = (present or 0) + 1
        tables = [row[0] for row in run(connection, "publish_parts", database_id=database_id, number=number)]
        run(connection, "publish_datasets", database_id=database_id, number=number)
        run(connection, "publish_images", database_id=database_id, number=number)
        run(connection, "publish_chunk_tables", table_ids=tables, number=number)
        run(connection, "publish_ref_tables", table_ids=tables, number=number)
        for table_id in tables:
            run(connection, "write_table_snapshot", table_id=table_id)
        run(connection, "insert_snapshot", database_id=database_id, number=number)
        run(connection, "bump_database_version", database_id=database_id)
    return number


def count_served(registry: Registry, database: str) -> int:
    """Return how many chunk tables (and ref tables) of a database are served."""
    return int(registry.look_up("count_served", database=database)[0][0])


def followed_snapshot(registry: Registry, database: str, worker: str) -> int:
    """Return the last snapshot that a shard's parents and views have followed; 0 without one."""
    rows = registry.look_up("followed_snapshot", database=database, worker=worker)
    return int(rows[0][0]) if rows else 0


def note_followed(registry: Registry, database: str, worker: str, snapshot: int) -> None:
    """Write down that a shard's parents and views have followed a snapshot."""
    with registry.connection() as connection:
        run(connection, "note_followed", database=database, worker=worker, number=snapshot)


def worker_rows(registry: Registry) -> dict[str, int]:
    """Return the rows of all committed chunk parts of each worker; 0 for a worker without any."""
    with registry.connection() as connection:
        return {name: int(rows) for name, rows in run(connection, "worker_rows")}


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
