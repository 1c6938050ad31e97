"""A table for people; the widths of its columns come from the first rows; later values may be wider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.czar.formats.cells import TEXT, Style, around, cell_texts, joined_rows
from qserv_py.czar.formats.fields import is_list
from qserv_py.czar.formats.stream import ResultStream

_STYLE = Style(nan="nan", infinity="inf", minus_infinity="-inf", whole_reals=True)
_WIDEST = 60
"""Characters of a value that are shown."""

_FIRST_ROWS = 1000
_NOT_SHOWN = r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]"


def write_text(stream: ResultStream) -> Iterator[bytes]:
    """Write columns of equal width."""
    names = [pa.array([column.name], TEXT) for column in stream.columns]
    right = [
        column.datatype.is_numeric and not is_list(field.type)
        for column, field in zip(stream.columns, stream.schema, strict=True)
    ]
    widths: list[int] = []
    for block in stream.blocks():
        cells = [_shown(column, about.name) for column, about in zip(block.columns, stream.columns, strict=True)]
        if not widths:
            widths = [_width(name, cell.slice(0, _FIRST_ROWS)) for name, cell in zip(names, cells, strict=True)]
            yield _header(names, widths, right)
        yield _lines(cells, widths, right)
    if not widths:
        yield _header(names, [_width(name) for name in names], right)


def _width(*cells: pa.Array) -> int:
    return int(max(pc.max(pc.utf8_length(column)).as_py() or 0 for column in cells))


def _header(names: Sequence[pa.Array], widths: Sequence[int], right: Sequence[bool]) -> bytes:
    dashes = [pa.array(["-" * width], TEXT) for width in widths]
    return _lines(names, widths, right) + _lines(dashes, widths, right)


def _lines(cells: Sequence[pa.Array], widths: Sequence[int], right: Sequence[bool]) -> bytes:
    padded = [
        (pc.utf8_lpad if align else pc.utf8_rpad)(pc.fill_null(column, ""), width=width)
        for column, width, align in zip(cells, widths, right, strict=True)
    ]
    lines = pc.binary_join_element_wise(*padded, pa.scalar("  ", TEXT))
    return joined_rows([pc.ascii_rtrim(lines, characters=" ")], after="\n")


def _shown(column: pa.Array, name: str) -> pa.Array:
    text = pc.replace_substring_regex(cell_texts(column, _STYLE, name), _NOT_SHOWN, " ")
    is_long = pc.greater(pc.utf8_length(text), _WIDEST)
    if not pc.any(is_long).as_py():
        return text
    cut = around("", pc.utf8_slice_codeunits(text, 0, _WIDEST - 1), "…")
    return pc.if_else(is_long, cut, text)
