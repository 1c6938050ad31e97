"""Records of a CSV file field by field, for files whose quotes are not only those around whole fields.

``12" dish`` without quotes around it is a text like any other. What opens with a quote must close with one before the
next delimiter: ``"ab"cd`` rejects its row. When such a field runs over several lines, nobody can tell which of them are
rows, and the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.csv.records import BLOCK, LONGEST_RECORD


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its fields, NULL where the text without quotes is that of NULL; or why it is none."""

    fields: list[bytes | None]
    broken: str = ""
    text: bytes = b""
    """Text of the record as it stands in the file, when the record is broken."""


class FieldReader:
    """Reads the records of a stream from where it stands.

    Parameters
    ----------
    path
        The file, for messages.
    delimiter
        One ASCII character.
    null
        Text without quotes that means NULL.
    """

    def __init__(self, path: Path, stream: BinaryIO, *, delimiter: str, null: bytes) -> None:
        mark = re.escape(delimiter.encode())
        self._plain = re.compile(rb"[^\r\n" + mark + rb"]*")
        self._quoted = re.compile(rb'"((?:[^"]++|"")*+)"(?!")')
        self._path = path
        self._stream = stream
        self._delimiter = delimiter.encode()
        self._null = null
        self._buffer = b""
        self._at_end = False
        self._number = 0

    def records(self) -> Iterator[Record]:
        """Give the records that are not empty lines.

        Raises
        ------
        ContributionError
            If a quote does not close, or a broken field runs over several lines; names the record, from 1.
        """
        place = 0
        while True:
            place = self._after_empty_lines(place)
            if place >= len(self._buffer):
                return
            self._number += 1
            record, place = self._record(place)
            yield record

    def _after_empty_lines(self, place: int) -> int:
        while True:
            if place >= len(self._buffer) - 1 and not self._at_end:
                self._read_more(place)
                place = 0
            if self._buffer[place : place + 1] not in (b"\r", b"\n") or place >= len(self._buffer):
                return place
            place += 1

    def _record(self, place: int) -> tuple[Record, int]:
        """Return the record that begins at a place of the buffer, and the place behind it; reads on when it must."""
        while True:
            found = self._complete_record(place)
            if found is not None:
                return found
            if self._at_end:
                raise self._never_closes()
            if len(self._buffer) - place > LONGEST_RECORD:
                raise ContributionError(
                    f"{self._path}, row {self._number}: the row is longer than {LONGEST_RECORD >> 20} MiB",
                    hint="A quote that opens there may never close.",
                )
            self._read_more(place)
            place = 0

    def _complete_record(self, start: int) -> tuple[Record, int] | None:
        """Return a record and the place behind it; None when the buffer ends before it does."""
        buffer, place = self._buffer, start
        fields: list[bytes | None] = []
        while True:
            if buffer[place : place + 1] == b'"':
                match = self._quoted.match(buffer, place)
                if match is None or (match.end() == len(buffer) and not self._at_end):
                    return None
                fields.append(match[1].replace(b'""', b'"'))
            else:
                match = self._plain.match(buffer, place)
                assert match is not None
                fields.append(None if match[0] == self._null else match[0])
            place = match.end()
            follows = buffer[place : place + 1]
            if not follows and not self._at_end:
                return None
            if not follows or follows in b"\r\n":
                return Record(fields), place
            if follows != self._delimiter:
                return self._broken(start, place, match[0])
            place += 1

    def _broken(self, start: int, place: int, field: bytes) -> tuple[Record, int] | None:
        """Return a record with a field that goes on behind its closing quote."""
        if b"\n" in field or b"\r" in field:
            raise self._never_closes()
        end = re.compile(rb"[\r\n]").search(self._buffer, place)
        if end is None and not self._at_end:
            return None
        stop = end.start() if end else len(self._buffer)
        text = self._buffer[start:stop]
        return Record([], "a field goes on behind its closing quote", text), stop

    def _never_closes(self) -> ContributionError:
        return ContributionError(
            f"{self._path}, row {self._number}: a quote opens a field and does not close at its end",
            hint='Inside of a field in quotes a quote is written twice: "12"" dish".',
        )

    def _read_more(self, keep_from: int) -> None:
        more = self._stream.read(BLOCK)
        self._at_end = not more
        self._buffer = self._buffer[keep_from:] + more
