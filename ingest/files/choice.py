"""Finds the table that is meant in a file that holds several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qserv_py.counts import counted
from qserv_py.errors import ContributionError
from qserv_py.hints import did_you_mean
from qserv_py.ingest.requests import InputOptions

_TABLES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTable:
    """One of the tables of a file that may hold several."""

    place: int
    """Number of the table: in a FITS file its HDU, the primary one being 0; in a VOTable from 1 on."""

    names: tuple[str, ...]
    """Names of the table, the usual one first: EXTNAME of FITS, name and ID of VOTable; empty without a name."""

    rows: int | None
    """Rows of the table; None when the file does not say."""

    @property
    def label(self) -> str:
        """How messages call the table."""
        name = f'"{self.names[0]}"' if self.names else "without a name"
        if self.rows is None:
            return f"{self.place}: {name}"
        return f"{self.place}: {name}, {counted(self.rows, 'row')}"


def chosen_table(path: Path, tables: Sequence[FileTable], options: InputOptions) -> FileTable:
    """Return the table that the options name, or the only one.

    Raises
    ------
    ContributionError
        If there is none, several and nothing says which, or none (or several) of the name or number asked for.
    """
    if not tables:
        raise ContributionError(f"{path} holds no table")
    if options.hdu is None and options.table_name is None:
        if len(tables) == 1:
            return tables[0]
        longest = max(tables, key=lambda table: table.rows or 0)
        choice = f"--table-name {longest.names[0]}" if longest.names else f"--hdu {longest.place}"
        raise ContributionError(
            f"{path} holds {len(tables)} tables", detail=_listed(tables), hint=f"Choose one, such as {choice}"
        )
    if options.hdu is not None:
        asked = f"--hdu {options.hdu}"
        found = [table for table in tables if table.place == options.hdu]
    else:
        asked = f'--table-name "{options.table_name}"'
        found = _named(tables, options.table_name or "")
    if len(found) == 1:
        return found[0]
    said = "no table" if not found else f"{len(found)} tables"
    known = [name for table in tables for name in table.names]
    hint = did_you_mean(options.table_name, known, most=1) if options.table_name and not found else ""
    raise ContributionError(
        f"{path} holds {said} of {asked}", detail=_listed(tables), hint=hint or "--hdu takes the number."
    )


def _named(tables: Sequence[FileTable], name: str) -> list[FileTable]:
    exact = [table for table in tables if name in table.names]
    return exact or [table for table in tables if name.lower() in (known.lower() for known in table.names)]


def _listed(tables: Sequence[FileTable]) -> str:
    shown = "; ".join(table.label for table in tables[:_TABLES_SHOWN])
    return shown + (f"; and {len(tables) - _TABLES_SHOWN} more" if len(tables) > _TABLES_SHOWN else "")
