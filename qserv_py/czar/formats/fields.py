"""Columns as VOTable fields: datatype, arraysize and xtype; the same words describe columns in JSON and Parquet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from qserv_py.adql.blocks.metadata import unique_names
from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType

ARRAY_SIZES = {"point": 2, "circle": 3, "interval": 2}
"""Numbers in a value of an xtype of DALI; those of other arrays vary."""

_NUMBERS = {
    pa.int16(): "short",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
}
"""VOTable datatypes of the elements of arrays."""

NULL_VALUES = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}
"""Number that stands for NULL where a serialisation has no other way to say it, by VOTable datatype."""

_START = (
    r"A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff"
    r"\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME_START = re.compile(f"[{_START}]")
_NO_NAME_CHARACTER = re.compile(rf"[^{_START}\-.0-9\xb7\u0300-\u036f\u203f\u2040]")
"""Characters of names: XML 1.0, fifth edition, section 2.3, without the colon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column as VOTable describes it."""

    column: OutputColumn
    name: str
    id: str
    """ID of the field: unique in a document, and a name of XML without a colon (NCName)."""

    datatype: str
    arraysize: str
    """VOTable's ``arraysize``; empty for a single value."""

    size: int | None
    """Numbers in a value; None when they vary."""

    is_array: bool
    """Whether values are arrays of numbers."""

    xtype: str

    def facts(self) -> dict[str, str]:
        """Return what is known, by the names of VOTable's attributes."""
        known = {
            "name": self.name,
            "datatype": self.datatype,
            "arraysize": self.arraysize,
            "xtype": self.xtype,
            "unit": self.column.unit,
            "ucd": self.column.ucd,
            "utype": self.column.utype,
        }
        return {key: value for key, value in known.items() if value or key == "name"}


def fields_of(columns: Sequence[OutputColumn], schema: pa.Schema) -> tuple[Field, ...]:
    """Return the fields of an answer from its columns and their Arrow types."""
    ids = ids_of([column.name for column in columns])
    return tuple(
        _field(column, about.type, identifier) for column, about, identifier in zip(columns, schema, ids, strict=True)
    )


def ids_of(names: Sequence[str]) -> list[str]:
    """Return a value of VOTable's attribute ID for each column.

    It is the column's name where XML can have that as an ID, since astropy and astroquery show IDs and not names. Else
    it is the name with ``_`` for what an ID cannot hold, and a number where that is the ID of another column.

    Parameters
    ----------
    names
        Names of the columns, which differ even when their case is ignored.
    """
    possible = [_NO_NAME_CHARACTER.sub("_", name) for name in names]
    possible = [text if _NAME_START.match(text) else f"_{text}" for text in possible]
    own_first = sorted(range(len(names)), key=lambda place: possible[place] != names[place])
    chosen = dict(zip(own_first, unique_names([possible[place] for place in own_first]), strict=True))
    return [chosen[place] for place in range(len(names))]


def _field(column: OutputColumn, kind: pa.DataType, identifier: str) -> Field:
    datatype, arraysize = _type(column, kind)
    xtype = "timestamp" if column.datatype is DataType.TIMESTAMP else column.xtype
    return Field(
        column=column,
        name=column.name,
        id=identifier,
        datatype=datatype,
        arraysize=arraysize,
        is_array=is_list(kind),
        size=None if arraysize == "*" else int(arraysize or 1),
        xtype=xtype.strip(),
    )


def _type(column: OutputColumn, kind: pa.DataType) -> tuple[str, str]:
    """Return datatype and arraysize.

    Text is ``*`` even where the schema has a bound: the bound counts characters and the arraysize bytes, and older
    readers take ``n*`` in a binary stream for ``n``.
    """
    if pa.types.is_fixed_size_list(kind):
        return _NUMBERS[kind.value_type], str(kind.list_size)
    if is_list(kind):
        size = ARRAY_SIZES.get(column.xtype)
        return _NUMBERS[kind.value_type], str(size) if size else "*"
    varies = column.datatype.is_text or column.datatype in {DataType.TIMESTAMP, DataType.BINARY}
    return column.datatype.names.votable, "*" if varies else ""


def is_list(kind: pa.DataType) -> bool:
    """Whether values are arrays of numbers."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
