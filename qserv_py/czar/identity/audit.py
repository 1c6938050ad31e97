"""The audit log: one line of JSON for each thing that an operator may have to account for.

Lines go to the logger ``qserv_py.audit``, so a server sends them where its other logs go. Commands have no log of their
own: they add their lines to a file in the cluster's directory, too. No line holds a secret.
"""

from __future__ import annotations

import json
import logging
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

AUDIT_FILE = "audit.log"
_logger = logging.getLogger("qserv_py.audit")


def record(event: str, **fields: object) -> None:
    """Write a line.

    Parameters
    ----------
    event
        What happened, such as ``grant``.
    **fields
        Names and numbers that belong to the event, such as ``database="dr1"``.
    """
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    _logger.info("%s", json.dumps({"time": time, "event": event, **fields}, default=str))


@contextmanager
def recording_to(czar_dir: Path) -> Iterator[str]:
    """Add the lines written meanwhile to the cluster's audit file, too; yield the name of the account that acts."""
    path = czar_dir / AUDIT_FILE
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = logging.FileHandler(path, encoding="utf-8")
    level = _logger.level
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    try:
        yield _account()
    finally:
        _logger.setLevel(level)
        _logger.removeHandler(handler)
        handler.close()


def _account() -> str:
    """Return the account of this process; of sudo's caller where that is known."""
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        return f"{os.environ['SUDO_USER']} (sudo)"
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
