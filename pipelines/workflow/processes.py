"""Processes of jobs on this machine: who is alive, what they use, and how they are ended.

A lock on a file stands for "is alive": the kernel takes it back when the last process that inherited it ends, however
it ends. So neither a process number that was given to somebody else, nor a reboot, nor a kill between two lines of ours
can make a dead job look alive or a living one dead.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FLOCK = "hhqqi0q"
"""The kernel's ``struct flock``: type, whence, start, length, process."""

# A lock of the open file, not of the process: a child that inherits the file has it too, as with flock(2), but whether
# somebody has it can be asked.
_WHOLE_FILE = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


class LockFile:
    """A lock that ends with the processes that hold it.

    Parameters
    ----------
    path
        The file; its text is the number of the process that leads the holders.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file, for a child to inherit."""
        assert self._descriptor is not None, "the lock is held"
        return self._descriptor

    def acquire(self) -> bool:
        """Take the lock unless somebody has it; return whether it is ours."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def name_holder(self, pid: int) -> None:
        """Write who leads the holders."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{pid}\n".encode(), 0)

    def release(self) -> None:
        """Close our side; children that inherited the lock keep it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_held(self) -> bool:
        """Return whether some process, perhaps of another program, holds the lock."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:  # asks, and takes nothing: a look never stands in the way of who wants the lock
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
        finally:
            os.close(descriptor)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def holder(self) -> int | None:
        """Return the number of the process that leads the holders; None when nobody holds the lock."""
        try:
            pid = int(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if pid and self.is_held() else None


@dataclass(frozen=True, slots=True)
class SessionUse:
    """The processes of one session, and what they use together."""

    pids: tuple[int, ...]
    memory_mb: float
    """Resident memory; pages that two of them share count twice."""


def sessions_in_use() -> dict[int, SessionUse]:
    """Return the processes of this machine by session; those that ended already are not there."""
    found: dict[int, SessionUse] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path("/proc", entry, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # "pid (name) state ppid pgrp session ..."; the name may hold blanks and brackets, the rest may not.
        fields = text[text.rindex(")") + 2 :].split()
        state, session, pages = fields[0], int(fields[3]), int(fields[21])
        if state not in "ZX":
            known = found.get(session, SessionUse((), 0.0))
            found[session] = SessionUse((*known.pids, int(entry)), known.memory_mb + pages * PAGE_MB)
    return found


def signal_session(session: int, number: signal.Signals) -> bool:
    """Send a signal to every process of a session; return whether there was one."""
    use = sessions_in_use().get(session)
    for pid in use.pids if use else ():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return use is not None


def end_session(session: int, *, grace_s: float) -> None:
    """End every process of a session: they may tidy up for ``grace_s``, then they are killed."""
    signal_session(session, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while session in sessions_in_use():
        if time.monotonic() > deadline:
            signal_session(session, signal.SIGKILL)
        time.sleep(0.05)


def signal_holder(lock: LockFile, number: signal.Signals) -> bool:
    """Send a signal to the process that holds a lock, and to no other; return whether there was one."""
    pid = lock.holder()
    if pid is None:
        return False
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Held still: so the handle was opened while the holder lived, and names the holder whatever happens now.
        if lock.holder() != pid:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True
