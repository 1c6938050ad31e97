"""Reads chunks from the registry: its binary columns become arrays, in some milliseconds for 100,000 chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qserv_py.catalog.pieces import FamilyPiece, TableRows
from qserv_py.catalog.snapshot import DatabaseVersion, FamilyState, IntArray
from qserv_py.registry.statements import Connection, run

Row = tuple[Any, ...]


def read_family(connection: Connection, family: str) -> FamilyPiece:
    """Return the chunk map of one family, empty when it has no chunks or is not known."""
    names = {row[0]: row[1] for row in run(connection, "workers")}
    row = run(connection, "family_chunks", family=family).fetchone()
    version, orders, pixels, worker_ids = row or (0, b"", b"", b"")
    known = np.array(sorted(names), dtype=np.int64)
    ids = _integers(worker_ids, ">i4")
    places = np.searchsorted(known, ids)
    state = FamilyState(
        orders=_integers(orders, ">i2"),
        pixels=_integers(pixels, ">i8"),
        workers=_frozen(np.where(ids < 0, -1, places)),
        worker_names=tuple(names[number] for number in sorted(names)),
    )
    return FamilyPiece(version=int(version), state=state)


def read_table_rows(connection: Connection, version: DatabaseVersion) -> Mapping[str, TableRows] | None:
    """Return what queries see of a database's tables, by name; None when the database was published anew since."""
    rows = run(connection, "table_snapshots", database_id=version.database_id, version=version.version).fetchall()
    return {row[0]: _table_rows(row) for row in rows} if rows else None


def _table_rows(row: Row) -> TableRows:
    if row[1] is None:
        row = (row[0], b"", b"", b"", b"", b"", (), 0, 0, None, ())
    return TableRows(
        orders=_integers(row[1], ">i2"),
        pixels=_integers(row[2], ">i8"),
        rows=_integers(row[3], ">i8"),
        generations=_integers(row[4], ">i4"),
        has_overlap=np.frombuffer(row[5], dtype=np.bool_),
        ref_generations=tuple(row[6]),
        total_rows=row[7],
        total_bytes=row[8],
        farthest_pair_deg=row[9],
        index_runs=tuple(row[10]),
    )


def _integers(column: bytes, form: str) -> IntArray:
    return _frozen(np.frombuffer(column, dtype=form).astype(np.int64))


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
