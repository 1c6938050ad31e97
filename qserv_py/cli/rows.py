"""Short lists of rows on standard output: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence

import click


def print_rows(names: Sequence[str], rows: Iterable[Sequence[object]], row_format: str) -> None:
    """Print rows.

    Parameters
    ----------
    names
        Names of the columns.
    rows
        Values; None is shown as nothing (JSON: null).
    row_format
        ``table``, ``json`` (one array of objects) or ``csv``.
    """
    held = [tuple(row) for row in rows]
    if row_format == "json":
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in held], indent=2, default=str))
    elif row_format == "csv":
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(held)
        click.echo(buffer.getvalue(), nl=False)
    elif sys.stdout.isatty():
        _print_rich(names, held)
    else:
        click.echo(_plain(names, held), nl=False)


def _print_rich(names: Sequence[str], rows: list[tuple[object, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if _is_number(rows, place) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    Console().print(table)


def _plain(names: Sequence[str], rows: list[tuple[object, ...]]) -> str:
    texts = [[_shown(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[place]) for row in texts)]) for place, name in enumerate(names)]
    right = [_is_number(rows, place) for place in range(len(names))]
    lines = [list(names), *texts]
    return "".join(
        "  ".join(
            text.rjust(width) if is_right else text.ljust(width)
            for text, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def _is_number(rows: list[tuple[object, ...]], place: int) -> bool:
    values = [row[place] for row in rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if abs(value) >= 100_000 else str(value)
        case _:
            return str(value).replace("\n", " ")
