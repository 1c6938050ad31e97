"""An answer as a web page: one plain table without scripts, for a browser that was pointed at a service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from qserv_py.czar.formats.cells import Style, cell_texts, joined_rows, xml_text
from qserv_py.czar.formats.fields import Field, fields_of
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.formats.votable.xml import xml_characters

_STYLE = Style()
_CSS = """\
body { font-family: sans-serif; margin: 1em; }
pre { background: #f4f4f4; padding: 0.5em; white-space: pre-wrap; }
table { border-collapse: collapse; }
th, td { border: 1px solid #ccc; padding: 0.2em 0.6em; text-align: left; white-space: pre-wrap; }
thead { background: #eee; }
.unit { font-weight: normal; }
"""


def write_html(stream: ResultStream) -> Iterator[bytes]:
    """Write an HTML page."""
    fields = fields_of(stream.columns, stream.schema)
    yield _head(fields, stream.infos).encode()
    for block in stream.blocks():
        cells = [
            xml_text(made) if field.column.datatype.is_text else made
            for made, field in (
                (cell_texts(column, _STYLE, field.name), field)
                for column, field in zip(block.columns, fields, strict=True)
            )
        ]
        yield joined_rows(cells, before="<tr><td>", between="</td><td>", after="</td></tr>\n")
    why = stream.why_cut()
    note = f"<p>{why[0].upper()}{why[1:]}.</p>\n" if why else ""
    yield f"</tbody>\n</table>\n{note}</body>\n</html>\n".encode()


def _head(fields: Sequence[Field], infos: Sequence[tuple[str, str]]) -> str:
    right = "".join(
        f"td:nth-child({place}) {{ text-align: right; }}\n"
        for place, field in enumerate(fields, 1)
        if field.column.datatype.is_numeric and not field.arraysize
    )
    said = "".join(f"<dt>{_text(name)}</dt>\n<dd><pre>{_text(value)}</pre></dd>\n" for name, value in infos)
    said = f"<dl>\n{said}</dl>\n" if said else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Query result</title>\n'
        f"<style>\n{_CSS}{right}</style>\n</head>\n<body>\n{said}<table>\n<thead>\n"
        f"<tr>{''.join(map(_header, fields))}</tr>\n</thead>\n<tbody>\n"
    )


def _header(field: Field) -> str:
    described = f' title="{_text(field.column.description)}"' if field.column.description else ""
    unit = f'<br><span class="unit">{_text(field.column.unit)}</span>' if field.column.unit else ""
    return f"<th{described}>{_text(field.name)}{unit}</th>"


def _text(text: str) -> str:
    return escape(xml_characters(text))
