"""One embedded PostgreSQL server: made, started, stopped and watched through the PostgreSQL programs.

The server belongs to its data directory, not to the process that starts it: it goes on when that process ends, and any
later process can stop it. What is true about it is read from ``postmaster.pid`` and ``/proc`` each time.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from qserv_py.errors import ClusterError, ConfigError
from qserv_py.workers.server_address import TEMPORARY
from qserv_py.workers.server_programs import Account, Programs, blocking_directory, run_as
from qserv_py.workers.server_settings import SETTINGS_FILE, settings_text

SUPERUSER = "qserv"
MAX_LOG_BYTES = 16 << 20
"""A log that is longer at a start is put aside as ``server.log.1``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One embedded server; the methods act on its data directory."""

    name: str
    data_dir: Path
    port: int
    socket_dir: Path
    programs: Programs
    account: Account
    servers: int = 1
    """Number of servers that share the machine."""

    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def log_file(self) -> Path:
        """What the server writes to its log."""
        return self.data_dir.with_name("server.log")

    def initialise(self, password: str, *, sync: bool = True) -> None:
        """Make the data directory, with ``password`` for the superuser ``qserv``.

        Parameters
        ----------
        password
            Given to initdb in a private file that is removed at once.
        sync
            False leaves out the fsync of the new files, for tests.

        Raises
        ------
        ClusterError
            If the account cannot reach the directory, or initdb fails; what it left is removed.
        """
        blocking = blocking_directory(self.data_dir, self.account)
        if blocking is not None:
            raise ClusterError(
                f'account "{self.account.name}", which runs PostgreSQL for root, cannot reach {self.data_dir}:'
                f" {blocking} is closed to it",
                hint=f"Choose a directory outside {blocking}, for example below /var/tmp, or run qserv as an "
                "ordinary user.",
            )
        self.data_dir.mkdir(mode=0o700, parents=True)
        self.account.own(self.data_dir)
        password_file = self.data_dir.with_name("initdb." + secrets.token_hex(8))
        try:
            descriptor = os.open(password_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "w") as file:
                file.write(password + "\n")
            self.account.own(password_file)
            options = ["--pgdata", str(self.data_dir), "--username", SUPERUSER, "--pwfile", str(password_file)]
            options += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"] + ([] if sync else ["--no-sync"])
            run = run_as(self.account, [str(self.programs.bin_dir / "initdb"), *options])
        finally:
            password_file.unlink(missing_ok=True)
        if run.returncode:
            shutil.rmtree(self.data_dir, ignore_errors=True)
            raise ClusterError(f"initdb of {self.data_dir} failed", detail=_last_lines(run.stderr or run.stdout))
        with open(self.data_dir / "postgresql.conf", "a") as file:
            file.write(f"include_if_exists '{SETTINGS_FILE}'\n")

    def start(self, *, timeout_s: float = 300) -> None:
        """Start the server unless it runs; a killed server's remains are cleared away first.

        Raises
        ------
        ClusterError
            If it does not start; DETAIL shows the end of its log.
        ConfigError
            If the data are of another major version than the programs.
        """
        if self.pid() is not None:
            return
        self._check_version()
        self._clear_remains()
        self._write_settings()
        with suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o711 if self.account.is_other else 0o700)
            self.account.own(self.socket_dir)
        self._rotate_log()
        self.log_file.touch(mode=0o640)
        self.account.own(self.log_file)
        place = self.log_file.stat().st_size
        # pg_ctl's own output goes to a file: the server inherits it and would keep a pipe open for ever
        with tempfile.TemporaryFile("w+") as output:
            command = [
                str(self.programs.bin_dir / "pg_ctl"),
                "start",
                "--silent",
                "--wait",
                f"--timeout={timeout_s:.0f}",
            ]
            command += ["--pgdata", str(self.data_dir), "--log", str(self.log_file)]
            run = run_as(self.account, command, output=output, timeout_s=timeout_s + 30)
            output.seek(0)
            said = output.read()
        if run.returncode:
            with open(self.log_file, errors="replace") as file:
                file.seek(place)
                raise ClusterError(
                    f'PostgreSQL of worker "{self.name}" did not start on port {self.port}',
                    detail=_last_lines(file.read() or said),
                    hint=f"Its log is {self.log_file}.",
                )

    def stop(self, *, timeout_s: float = 60) -> bool:
        """Stop the server, breaking off its sessions; return whether it ran.

        Raises
        ------
        ClusterError
            If it still runs after ``timeout_s``.
        """
        if self.pid() is None:
            self._clear_remains()
            self._remove_private_sockets()
            return False
        # what `pg_ctl stop` does, but without the programs: first a fast shutdown, as the last resort an immediate one
        for sent in (signal.SIGINT, signal.SIGQUIT):
            pid = self.pid()
            if pid is not None:
                os.kill(pid, sent)
            if _wait_until(lambda: self.pid() is None, timeout_s=timeout_s):
                self._remove_private_sockets()
                return True
        raise ClusterError(
            f'PostgreSQL of worker "{self.name}" (process {self.pid()}) does not stop', hint=f"See {self.log_file}."
        )

    def _remove_private_sockets(self) -> None:
        if self.socket_dir.parent == TEMPORARY:
            with suppress(OSError):  # another worker's socket is in it, or it has gone
                self.socket_dir.rmdir()

    def pid(self) -> int | None:
        """Return the process id of the running server; None when it does not run."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        """Whether a process works in our data directory; after a reboot its number may belong to any other process."""
        try:
            return Path(f"/proc/{pid}/cwd").samefile(self.data_dir)
        except OSError:
            pass
        if Path("/proc/self").exists():
            return False
        try:  # systems without /proc
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _check_version(self) -> None:
        try:
            major = int((self.data_dir / "PG_VERSION").read_text())
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self.data_dir} holds no PostgreSQL data: {error}") from error
        if major != self.programs.major:
            raise ConfigError(
                f"the data of worker {self.name} are of PostgreSQL {major}, the programs in {self.programs.bin_dir} "
                f"of {self.programs.version}",
                hint=f'Set "postgres_bin" in cluster.json to the programs of PostgreSQL {major}.',
            )

    def _clear_remains(self) -> None:
        """End the orphans of a killed server and remove its pid file, which would keep a new server from starting."""
        for sent in (signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL):
            orphans = self._processes()
            if not orphans:
                break
            for pid in orphans:
                try:
                    os.kill(pid, sent)
                except ProcessLookupError:
                    continue
            _wait_until(lambda: not self._processes(), timeout_s=5)
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        self._clear_sockets()

    def _clear_sockets(self) -> None:
        """Remove our sockets: PostgreSQL would not take them over while a zombie or a stranger has the old number."""
        for lock in self.socket_dir.glob(".s.PGSQL.*.lock"):
            try:
                owner = Path(lock.read_text().splitlines()[1])
            except (OSError, IndexError):
                continue
            if owner == self.data_dir:
                lock.with_suffix("").unlink(missing_ok=True)
                lock.unlink(missing_ok=True)

    def _processes(self) -> list[int]:
        """Return the PostgreSQL processes that work in our data directory."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                named = (entry / "comm").read_text().strip() in {"postgres", "postmaster"}
                if named and (entry / "cwd").samefile(self.data_dir):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def _rotate_log(self) -> None:
        with suppress(FileNotFoundError):
            if self.log_file.stat().st_size > MAX_LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def _write_settings(self) -> None:
        text = settings_text(
            name=self.name,
            port=self.port,
            socket_dir=self.socket_dir,
            servers=self.servers,
            further=self.settings,
        )
        target = self.data_dir / SETTINGS_FILE
        target.write_text(text)
        self.account.own(target)


def _wait_until(holds: Callable[[], bool], *, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def _last_lines(text: str, count: int = 5) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
