"""An embedded cluster as others use it: a frozen handle that opens nothing and gives addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from qserv_py.catalog.snapshot import Worker
from qserv_py.config import CLUSTER_FILE, ClusterConfig, WorkerConfig
from qserv_py.errors import ClusterError
from qserv_py.registry.connection import REGISTRY_DATABASE, Registry
from qserv_py.workers.server_address import socket_directory
from qserv_py.workers.server_programs import server_account
from qserv_py.workers.server_setup import READER, server_conninfo

READER_OPTIONS = "-c client_connection_check_interval=2s"
"""Options of the reader's connections: PostgreSQL ends a statement when the czar that sent it has died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """An embedded cluster as its users see it: addresses, no connections."""

    config: ClusterConfig
    registry_conninfo: str
    """The superuser's connection string to the registry's database, which is on the server of one worker."""

    workers: tuple[Worker, ...]
    """The workers, with the connection strings of the role that can only read."""

    admin: Mapping[str, str]
    """The superuser's connection string to each worker's shard database, by the worker's name."""

    def worker(self, name: str) -> tuple[Worker, str]:
        """Return a worker and the superuser's connection string to its shard, by its name.

        A worker that was added to ``cluster.json`` after this handle was made is found, too.

        Raises
        ------
        ClusterError
            If ``cluster.json`` has no such worker.
        """
        for cluster in (self, None):
            cluster = cluster or cluster_of(ClusterConfig.load(self.config.directory))
            for worker in cluster.workers:
                if worker.name == name:
                    return worker, cluster.admin[name]
        raise ClusterError(
            f'the registry names worker "{name}", which {self.config.directory / CLUSTER_FILE} does not have',
            hint="Put it back there and run qserv cluster start; the rows of its chunks are in its directory.",
        )

    def registry(self) -> Registry:
        """Return a registry of its own connection; close it after use."""
        return Registry(self.registry_conninfo)


def open_cluster(directory: str | os.PathLike[str]) -> Cluster:
    """Return the handle of a cluster, whether or not it runs.

    Raises
    ------
    NotFoundError
        If the directory holds no cluster.
    ClusterError
        If this account may not use it.
    """
    config = ClusterConfig.load(Path(directory))
    if not os.access(config.passfile, os.R_OK):
        raise ClusterError(
            f"the cluster in {config.directory} is not yours: {config.passfile} cannot be read",
            hint="Run qserv as the account that made the cluster.",
        )
    return cluster_of(config)


def cluster_of(config: ClusterConfig) -> Cluster:
    """Return the handle of a configuration."""
    workers, admin = [], {}
    for worker in config.workers:
        address = {
            "host": str(socket_dir(config, worker)),
            "port": worker.port,
            "passfile": str(config.passfile),
        }
        admin[worker.name] = server_conninfo(**address)  # type: ignore[arg-type]
        reader = server_conninfo(**address, user=READER, options=READER_OPTIONS)  # type: ignore[arg-type]
        parts_dir = str(config.worker_dir(worker.name) / "parts")
        workers.append(Worker(name=worker.name, conninfo=reader, parts_dir=parts_dir))
    first = next((worker for worker in config.workers if worker.name == config.registry), config.workers[0])
    registry = server_conninfo(
        host=str(socket_dir(config, first)),
        port=first.port,
        passfile=str(config.passfile),
        dbname=REGISTRY_DATABASE,
    )
    return Cluster(config=config, registry_conninfo=registry, workers=tuple(workers), admin=MappingProxyType(admin))


def socket_dir(config: ClusterConfig, worker: WorkerConfig) -> Path:
    """Return the directory of a server's Unix socket."""
    account = server_account(config.worker_dir(worker.name) / "pg")
    return socket_directory(config.directory / "run", port=worker.port, account=account)
