"""Access to the registry: one PostgreSQL connection, its locks, and the calls that describe the data.

Whoever changes what queries can see bumps the catalogue's version in the same PostgreSQL transaction; a reader compares
the number (one cheap query) and loads the catalogue again when it has grown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from qserv_py.catalog.model import Database
from qserv_py.catalog.pieces import DatabasePiece, Description, FamilyPiece, TableRows
from qserv_py.catalog.snapshot import DatabaseVersion, Worker
from qserv_py.closing import Closing
from qserv_py.errors import ClusterError, InternalError
from qserv_py.registry import catalog_reader, databases, migrations, snapshot_reader
from qserv_py.registry.statements import Connection, lock_if_free, run

REGISTRY_DATABASE = "qserv_registry"

Result = TypeVar("Result")


class Registry(Closing):
    """The czar's registry.

    One connection, opened at first use and again after it broke; threads take turns on it.

    Parameters
    ----------
    conninfo
        libpq connection string of the registry's database.
    """

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.owned: set[int] = set()
        """Super-transactions that this connection has claimed; ``registry.transactions`` keeps it."""

        self._lock = RLock()
        self._connection: Connection | None = None
        self._is_checked = False
        """Whether the registry was found to be of this program's version since the connection was opened."""

    def close(self) -> None:
        """Close the connection; its locks and claims end."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self.owned.clear()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Use the connection, in autocommit mode; PostgreSQL's errors come out as ours.

        Raises
        ------
        ClusterError
            If the server does not answer, or the registry is of another version of qserv_py than this program.
        """
        with self._lock, translated_errors(self.conninfo):
            connection = self._opened()
            if not self._is_checked:
                migrations.check_version(connection)
                self._is_checked = True
            yield connection

    def _opened(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self.owned.clear()  # PostgreSQL freed the locks when the old connection broke
            self._is_checked = False
            self._connection = psycopg.connect(self.conninfo, autocommit=True)
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Use the connection in one PostgreSQL transaction that commits at the end or leaves nothing."""
        with self.connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a named lock, waiting for other holders in any process.

        It has a connection of its own: the shared one would let a second thread of this process in.
        """
        with translated_errors(self.conninfo):
            holder = psycopg.connect(self.conninfo, autocommit=True)
        with holder:
            with translated_errors(self.conninfo):
                run(holder, "lock", name=name)
            yield

    @contextmanager
    def lock_if_free(self, name: str) -> Iterator[bool]:
        """Hold a named lock unless somebody in any process has it; gives whether it is held."""
        with translated_errors(self.conninfo):
            holder = psycopg.connect(self.conninfo, autocommit=True)
        with holder, lock_if_free(holder, name) as is_held:
            yield is_held

    def migrate(self) -> tuple[str, ...]:
        """Apply the migrations that the registry lacks; return their names."""
        with self._lock, translated_errors(self.conninfo):
            return migrations.apply_migrations(self._opened())

    def look_up(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that changes nothing, on a new connection when the server was restarted."""
        return self._read(lambda connection: run(connection, statement, **values).fetchall())

    def _read(self, read: Callable[[Connection], Result]) -> Result:
        """Return what a reading gives, on a new connection when the server was restarted since the last use."""
        try:
            with self.connection() as connection:
                return read(connection)
        except ClusterError:
            with self.connection() as connection:
                return read(connection)

    def catalog_version(self) -> int:
        """Return the number that grows with every change that queries can see.

        Raises
        ------
        ClusterError
            If the registry has been brought to another version of qserv_py since the connection was opened.
        """
        rows = self.look_up("catalog_version")
        if not rows:
            raise InternalError("the registry has no catalogue version")
        version, migration = rows[0]
        if migration != migrations.known_migrations()[-1].number:
            with self.connection() as connection:
                migrations.check_version(connection)
        return int(version)

    def describe(self, known: Mapping[str, DatabasePiece]) -> Description:
        """Return all databases without their chunks; of those that are known only what has changed is read."""
        with self.connection() as connection:
            return catalog_reader.read_description(connection, known)

    def table_rows(self, version: DatabaseVersion) -> Mapping[str, TableRows] | None:
        """Return what queries see of the tables of a database; None when the database has been published anew since."""
        return self._read(lambda connection: snapshot_reader.read_table_rows(connection, version))

    def family(self, name: str) -> FamilyPiece:
        """Return a family's chunk map, with committed chunks that no snapshot holds yet; empty if it has none."""

        def read(connection: Connection) -> FamilyPiece:
            with catalog_reader.one_moment(connection):
                return snapshot_reader.read_family(connection, name)

        return self._read(read)

    def workers(self) -> tuple[Worker, ...]:
        """Return the workers in the order in which they were added."""
        with self.connection() as connection:
            return catalog_reader.read_workers(connection)

    def put_worker(self, worker: Worker) -> None:
        """Add a worker, or change where it is."""
        with self.transaction() as connection:
            databases.put_worker(connection, worker)

    def databases(self) -> tuple[Database, ...]:
        """Return all databases, published or not, by name."""
        with self.connection() as connection:
            return catalog_reader.read_databases(connection)

    def database(self, name: str) -> Database:
        """Return a database by its name in any case; NotFoundError if there is none."""
        with self.connection() as connection:
            return databases.find_database(catalog_reader.read_databases(connection), name)

    def add_database(self, database: Database) -> None:
        """Add an empty database, and its family unless the registry has it.

        Raises
        ------
        SchemaError
            If there is a database of this name, or if its family exists with other settings.
        """
        with self.transaction() as connection:
            databases.add_database(connection, database)

    def drop_database(self, name: str) -> None:
        """Forget a database, its transactions and its parts; NotFoundError if there is none. Files stay."""
        with self.transaction() as connection:
            databases.drop_database(connection, name)


@contextmanager
def translated_errors(conninfo: str) -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except psycopg.OperationalError as error:
        address = conninfo_to_dict(conninfo)
        if f'database "{address.get("dbname")}" does not exist' in str(error):
            raise ClusterError(
                f"the server at {address.get('host')}, port {address.get('port')} does not have the registry",
                detail=str(error).strip(),
                hint='"registry" in cluster.json names the worker that has it; without it that is the first of '
                '"workers", so put them back in their order.',
            ) from error
        raise ClusterError(
            f"the registry at {address.get('host')}, port {address.get('port')} does not answer",
            detail=str(error).strip(),
            hint="qserv cluster status says which servers run; qserv cluster start starts them.",
        ) from error
    except psycopg.errors.UndefinedTable as error:
        raise ClusterError(
            "the registry has not been set up for this version of qserv_py",
            detail=str(error).strip(),
            hint="qserv cluster start does that; it keeps what is there.",
        ) from error
    except psycopg.Error as error:
        raise InternalError("the registry refused a statement", detail=str(error).strip()) from error
