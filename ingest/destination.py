"""Where ingest puts rows: the registry, the workers, and the czar's directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qserv_py.catalog.part import NewPart, PartRole
from qserv_py.catalog.snapshot import Worker
from qserv_py.errors import InternalError, WorkerUnavailableError
from qserv_py.registry.connection import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A running cluster, as ingest uses it."""

    registry: Registry
    workers: tuple[Worker, ...]
    """Workers of the cluster, in the registry's order."""

    admin: Mapping[str, str]
    """Connection string of the superuser of each worker's shard, by the worker's name."""

    czar_dir: Path
    """The czar's directory, where the files of director indexes and the spool are."""

    sync: bool = True
    """Whether files are flushed to the disk before a commit names them; tests leave that out."""

    def worker(self, name: str) -> Worker:
        """Return a worker by its name."""
        for worker in self.workers:
            if worker.name == name:
                return worker
        if not name:
            raise WorkerUnavailableError("a chunk that gets rows is placed on no worker", hint="Place it again.")
        raise InternalError(f'the registry names worker "{name}", which the cluster does not have')

    def parts_dir(self, worker: str) -> Path:
        """Return the directory of a worker's parts."""
        return Path(self.worker(worker).parts_dir)

    def file_of(self, part: NewPart, *, worker: str | None = None) -> Path:
        """Return where a part's file stands; of a ref part, on the given worker."""
        if part.role is PartRole.INDEX:
            return self.czar_dir / part.path
        holder = part.worker or worker or self.workers[0].name
        return self.parts_dir(holder) / part.path

    def spool_dir(self, transaction_id: int) -> Path:
        """Return the directory in which a super-transaction's rows wait until they are written as parts."""
        return self.czar_dir / "spool" / f"t{transaction_id}"
