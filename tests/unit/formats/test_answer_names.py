"""The names of an answer's columns: different from each other, and the same for every reader of every format."""

from __future__ import annotations

import io
from collections.abc import Sequence
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from astropy.io.votable import parse
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from support.answers import column, written
from support.catalogs import resolved

from qserv_py.adql.blocks.metadata import unique_names
from qserv_py.catalog.types import DataType

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["A_2", "a", "a"], ["A_2", "a", "a_3"]),
        (["flux", "Flux", "FLUX"], ["flux", "Flux_2", "FLUX_3"]),
        (["a", "a", "a_2", "a_2"], ["a", "a_3", "a_2", "a_2_2"]),
        (["é", "É"], ["é", "É_2"]),
    ],
)
def test_repeated_names_have_the_next_free_number(names: list[str], unique: list[str]) -> None:
    assert unique_names(names) == unique


@given(st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "a_3", "a_2_2", "b"]), max_size=12))
def test_no_name_is_there_twice_and_the_first_keeps_its_own(names: list[str]) -> None:
    unique = unique_names(names)
    assert len({name.lower() for name in unique}) == len(names)
    seen: set[str] = set()
    for name, made in zip(names, unique, strict=True):
        assert made.startswith(name)
        assert (made == name) == (name.lower() not in seen)
        seen.add(name.lower())


@pytest.mark.parametrize(
    ("adql", "names"),
    [
        ("SELECT ra, Object.RA, dec AS ra FROM Object", ["ra", "ra_2", "ra_3"]),
        ("SELECT COUNT(*), COUNT(gFlux), MAX(ra) AS count_2 FROM Object", ["count", "count_3", "count_2"]),
        ("SELECT ra AS x, dec AS X FROM Object UNION SELECT ra, ra FROM Object", ["x", "X_2"]),
        ("SELECT s.objectId, o.objectId FROM Source s JOIN Object o ON s.objectId = o.objectId",
         ["objectId", "objectId_2"]),
        ("SELECT q.* FROM (SELECT ra AS x FROM Object) q JOIN (SELECT ra AS x FROM Object) r ON q.x = r.x", ["x"]),
    ],
)  # fmt: skip
def test_names_of_queries(adql: str, names: list[str]) -> None:
    assert [column.name for column in resolved(adql).columns] == names


ODD_NAMES = [
    "objectId", "B-V", "1st", "_1st", "RA (deg)", "RA__deg_", "gaia.phot_g", "Flux [mJy]", "λ_err", "é", "日本",
    "select", 'quote"d', "it's", "a b", "a_b", "a-b", "x:y", "<&>", "-x", ".y", "·z", "1", "_1", "ID", "name",
    "col_0", "x" * 300,
]  # fmt: skip
LETTERS = st.text("aA_1-. :é🔭λ日\u0301·()<&\"'", min_size=1, max_size=4)


def is_id(text: str) -> bool:
    """Whether expat reads a text as one name, and it has no colon."""
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: found.append(name)
    try:
        parser.Parse(f"<{text}/>", True)
    except expat.ExpatError:
        return False
    return found == [text] and ":" not in text


def fields(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return ID and name of the fields of a VOTable."""
    document = written("votable", [column(name, DataType.INT) for name in names], [])
    return [
        (one.get("ID", ""), one.get("name", "")) for one in ElementTree.fromstring(document).iter(f"{VOTABLE}FIELD")
    ]


def test_an_id_is_the_name_where_xml_has_it_as_an_id() -> None:
    found = fields(ODD_NAMES)
    assert [name for _, name in found] == ODD_NAMES
    assert [identifier == name for identifier, name in found] == [is_id(name) for name in ODD_NAMES]
    assert all(is_id(identifier) for identifier, _ in found)
    assert len({identifier for identifier, _ in found}) == len(found)
    ids = {name: identifier for identifier, name in found}
    assert (ids["B-V"], ids["λ_err"], ids["RA (deg)"], ids["1st"]) == ("B-V", "λ_err", "RA__deg__2", "_1st_2")


@given(st.lists(LETTERS, min_size=1, max_size=6))
def test_ids_are_valid_and_unique(names: list[str]) -> None:
    names = unique_names(names)
    found = fields(names)
    assert all(is_id(identifier.replace("🔭", "λ")) for identifier, _ in found), "expat knows XML's fourth edition"
    assert len({identifier for identifier, _ in found}) == len(names)
    for identifier, name in found:
        assert identifier == name or not is_id(name)


def test_astropy_reads_names() -> None:
    """By default it shows IDs; its own rule for a field without one keeps ASCII alone and would lose the others."""
    names = [name for name in ODD_NAMES if is_id(name)]
    document = written("votable", [column(name, DataType.INT) for name in ODD_NAMES], [[1] * len(ODD_NAMES)])
    assert set(names) <= set(Table.read(io.BytesIO(document)).colnames)
    assert parse(io.BytesIO(document)).get_first_table().to_table(use_names_over_ids=True).colnames == ODD_NAMES
