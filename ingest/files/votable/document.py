"""A VOTable document, read as a stream: its tables, what it says of itself, and the rows of one table as they come.

The XML is expat's: everything goes through it, so what is not well-formed is refused with its line. Nothing is fetched
and nothing expands: a document type that only names its DTD (as files of VOTable 1.0 do) is blanked before expat sees
it, one that declares anything is refused, and so is every entity beyond the five of XML.

Most rows of TABLEDATA are plain tags. While they are, the sink takes them as bytes, many at once, and expat only checks
them; from the first that has a comment, an attribute or anything else in it, expat gives the cells one by one.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from xml.parsers import expat

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.decompressed import open_decompressed
from qserv_py.ingest.files.votable.elements import Elements, RowSink

_CHUNK = 1 << 21
_LONGEST_ROW = 1 << 24
"""Bytes after which the end of a plain row is looked for no longer."""

_LONGEST_TAG = 1 << 12
_ROWS_BEGIN = re.compile(rb"<TABLEDATA[^<>]*>")
_ROWS_END = b"</TABLEDATA"
_ROW_END = b"</TR>"
_DOCTYPE = b"<!DOCTYPE"
_DECLARATION = 100
_UTF8 = re.compile(rb"""<\?xml\s[^>]*encoding\s*=\s*["'](?i:utf8)["']""")
"""What many write for UTF-8, which expat does not know."""

_TABLE = re.compile(rb"TABLE(?<=[<:]TABLE)(?![A-Z])")
_SURVEYED = 1 << 25
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0<", b"<\0")


class Document:
    """One reading of a document.

    Parameters
    ----------
    wanted
        Number of the table whose rows go to ``sink``; those of other tables are passed over.
    """

    def __init__(self, path: Path, *, wanted: int = 0, sink: RowSink | None = None) -> None:
        self._path = path
        self.elements = Elements(path, wanted=wanted, sink=sink)
        self._plain = True

    def pieces(self) -> Generator[bool]:
        """Read on, a piece of the file at a time; give whether it was the last.

        Raises
        ------
        ContributionError
            If the document is no XML, no VOTable, or holds what is refused.
        """
        with open_decompressed(self._path) as file:
            pending = _without_doctype(self._path, file.read(max(_CHUNK, _DECLARATION)))
            if _UTF8.match(pending):
                self.elements.know_as_utf8()
            more = bool(pending)
            while more:
                pending = self._take(pending, is_last=False)
                yield False
                chunk = file.read(_CHUNK)
                pending += chunk
                more = bool(chunk)
            self._take(pending, is_last=True)
            self.elements.feed(b"", is_last=True)
            yield True

    def _take(self, pending: bytes, *, is_last: bool) -> bytes:
        """Feed expat as much of the bytes as can be fed; return the rest, which has to wait for more bytes."""
        elements, at = self.elements, 0
        while at < len(pending):
            self._plain = self._plain or not elements.in_rows
            if elements.in_rows and elements.rows_are_plain and self._plain:
                cut = self._take_rows(pending, at, is_last=is_last)
                if cut is None:
                    break
            else:
                begin = _ROWS_BEGIN.search(pending, at)
                cut = begin.end() if begin else len(pending) if is_last else _before_open_tag(pending, at)
                if cut == at:
                    break
                elements.feed(pending[at:cut])
                self._plain = self._plain and (begin is not None or not elements.in_rows)
            at = cut
        return pending[at:]

    def _take_rows(self, pending: bytes, at: int, *, is_last: bool) -> int | None:
        """Feed plain rows up to the last whole one; return where it ends, None when there is no whole row yet."""
        end = pending.find(_ROWS_END, at)
        cut = pending.rfind(_ROW_END, at, len(pending) if end < 0 else end) + len(_ROW_END)
        if cut >= len(_ROW_END) and self.elements.feed_rows(pending[at:cut]):
            return cut
        if cut < len(_ROW_END) and end < 0 and not is_last and len(pending) - at < _LONGEST_ROW:
            return None
        self._plain = False  # no plain row follows, or the table ends here
        return at


def _before_open_tag(pending: bytes, start: int) -> int:
    """Return where a tag begins that may end in the next piece; the length of the piece when there is none."""
    at = pending.rfind(b"<", start)
    is_open = at >= 0 and len(pending) - at < _LONGEST_TAG and b">" not in pending[at:]
    return at if is_open else len(pending)


class _Enough(Exception):
    """Ends the reading of a document early, when what was looked for has been found."""


def _without_doctype(path: Path, head: bytes) -> bytes:
    """Return the first bytes of a document with blanks for a document type that only names a DTD."""
    ends: list[int] = []

    def see(_name: str, _system: str | None, _public: str | None, has_subset: bool) -> None:
        if has_subset:
            line = parser.CurrentLineNumber
            raise ContributionError(f"{path} holds a document type that declares something: line {line}")
        ends.append(parser.CurrentByteIndex + 1)

    def stop(*_: object) -> None:
        raise _Enough

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = see
    parser.StartElementHandler = stop
    try:
        if _DOCTYPE in head:
            parser.Parse(head)
    except (_Enough, expat.ExpatError, LookupError, ValueError):
        pass  # the parser that reads the whole document says what is wrong
    if not ends:
        return head
    start, end = head.rfind(_DOCTYPE, 0, ends[0]), ends[0]
    return head[:start] + re.sub(rb"[^\r\n]", b" ", head[start:end]) + head[end:]


def may_hold_several(path: Path) -> bool:
    """Return whether there may be more than one table, as far as the first bytes of a document tell.

    Documents that do hold several are read whole before the first row; that a large one has another table far behind is
    found when its rows have been read.
    """
    with open_decompressed(path) as file:
        head = file.read(_SURVEYED)
    return head.startswith(_WIDE) or sum(1 for _ in _TABLE.finditer(head)) > 1
