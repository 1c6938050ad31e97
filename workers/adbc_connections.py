"""Connections of the ADBC driver to one server.

When a database is opened, the driver learns the type of every column of every table in it: 0.1 s with 70 chunk tables,
1.5 s with 1,000 of 200 columns. Chunk queries return types that every database has. So it is opened once, as the
maintenance database, which has no tables, and pointed at ours before the first connection; these then take 4 ms.
"""

from __future__ import annotations

import threading
from typing import Any

from psycopg.conninfo import make_conninfo

MAINTENANCE_DATABASE = "postgres"


class AdbcConnections:
    """Opens connections to one database; threads may share it.

    Parameters
    ----------
    conninfo
        Connection string of the database, as libpq reads it.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._lock = threading.Lock()
        self._shared: Any = None

    def open(self) -> Any:
        """Return a new connection in autocommit mode; ``adbc_driver_postgresql.dbapi.Error`` if there is none."""
        from adbc_driver_manager import AdbcConnection, dbapi

        with self._lock:
            if self._shared is None:
                # What `Connection.adbc_clone` shares; ours must not need a connection that stays open for it.
                self._shared = dbapi._SharedDatabase(self._opened())
        return dbapi.Connection(self._shared, AdbcConnection(self._shared._db), autocommit=True)

    def close(self) -> None:
        """Forget the driver's database; connections that are open keep it until they are closed."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def _opened(self) -> Any:
        import adbc_driver_postgresql

        try:
            database = adbc_driver_postgresql.connect(make_conninfo(self._conninfo, dbname=MAINTENANCE_DATABASE))
        except adbc_driver_postgresql.dbapi.Error:  # connecting to ours says why, if it must
            return adbc_driver_postgresql.connect(self._conninfo)
        database.set_options(uri=self._conninfo)
        return database
