"""The XML around the rows of a VOTable 1.4: what comes before them, and what is said when they have ended."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from qserv_py.czar.formats.cells import XML_FORBIDDEN
from qserv_py.czar.formats.fields import NULL_VALUES, Field
from qserv_py.errors import QservError

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n<RESOURCE type="results">\n'
)
_TAIL = "</RESOURCE>\n</VOTABLE>\n"
_FORBIDDEN = re.compile(XML_FORBIDDEN.replace(r"\x{fffe}\x{ffff}", "\ufffe\uffff\ud800-\udfff"))


def before_rows(fields: Sequence[Field], infos: Iterable[tuple[str, str]], *, null_values: bool) -> str:
    """Return the document up to the TABLE's fields.

    Parameters
    ----------
    fields
        The columns.
    infos
        Names and values of INFO elements before the table.
    null_values
        Whether whole numbers need a value that means NULL, as in BINARY.
    """
    said = "".join(info(name, value) for name, value in [("QUERY_STATUS", "OK"), *infos])
    return f"{_HEAD}{said}<TABLE>\n{''.join(_field(field, null_values=null_values) for field in fields)}"


def after_table(*, why_cut: str, error: Exception | None = None) -> str:
    """Return the end of the document; INFO elements tell why rows were left out, if they were, or never came."""
    if error is not None:
        return info("QUERY_STATUS", "ERROR", message_of(error)) + _TAIL
    if why_cut:
        return info("QUERY_STATUS", "OVERFLOW", why_cut) + _TAIL
    return _TAIL


def without_rows(fields: Sequence[Field], infos: Iterable[tuple[str, str]], *, why_cut: str) -> str:
    """Return a document that has no DATA: the description of a table that stands elsewhere."""
    return f"{before_rows(fields, infos, null_values=False)}</TABLE>\n{after_table(why_cut=why_cut)}"


def info(name: str, value: str, text: str = "") -> str:
    """Return an INFO element."""
    start = f"<INFO name={_attribute(name)} value={_attribute(value)}"
    return f"{start}>{escape(xml_characters(text))}</INFO>\n" if text else f"{start}/>\n"


def message_of(error: Exception) -> str:
    """Return what a user may read of an error."""
    return error.render() if isinstance(error, QservError) else "an internal error ended the query"


def xml_characters(text: str) -> str:
    """Return text in which characters that XML cannot hold are U+FFFD."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _attribute(text: str) -> str:
    return quoteattr(xml_characters(text), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def _field(field: Field, *, null_values: bool) -> str:
    attributes = {"ID": field.id, **field.facts()}
    start = "<FIELD " + " ".join(f"{name}={_attribute(value)}" for name, value in attributes.items())
    inside = ""
    if field.column.description:
        inside += f"<DESCRIPTION>{escape(xml_characters(field.column.description))}</DESCRIPTION>\n"
    if field.datatype in NULL_VALUES and (null_values or field.arraysize):
        inside += f'<VALUES null="{NULL_VALUES[field.datatype]}"/>\n'
    return f"{start}>\n{inside}</FIELD>\n" if inside else f"{start}/>\n"
