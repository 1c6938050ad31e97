"""Every SQL text of qserv_py, one statement or script a file; the only Python here is the loader.

``load("czar/claim_job")`` returns the text of ``sql/czar/jobs/claim_job.sql``: folders below ``czar`` sort the texts by
subject, and a text's own name tells it from all others there. Values are bound by name with a cast in the SQL
(``%(job_id)s::text``); identifiers stand in braces and are put in by
``psycopg.sql.SQL(text).format(table=psycopg.sql.Identifier(...))``.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

__all__ = ["load", "names"]


@cache
def load(name: str) -> str:
    """Return the text of a name such as ``czar/claim_job``; KeyError if there is none."""
    folder, _, _ = name.partition("/")
    return _places(folder)[name].read_text(encoding="utf-8")


@cache
def names(folder: str) -> tuple[str, ...]:
    """Return the names, for ``load``, of all texts of a folder, sorted."""
    return tuple(sorted(_places(folder)))


@cache
def _places(folder: str) -> dict[str, Traversable]:
    """Return the files of a folder and of those below it, by the names of their texts."""
    found: dict[str, Traversable] = {}
    waiting = [resources.files(__name__) / folder]
    while waiting:
        for entry in waiting.pop().iterdir():
            if entry.is_dir():
                waiting.append(entry)
            elif entry.name.endswith(".sql"):
                found[f"{folder}/{entry.name.removesuffix('.sql')}"] = entry
    return found
