"""One random query on both servers: the sharded answer against that of the plain one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from unittest.mock import patch

import psycopg
import pyarrow as pa
from support.plain import is_part, rows_of, table_differences
from support.random_queries.drawing import RandomQuery
from support.servers import Servers

from qserv_py.errors import EvaluationError, QservError
from qserv_py.executor import sent_rows


@dataclass(frozen=True)
class Comparison:
    """What came out of one query."""

    found: str
    """What differs; nothing when the answers agree."""

    rows: int = 0
    """Rows of the plain answer."""

    failure: str = ""
    """Why the evaluation fails on both."""

    ours_s: float = 0.0
    theirs_s: float = 0.0


_WORDS = {
    "22012": ("division by zero",),
    "22003": ("out of range", "beyond", "verflow"),
    "22P02": ("invalid input syntax", "no whole number", "no number"),
    "2201E": ("logarithm",),
    "2201F": ("square root", "power"),
}
"""What our errors say, one of each, by the SQLSTATE of the plain server's."""


def compare(servers: Servers, query: RandomQuery) -> Comparison:
    """Ask both servers. Every second query copies its rows to the workers, however few they are."""
    most = 0 if len(query.adql) % 2 else sent_rows.MAX_TEXT_VALUES
    begun = time.perf_counter()
    theirs = _plain(servers, query.sql)
    between = time.perf_counter()
    with patch.object(sent_rows, "MAX_TEXT_VALUES", most):
        ours = _sharded(servers, query.adql)
    seconds = {"ours_s": time.perf_counter() - between, "theirs_s": between - begun}
    if isinstance(theirs, str) or isinstance(ours, Exception):
        return _compared_failures(ours, theirs, seconds)
    return Comparison(_compared_rows(servers, query, ours, theirs), rows=len(theirs), **seconds)


def report(query: RandomQuery, found: str) -> str:
    """Return what differs, and both texts."""
    return f"{found}\nADQL: {query.adql}\nSQL: {query.sql}"


def _plain(servers: Servers, sql: str) -> list[tuple] | str:
    """Return the rows, or why the evaluation fails."""
    try:
        return servers.plain.execute(sql, binary=True).fetchall()  # type: ignore[call-overload, no-any-return]
    except psycopg.DataError as error:
        return f"{error.sqlstate} {error.diag.message_primary}"


def _sharded(servers: Servers, adql: str) -> pa.Table | Exception:
    uploads = {name: rows for name, rows in servers.uploads.items() if name in adql}
    try:
        return servers.sharded.query(adql, uploads=uploads).to_arrow()
    except QservError as error:
        return error


def _compared_failures(ours: pa.Table | Exception, theirs: list[tuple] | str, seconds: dict[str, float]) -> Comparison:
    if not isinstance(theirs, str):
        return Comparison(f"{type(ours).__name__}: {ours}; the plain server has {len(theirs)} rows", **seconds)
    if not isinstance(ours, EvaluationError):
        said = f"{type(ours).__name__}: {ours}" if isinstance(ours, Exception) else f"{ours.num_rows} rows"
        return Comparison(f"{said}; the plain server fails: {theirs}", **seconds)
    words = _WORDS.get(theirs[:5], ("",))
    if not any(word in str(ours) for word in words):
        return Comparison(f"{ours}; the plain server fails otherwise: {theirs}", **seconds)
    return Comparison("", failure=words[0], **seconds)


def _compared_rows(servers: Servers, query: RandomQuery, ours: pa.Table, theirs: list[tuple]) -> str:
    if not query.any_of:
        return table_differences(ours, theirs, ordered=query.ordered)
    if ours.num_rows != len(theirs):
        return f"{ours.num_rows} rows, the plain server has {len(theirs)}"
    everything = servers.plain.execute(query.any_of, binary=True).fetchall()  # type: ignore[call-overload]
    return "" if is_part(rows_of(ours), everything) else "a row that is not one of the plain server's"
