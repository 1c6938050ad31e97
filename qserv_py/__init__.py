"""A catalogue database for astronomy: ADQL over a sky cut into chunks on many PostgreSQL servers.

``connect`` opens a cluster; everything else is reached from the connection it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qserv_py.client import Connection, Result, connect

__all__ = ["Connection", "Result", "__version__", "connect"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The client pulls in pyarrow, duckdb and sqlglot; `qserv --help` must not.
    if name in {"connect", "Connection", "Result"}:
        from qserv_py import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
