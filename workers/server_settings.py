"""The settings of an embedded PostgreSQL server, sized to the machine, as the text of ``qserv.conf``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SETTINGS_FILE = "qserv.conf"
MEGABYTE = 1 << 20


def settings_text(
    *, name: str, port: int, socket_dir: Path, servers: int, further: Mapping[str, str] | None = None
) -> str:
    """Return the settings file of one server.

    Parameters
    ----------
    name
        Name of the worker, shown by ``ps``.
    port
        TCP port on the loopback interface.
    socket_dir
        Directory of the Unix socket.
    servers
        Number of servers that share the machine.
    further
        Settings of the cluster's owner; they win over ours.
    """
    settings = {
        "cluster_name": f"qserv {name}",
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": '"' + str(socket_dir).replace('"', '""') + '"',  # a list: quoted
        **_sizes(servers),
        **_FIXED,
        **(further or {}),
    }
    lines = [f"{key} = {_quoted(str(value))}" for key, value in settings.items()]
    return "# Written by qserv at every start; put your own settings into cluster.json.\n" + "\n".join(lines) + "\n"


# wal_level minimal lets COPY into a table made in the same transaction skip the WAL; chunk tables are many, and a query
# through the parent of 5000 of them locks each one and its indexes.
_FIXED = {
    "max_connections": "100",
    "jit": "off",
    "client_connection_check_interval": "5s",  # a statement ends when the czar that sent it has been killed
    "max_locks_per_transaction": "1024",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "wal_recycle": "off",  # a log that is not needed any more is removed: ours is small but for a few moments
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "ISO, YMD",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "log_line_prefix": "%m [%p] %u ",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # the texts of users' queries stay out of the server's log
}


def _sizes(servers: int) -> dict[str, str]:
    memory = _memory_bytes()
    cores = os.cpu_count() or 1
    parallel = max(0, min(4, cores // servers - 1))
    shared = max(64 * MEGABYTE, min(1024 * MEGABYTE, memory // (8 * servers)))
    return {
        "shared_buffers": _megabytes(shared),
        "effective_cache_size": _megabytes(max(256 * MEGABYTE, memory // (2 * servers))),
        "maintenance_work_mem": _megabytes(max(64 * MEGABYTE, min(512 * MEGABYTE, memory // (32 * servers)))),
        "work_mem": _megabytes(max(8 * MEGABYTE, min(64 * MEGABYTE, memory // (128 * servers)))),
        "max_parallel_workers_per_gather": str(parallel),
    }


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 4096 * MEGABYTE


def _megabytes(size: int) -> str:
    return f"{size // MEGABYTE}MB"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
