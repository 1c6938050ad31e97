"""Bytes on their way from a query's thread to a client: in memory while the client keeps up, else on the disk.

So a slow client never holds a worker's connection: the query runs at its own speed and ends. How much may lie on the
disk is bounded by the bytes that a result may have.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from qserv_py.errors import LimitError
from qserv_py.executor.budget import Account

MEMORY = 4 << 20
"""Bytes of one result in memory at the most."""

PIECE = 64 << 10
"""Bytes that are read from the disk at a time, and those that are joined before they are sent."""


class ElasticBuffer:
    """A first-in-first-out buffer; ``write`` and ``finish`` from one thread, ``read`` from the event loop.

    Parameters
    ----------
    directory
        Where bytes lie that memory does not hold.
    spilled
        What those are counted in.
    kept
        What those in memory are counted in; where that has no room, they go to the disk.
    memory
        Bytes in memory at the most.
    """

    def __init__(self, directory: Path, spilled: Account, kept: Account, *, memory: int = MEMORY) -> None:
        self._spilled = spilled
        self._kept = kept
        self._directory = directory
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._sent = 0
        """Bytes that were read last: they are in memory until the client has taken them, and the next are read."""

        self._file: IO[bytes] | None = None
        self._unread = 0
        """Bytes in the file; while there are any, what is written goes there."""

        self._place = 0
        """Where reading the file goes on."""

        self._has_begun = False
        """Whether there were bytes."""

        self._finished = False
        self._failure: BaseException | None = None
        self._closed = False

    def write(self, data: bytes) -> int:
        """Append bytes; never waits for the reader.

        Raises
        ------
        LimitError
            If too many bytes wait on the disk.
        """
        with self._lock:
            if self._closed or self._finished or not data:  # reading nothing means the end
                return len(data)
            self._has_begun = True
            if self._unread or not self._fits(len(data)):
                self._spill(data)
            else:
                self._pieces.append(data)
                self._held += len(data)
        self._tell()
        return len(data)

    def flush(self) -> None:
        """Do nothing; files have this."""

    def finish(self, failure: BaseException | None = None) -> None:
        """Say that no more comes; with a failure, the reader gets it after the bytes. The first end counts."""
        with self._lock:
            if not self._finished:
                self._finished, self._failure = True, failure
        self._tell()

    def give_up(self, failure: BaseException) -> None:
        """Say that no more comes, unless there are bytes: then the writer has to say how they end."""
        if not self._has_begun:
            self.finish(failure)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are here, in memory, and no failure."""
        with self._lock:
            return self._finished and self._failure is None and not self._unread

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self._held

    async def first(self) -> None:
        """Wait for the first bytes or the end; raise the failure if it came before them."""
        while True:
            with self._lock:
                if self._has_begun:
                    return
                if self._failure is not None:
                    raise self._failure
                if self._finished:
                    return
                self._news.clear()
            await self._news.wait()

    async def read(self) -> bytes:
        """Return the next bytes, empty at the end; raise the failure."""
        while True:
            with self._lock:
                self._forget_sent()
                if self._pieces:
                    return self._from_memory()
                if self._unread:
                    return self._from_disk()
                if self._failure is not None:
                    raise self._failure
                if self._finished:
                    return b""
                self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Throw everything away; what is written from now on, too."""
        with self._lock:
            self._closed = True
            self._pieces.clear()
            self._held = self._unread = self._sent = 0
            self._spilled.give_back()
            self._kept.give_back()
            if self._file is not None:
                self._file.close()

    def _fits(self, size: int) -> bool:
        """Take room in memory for some bytes if there is any."""
        if self._held + self._sent + size > self._memory:
            return False
        try:
            self._kept.take(size)
        except LimitError:
            return False
        return True

    def _from_memory(self) -> bytes:
        pieces = [self._pieces.popleft()]
        size = len(pieces[0])
        while self._pieces and size + len(self._pieces[0]) <= PIECE:
            pieces.append(self._pieces.popleft())
            size += len(pieces[-1])
        self._held -= size
        self._sent = size
        return b"".join(pieces)

    def _forget_sent(self) -> None:
        self._kept.give_back(self._sent)
        self._sent = 0

    def _spill(self, data: bytes) -> None:
        self._spilled.take(len(data))
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 (closed by ``close``)
        self._file.seek(0, 2)
        self._file.write(data)
        self._unread += len(data)

    def _from_disk(self) -> bytes:
        assert self._file is not None
        self._file.seek(self._place)
        data = self._file.read(min(PIECE, self._unread))
        self._place += len(data)
        self._unread -= len(data)
        if not self._unread:  # the reader has caught up: begin the file anew
            self._file.seek(0)
            self._file.truncate()
            self._place = 0
            self._spilled.give_back()
        return data

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._news.set)
