"""A file that libraries write to and from which the bytes are taken as they come."""

from __future__ import annotations

import io
from typing import Any


class Outbox(io.RawIOBase):
    """A file for writing that keeps the bytes in memory until ``take`` fetches them."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Keep some bytes."""
        kept = bytes(data)
        self._waiting.append(kept)
        return len(kept)

    def take(self) -> bytes:
        """Return the bytes written since the last call."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken
