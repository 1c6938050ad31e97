"""Makes a cluster, all of it or nothing.

``cluster.json`` is written last. Until then a marker stands in the directory, so that what a killed ``init`` left is
known as such and the next ``init`` removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from qserv_py.config import CLUSTER_FILE, ClusterConfig, WorkerConfig
from qserv_py.czar.cluster import Cluster, cluster_of
from qserv_py.czar.cluster_servers import NO_PROGRAMS, changing, each, servers, set_up
from qserv_py.errors import ClusterError, ConfigError
from qserv_py.registry.connection import REGISTRY_DATABASE
from qserv_py.workers.server import SUPERUSER, Server
from qserv_py.workers.server_address import free_port, socket_directory
from qserv_py.workers.server_programs import blocking_directory, default_bin_dir, find_programs, server_account
from qserv_py.workers.server_setup import READER, SHARD_DATABASE, prepare_server

MARKER = "initialising"
MOST_WORKERS = 64
_ANY_PORT = 20000  # our ports have five digits, so the socket's name has the same length for all


def init_cluster(
    directory: str | os.PathLike[str],
    *,
    workers: int = 3,
    postgres_bin: str = "",
    settings: Mapping[str, str] | None = None,
    sync: bool = True,
) -> Cluster:
    """Make a cluster in a new or empty directory, and start it.

    Parameters
    ----------
    directory
        Directory of the cluster: absent, empty, or with what a killed ``init_cluster`` left, which is removed.
    workers
        Number of PostgreSQL servers, named w1, w2, ...
    postgres_bin
        Directory of the PostgreSQL programs; empty for ``QSERV_PG_BIN`` or else those of the wheel.
    settings
        Further PostgreSQL settings of every worker.
    sync
        False leaves out initdb's fsync, for tests.

    Raises
    ------
    ConfigError
        If the directory holds something else, or the programs are missing or too old.
    ClusterError
        If a server cannot be made or started; nothing is left then.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"a cluster has 1 to {MOST_WORKERS} workers, not {workers}")
    target = Path(directory).expanduser().absolute()
    existed = _make_room(target)
    try:
        _check_way(target)
        return _init(target, workers, default_bin_dir(postgres_bin), dict(settings or {}), sync=sync)
    except BaseException:
        _remove(target, keep_directory=existed)
        raise


def remove_cluster(directory: str | os.PathLike[str]) -> None:
    """Stop a cluster and remove it with its directory and all its data; NotFoundError if there is none."""
    config = ClusterConfig.load(Path(directory))
    with changing(config.directory):
        _remove(config.directory, keep_directory=False)


def _make_room(target: Path) -> bool:
    """Make the directory, or empty it of a killed init; return whether it existed."""
    try:
        if (target / CLUSTER_FILE).exists():
            raise ConfigError(
                f"there is a cluster in {target} already",
                hint=f"qserv cluster start {target} starts it; give another directory for a new one.",
            )
        if (target / MARKER).exists():
            with changing(target):  # refused when the init that holds the lock still lives
                _remove(target, keep_directory=True)
        if target.exists():
            if not target.is_dir() or any(target.iterdir()):
                raise ConfigError(f"{target} exists and is not an empty directory", hint="Give another directory.")
            existed = True
        else:
            target.mkdir(parents=True)
            existed = False
        (target / MARKER).touch()
    except OSError as error:
        raise ConfigError(f"no cluster can be made in {target}: {error.strerror}") from error
    return existed


def _check_way(target: Path) -> None:
    """Raise, before anything is made, if the servers' account cannot reach the directory."""
    account = server_account(target / "none")
    target.chmod(0o711 if account.is_other else 0o700)
    blocking = blocking_directory(target / "workers", account)
    if blocking is not None:
        raise ClusterError(
            f'account "{account.name}", which runs PostgreSQL for root, cannot reach {target}: {blocking} is closed '
            "to it",
            hint="Choose a directory below /var/tmp or another open place, or run qserv as an ordinary user.",
        )


def _init(target: Path, workers: int, bin_dir: str, settings: dict[str, str], *, sync: bool) -> Cluster:
    ports: set[int] = set()
    for _ in range(workers):
        ports.add(free_port(ports))
    config = ClusterConfig(
        directory=target,
        workers=tuple(WorkerConfig(name=f"w{n}", port=port) for n, port in enumerate(sorted(ports), 1)),
        registry="w1",
        postgres_bin=bin_dir,
        settings=settings,
    )
    with changing(target):
        passwords = {name: secrets.token_urlsafe(24) for name in (SUPERUSER, READER)}
        _make_directories(config, passwords)
        programs = find_programs(bin_dir, server_account(target / "none"), copy_to=target / "programs")
        found = servers(config, programs)
        cluster = cluster_of(config)

        def make(server: Server) -> None:
            server.initialise(passwords[SUPERUSER], sync=sync)
            server.start()
            first = server.name == config.registry
            databases = (SHARD_DATABASE, REGISTRY_DATABASE) if first else (SHARD_DATABASE,)
            prepare_server(cluster.admin[server.name], reader_password=passwords[READER], databases=databases)

        each([partial(make, server) for server in found.values()])
        cluster = set_up(config)
        config.save()
        (target / MARKER).unlink()
    return cluster


def _make_directories(config: ClusterConfig, passwords: Mapping[str, str]) -> None:
    reachable = 0o755 if os.geteuid() == 0 else 0o700
    for directory in (config.directory / "workers", *(config.worker_dir(worker.name) for worker in config.workers)):
        directory.mkdir(mode=reachable)
        directory.chmod(reachable)  # mkdir's mode is cut by the umask
    for worker in config.workers:
        (config.worker_dir(worker.name) / "parts").mkdir()
    config.czar_dir.mkdir()
    config.passfile.parent.mkdir(mode=0o700)
    descriptor = os.open(config.passfile, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "w") as file:
        file.writelines(f"*:*:*:{user}:{password}\n" for user, password in passwords.items())


def _remove(target: Path, *, keep_directory: bool) -> None:
    """Stop whatever servers run in a cluster's directory, then remove it or all that is in it."""
    for data_dir in sorted(target.glob("workers/*/pg")):
        account = server_account(data_dir)
        Server(
            name=data_dir.parent.name,
            data_dir=data_dir,
            port=_ANY_PORT,
            socket_dir=socket_directory(target / "run", port=_ANY_PORT, account=account),
            programs=NO_PROGRAMS,
            account=account,
        ).stop()
    for entry in target.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    if not keep_directory:
        target.rmdir()
