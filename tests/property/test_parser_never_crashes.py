"""Whatever text is sent, the answer is a plan or an error of ours."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.catalogs import plan
from support.mutations import VOCABULARY, draw, fault

from qserv_py.errors import InternalError, QservError
from qserv_py.planner.explain import explain

words = st.sampled_from(VOCABULARY)
soup = st.lists(words, max_size=30).map(" ".join)
middle = st.lists(words, max_size=12).map(" ".join)


def must_not_crash(text: str) -> None:
    try:
        explain(plan(text))
    except InternalError:
        raise
    except QservError as error:
        assert_is_readable(error)


def assert_is_readable(error: QservError) -> None:
    assert error.message
    assert error.render()


@settings(max_examples=800)
@given(soup)
def test_soup_of_words(text: str) -> None:
    must_not_crash(text)


@settings(max_examples=800)
@given(middle, middle)
def test_soup_in_a_query(items: str, rest: str) -> None:
    must_not_crash(f"SELECT {items} FROM Object {rest}")


@settings(max_examples=800)
@given(middle)
@example("x IN ?")
def test_soup_in_a_condition(condition: str) -> None:
    must_not_crash(f"SELECT objectId FROM Object WHERE ra > 1 AND {condition}")


@settings(max_examples=400)
@given(st.text(max_size=80))
@example("\x00")
@example("SELECT \ud800 FROM Object")
def test_any_text(text: str) -> None:
    must_not_crash(text)


_QUERY = (
    "SELECT TOP 5 o.objectId, COUNT(*) AS n FROM Object AS o JOIN Source s ON o.objectId = s.objectId WHERE "
    "1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, 20, 1.5)) AND s.band IN ('r', 'i') GROUP BY o.objectId "
    "HAVING COUNT(*) > 3 ORDER BY n DESC"
)


@settings(max_examples=400)
@given(st.integers(0, len(_QUERY)), st.integers(0, 12), st.one_of(words, st.text(max_size=3)))
def test_a_right_query_made_wrong(place: int, cut: int, inserted: str) -> None:
    must_not_crash(_QUERY[:place] + inserted + _QUERY[place + cut :])


MUTATED = 500


def test_statements_made_wrong_in_both_modes() -> None:
    """The first of those that benchmarks/mutated_statements.py draws by the hundred thousand."""
    faults = {text: wrong for number in range(MUTATED) if (wrong := fault(text := draw(0, number)))}
    assert not faults
