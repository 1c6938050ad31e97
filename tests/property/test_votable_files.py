"""Any rows that astropy writes come back, in each serialisation; any layout of TABLEDATA is what XML libraries see."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from support.votables import document, read_votable

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.votable import document as votable_document
from qserv_py.ingest.files.votable import rows as votable_rows

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=6)
BASIC = st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xD7FF), max_size=6)


def whole(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


KINDS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "truth": ("?", st.booleans()),
    "byte": ("u1", st.integers(0, 255)),
    "short": ("i2", whole(16)),
    "int": ("i4", whole(32)),
    "long": ("i8", whole(64)),
    "float": ("f4", st.floats(width=32)),
    "double": ("f8", st.floats()),
    "fixed": ("U6", BASIC.filter(lambda text: not text.endswith("\0"))),
    "any": ("O", BASIC),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6))
    count = draw(st.integers(1, 12))
    return {
        f"{name}_{place}": draw(st.lists(KINDS[name][1], min_size=count, max_size=count))
        for place, name in enumerate(names)
    }


def same(ours: Any, theirs: Any, *, empty_is_null: bool) -> bool:
    if theirs is None or (empty_is_null and theirs == ""):
        return ours is None
    if isinstance(theirs, float) and math.isnan(theirs):
        return ours is None or math.isnan(ours)
    return bool(ours == theirs)


FEW = settings() if os.environ.get("QSERV_TEST_RANDOM") == "1" else settings(max_examples=25)


@pytest.mark.parametrize("serialization", ["tabledata", "binary", "binary2"])
@FEW
@given(rows=tables(), data=st.data())
def test_what_astropy_writes_comes_back(serialization: str, rows: dict[str, list[Any]], data: st.DataObject) -> None:
    columns = {}
    for name, values in rows.items():
        kind = KINDS[name.partition("_")[0]][0]
        array: Any = np.empty(len(values), dtype=kind)
        array[:] = values
        masks = st.lists(st.booleans(), min_size=len(values), max_size=len(values))
        # astropy cannot write NULL in BINARY, nor one of an object that comes first.
        if serialization != "binary" and kind != "O" and any(mask := data.draw(masks)):
            columns[name] = MaskedColumn(array, mask=mask)
            rows[name] = [None if absent else value for value, absent in zip(values, mask, strict=True)]
        else:
            columns[name] = array
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.vot"
        Table(columns).write(path, format="votable", tabledata_format=serialization)
        found = read_votable(path)
    assert not found.rejected
    for name, values in rows.items():
        for ours, theirs in zip(found.column(name), values, strict=True):
            assert same(ours, theirs, empty_is_null=serialization == "tabledata"), name


CELLS = st.one_of(
    TEXT.map(lambda text: f"<TD>{escape(text)}</TD>"),
    TEXT.map(lambda text: f"<TD>&#233;{escape(text)}&amp;</TD>"),
    TEXT.map(lambda text: f"<TD><![CDATA[{text.replace(']', '')}<TR>]]>{escape(text)}</TD>"),
    st.sampled_from(
        ["<TD/>", "<TD></TD>", "<TD />", '<TD a="&lt;">x</TD >', "<TD> \r\n x\ry</TD>", "<TD>a<!--b-->c</TD>"]
    ),
)
BETWEEN = st.sampled_from(["", "", "", "\n", " \r\n ", "<!-- </TR> -->", "<?x y?>", "<LINK a='/TR>'/>"])


@st.composite
def table_rows(draw: st.DrawFn) -> str:
    parts = [draw(BETWEEN)]
    for _ in range(draw(st.integers(0, 6))):
        cells = [draw(CELLS) + draw(BETWEEN) for _ in range(draw(st.sampled_from([2, 2, 2, 2, 1, 3])))]
        parts += ["<TR>", draw(BETWEEN), *cells, draw(st.sampled_from(["</TR>", "</TR>", "</TR >"])), draw(BETWEEN)]
    return "".join(parts)


@given(rows=table_rows(), chunk=st.integers(1, 60), batch=st.integers(1, 4))
def test_any_layout_of_rows(rows: str, chunk: int, batch: int) -> None:
    fields = '<FIELD name="a" datatype="unicodeChar" arraysize="*"/><FIELD name="b" datatype="char" arraysize="*"/>'
    text = document(fields, rows)
    root = ElementTree.fromstring(text)
    expected = [["".join(cell.itertext()) for cell in row.findall("TD")] for row in root.iter("TR")]
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(votable_document, "_CHUNK", chunk)
        patch.setattr(votable_rows, "ROWS_IN_BATCH", batch)
        path = Path(place) / "a.vot"
        path.write_text(text, encoding="utf-8", newline="")
        found = read_votable(path)
    good = {number: row for number, row in enumerate(expected, start=1) if len(row) == 2}
    assert found.numbers == list(good)
    assert found.rows() == [tuple(cell or None for cell in row) for row in good.values()]
    assert sorted([*good, *(row.number for row in found.malformed)]) == list(range(1, len(expected) + 1))


FILES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "data" / "votable").rglob("*.vot"))]
PIECES = [
    b"<TD>",
    b"</TR>",
    b"<!--",
    b"]]>",
    b"&amp;",
    b"&x;",
    b"TABLEDATA",
    b"BINARY",
    b"\xff",
    b"\0",
    b"*",
    b"=",
    b'"',
    b"9",
]


@settings(FEW, max_examples=FEW.max_examples * 4)
@given(data=st.data())
def test_damage_is_said(data: st.DataObject) -> None:
    """Whatever is wrong with a file, it is we who say so: no exception of a library comes through."""
    content = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at, count = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 20))
        content[at : at + count] = data.draw(st.sampled_from([b"", *PIECES]))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.vot"
        path.write_bytes(content)
        try:
            read_votable(path)
            said = ""
        except ContributionError as error:
            said = error.message
    assert "cannot be read as" not in said
