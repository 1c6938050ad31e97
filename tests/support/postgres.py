"""One private PostgreSQL server for the tests of a session, and databases on it."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import secrets
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from qserv_py.registry.connection import Registry
from qserv_py.workers.server import Server
from qserv_py.workers.server_address import free_port
from qserv_py.workers.server_programs import default_bin_dir, find_programs, server_account
from qserv_py.workers.server_setup import apply_scripts, prepare_server, server_conninfo

DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15/bin")

FAST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
}
"""A test's data need not outlive the machine."""

_PASSWORD = "test"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class TestServer:
    """A running server; ``conninfo`` names its superuser and the shard database ``qserv``."""

    __test__ = False  # not a test class, whatever its name

    server: Server
    conninfo: str
    directory: Path
    templates: dict[Callable[[str], None], str] = field(default_factory=dict)
    """Databases that were set up once to be copied, by what set them up."""

    def create_database(self, *, template: str = "template0") -> str:
        """Make a database and return the superuser's connection string to it.

        A copy of the files takes the server half the time of one through its log, which would survive a crash.
        """
        name = f"t{next(_numbers)}"
        with psycopg.connect(make_conninfo(self.conninfo, dbname="postgres"), autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return make_conninfo(self.conninfo, dbname=name)

    def create_shard(self) -> str:
        """Make a database with our schema and functions, as on a worker; return its connection string."""
        return self._create_copy(apply_scripts)

    def create_registry(self) -> str:
        """Make a database with all migrations of the registry; return its connection string."""
        return self._create_copy(_migrate)

    def _create_copy(self, set_up: Callable[[str], None]) -> str:
        if set_up not in self.templates:
            conninfo = self.create_database()
            set_up(conninfo)
            self.templates[set_up] = str(psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"])
        return self.create_database(template=self.templates[set_up])

    def drop_database(self, conninfo: str) -> None:
        """Drop a database, breaking off its sessions."""
        name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
        with psycopg.connect(make_conninfo(self.conninfo, dbname="postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(name))))


def _migrate(conninfo: str) -> None:
    with Registry(conninfo) as registry:
        registry.migrate()


def private_directory() -> Path:
    """Make a directory with a short name that the account of the servers can reach."""
    directory = Path(tempfile.mkdtemp(prefix="qs", dir="/tmp" if Path("/tmp").is_dir() else None))
    directory.chmod(0o711)
    return directory


def ease_logins(conninfo: str, passfile: Path) -> None:
    """Let the roles of a server prove their passwords in one round: 4096 take 2 ms of each of thousands of connections.

    Parameters
    ----------
    conninfo
        The superuser's.
    passfile
        With the password of each role.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for line in passfile.read_text().splitlines():
            *_, role, password = line.split(":")
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), _verifier(password)))


def _verifier(password: str) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5802), after one round."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    shown = (b64encode(part).decode() for part in (salt, stored, hmac.digest(salted, b"Server Key", "sha256")))
    return "SCRAM-SHA-256$1:{}${}:{}".format(*shown)


@contextmanager
def running_server(bin_dir: str | None = None) -> Iterator[TestServer]:
    """Run a private server that is stopped and removed at the end.

    Parameters
    ----------
    bin_dir
        Directory of the PostgreSQL programs; None for those of ``QSERV_PG_BIN`` or of the wheel.
    """
    directory = private_directory()
    try:
        account = server_account(directory / "w1" / "pg")
        programs = find_programs(
            default_bin_dir() if bin_dir is None else bin_dir, account, copy_to=directory / "programs"
        )
        (directory / "w1").mkdir()
        server = Server(
            name="test",
            data_dir=directory / "w1" / "pg",
            port=free_port(),
            socket_dir=directory / "run",
            programs=programs,
            account=account,
            settings=FAST_SETTINGS,
        )
        server.initialise(_PASSWORD, sync=False)
        passfile = directory / "pgpass"
        passfile.write_text(f"*:*:*:qserv:{_PASSWORD}\n*:*:*:qserv_reader:{_PASSWORD}\n")
        passfile.chmod(0o600)
        server.start()
        try:
            conninfo = server_conninfo(host=str(server.socket_dir), port=server.port, passfile=str(passfile))
            prepare_server(conninfo, reader_password=_PASSWORD)
            apply_scripts(conninfo)
            ease_logins(conninfo, passfile)
            yield TestServer(server=server, conninfo=conninfo, directory=directory)
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
