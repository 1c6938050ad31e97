"""Where an embedded server listens: a free loopback port, and a directory for its Unix socket."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import tempfile
from pathlib import Path

from qserv_py.errors import ClusterError
from qserv_py.workers.server_programs import Account

LONGEST_SOCKET_PATH = 107
"""Bytes of a Unix socket's path that Linux takes."""

_FIXED = Path("/tmp")  # noqa: S108 - names in it are checked for their owner
TEMPORARY = _FIXED if _FIXED.is_dir() else Path(tempfile.gettempdir())
"""The system's temporary directory; TMPDIR may differ between the processes that use a cluster."""

_FIRST_PORT, _LAST_PORT = 20000, 32000  # below the range that the kernel gives to outgoing connections


def socket_directory(preferred: Path, *, port: int, account: Account) -> Path:
    """Return a directory whose socket path is short enough: the preferred one or a private one for temporary files.

    It need not exist; ``Server.start`` makes it, ``Server.stop`` removes the private one.

    Raises
    ------
    ClusterError
        If somebody else has taken the private directory's name.
    """
    if len(os.fsencode(preferred / f".s.PGSQL.{port}")) <= LONGEST_SOCKET_PATH:
        return preferred
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    chosen = TEMPORARY / f"qserv-{account.uid}-{digest}"
    if chosen.is_symlink() or (chosen.exists() and chosen.stat().st_uid != account.uid):
        raise ClusterError(
            f"{chosen}, the directory for the cluster's sockets, belongs to somebody else",
            hint="Make the cluster in a directory with a shorter name; then its sockets stand there.",
        )
    return chosen


def free_port(taken: frozenset[int] | set[int] = frozenset()) -> int:
    """Return a loopback TCP port on which nobody listens and that is not in ``taken``."""
    for _ in range(1000):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT)
        if port not in taken and port_is_free(port):
            return port
    raise ClusterError(f"no free TCP port between {_FIRST_PORT} and {_LAST_PORT} on 127.0.0.1")


def port_is_free(port: int) -> bool:
    """Whether nobody listens on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
