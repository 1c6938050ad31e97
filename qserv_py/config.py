"""Where a cluster lives on disk, and which cluster and PostgreSQL a command means.

A cluster is one directory. ``cluster.json`` in it names the workers; everything else has a fixed place below it.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from qserv_py.errors import ConfigError, NotFoundError

CLUSTER_VARIABLE = "QSERV_CLUSTER"
POSTGRES_VARIABLE = "QSERV_PG_BIN"
CLUSTER_FILE = "cluster.json"
LAYOUT_VERSION = 1
USER_TABLES_DIR = "user-tables"
"""Below ``ClusterConfig.czar_dir``."""
SCRATCH_BYTES = 1 << 30
MOVE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """One embedded worker as ``cluster.json`` describes it."""

    name: str
    port: int
    """Loopback port of its PostgreSQL, chosen free when the cluster was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """An embedded cluster: one machine, one directory, some PostgreSQL servers."""

    directory: Path
    workers: tuple[WorkerConfig, ...]
    registry: str = ""
    """Name of the worker whose server has the registry, too; empty for the first."""

    postgres_bin: str = ""
    """Directory of the PostgreSQL programs; empty for the wheel's."""

    settings: dict[str, str] = field(default_factory=dict)
    """Further PostgreSQL settings of every worker."""

    scratch_bytes: int = SCRATCH_BYTES
    """Bytes of rows that running queries may bring to one worker at a time."""

    move_bytes: int = MOVE_BYTES
    """Bytes of rows that one stage of a query may bring to the czar to be kept there."""

    @property
    def passfile(self) -> Path:
        """libpq password file, readable by its owner alone."""
        return self.directory / "private" / "pgpass"

    @property
    def czar_dir(self) -> Path:
        """Files of the czar: director indexes, spill, results."""
        return self.directory / "czar"

    def worker_dir(self, name: str) -> Path:
        """Directory of one worker: ``pg`` (server) and ``parts``."""
        return self.directory / "workers" / name

    def save(self) -> None:
        """Write ``cluster.json`` so that a reader sees the old text or the new one, never half of it."""
        text = {"version": LAYOUT_VERSION, **asdict(self)}
        del text["directory"]
        target = self.directory / CLUSTER_FILE
        temporary = target.with_suffix(".tmp")
        temporary.write_text(json.dumps(text, indent=2) + "\n")
        os.replace(temporary, target)

    @classmethod
    def load(cls, directory: Path) -> ClusterConfig:
        """Read the cluster of a directory.

        Raises
        ------
        NotFoundError
            If the directory holds no cluster.
        ConfigError
            If ``cluster.json`` is broken or of another version.
        """
        path = directory / CLUSTER_FILE
        try:
            raw = json.loads(path.read_text())
            if raw["version"] != LAYOUT_VERSION:
                raise ConfigError(f"{path} has layout version {raw['version']}, this program reads {LAYOUT_VERSION}")
            return cls(
                directory=directory.absolute(),
                workers=tuple(WorkerConfig(**worker) for worker in raw["workers"]),
                registry=raw.get("registry", ""),
                postgres_bin=raw["postgres_bin"],
                settings=dict(raw["settings"]),
                scratch_bytes=int(raw.get("scratch_bytes", SCRATCH_BYTES)),
                move_bytes=int(raw.get("move_bytes", MOVE_BYTES)),
            )
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no cluster in {directory}",
                hint=f"qserv cluster init {directory} --workers 3 makes one.",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error


def cluster_directory(option: str | os.PathLike[str] | None) -> Path:
    """Return the directory that ``--cluster`` or ``QSERV_CLUSTER`` names."""
    chosen = option or os.environ.get(CLUSTER_VARIABLE)
    if not chosen:
        raise ConfigError(
            "no cluster was named", hint=f"Give --cluster DIR or set {CLUSTER_VARIABLE}; qserv demo makes one to try."
        )
    return Path(chosen).expanduser().absolute()


def state_directory() -> Path:
    """Return where this account keeps what outlives a command and belongs to no cluster: logs, lists of runs."""
    state = os.environ.get("XDG_STATE_HOME") or (str(Path.home() / ".local/state") if "HOME" in os.environ else "")
    return Path(state or tempfile.gettempdir()) / "qserv"
