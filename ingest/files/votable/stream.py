"""Decodes the text of a STREAM: base64 to bytes, which are decompressed when they were compressed."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from qserv_py.counts import counted
from qserv_py.errors import ContributionError

_DECOMPRESSED = 1 << 23
"""Bytes that come of a compressed stream at a time."""


class StreamDecoder:
    """Decodes the text of a STREAM, piece by piece.

    Parameters
    ----------
    encoding
        ``base64``, or ``gzip`` for what was compressed before it became base64.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._rest = b""
        self._is_padded = False
        self._inflater = zlib.decompressobj(31) if encoding == "gzip" else None

    def decode(self, texts: Sequence[str]) -> Iterator[bytes]:
        """Give the bytes of some text, in pieces that fit in memory.

        Raises
        ------
        ContributionError
            If it is no base64, or what was compressed is damaged.
        """
        try:
            data = self._rest + "".join(texts).encode("ascii").translate(None, b" \t\r\n")
            whole = len(data) - len(data) % 4
            self._rest = data[whole:]
            if self._is_padded and data:
                raise binascii.Error("data after its end")
            decoded = binascii.a2b_base64(data[:whole], strict_mode=True)
            self._is_padded = data[:whole].endswith(b"=")
        except (UnicodeEncodeError, binascii.Error) as error:
            raise self._damaged("is no base64", str(error)) from error
        yield from [decoded] if self._inflater is None else self._inflated(decoded)

    def finish(self) -> None:
        """Raise ContributionError unless the stream is whole."""
        if self._rest:
            raise self._damaged(
                "is no base64", f"It leaves {counted(len(self._rest), 'character')} at its end, four are one group."
            )
        if self._inflater is not None and not self._inflater.eof:
            raise self._damaged("ends too early", "What is compressed in it goes on.")

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        assert self._inflater is not None
        try:
            while data:
                if self._inflater.eof:  # gzip allows several compressed parts, one after the other
                    self._inflater = zlib.decompressobj(31)
                yield self._inflater.decompress(data, _DECOMPRESSED)
                data = self._inflater.unconsumed_tail or self._inflater.unused_data
        except zlib.error as error:
            raise self._damaged("is not compressed as it says", str(error)) from error

    def _damaged(self, what: str, detail: str) -> ContributionError:
        return ContributionError(f"the STREAM of {self._path} {what}", detail=detail, hint="The file is damaged.")
