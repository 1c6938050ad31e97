"""The names of an answer's columns: different from each other, and the same for every reader of every format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogs import resolved

from qserv_py.adql.metadata import unique_names


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
