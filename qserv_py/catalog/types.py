"""The data types of columns, and what each is called by Felis, ADQL, PostgreSQL, Arrow, DuckDB and VOTable.

Shapes are types of expressions only: lists of numbers, as DALI has them. Tables hold them as text with an xtype.

One table for all of them, so that a type added here is known to the schema loader, the DDL writer, the COPY encoder,
the resolver and the writers of results.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DataType(StrEnum):
    """Type of a column, by its Felis name."""

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

    @property
    def names(self) -> TypeNames:
        """What the type is called elsewhere."""
        return TYPE_NAMES[self]

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self in {DataType.BYTE, DataType.SHORT, DataType.INT, DataType.LONG}

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return self.is_integer or self in {DataType.FLOAT, DataType.DOUBLE}

    @property
    def is_text(self) -> bool:
        """Whether values are character strings."""
        return self in {DataType.CHAR, DataType.STRING, DataType.UNICODE, DataType.TEXT, DataType.ASCII}

    @property
    def is_list(self) -> bool:
        """Whether values are lists of numbers."""
        return self.is_shape or self is DataType.COUNTS

    @property
    def is_shape(self) -> bool:
        """Whether values are shapes on the sphere."""
        return self in {DataType.POINT, DataType.CIRCLE, DataType.POLYGON, DataType.REGION}


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


TYPE_NAMES: dict[DataType, TypeNames] = {
    DataType.BOOLEAN: TypeNames("BOOLEAN", "boolean", "bool", "BOOLEAN", "boolean", 1),
    DataType.BYTE: TypeNames("SMALLINT", "smallint", "int16", "SMALLINT", "short", 2),
    DataType.SHORT: TypeNames("SMALLINT", "smallint", "int16", "SMALLINT", "short", 2),
    DataType.INT: TypeNames("INTEGER", "integer", "int32", "INTEGER", "int", 4),
    DataType.LONG: TypeNames("BIGINT", "bigint", "int64", "BIGINT", "long", 8),
    DataType.FLOAT: TypeNames("REAL", "real", "float", "FLOAT", "float", 4),
    DataType.DOUBLE: TypeNames("DOUBLE PRECISION", "double precision", "double", "DOUBLE", "double", 8),
    DataType.CHAR: TypeNames("CHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    DataType.STRING: TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    DataType.UNICODE: TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    DataType.TEXT: TypeNames("VARCHAR", "text", "string", "VARCHAR", "unicodeChar", -1),
    DataType.ASCII: TypeNames("VARCHAR", "text", "string", "VARCHAR", "char", -1),
    DataType.BINARY: TypeNames("VARBINARY", "bytea", "binary", "BLOB", "unsignedByte", -1),
    DataType.TIMESTAMP: TypeNames("TIMESTAMP", "timestamp without time zone", "timestamp[us]", "TIMESTAMP", "char", 8),
    DataType.COUNTS: TypeNames("BIGINT[]", "bigint[]", "int64", "BIGINT[]", "long", -1),
    DataType.POINT: TypeNames("POINT", "double precision[]", "double", "DOUBLE[]", "double", -1),
    DataType.CIRCLE: TypeNames("CIRCLE", "double precision[]", "double", "DOUBLE[]", "double", -1),
    DataType.POLYGON: TypeNames("POLYGON", "double precision[]", "double", "DOUBLE[]", "double", -1),
    DataType.REGION: TypeNames("REGION", "double precision[]", "double", "DOUBLE[]", "double", -1),
}
