"""A table without rows, as VODataService describes it: what pyvo's ``create_table`` sends."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, parse

import pyarrow as pa

from qserv_py.catalog.types import DataType
from qserv_py.czar.queries.checked_uploads import check_votable, kind_of
from qserv_py.errors import UserError
from qserv_py.ingest.requests import InputFormat

_SINGLE = tuple(kind for kind in DataType if not kind.is_list)
_BY_NAME = {
    **{kind.names.adql.lower(): kind for kind in _SINGLE},
    **{kind.names.votable.lower(): kind for kind in _SINGLE},
    "double": DataType.DOUBLE,
    "char": DataType.UNICODE,
    "varchar": DataType.UNICODE,
    "clob": DataType.UNICODE,
    "blob": DataType.BINARY,
}
"""Type of a column by the names that TAP and VOTable have for it, in lower case."""


def table_definition(path: Path) -> pa.Schema | None:
    """Return the columns that a definition names, as the fields of rows; None when the file is something else.

    Raises
    ------
    UserError
        If it is a definition, and wrong.
    """
    if kind_of(path) is not InputFormat.VOTABLE:
        return None
    with open(path, "rb") as file:
        check_votable(file)  # this parser refuses entities
    root = parse(path).getroot()  # noqa: S314 - checked in the line before
    if _local(root) != "table":
        return None
    columns = [child for child in root if _local(child) == "column"]
    if not columns:
        raise UserError("the definition of the table names no column")
    return pa.schema([_field(column) for column in columns])


def _field(column: Element) -> pa.Field:
    texts = {_local(child): (child.text or "").strip() for child in column}
    name = texts.get("name", "")
    described = next((child for child in column if _local(child) == "dataType"), None)
    kind = None if described is None else _kind(described)
    if kind is None:
        written = texts.get("dataType", "")
        raise UserError(
            f'column "{name[:80]}" of the definition has the type "{written[:40]}", which is not known',
            hint=f"Types are {', '.join(sorted(_BY_NAME))}.",
        )
    told = {key: texts[key] for key in ("unit", "ucd", "description") if texts.get(key)}
    return pa.field(name, pa.type_for_alias(kind.names.arrow), metadata=told or None)


def _kind(described: Element) -> DataType | None:
    """Return the type of a column; arrays of characters are texts, of bytes bytes, others nothing that can be kept."""
    kind = _BY_NAME.get((described.text or "").strip().lower().split("(")[0])
    if "timestamp" in (described.get("extendedType", ""), described.get("xtype", "")):
        return DataType.TIMESTAMP
    is_array = described.get("arraysize", "1") not in {"", "1"}
    if is_array and kind is not None and not kind.is_text and kind is not DataType.BINARY:
        return None
    is_byte = (described.text or "").strip().lower() == "unsignedbyte" and not is_array
    return DataType.SHORT if is_byte else kind


def _local(found: Element) -> str:
    return found.tag.rpartition("}")[2]
