"""Steps that the calls of ``transactions`` are made of: locks, rows, chunks and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from psycopg.errors import UniqueViolation

from qserv_py.catalog.part import NewChunk, NewPart, Part
from qserv_py.errors import ContributionError, NotFoundError, TransactionStateError
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import Connection, run

Row = tuple[Any, ...]

_MAP_CHANGED = "Chunks of a family never overlap; its map changed after this ingest had read it."

AGAIN_HINT = "Its rows would be there twice; --again loads them all the same."


class TransactionState(StrEnum):
    """State of a super-transaction."""

    OPEN = "OPEN"
    COMMITTED = "COMMITTED"
    LOADED = "LOADED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperTransaction:
    """Contributions over all workers that stand or fall together."""

    transaction_id: int
    database: str
    state: TransactionState
    context: Mapping[str, object]
    """What the process that opened it noted: files, host, process id."""

    started_at: datetime
    compacts: bool
    """Whether it is a compaction, whose rows others hold, too."""


def lock_name(transaction_id: int) -> str:
    """Return the name of the lock that a transaction's owner holds."""
    return f"qserv super-transaction {transaction_id}"


def disown(registry: Registry, transaction_id: int) -> None:
    """Give up the claim on a transaction that is done."""
    with registry.connection() as connection:
        if transaction_id in registry.owned:
            run(connection, "unlock", name=lock_name(transaction_id))
            registry.owned.discard(transaction_id)


def hold(connection: Connection, transaction_id: int, allowed: set[TransactionState]) -> tuple[TransactionState, int]:
    """Lock the rows of a transaction and its database; return its state and the family's id.

    Raises
    ------
    NotFoundError
        If there is no such transaction.
    TransactionStateError
        If its state is not among the allowed ones.
    """
    row = run(connection, "hold_transaction", transaction_id=transaction_id).fetchone()
    if row is None:
        raise NotFoundError(f"there is no super-transaction {transaction_id}")
    database, state, family_id = row[0], TransactionState(row[1]), row[3]
    if state not in allowed:
        wanted = " or ".join(sorted(allowed))
        taken = "An OPEN one becomes ABORTED when another process finds its owner gone; run the ingest again."
        raise TransactionStateError(
            f'super-transaction {transaction_id} of database "{database}" is {state}, not {wanted}',
            hint=taken if state is TransactionState.ABORTED else "",
        )
    return state, int(family_id)


def set_state(connection: Connection, transaction_id: int, state: TransactionState, reason: str = "") -> None:
    """Move a transaction that is held to another state."""
    run(connection, "set_transaction_state", transaction_id=transaction_id, state=state.value, reason=reason)


def add_chunks(connection: Connection, family_id: int, chunks: Sequence[NewChunk]) -> None:
    """Add chunks and their placements; TransactionStateError if two share sky or a worker is not known."""
    family = run(connection, "hold_family", family_id=family_id).fetchone()
    name = family[0] if family else family_id
    try:
        added = run(
            connection,
            "insert_chunks",
            family_id=family_id,
            orders=[new.chunk.order for new in chunks],
            pixels=[new.chunk.pixel for new in chunks],
            workers=[new.worker for new in chunks],
        ).rowcount
    except UniqueViolation as error:
        raise TransactionStateError(
            f'a new chunk of family "{name}" begins where an existing one does', detail=_MAP_CHANGED
        ) from error
    run(connection, "bump_family_version", family_id=family_id)
    clash = run(connection, "overlapping_chunks", family_id=family_id).fetchone()
    if clash is not None:
        raise TransactionStateError(
            f'chunks {clash[0]}/{clash[1]} and {clash[2]}/{clash[3]} of family "{name}" share sky', detail=_MAP_CHANGED
        )
    if added != len(chunks):
        raise TransactionStateError(
            f'{added} of {len(chunks)} new chunks of family "{name}" could be placed; the others name no known worker'
        )


def add_parts(connection: Connection, transaction_id: int, parts: Sequence[NewPart]) -> list[int]:
    """Add parts; return their ids in the order given. TransactionStateError if one names what does not exist."""
    rows = run(
        connection,
        "insert_parts",
        transaction_id=transaction_id,
        tables=[part.table for part in parts],
        roles=[part.role.value for part in parts],
        orders=[None if part.chunk is None else part.chunk.order for part in parts],
        pixels=[None if part.chunk is None else part.chunk.pixel for part in parts],
        workers=[part.worker for part in parts],
        paths=[part.path for part in parts],
        rows=[part.rows for part in parts],
        bytes=[part.bytes for part in parts],
        sha256s=[part.sha256 for part in parts],
        farthest_pairs=[part.farthest_pair_deg for part in parts],
    ).fetchall()
    if len(rows) != len(parts):
        raise TransactionStateError(
            f"{len(rows)} of {len(parts)} parts of super-transaction {transaction_id} could be recorded; "
            "the others name a table, a chunk or a worker that the registry does not know"
        )
    return sorted(int(row[0]) for row in rows)


def add_replacements(connection: Connection, transaction_id: int, replaced: Sequence[int]) -> None:
    """Say which parts the parts of a compaction replace; TransactionStateError if one is replaced already."""
    if not replaced:
        return
    written = run(connection, "insert_replacements", transaction_id=transaction_id, part_ids=list(replaced)).rowcount
    if written != len(replaced):
        raise TransactionStateError(
            f"{len(replaced) - written} of the {len(replaced)} parts that a compaction holds again are replaced already"
        )


def check_contents(connection: Connection, transaction_id: int, table: str, labels: Mapping[str, str]) -> None:
    """Raise unless every other super-transaction brought a table the rows of other files than these.

    A file is known by the SHA-256 of its content, which its contribution records. It counts once its super-transaction
    has committed: an ingest that failed has left no rows.

    Parameters
    ----------
    labels
        What messages call each file, by the SHA-256 of its content.

    Raises
    ------
    ContributionError
        If a table has the rows of one of the files; names the first such file and counts the others.
    """
    rows = run(
        connection, "loaded_contents", transaction_id=transaction_id, table=table, sha256s=list(labels)
    ).fetchall()
    if not rows:
        return
    sha256, source, loaded_by, moment = rows[0]
    more = len({row[0] for row in rows}) - 1
    others = f"; so it has those of {more} more {'file' if more == 1 else 'files'}" if more else ""
    raise ContributionError(
        f'{labels[sha256]}: table "{table}" has the rows of this file already{others}; nothing was loaded',
        detail=f"Super-transaction {loaded_by} loaded {source} on {moment.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC; "
        f"the content is the same, SHA-256 {sha256}.",
        hint=AGAIN_HINT,
    )


def known_part(part: NewPart, *, part_id: int, transaction_id: int) -> Part:
    """Return the part as the registry knows it after its commit."""
    fields = {field: getattr(part, field) for field in NewPart.__slots__}
    return Part(**fields, part_id=part_id, transaction_id=transaction_id, snapshot=None)


def transaction_of(row: Row) -> SuperTransaction:
    """Return the super-transaction of a row of ``czar/transaction``."""
    return SuperTransaction(
        transaction_id=row[0],
        database=row[1],
        state=TransactionState(row[2]),
        context=row[3],
        started_at=row[4],
        compacts=row[5],
    )
