"""Places in messages, and which spellings name a thing; the messages themselves stand in tests/plans/errors.txt."""

from __future__ import annotations

import pytest
from support.catalogs import plan

from qserv_py import errors


@pytest.mark.parametrize("query", ["", "  ", ";", "\n;;"])
def test_empty(query: str) -> None:
    with pytest.raises(errors.AdqlSyntaxError, match="the query is empty"):
        plan(query)


def test_the_caret_stands_under_the_place() -> None:
    with pytest.raises(errors.UnknownColumnError) as caught:
        plan("SELECT objectId,\n\tgFlx\nFROM Object")
    assert caught.value.render().splitlines() == [
        'ADQL line 2, column 2: "Object" has no column "gFlx"',
        "   gFlx",
        "   ^",
        'HINT: Did you mean "gFlux"?',
    ]


def test_a_long_line_is_cut_around_the_place() -> None:
    query = f"SELECT {'ra, ' * 200}nope, {'ra, ' * 200}dec FROM Object"
    with pytest.raises(errors.UnknownColumnError) as caught:
        plan(query)
    place, shown, caret, *_ = caught.value.render().splitlines()
    assert place.startswith("ADQL line 1, column 808:")
    assert len(shown) <= 102
    assert shown[len(caret) - 1 :].startswith("nope")


def test_a_nul_character() -> None:
    with pytest.raises(errors.AdqlSyntaxError, match="the text holds a NUL character") as caught:
        plan("SELECT ra\0 FROM Object")
    assert caught.value.offset == 9


@pytest.mark.parametrize(
    "query",
    [
        "select OBJECTID from OBJECT",
        "SELECT objectid FROM DR1.object AS O WHERE o.Ra > 3",
        'SELECT "objectId" FROM "dr1"."Object"',
        'SELECT O."ra" FROM Object o',
        "SELECT objectId -- a comment\nFROM /* another; */ Object;",
        "SELECT MIN(ra), Max(ra) FROM Object",
        "SELECT ra FROM Object WHERE label = 'it''s; -- no comment'",
    ],
)
def test_names_without_quotes_have_no_case(query: str) -> None:
    plan(query)
