"""Result files of jobs: one directory a job under the cluster's ``czar/results``.

A result lies there in the format that the job asked for, as it goes over the network: so its size is known, parts of it
can be asked for again after a broken connection, and sending it costs no more than reading a file. A file has its name
only when it is whole and on the disk; the registry's row is written after that. Files that no row names
are removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qserv_py.errors import NotFoundError, QservError
from qserv_py.workers.parts import sync_directory

UNFINISHED = ".unfinished"
UPLOADS = "uploads"


class ResultFiles:
    """The directory of results."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self, job_id: str, suffix: str) -> Iterator[BinaryIO]:
        """Yield where a job's result goes; left with an error, nothing of it remains."""
        place = self.directory / job_id
        unfinished = place / UNFINISHED
        try:
            place.mkdir(exist_ok=True)
            with open(unfinished, "wb") as sink:
                yield sink
                sink.flush()
                os.fsync(sink.fileno())
            unfinished.replace(self.directory / self.name(job_id, suffix))
            sync_directory(place)
        except OSError as error:
            raise QservError(f"the result cannot be written: {error.strerror}") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def uploads(self, job_id: str) -> Path:
        """Return the directory of the tables that a job brings along."""
        return self.directory / job_id / UPLOADS

    def uploaded(self, job_id: str) -> dict[str, Path]:
        """Return the files of the tables that a job brings along, by name."""
        place = self.uploads(job_id)
        return {path.name: path for path in sorted(place.iterdir())} if place.is_dir() else {}

    def name(self, job_id: str, suffix: str) -> str:
        """Return the name of a job's result, relative to the directory."""
        return f"{job_id}/result{suffix}"

    def path(self, name: str) -> Path:
        """Return a result's path; NotFoundError if the file is gone."""
        path = self.directory / name
        if not path.is_file():
            raise NotFoundError("the result of this job is gone from the disk", hint="Run the query again.")
        return path

    def remove(self, job_id: str) -> None:
        """Remove what a job left."""
        shutil.rmtree(self.directory / job_id, ignore_errors=True)

    def sweep(self, known: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove what belongs to no job; return how many directories that were."""
        present = [entry.name for entry in self.directory.iterdir()]  # before the rows are read: a row comes first
        strangers = set(present) - known(present)
        for name in strangers:
            self.remove(name)
        return len(strangers)
