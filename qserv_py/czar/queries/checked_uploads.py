"""Tables that come with a query of a service: the UPLOAD parameter, and files that nobody trusts.

A file is what its first bytes say. Before a library reads it, everything in it that could make that library fetch
something, or grow without bound, is refused: document types and entities of XML, streams that lie elsewhere or are
compressed, compressed FITS. What a file may become in memory is bounded by the bytes that its owner may upload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

import pyarrow as pa

from qserv_py.czar.tables.czar_tables import check_name
from qserv_py.czar.user_tables.file_to_arrow import read_upload
from qserv_py.errors import ContributionError, LimitError, UserError
from qserv_py.ingest.requests import InputFormat

MOST_UPLOADS = 20
"""Tables of one query."""

GROWTH = 8
"""How many times as large as its file a table may become in memory."""


def upload_sources(values: Sequence[str]) -> dict[str, str]:
    """Return what the UPLOAD parameters say: the URI of each table by its name.

    Raises
    ------
    UserError
        If a value is not of the form ``name,uri;name,uri``, or a name stands twice.
    """
    found: dict[str, str] = {}
    for part in (part.strip() for value in values for part in value.split(";")):
        if not part:
            continue
        name, comma, uri = part.partition(",")
        name, uri = name.strip(), uri.strip()
        if not comma or not uri:
            raise UserError(f'UPLOAD "{part[:60]}" is not of the form name,uri', hint="Write UPLOAD=mine,param:mine.")
        check_name(name, "an uploaded table")
        if name.lower() in (known.lower() for known in found):
            raise UserError(f'UPLOAD names "{name}" twice')
        found[name] = uri
    if len(found) > MOST_UPLOADS:
        raise UserError(f"the query brings {len(found)} tables, at most {MOST_UPLOADS} are taken")
    return found


def read_uploads(
    files: Mapping[str, Path],
    *,
    hold: Callable[[int], object],
    tell: Callable[[str], object] = lambda note: None,
) -> dict[str, pa.Table]:
    """Return the tables of some files, by the same names.

    Parameters
    ----------
    files
        The file of each table.
    hold
        Called with the bytes that each table takes in memory; it counts them, and raises LimitError where they are
        too many for those that are held already.
    tell
        Called with what the user should know of a file although it was read: that it is a part of an answer.

    Raises
    ------
    UserError
        If a file cannot be read as a table, or holds what is refused.
    LimitError
        If a table is too large.
    """
    found = {}
    for name, path in files.items():
        table = _read(name, path, tell)
        try:
            hold(table.nbytes)
        except LimitError as error:
            raise LimitError(
                f'uploaded table "{name}" takes {table.nbytes} bytes in memory: {error.message}',
                detail=error.detail,
                hint=f"Bring fewer rows or columns along. {error.hint}",
            ) from error
        found[name] = table
    return found


def _read(name: str, path: Path, tell: Callable[[str], object]) -> pa.Table:
    kind = kind_of(path)
    if kind is InputFormat.VOTABLE:
        with open(path, "rb") as file:
            check_votable(file)
    try:
        told = f'uploaded table "{name}"'
        table = read_upload(path, format=kind, tell=lambda note: tell(note.replace(str(path), told)))
    except ContributionError as error:
        message, detail = (text.replace(str(path), "it") for text in (error.message, error.detail))
        raise UserError(f'uploaded table "{name}" cannot be read as {kind}: {message}', detail=detail) from error
    most = max(64 << 20, GROWTH * path.stat().st_size)
    if table.nbytes > most:
        raise LimitError(f'uploaded table "{name}" takes {table.nbytes} bytes in memory, more than {most}')
    return table


def kind_of(path: Path) -> InputFormat:
    """Return the format that the first bytes of a file say; UserError for what is compressed or empty."""
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(b"PAR1"):
        return InputFormat.PARQUET
    if head.startswith(b"SIMPLE  ="):
        return InputFormat.FITS
    if head.startswith((b"\x1f\x8b", b"BZh", b"PK\x03\x04", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        raise UserError("an uploaded table is compressed", hint="Send it as it is.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise UserError("an uploaded table is empty", hint="Send VOTable, CSV, FITS or Parquet.")
    is_wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return InputFormat.VOTABLE if text.startswith(b"<") or is_wide else InputFormat.CSV


def check_votable(file: BinaryIO) -> None:
    """Raise UserError unless a file is XML without a document type, whose streams are inline and not compressed."""

    def refuse(what: str) -> None:
        raise UserError(f"an uploaded VOTable holds {what}, which is not taken", hint="Send the rows inline.")

    def look(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2].upper() == "STREAM":
            if "href" in attributes:
                refuse("a STREAM that lies elsewhere")
            if attributes.get("encoding", "base64") not in {"base64", "none"}:
                refuse("a compressed STREAM")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_: refuse("a document type")
    parser.StartElementHandler = look
    try:
        parser.ParseFile(file)
    except expat.ExpatError as error:
        raise UserError(f"an uploaded VOTable is not XML: {error}") from error
    except (LookupError, ValueError) as error:
        raise UserError(f"an uploaded VOTable is in an encoding that cannot be read: {error}") from error
