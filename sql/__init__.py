"""Every SQL text of qserv_py, one statement or script a file; the only Python here is the loader.

``load("czar/claim_contribution")`` returns the text of ``sql/czar/claim_contribution.sql``. Values are bound by name
with a cast in the SQL (``%(table_id)s::bigint``); identifiers stand in braces and are put in by
``psycopg.sql.SQL(text).format(table=psycopg.sql.Identifier(...))``.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["load", "names"]


@cache
def load(name: str) -> str:
    """Return the text of ``sql/<name>.sql``; FileNotFoundError names the file that is missing."""
    return (resources.files(__name__) / f"{name}.sql").read_text(encoding="utf-8")


@cache
def names(folder: str) -> tuple[str, ...]:
    """Return the names, for ``load``, of all texts of a folder, sorted."""
    found = (resources.files(__name__) / folder).iterdir()
    return tuple(sorted(f"{folder}/{entry.name[:-4]}" for entry in found if entry.name.endswith(".sql")))
