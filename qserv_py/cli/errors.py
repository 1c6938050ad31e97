"""Errors on a terminal: the text on standard error and the exit code of each kind."""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime

import click

from qserv_py.config import state_directory
from qserv_py.errors import (
    AuthenticationError,
    ConfigError,
    LimitError,
    NotFoundError,
    QservError,
    QueryCancelledError,
    UnknownTableError,
)

FAILED, USAGE, NOT_FOUND, DENIED, QUOTA, PARTIAL, PROBLEMS, CANCELLED = range(1, 9)

_CODES: tuple[tuple[type[QservError], int], ...] = (
    (NotFoundError, NOT_FOUND),
    (UnknownTableError, NOT_FOUND),
    (ConfigError, USAGE),
    (AuthenticationError, DENIED),
    (LimitError, QUOTA),
    (QueryCancelledError, CANCELLED),
)


def exit_code(error: QservError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def report_error(error: QservError) -> None:
    """Write an error to standard error."""
    click.echo(click.style("ERROR: ", fg="red", bold=True) + error.render(), err=True, color=_color())


def report_defect(error: BaseException) -> None:
    """Write one line about a defect of ours to standard error, and its traceback to the log."""
    log = state_directory() / "error.log"
    text = error.message if isinstance(error, QservError) else f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as file:
            file.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n")
            file.writelines(traceback.format_exception(error))
            if isinstance(error, QservError):
                file.write(error.render() + "\n")
        where = f"The details are in {log}"
    except OSError:
        where = "QSERV_DEBUG=1 shows the details"
    click.echo(click.style("INTERNAL ERROR: ", fg="red", bold=True) + text, err=True, color=_color())
    click.echo(f"HINT: This is a defect of qserv_py, not of your input. {where}; please report it.", err=True)


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None
