"""Batches of an input file to rows of a table: columns matched by name, types converted, positions checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import ChildTable, Column, DirectorTable, MatchTable, Position, Table
from qserv_py.catalog.positions import Coordinate, is_main, is_named
from qserv_py.catalog.types import DataType
from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.hints import did_you_mean, question
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.conversion import convert_column
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, ValueRules, found, numpy_mask
from qserv_py.ingest.values.positions import FilePositions
from qserv_py.ingest.values.units import unit_notes
from qserv_py.workers.chunk_tables import index_columns
from qserv_py.workers.parts import arrow_field

_LONGEST_SHOWN = 40
_NAMES_SHOWN = 12
_DELIMITERS = {";": "';'", "|": "'|'", "\t": "tab", " ": "' '"}
_MEANT_SHOWN = 3
_INDEX_BYTES = 2600
"""What an entry of a b-tree of PostgreSQL may have: a third of a page, less what stands beside the values."""


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
        Names of the file's columns.
    told
        What the file says of its columns, as ``Reader.described``.

    Raises
    ------
    ContributionError
        If columns are unknown (unless the options ignore them), ambiguous, or missing although they forbid NULL; if the
        file says that its positions are others than those of the table.
    """

    def __init__(
        self,
        path: Path | str,
        names: Sequence[str],
        table: Table,
        options: InputOptions,
        *,
        told: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        self._path = path
        self.sources = match_columns(path, names, table, ignore_extra=options.ignore_extra, told=told)
        self._columns = tuple(column for column in table.columns if not column.hidden)
        self._rules = ValueRules(keep_nan=options.keep_nan, exact_times=options.exact_times)
        about = {column: told[source] for column, source in self.sources.items() if told.get(source)}
        self._positions = _positions(path, table, about, wrap_ra=options.wrap_ra)
        self._unit_notes = unit_notes(table, about, except_for=_position_columns(table))
        self._longest = _longest_indexed(table)
        self._rounded = 0

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
            result = self._convert(rows.column(self.sources[column.name]), column)
            for misfits in (*result.misfits, *self._too_long(column, result.values)):
                rejected.append(Rejected(np.flatnonzero(misfits.where), column.name, misfits.reason))
            self._rounded += result.rounded
            converted[column.name] = result.values
        if self._positions is not None:
            rejected += self._positions.check(converted)
        return ConvertedRows(converted, tuple(rejected))

    def _too_long(self, column: Column, values: pa.Array) -> tuple[Misfits, ...]:
        """Return the values of an indexed column that its index cannot hold."""
        longest = self._longest.get(column.name)
        if longest is None:
            return ()
        reason = f"longer than {longest} bytes, in a column that has an index"
        return found(numpy_mask(pc.greater(pc.binary_length(values), longest)), reason)

    def notes(self) -> list[str]:
        """Return what was done to values and what looks odd about them so far."""
        said = [*self._unit_notes, *(self._positions.notes() if self._positions else ())]
        if self._rounded:
            said.append(f"{counted(self._rounded, 'time')} rounded to microseconds")
        return said

    def _convert(self, values: pa.Array, column: Column) -> ConvertedColumn:
        position = self._positions.column(column.name) if self._positions else None
        try:
            if self._positions is not None and position is not None:
                return self._positions.degrees(values, column, position, self._rules)
            return convert_column(values, column, self._rules)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise ContributionError(
                f'column "{column.name}" of {self._path} holds {values.type}, '
                f"which cannot become {column.datatype.names.adql}",
                detail=str(error),
            ) from error


def _longest_indexed(table: Table) -> dict[str, int]:
    """Return how many bytes the values of texts and byte strings in indexes may have."""
    longest: dict[str, int] = {}
    for names in index_columns(table):
        for name in names:
            datatype = table.column(name).datatype
            if datatype.is_text or datatype is DataType.BINARY:
                longest[name] = min(longest.get(name, _INDEX_BYTES), _INDEX_BYTES // len(names))
    return longest


def _positions(
    path: Path | str, table: Table, told: Mapping[str, Mapping[str, str]], *, wrap_ra: bool
) -> FilePositions | None:
    match table:
        case DirectorTable():
            return FilePositions(path, table.ra, table.dec, told, needed=True, wrap_ra=wrap_ra)
        case ChildTable(ra=Position() as ra, dec=Position() as dec):
            return FilePositions(path, ra, dec, told, needed=False, wrap_ra=wrap_ra)
    return None


def _position_columns(table: Table) -> frozenset[str]:
    match table:
        case DirectorTable(ra=ra, dec=dec) | ChildTable(ra=Position() as ra, dec=Position() as dec):
            return frozenset({ra.column, dec.column})
    return frozenset()


def match_columns(
    path: Path | str,
    names: Sequence[str],
    table: Table,
    *,
    ignore_extra: bool,
    told: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> dict[str, str]:
    """Return for each column of a table the column of a file that has its name, whatever the case.

    A name that agrees in case, too, is preferred. ``told`` is what the file says of its columns.
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
    if len(names) > 1:  # a single column is one of another delimiter
        _check_missing(path, names, matched, table, told)
    if extra and not ignore_extra:
        raise _unknown_columns(path, names, extra, table)
    _check_missing(path, names, matched, table, told)
    return matched


def _unknown_columns(path: Path | str, names: Sequence[str], extra: Sequence[str], table: Table) -> ContributionError:
    known = [column.name for column in table.columns if not column.hidden]
    shown = extra[0] if len(extra[0]) <= _LONGEST_SHOWN else extra[0][:_LONGEST_SHOWN] + "..."
    more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
    hint = "--ignore-extra leaves such columns out."
    delimiter = next((mark for mark in ";\t| " if mark in extra[0]), None)
    if len(names) == 1 and delimiter is not None:
        hint = f"It is the only column of the file. Is --delimiter {_DELIMITERS[delimiter]} missing?"
    elif meant := did_you_mean(extra[0], known, most=1):
        hint = f"{meant} {hint}"
    return ContributionError(
        f'{path} has a column "{shown}"{more} that table "{table.qualified}" does not have',
        detail=", ".join(f'"{name}"' for name in extra) if len(extra) > 1 else "",
        hint=hint,
    )


def _check_missing(
    path: Path | str,
    names: Sequence[str],
    matched: dict[str, str],
    table: Table,
    told: Mapping[str, Mapping[str, str]],
) -> None:
    needed = [column.name for column in table.columns if not column.hidden and not column.nullable]
    if isinstance(table, DirectorTable):
        needed += [table.ra.column, table.dec.column]
    if isinstance(table, MatchTable):
        needed += table.keys  # a row may have one of them alone, a file has both
    missing = [name for name in dict.fromkeys(needed) if name not in matched]
    if missing:
        free = [name for name in names if name not in matched.values()]
        raise ContributionError(
            f'{path} has no column "{missing[0]}", which table "{table.qualified}" needs in every row',
            detail=", ".join(f'"{name}"' for name in missing) + " are missing" if len(missing) > 1 else "",
            hint=f"{_meant(missing[0], free, table, told)} {_columns_text(names)}".strip(),
        )


def _meant(name: str, free: Sequence[str], table: Table, told: Mapping[str, Mapping[str, str]]) -> str:
    """Return which columns of a file may be one of the table: of a coordinate those that the file says to be it."""
    coordinates = {}
    if isinstance(table, DirectorTable):
        coordinates = {table.ra.column: Coordinate.RA, table.dec.column: Coordinate.DEC}
    if name not in coordinates:
        return did_you_mean(name, free)
    wanted = coordinates[name]
    main = [other for other in free if is_main(wanted, told.get(other, {}).get("ucd", ""))]
    alike = main or [other for other in free if is_named(wanted, other)]
    return question(name[:_LONGEST_SHOWN] for name in alike[:_MEANT_SHOWN]) if alike else did_you_mean(name, free)


def _columns_text(names: Sequence[str]) -> str:
    """Return what the columns of a file are called, the first of them."""
    shown = ", ".join(f'"{name[:_LONGEST_SHOWN]}"' for name in names[:_NAMES_SHOWN])
    return f"The file has {shown}" + (f" and {len(names) - _NAMES_SHOWN} more." if len(names) > _NAMES_SHOWN else ".")
