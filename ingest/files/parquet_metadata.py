"""What a Parquet file says of its columns: three customs, of which a file may follow several.

Metadata of Arrow's fields (``unit``, ``ucd``, ...: the Butler, and our own answers), the YAML of astropy's tables
(``table_meta_yaml``), and a VOTable without rows (VOParquet 1.0). Positions are converted by their unit, so customs
that contradict each other in one are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from qserv_py.catalog.angles import angle_unit
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.astropy_header import described_by
from qserv_py.ingest.files.votable.elements import Elements

_ASTROPY = b"table_meta_yaml"
_VOTABLE = b"IVOA.VOTable-Parquet.content"
_LONGEST = 1 << 24
"""Bytes of the longest VOTable that is read; that of a table of 1300 columns takes 300,000."""

_ALIASES = {"doc": "description"}
"""Names that the Butler gives to what we call otherwise."""

Described = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the metadata of a Parquet file say of its columns and of the file."""

    described: Described
    """What is said of each column, as in ``Reader.described``."""

    notes: tuple[str, ...]
    """What the user should know, as ``Reader.notes``: that the file was cut off."""


def told_by(path: Path, schema: pa.Schema, stored: Mapping[bytes, bytes]) -> Told:
    """Return what a file says of its columns and of itself.

    Parameters
    ----------
    stored
        Keys and values of the file's footer.

    Raises
    ------
    ContributionError
        If a description cannot be read, two of them contradict each other in the unit of an angle, or the VOTable says
        that the query failed.
    """
    notes: list[str] = []
    customs: list[tuple[str, Mapping[str, Mapping[str, str]]]] = [("the field of Arrow", _of_fields(schema))]
    if _VOTABLE in stored:
        document = _votable(path, stored[_VOTABLE])
        customs.append(("the VOTable", _of_votable(document)))
        if document.overflow:
            notes.append(f"the file holds only a part of its answer: {document.overflow}")
    if _ASTROPY in stored:
        what = f"{path}: {_ASTROPY.decode()}, which describes its columns,"
        customs.append((_ASTROPY.decode(), described_by(stored[_ASTROPY].decode(errors="replace"), what)))
    for name in schema.names:
        _check_alike(path, name, ((custom, of.get(name, {}).get("unit", "")) for custom, of in customs))
    described = {name: _merged(of.get(name, {}) for _, of in customs) for name in schema.names}
    return Told(described=described, notes=tuple(notes))


def _of_fields(schema: pa.Schema) -> Described:
    found = {}
    for field in schema:
        texts = {
            key.decode(errors="replace"): text.decode(errors="replace") for key, text in (field.metadata or {}).items()
        }
        found[field.name] = {_ALIASES.get(key, key): text for key, text in texts.items()}
    return found


def _votable(path: Path, content: bytes) -> Elements:
    what = f"{path}: {_VOTABLE.decode()}"
    if len(content) > _LONGEST:
        raise ContributionError(f"{what} has {len(content)} bytes; at most {_LONGEST} are read")
    document = Elements(Path(what), wanted=0, sink=None)
    document.feed(content, is_last=True)
    return document


def _of_votable(document: Elements) -> Described:
    """Return what the FIELDs of the first table say."""
    fields = document.tables[0].fields if document.tables else []
    return {field.name: dict(field.described) for field in fields}


def _check_alike(path: Path, name: str, units: Iterable[tuple[str, str]]) -> None:
    """Refuse a column that is in two units of angles."""
    known = {angle: (custom, unit) for custom, unit in units if (angle := angle_unit(unit)) is not None}
    if len(known) > 1:
        said = ", ".join(f'"{unit}" by {custom}' for custom, unit in known.values())
        raise ContributionError(
            f'column "{name}" of {path} is in two units: {said}', hint="Write the file with one description of it."
        )


def _merged(described: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return all that is said of a column but its type, which is Arrow's; what is said first counts."""
    merged: dict[str, str] = {}
    for about in described:
        merged = {**{key: text for key, text in about.items() if text and key != "datatype"}, **merged}
    return merged
