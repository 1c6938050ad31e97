"""The data types of columns, and what each is called by Felis, ADQL, PostgreSQL, Arrow, DuckDB and VOTable.

Shapes are types of expressions only: lists of numbers, as DALI has them. Tables hold them as text with an xtype.

One table for all of them, so that a type added here is known to the schema loader, the DDL writer, the COPY encoder,
the resolver and the writers of results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True, slots=True)
class TypeNames:
    """The names of one type."""

    adql: str
    postgres: str
    """PostgreSQL type; CHAR and VARCHAR get their length from the column."""

    arrow: str
    """Name that ``pyarrow.type_for_alias`` knows; of a list, that of its elements."""

    duckdb: str
    votable: str
    """VOTable datatype."""

    width: int
    """Bytes of a value in a PostgreSQL row; -1 when the value carries its length."""


_NAMES = {
    "boolean": TypeNames("BOOLEAN", "boolean", "bool", "BOOLEAN", "boolean", 1),
    "byte": TypeNames("SMALLINT", "smallint", "int16", "SMALLINT", "short", 2),
    "short": TypeNames("SMALLINT", "smallint", "int16", "SMALLINT", "short", 2),
    "int": TypeNames("INTEGER", "integer", "int32", "INTEGER", "int", 4),
    "long": TypeNames("BIGINT", "bigint", "int64", "BIGINT", "long", 8),
    "float": TypeNames("REAL", "real", "float", "FLOAT", "float", 4),
    "double": TypeNames("DOUBLE PRECISION", "double precision", "double", "DOUBLE", "double", 8),
    "char": TypeNames("CHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    "string": TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    "unicode": TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    "text": TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    "ascii": TypeNames("VARCHAR", "text", "string", "VARCHAR", "char", -1),
    "binary": TypeNames("VARBINARY", "bytea", "binary", "BLOB", "unsignedByte", -1),
    "timestamp": TypeNames("TIMESTAMP", "timestamp without time zone", "timestamp[us]", "TIMESTAMP", "char", 8),
    "counts": TypeNames("BIGINT[]", "bigint[]", "int64", "BIGINT[]", "long", -1),
    "point": TypeNames("POINT", "double precision[]", "double", "DOUBLE[]", "double", -1),
    "circle": TypeNames("CIRCLE", "double precision[]", "double", "DOUBLE[]", "double", -1),
    "polygon": TypeNames("POLYGON", "double precision[]", "double", "DOUBLE[]", "double", -1),
    "region": TypeNames("REGION", "double precision[]", "double", "DOUBLE[]", "double", -1),
}
"""By Felis name."""


class DataType(StrEnum):
    """Type of a column, by its Felis name, and what is known of it."""

    names: TypeNames
    """What the type is called elsewhere."""

    is_integer: bool
    """Whether values are whole numbers."""

    is_numeric: bool
    """Whether values are numbers."""

    is_text: bool
    """Whether values are character strings."""

    is_shape: bool
    """Whether values are shapes on the sphere."""

    is_list: bool
    """Whether values are lists of numbers."""

    def __new__(cls, value: str) -> Self:
        """Return the type of a Felis name, with what is known of it."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.names = _NAMES[value]
        made.is_integer = value in {"byte", "short", "int", "long"}
        made.is_numeric = made.is_integer or value in {"float", "double"}
        made.is_text = value in {"char", "string", "unicode", "text", "ascii"}
        made.is_shape = value in {"point", "circle", "polygon", "region"}
        made.is_list = made.is_shape or value == "counts"
        return made

    BOOLEAN = "boolean"
    BYTE = "byte"
    SHORT = "short"
    INT = "int"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    CHAR = "char"
    STRING = "string"
    UNICODE = "unicode"
    TEXT = "text"
    ASCII = "ascii"
    """Text of an uploaded VOTable's ``char`` in which every character was found to be ASCII.

    It is the only text that VOTable's ``char`` holds for every reader; any other type may have any character.
    """

    BINARY = "binary"
    TIMESTAMP = "timestamp"
    COUNTS = "counts"
    """A list of numbers of rows: the type of a histogram, not of a column."""

    POINT = "point"
    CIRCLE = "circle"
    POLYGON = "polygon"
    REGION = "region"
    """A shape of a kind that only the row tells; inside geometric functions only."""
