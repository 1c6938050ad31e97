"""A job's result as rows again, to be kept as a table of its owner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from qserv_py.czar.formats.known import find_format
from qserv_py.czar.queries.checked_uploads import read_uploads
from qserv_py.errors import TooLargeError, UserError
from qserv_py.registry.jobs import TapJob, UwsPhase

_READABLE = ("votable", "votable/td", "votable/b", "fits", "csv", "tsv", "parquet", "arrow")
"""Formats whose files can be read again with the names and the values of all columns."""


def read_result(job: TapJob, path: Path, *, most_bytes: int, hold: Callable[[int], object]) -> pa.Table:
    """Return the rows of a job's result.

    Parameters
    ----------
    job
        The job.
    path
        File of the job's result.
    most_bytes
        Bytes that the file may have.
    hold
        As for ``read_uploads``; rows that stay in their file take no memory.

    Raises
    ------
    UserError
        If the job has no result, one that is not whole, or one in a format that cannot be read again.
    TooLargeError
        If it has too many bytes.
    """
    check_result(job)
    chosen = find_format(job.result_type or "")
    if chosen.name not in _READABLE:
        raise UserError(
            f"the result is {chosen.name}, which cannot be kept as a table",
            hint=f"Run the job with FORMAT one of {', '.join(_READABLE)}.",
        )
    if path.stat().st_size > most_bytes:
        raise TooLargeError(
            f"the result has {path.stat().st_size} bytes, one of at most {most_bytes} can be kept as a table",
            hint="Ask for fewer rows or columns, or for Parquet.",
        )
    if chosen.name == "arrow":
        with pa.memory_map(str(path)) as mapped:
            return pa.ipc.open_stream(mapped).read_all()
    return read_uploads({"result": path}, hold=hold)["result"]


def check_result(job: TapJob) -> None:
    """Raise UserError unless a job has a whole result."""
    if job.phase is not UwsPhase.COMPLETED:
        raise UserError(f"the job is {job.phase}, it has no result that could be kept")
    if job.overflow:
        raise UserError(
            "the result was cut off at a limit, and is not kept as if it were whole",
            hint="Narrow the query, or say how many rows you want: SELECT TOP n.",
        )
