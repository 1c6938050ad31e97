"""Shapes as columns of answers: their types and xtypes, and what readers of the formats make of them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from astropy.io.votable import parse
from support.answers import written
from support.catalogs import resolved

from qserv_py.catalog.types import DataType

QUERY = (
    "SELECT POINT(ra, dec) AS p, CIRCLE(ra, dec, 1) AS c, BOX(ra, dec, 1, 1) AS b, x, s_region FROM"
    " (SELECT ra, dec, ivo_epoch_prop_pos(ra, dec, 0, 0, 0, 0, 2000, 2010) AS x, s_region FROM Footprint) AS t"
)
ROWS = [
    [[1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.5, -90.0], "Circle 1 2 3"],
    [None, None, None, None, None],
    [[359.5, 0.0], [0.0, 0.0, 180.0], [0.0] * 8, [0.0, 0.0], "1 2 3"],
]


def test_the_columns_say_what_they_are() -> None:
    columns = resolved(QUERY).columns
    assert [(column.datatype, column.xtype, column.unit) for column in columns] == [
        (DataType.POINT, "point", "deg"),
        (DataType.CIRCLE, "circle", "deg"),
        (DataType.POLYGON, "polygon", "deg"),
        (DataType.POINT, "point", "deg"),
        (DataType.STRING, "adql:REGION", ""),
    ]


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td"])
def test_votables(name: str) -> None:
    table = parse(io.BytesIO(written(name, resolved(QUERY).columns, ROWS)), verify="exception").get_first_table()
    described = [(field.datatype, field.arraysize, field.xtype) for field in table.fields]
    assert described == [
        ("double", "2", "point"),
        ("double", "3", "circle"),
        ("double", "*", "polygon"),
        ("double", "2", "point"),
        ("unicodeChar", "*", "adql:REGION"),
    ]
    for place, field in enumerate(["p", "c", "b", "x"]):
        for row in (0, 2):
            np.testing.assert_array_equal(np.asarray(table.array[field][row]), ROWS[row][place])


def test_texts() -> None:
    columns = resolved(QUERY).columns
    data = json.loads(written("json", columns, ROWS))["data"]
    assert data == ROWS
    rows = list(csv.reader(io.StringIO(written("csv", columns, ROWS).decode())))
    assert rows[1][:2] == ["1.0 2.0", "1.0 2.0 3.0"]
    assert rows[2] == [""] * 5
