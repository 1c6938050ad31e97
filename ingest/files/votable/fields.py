"""What a VOTable says of its tables and columns: FIELDs, their types and sizes, which of them hold single values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa

BITS = {"bit": 1, "boolean": 8, "unsignedByte": 8, "short": 16, "int": 32, "long": 64, "char": 8, "unicodeChar": 16}
BITS |= {"float": 32, "double": 64, "floatComplex": 64, "doubleComplex": 128}
"""Size of one primitive of each datatype in a binary stream."""

TEXTS = frozenset({"char", "unicodeChar"})
COMPLEX = frozenset({"floatComplex", "doubleComplex"})
INTEGERS: Mapping[str, pa.DataType] = {
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
}
FLOATS: Mapping[str, pa.DataType] = {"float": pa.float32(), "double": pa.float64()}

ENCODED = "\0"
"""Begins a cell that is in an encoding of its own (VOTable 1.0) or has elements in it; no text of XML can hold it."""

_ARRAY_SIZE = re.compile(r"(?:\d+x)*(?:\d+\*?|\*)", re.ASCII)

Frame: TypeAlias = dict[str, str]
"""Keys ``frame`` and ``equinox``, each if the document says it."""

_DEFAULT_SYSTEM = "eq_FK5"
"""System of a COOSYS that names none; the standard's default until version 1.4."""

_FRAMES = {
    "eq_FK4": "FK4",
    "eq_FK5": "FK5",
    "ecl_FK5": "ECLIPTIC",
    "galactic": "GALACTIC",
    "supergalactic": "SUPER_GALACTIC",
}
"""Names that frames had before version 1.5, and their names in the vocabulary of today (ivoa.net/rdf/refframe)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A FIELD: one column of a table."""

    name: str
    datatype: str
    array_size: str
    """The attribute ``arraysize`` as it is written; empty when the column holds single values."""

    null: str | None
    """Value that stands for NULL, as it is written; None when the document names none."""

    described: Mapping[str, str] = field(hash=False)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the array, the first changing fastest; the last is 0 when nothing bounds it. Empty for one value.

        Only for an ``array_size`` that can be understood.
        """
        return tuple(int(size.rstrip("*") or 0) for size in self.array_size.split("x")) if self.array_size else ()

    @property
    def varies(self) -> bool:
        """Whether rows have arrays of different lengths."""
        return self.array_size.endswith("*")

    @property
    def count(self) -> int:
        """Number of primitives that each row has of a column whose length does not vary."""
        return math.prod(self.sizes)

    @property
    def is_text(self) -> bool:
        """Whether the column holds texts."""
        return self.datatype in TEXTS

    @property
    def is_bytes(self) -> bool:
        """Whether it holds byte strings: arrays of bytes, as TAP writes its VARBINARY and BLOB."""
        return self.datatype == "unsignedByte" and len(self.sizes) == 1 and self.sizes != (1,)

    @property
    def is_understood(self) -> bool:
        """Whether datatype and size are of the standard, so that its place in a binary stream is known."""
        return self.datatype in BITS and (not self.array_size or bool(_ARRAY_SIZE.fullmatch(self.array_size)))

    @property
    def why_not(self) -> str:
        """What the column holds instead of single values that can be read; empty when it holds such."""
        if not self.is_understood:
            size = f' and arraysize "{self.array_size}"' if self.array_size else ""
            return f'values of datatype "{self.datatype}"{size}, which VOTable does not know'
        if self.datatype in COMPLEX:
            return "complex numbers"
        if self.is_bytes:
            return ""
        if self.is_text:
            strings = self.sizes[1:]
            return f"arrays of texts (arraysize {self.array_size})" if strings and strings != (1,) else ""
        return f"arrays (arraysize {self.array_size})" if self.sizes and self.count != 1 else ""

    @property
    def arrow_type(self) -> pa.DataType:
        """Arrow type of the values; the column must be one that can be read."""
        if self.is_text or self.is_bytes:
            return pa.string() if self.is_text else pa.binary()
        return INTEGERS.get(self.datatype) or FLOATS.get(self.datatype) or pa.bool_()


@dataclass(slots=True, kw_only=True)
class TableHead:
    """A TABLE without its rows; filled as the document is read."""

    place: int
    """Number of the table in its document, from 1."""

    name: str
    id: str
    ref: str
    """ID of the table whose FIELDs this one has, when it has none of its own."""

    nrows: int | None
    fields: list[Field] = field(default_factory=list)
    serialization: str = ""
    """TABLEDATA, BINARY, BINARY2, FITS, or what else there is; empty when it has no DATA."""

    encoding: str = ""
    """Encoding of the table's STREAM, such as ``base64``."""

    href: str = ""
    """Address of the table's STREAM, when that is not in the document."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the options may call the table by."""
        return tuple(dict.fromkeys(text for text in (self.name, self.id) if text))


def token(text: str) -> str:
    """Return a name without the blanks that XML's type ``token`` does not mean."""
    return " ".join(text.split())


def frame_of(attributes: dict[str, str]) -> Frame:
    """Return the frame of a COOSYS by the name it has today, and its equinox."""
    system = attributes.get("system", _DEFAULT_SYSTEM).strip()
    told = {"frame": _FRAMES.get(system, system), "equinox": attributes.get("equinox", "").strip()}
    return {key: text for key, text in told.items() if text}


def may_be_position(ucd: str) -> bool:
    """Tell whether a column of a UCD may lie in the frame of a table's positions."""
    return not ucd.strip() or ucd.strip().lower().removeprefix("ivoa:").startswith("pos")
