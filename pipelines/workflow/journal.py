"""What happened in a run: events, one JSON object a line, appended and flushed to disk before anybody acts on them.

A kill can leave half a line at the end. Readers pass over it, and whoever writes next cuts it off; any other line that
cannot be read is damage, and is said so.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from qserv_py.errors import PipelineError

JOURNAL_FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStarted:
    """A runner took the run over; a restart makes jobs that failed wait again."""

    pid: int
    host: str
    cores: int
    memory_mb: int
    restart: bool
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """An attempt at a job is about to begin."""

    job: str
    attempt: int
    memory_mb: int
    """What it may use; 0 for no limit."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """An attempt ended."""

    job: str
    exit_code: int | None
    """None when nobody was there to hear it."""

    reason: str = ""
    """Why it failed where the exit code does not tell: ``memory``, ``walltime``, ``cancelled`` or ``lost``."""

    again: bool = False
    """Whether another attempt follows."""

    peak_mb: int = 0
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPassed:
    """A barrier succeeded, or a job can no longer run because another one failed."""

    job: str
    pruned_by: str = ""
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped:
    """No further job starts: the run was cancelled, or a job's exit code ended it."""

    aborted_by: str = ""
    """The job that ended the run; empty when a user did."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """Nothing is left to do."""

    at: float = field(default_factory=time.time)


Event = RunnerStarted | JobStarted | JobEnded | JobPassed | RunStopped | RunEnded
_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (RunnerStarted, JobStarted, JobEnded, JobPassed, RunStopped, RunEnded)
}


class Journal:
    """The journal of a run, open for appending; only the process that holds the runner's lock may have one."""

    def __init__(self, directory: Path) -> None:
        path = directory / JOURNAL_FILE
        self._file: IO[bytes] = open(path, "ab")  # noqa: SIM115
        whole = len(_whole_lines(path.read_bytes()))
        self._file.truncate(whole)

    def append(self, *events: Event) -> None:
        """Write events and wait until the disk has them."""
        for event in events:
            line = json.dumps({"event": type(event).__name__, **asdict(event)}, separators=(",", ":"))
            self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(directory: Path) -> list[Event]:
    """Return what happened in a run, in order; nothing when it never began.

    Raises
    ------
    PipelineError
        If a line before the last cannot be read.
    """
    path = directory / JOURNAL_FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return _events(path, text)
    except PipelineError:
        # A new runner may have cut half a line off while we read: the first bytes are of before, the rest of after.
        if (now := path.read_bytes()) == text:
            raise
        return _events(path, now)


def _events(path: Path, text: bytes) -> list[Event]:
    events = []
    for number, line in enumerate(_whole_lines(text).splitlines(), 1):
        try:
            values = json.loads(line)
            events.append(_KINDS[values.pop("event")](**values))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PipelineError(
                f"{path}, line {number} is damaged",
                detail=str(error),
                hint="The outputs of finished jobs are in the repository's files; submit the run again.",
            ) from error
    return events


def _whole_lines(text: bytes) -> bytes:
    return text[: text.rfind(b"\n") + 1]
