"""Batches of an input file to rows of a table: columns matched by name, types converted, positions checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.angles import in_degrees
from qserv_py.catalog.model import Column, DirectorTable, Position, PositionFormat, Table
from qserv_py.catalog.snapshot import BoolArray, FloatArray
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.hints import did_you_mean
from qserv_py.ingest.conversion import convert_column, is_text
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.sexagesimal import degrees_of
from qserv_py.partitioner.healpix import positions_out_of_range
from qserv_py.workers.parts import arrow_field

_LONGEST_SHOWN = 40
_DELIMITERS = {";": "';'", "|": "'|'", "\t": "tab"}


@dataclass(frozen=True, slots=True)
class ConvertedRows:
    """Rows in the types of their table, without hidden columns; those of ``rejected`` hold NULL where they misfit."""

    columns: dict[str, pa.Array]
    rejected: tuple[Rejected, ...]


class RowConverter:
    """Converts the batches of one input file.

    Parameters
    ----------
    path
        Input file, or what messages call the input.
    names
        Its columns.

    Raises
    ------
    ContributionError
        If columns are unknown (unless ``ignore_extra``), ambiguous, or missing although they forbid NULL.
    """

    def __init__(self, path: Path | str, names: Sequence[str], table: Table, *, ignore_extra: bool) -> None:
        self._path = path
        self.sources = match_columns(path, names, table, ignore_extra=ignore_extra)
        self._columns = tuple(column for column in table.columns if not column.hidden)
        self._positions = (table.ra, table.dec) if isinstance(table, DirectorTable) else None
        self._position_of = {position.column: position for position in self._positions or ()}

    def convert(self, rows: pa.RecordBatch) -> ConvertedRows:
        """Convert a batch.

        Raises
        ------
        ContributionError
            If a column's type can hold no value of the table's column at all.
        """
        converted: dict[str, pa.Array] = {}
        rejected: list[Rejected] = []
        for column in self._columns:
            if column.name not in self.sources:
                converted[column.name] = pa.nulls(rows.num_rows, arrow_field(column).type)
                continue
            converted[column.name] = self._convert(rows.column(self.sources[column.name]), column, rejected)
        if self._positions is not None:
            rejected += _misplaced(converted, *self._positions)
        return ConvertedRows(converted, tuple(rejected))

    def _convert(self, values: pa.Array, column: Column, rejected: list[Rejected]) -> pa.Array:
        position = self._position_of.get(column.name)
        format = PositionFormat.DEGREES if position is None else position.format
        if format is not PositionFormat.DEGREES:
            if not is_text(values):
                raise ContributionError(
                    f'column "{column.name}" of {self._path} holds {values.type}, '
                    f"the partition file says that it is text in the format {format}"
                )
            degrees, bad = degrees_of(values.cast(pa.string()), format)
            rejected += _rejected(bad, column.name, f"no angle of the format {format}")
            values = pa.array(degrees, mask=np.isnan(degrees))
        elif position is not None and position.unit != "deg":
            numbers = self._converted(values, replace(column, datatype=DataType.DOUBLE, nullable=True), rejected)
            degrees = in_degrees(coordinates(numbers), position.unit)
            values = pa.array(degrees, mask=np.isnan(degrees))
        if position is not None:
            column = replace(column, nullable=True)  # a position that is missing is told as such
        return self._converted(values, column, rejected)

    def _converted(self, values: pa.Array, column: Column, rejected: list[Rejected]) -> pa.Array:
        try:
            result = convert_column(values, column)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise ContributionError(
                f'column "{column.name}" of {self._path} holds {values.type}, '
                f"which cannot become {column.datatype.names.adql}",
                detail=str(error),
            ) from error
        for misfits in result.misfits:
            rejected += _rejected(misfits.where, column.name, misfits.reason)
        return result.values


def match_columns(path: Path | str, names: Sequence[str], table: Table, *, ignore_extra: bool) -> dict[str, str]:
    """Return for each column of a table the column of a file that has its name, whatever the case.

    A name in the same case goes before one that differs in it.
    """
    matched: dict[str, str] = {}
    extra: list[str] = []
    folded = {column.name.lower(): column for column in table.columns if not column.hidden}
    exact = {column.name for column in table.columns if not column.hidden}
    for name in sorted(names, key=lambda name: name not in exact):
        column = name if name in exact else getattr(folded.get(name.lower()), "name", None)
        if column is None or (column in matched and column in names):
            extra.append(name)
        elif column in matched:
            raise ContributionError(f'columns "{matched[column]}" and "{name}" of {path} both mean "{column}"')
        else:
            matched[column] = name
    if extra and not ignore_extra:
        raise _unknown_columns(path, names, extra, table)
    _check_missing(path, matched, table)
    return matched


def _unknown_columns(path: Path | str, names: Sequence[str], extra: Sequence[str], table: Table) -> ContributionError:
    known = [column.name for column in table.columns if not column.hidden]
    shown = extra[0] if len(extra[0]) <= _LONGEST_SHOWN else extra[0][:_LONGEST_SHOWN] + "..."
    more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
    hint = "--ignore-extra leaves such columns out."
    delimiter = next((mark for mark in ";\t|" if mark in extra[0]), None)
    if len(names) == 1 and delimiter is not None:
        hint = f"It is the only column of the file. Is --delimiter {_DELIMITERS[delimiter]} missing?"
    elif meant := did_you_mean(extra[0], known, most=1):
        hint = f"{meant} {hint}"
    return ContributionError(
        f'{path} has a column "{shown}"{more} that table "{table.qualified}" does not have',
        detail=", ".join(f'"{name}"' for name in extra) if len(extra) > 1 else "",
        hint=hint,
    )


def _check_missing(path: Path | str, matched: dict[str, str], table: Table) -> None:
    needed = [column.name for column in table.columns if not column.hidden and not column.nullable]
    if isinstance(table, DirectorTable):
        needed += [table.ra.column, table.dec.column]
    missing = [name for name in dict.fromkeys(needed) if name not in matched]
    if missing:
        raise ContributionError(
            f'{path} has no column "{missing[0]}", which table "{table.qualified}" needs in every row',
            detail=", ".join(f'"{name}"' for name in missing) + " are missing" if len(missing) > 1 else "",
            hint="For CSV, check --delimiter." if not matched else "",
        )


def _rejected(where: BoolArray, column: str, reason: str) -> list[Rejected]:
    return [Rejected(np.flatnonzero(where), column, reason)] if where.any() else []


def coordinates(values: pa.Array) -> FloatArray:
    """Return a column of positions as doubles, NaN where it is NULL."""
    numbers: FloatArray = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return numbers


def _misplaced(columns: dict[str, pa.Array], ra: Position, dec: Position) -> list[Rejected]:
    """Return the rows without a position on the sky."""
    rejected: list[Rejected] = []
    values = {position.column: coordinates(columns[position.column]) for position in (ra, dec)}
    for name, numbers in values.items():
        rejected += _rejected(np.isnan(numbers), name, "position is missing")
    zero = np.zeros(1)
    for position, what in (
        (ra, "right ascension is not in [0, 360) degrees"),
        (dec, "declination is not in [-90, 90]"),
    ):
        numbers = values[position.column]
        outside = positions_out_of_range(*((numbers, zero) if position is ra else (zero, numbers)))
        rejected += _rejected(outside & ~np.isnan(numbers), position.column, what)
    return rejected
