"""Refuses the same file a second time, where no key of the table would tell that it has the rows already.

A director with unique ids and a ref table with a key turn away rows that they have. Another table would take them
again, so its files are known by their content.
"""

from __future__ import annotations

from collections.abc import Sequence

from qserv_py.catalog.model import DirectorTable, RefTable, Table
from qserv_py.errors import ContributionError
from qserv_py.ingest.inputs import Input
from qserv_py.ingest.intake import InputFile
from qserv_py.ingest.places.locators import checked_key
from qserv_py.registry.connection import Registry
from qserv_py.registry.transaction_steps import AGAIN_HINT, check_contents

Contents = dict[str, str]
"""What messages call each file, by the SHA-256 of its content."""


def sha256s_of(table: Table, inputs: Sequence[Input]) -> tuple[str | None, ...]:
    """Return the SHA-256 of each input's content; None where keys tell known rows, or where no content is known."""
    match table:
        case DirectorTable():
            told_by_keys = table.unique
        case RefTable():
            told_by_keys = bool(checked_key(table))
        case _:
            told_by_keys = False
    return tuple(None if told_by_keys else input.sha256() for input in inputs)


def contents_of(inputs: Sequence[Input], sha256s: Sequence[str | None]) -> Contents:
    """Return those contents of an ingest that are known, each with what messages call it."""
    return {sha256: input.label for input, sha256 in zip(inputs, sha256s, strict=True) if sha256 is not None}


def check_repeated(files: Sequence[InputFile], sha256s: Sequence[str | None]) -> None:
    """Refuse two files of the same content in one ingest; files without rows, such as headers alone, may be alike.

    Raises
    ------
    ContributionError
        If two files with rows have the same content.
    """
    labels: Contents = {}
    for file, sha256 in zip(files, sha256s, strict=True):
        if sha256 is None or not file.rows_loaded:
            continue
        if sha256 in labels:
            raise ContributionError(
                f"{file.input.label}: its content is that of {labels[sha256]}; nothing was loaded",
                detail=f"SHA-256 {sha256}.",
                hint=AGAIN_HINT,
            )
        labels[sha256] = file.input.label


def check_not_loaded(registry: Registry, transaction_id: int, table: Table, contents: Contents) -> None:
    """Refuse contents that a table has already, before anything is read; the commit looks once more.

    Raises
    ------
    ContributionError
        If the table has the rows of one of the contents.
    """
    with registry.connection() as connection:
        check_contents(connection, transaction_id, table.name, contents)
