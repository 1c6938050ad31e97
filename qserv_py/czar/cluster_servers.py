"""Starting, stopping and watching the servers of an embedded cluster.

One process at a time changes a cluster (it holds a lock on a file in the directory), any number may use it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from qserv_py.config import USER_TABLES_DIR, ClusterConfig
from qserv_py.czar.cluster import Cluster, cluster_of, open_cluster, socket_dir
from qserv_py.errors import ClusterError
from qserv_py.registry.transactions import unfinished_transactions
from qserv_py.workers.earlier_relations import take_from_autovacuum
from qserv_py.workers.server import Server
from qserv_py.workers.server_address import free_port, port_is_free
from qserv_py.workers.server_programs import Programs, find_programs, server_account
from qserv_py.workers.server_setup import apply_scripts

LOCK_FILE = "lock"
NO_PROGRAMS = Programs(bin_dir=Path(), version="0")
"""Stands for PostgreSQL's programs where servers are only looked at or stopped, which needs none of them."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """One server at this moment."""

    worker: str
    port: int
    pid: int | None
    """Process id of the server; None when it does not run."""

    version: str
    """Major version of its data."""

    socket_dir: str
    data_dir: str
    log_file: str

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.pid is not None


def start_cluster(directory: str | os.PathLike[str]) -> Cluster:
    """Start the servers that do not run, bring registry and shards up to date, finish what killed ingests left.

    A running cluster stays as it is.

    Raises
    ------
    NotFoundError
        If the directory holds no cluster.
    ClusterError
        If a server does not start.
    """
    config = open_cluster(directory).config
    with changing(config.directory):
        programs = _programs(config)
        config = _with_free_ports(config)
        config.save()
        each([servers(config, programs)[worker.name].start for worker in config.workers])
        cluster = set_up(config)
        if not config.registry:  # made by a version that had the registry on the first worker
            replace(config, registry=config.workers[0].name).save()
        each([partial(take_from_autovacuum, conninfo) for conninfo in cluster.admin.values()])
    _finish_ingests(cluster)
    _keep_up(cluster)
    _sweep_user_tables(cluster)
    return cluster


def set_up(config: ClusterConfig) -> Cluster:
    """Apply migrations and scripts to running servers and tell the registry where the workers are."""
    cluster = cluster_of(config)
    each([partial(apply_scripts, conninfo) for conninfo in cluster.admin.values()])
    with cluster.registry() as registry:
        registry.migrate()
        for worker in cluster.workers:
            registry.put_worker(worker)
    return cluster


def _finish_ingests(cluster: Cluster) -> None:
    """End ingests that were killed: the files of uncommitted ones are removed, committed ones are loaded."""
    with cluster.registry() as registry:
        if not unfinished_transactions(registry):
            return
    from qserv_py.czar.ingest_destination import open_destination  # loads pyarrow
    from qserv_py.ingest.recovery import recover

    with open_destination(cluster) as destination:
        recover(destination)


def _keep_up(cluster: Cluster) -> None:
    """Bring the shards up to what queries see: of clusters of earlier versions all, else what was interrupted."""
    with cluster.registry() as registry:
        if not registry.look_up("upkeep_due"):
            return
    from qserv_py.czar.ingest_destination import open_destination  # loads pyarrow
    from qserv_py.ingest.storage.upkeep import keep_up

    with open_destination(cluster) as destination:
        for database in destination.registry.databases():
            keep_up(destination, database)


def _sweep_user_tables(cluster: Cluster) -> None:
    """Remove files of users' tables that were never finished."""
    if not (cluster.config.czar_dir / USER_TABLES_DIR).is_dir():
        return
    from qserv_py.czar.user_tables.user_table_files import sweep_files  # this import loads pyarrow

    with cluster.registry() as registry:
        sweep_files(registry, cluster.config.czar_dir)


def stop_cluster(directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Stop the servers, breaking off their sessions; return the names of the workers that ran."""
    config = open_cluster(directory).config
    with changing(config.directory):
        found = servers(config, NO_PROGRAMS)
        ran = each([found[worker.name].stop for worker in config.workers])
    return tuple(worker.name for worker, was_running in zip(config.workers, ran, strict=True) if was_running)


def cluster_status(directory: str | os.PathLike[str]) -> tuple[ServerStatus, ...]:
    """Return the state of each server, in the order of the workers."""
    config = open_cluster(directory).config
    return tuple(_status(server) for server in servers(config, NO_PROGRAMS).values())


def _status(server: Server) -> ServerStatus:
    try:
        version = (server.data_dir / "PG_VERSION").read_text().strip()
    except OSError:
        version = ""
    return ServerStatus(
        worker=server.name,
        port=server.port,
        pid=server.pid(),
        version=version,
        socket_dir=str(server.socket_dir),
        data_dir=str(server.data_dir),
        log_file=str(server.log_file),
    )


def servers(config: ClusterConfig, programs: Programs) -> dict[str, Server]:
    """Return the servers of a cluster by the workers' names."""
    found = {}
    for worker in config.workers:
        data_dir = config.worker_dir(worker.name) / "pg"
        found[worker.name] = Server(
            name=worker.name,
            data_dir=data_dir,
            port=worker.port,
            socket_dir=socket_dir(config, worker),
            programs=programs,
            account=server_account(data_dir),
            servers=len(config.workers),
            settings=config.settings,
        )
    return found


def _programs(config: ClusterConfig) -> Programs:
    account = server_account(config.worker_dir(config.workers[0].name) / "pg")
    return find_programs(config.postgres_bin, account, copy_to=config.directory / "programs")


def _with_free_ports(config: ClusterConfig) -> ClusterConfig:
    """Give another port to a stopped server whose port somebody else has taken since."""
    running = {name for name, server in servers(config, NO_PROGRAMS).items() if server.pid() is not None}
    taken = {worker.port for worker in config.workers}
    chosen = []
    for worker in config.workers:
        if worker.name not in running and not port_is_free(worker.port):
            worker = replace(worker, port=free_port(taken))
            taken.add(worker.port)
        chosen.append(worker)
    return replace(config, workers=tuple(chosen))


@contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Hold the lock that keeps two processes from starting or stopping one cluster at a time."""
    with open(directory / LOCK_FILE, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClusterError(
                f"another qserv process is starting or stopping the cluster in {directory}",
                hint="Wait until it has ended, then try again.",
            ) from None
        yield


def each(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Make calls side by side; return their results in order, or raise the first error after all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
    return [future.result() for future in futures]
