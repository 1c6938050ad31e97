"""Which columns a primary key in GROUP BY frees, and what is said of those that it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.catalogs import catalog, with_upload

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import Mode, parse
from qserv_py.adql.tree import ColumnRef, Select
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import TypeMismatchError


def keyed(**keys: tuple[str, ...]) -> Catalog:
    """Return the catalogue, "dr1" with primary keys."""
    known = catalog()
    dr1, *others = known.databases
    tables = tuple(replace(table, primary_key=keys.get(table.name, ())) for table in dr1.tables)
    return replace(known, databases=(replace(dr1, tables=tables), *others))


def groups(text: str, known: Catalog, mode: Mode = Mode.LENIENT) -> list[str]:
    """Return the columns that a query is grouped by in the end."""
    query = resolve(parse(text, mode=mode), known).query
    assert isinstance(query, Select)
    return [key.label for key in query.group_by if isinstance(key, ColumnRef)]


def test_the_director_needs_no_other_key() -> None:
    assert groups("SELECT ra, COUNT(*) FROM Object GROUP BY objectId", keyed()) == ["objectid", "ra"]


def test_a_column_is_added_once_and_only_where_it_is_needed() -> None:
    text = "SELECT ra, dec + ra, COUNT(gFlux) FROM Object GROUP BY objectId, dec HAVING MAX(nObs) > 3 ORDER BY ra"
    assert groups(text, keyed()) == ["objectid", "dec", "ra"]


def test_all_columns_of_a_key_are_needed() -> None:
    known = keyed(Source=("visit", "ccd"))
    assert groups("SELECT flux FROM Source GROUP BY ccd, visit", known) == ["ccd", "visit", "flux"]
    with pytest.raises(TypeMismatchError, match='"flux" must stand in GROUP BY') as caught:
        groups("SELECT flux FROM Source GROUP BY visit", known)
    assert caught.value.hint == (
        "Add it to GROUP BY, group by the primary key Source.visit, Source.ccd, or write MIN(flux)."
    )


@pytest.mark.parametrize("further", ["", " AND o.ra > 3", " AND s.objectId > 3 AND o.nObs = 4"])
def test_a_left_join_by_the_key_finds_one_row_for_the_group(further: str) -> None:
    text = f"SELECT o.ra FROM Source AS s LEFT JOIN Object AS o ON o.objectId = s.objectId{further} GROUP BY s.objectId"
    assert groups(text, keyed()) == ["objectid", "ra"]


@pytest.mark.parametrize("primary_key", [(), ("objectId",)])
def test_ids_that_repeat_free_nothing(primary_key: tuple[str, ...]) -> None:
    known = keyed(Object=primary_key)
    dr1, *others = known.databases
    tables = tuple(replace(t, unique=False) if t.name == "Object" else t for t in dr1.tables)
    known = replace(known, databases=(replace(dr1, tables=tables), *others))
    with pytest.raises(TypeMismatchError, match='"ra" must stand') as caught:
        groups("SELECT ra FROM Object GROUP BY objectId", known)
    assert caught.value.hint == "Add it to GROUP BY, or write MIN(ra)."


@pytest.mark.parametrize(
    "text",
    [
        "SELECT t.ra, COUNT(*) FROM (SELECT objectId, ra FROM Object) AS t GROUP BY t.objectId",
        "SELECT s.flux, COUNT(*) FROM Object AS o, Source AS s WHERE s.objectId = o.objectId GROUP BY o.objectId",
        "SELECT o.ra FROM Object AS o LEFT JOIN Source AS s ON s.objectId = o.objectId GROUP BY s.objectId",
        "SELECT o.ra FROM Source s LEFT JOIN Object o ON s.objectId = o.objectId AND s.ccd = 3 GROUP BY s.objectId",
        "SELECT o.ra FROM Source s LEFT JOIN Object o ON s.objectId = o.objectId AND RAND() < 3 GROUP BY s.objectId",
        "SELECT o.ra FROM Source AS s LEFT JOIN Object AS o ON s.objectId < o.objectId GROUP BY s.objectId",
        "SELECT o.ra FROM Source AS s FULL JOIN Object AS o ON s.objectId = o.objectId GROUP BY s.objectId",
        "SELECT v.seeing FROM Visit AS v JOIN Object AS o ON v.visit = o.nObs GROUP BY o.nObs",
        "SELECT o.ra FROM Object AS o JOIN Source AS s ON s.objectId > o.objectId GROUP BY s.objectId",
        "SELECT ra FROM Object GROUP BY objectId + 0",
        "SELECT ra, COUNT(*) FROM Object",
    ],
)
def test_what_a_group_may_have_several_of_is_refused(text: str) -> None:
    with pytest.raises(TypeMismatchError, match="must stand in GROUP BY or inside an aggregate"):
        groups(text, keyed(Visit=("visit",)))


def test_nothing_is_known_of_the_keys_of_an_upload() -> None:
    with pytest.raises(TypeMismatchError, match='"tag" must stand'):
        groups("SELECT tag FROM TAP_UPLOAD.mine GROUP BY id", with_upload())


def test_strict_mode_says_that_lenient_mode_takes_it() -> None:
    with pytest.raises(TypeMismatchError, match='"ra" must stand') as caught:
        groups("SELECT ra FROM Object GROUP BY objectId", keyed(), Mode.STRICT)
    assert "lenient mode takes it" in caught.value.hint
