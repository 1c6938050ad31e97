"""What stands before the rows of a CSV file: lines of remarks, those of ECSV, and the names of the columns."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest.files.astropy_header import described_by
from qserv_py.ingest.files.csv.fields import FieldReader
from qserv_py.ingest.files.reader import check_names
from qserv_py.ingest.requests import InputOptions

_BOM = b"\xef\xbb\xbf"
_ECSV = "%ECSV"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvHeader:
    """The beginning of a CSV file."""

    names: tuple[str, ...]
    delimiter: str
    rows_at: int
    """Place of the first row: bytes of the decompressed text before it."""

    described: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What ECSV says of a column, as ``astropy_header``."""


def read_header(path: Path, head: bytes, options: InputOptions) -> CsvHeader:
    """Return the header of a file.

    Parameters
    ----------
    head
        The beginning of the file in UTF-8, or all of it.

    Raises
    ------
    ContributionError
        If there is no line of names, or a name stands twice.
    UserError
        If the delimiter is none.
    """
    place = len(_BOM) if head.startswith(_BOM) else 0
    remarks: list[str] = []
    while head[place : place + 1] in (b"#", b"\r", b"\n"):
        end = _line_end(head, place)
        remarks.append(_text(path, head[place:end]).strip().removeprefix("#").removeprefix(" "))
        place = end
    told = _ecsv(path, remarks)
    delimiter = _delimiter(path, options, head[place : _line_end(head, place)] if told else b"")
    fields = FieldReader(path, io.BytesIO(head[place:]), delimiter=delimiter, null=b"")
    record = next(fields.records(), None)
    if record is None:
        raise ContributionError(f"{path} is empty", hint=_no_names(remarks))
    if record.broken:
        raise ContributionError(f"{path}: the line of column names is broken", detail=record.broken)
    names = [_text(path, name or b"").strip() for name in record.fields]
    if _is_a_row(names, remarks if not told else [], delimiter):
        raise ContributionError(
            f"{path} has a row where the names of its columns should be",
            detail=", ".join(names[:_NAMES_SHOWN]),
            hint=_no_names(remarks),
        )
    return CsvHeader(
        names=check_names(path, names),
        delimiter=delimiter,
        rows_at=_record_end(head, place, record_lines=_lines(record.fields)),
        described=told,
    )


def _is_a_row(names: list[str], remarks: list[str], delimiter: str) -> bool:
    """Tell whether what should be names looks like a row: numbers alone, or one below a remark with as many fields."""
    numbers = [_NUMBER.fullmatch(name) is not None for name in names]
    behind_mark = bool(remarks) and len(names) > 1 and len(remarks[-1].split(delimiter)) == len(names)
    return all(numbers) or (behind_mark and any(numbers))


def _no_names(remarks: list[str]) -> str:
    said = "A CSV file begins with a line of column names."
    return f"{said} Lines that begin with # are passed over: remove the # of that line." if remarks else said


def _line_end(head: bytes, place: int) -> int:
    """Return where the next line begins."""
    ends = [end for mark in (b"\n", b"\r") if (end := head.find(mark, place)) >= 0]
    if not ends:
        return len(head)
    end = min(ends)
    return end + 2 if head[end : end + 2] == b"\r\n" else end + 1


def _lines(fields: list[bytes | None]) -> int:
    """Return how many lines a record of these fields takes."""
    text = b"".join(field or b"" for field in fields).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return 1 + text.count(b"\n")


def _record_end(head: bytes, place: int, *, record_lines: int) -> int:
    for _ in range(record_lines):
        place = _line_end(head, place)
    return place


def _text(path: Path, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise ContributionError(
            f"{path}: the column names are not UTF-8 text",
            detail=f"{error.object[error.start : error.end]!r} in {text[:60]!r}",
            hint="--encoding says how the file is written, such as latin-1.",
        ) from error


def _ecsv(path: Path, remarks: list[str]) -> Mapping[str, Mapping[str, str]]:
    """Return what the header of an ECSV file says of its columns; nothing for other remarks."""
    if not remarks or not remarks[0].startswith(_ECSV):
        return {}
    return described_by("\n".join(remarks[1:]), f"{path}: the header of the ECSV file")


def _delimiter(path: Path, options: InputOptions, ecsv_names: bytes) -> str:
    """Return what stands between fields: as the options say, else as ECSV has it, else by the file's name.

    ECSV knows the comma and the blank; its line of names, ``ecsv_names``, shows which of them (some programs write the
    comma without declaring it). Empty for other files.
    """
    if options.delimiter is None:
        if ecsv_names:
            return "," if b"," in ecsv_names and b" " not in ecsv_names else " "
        return "\t" if {".tsv", ".tab"} & set(path.suffixes) else ","
    delimiter = "\t" if options.delimiter in {"\\t", "tab"} else options.delimiter
    if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise UserError(f'"{options.delimiter}" is no delimiter', hint="A delimiter is one ASCII character, or tab.")
    return delimiter
