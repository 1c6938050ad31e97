"""Who may read what: grantees as they are written, and the catalogue as an identity sees it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogs import catalog

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import parse
from qserv_py.catalog.grants import AUTHENTICATED, PUBLIC, Grantee, GranteeKind, name_problem, parse_grantee
from qserv_py.catalog.model import DatabaseState
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR, Identity, Proof
from qserv_py.errors import UnknownTableError, UserError

ALICE = Identity(user="alice", groups=frozenset({"survey", "a b"}), proof=Proof.TOKEN)
SURVEY = Grantee(GranteeKind.GROUP, "survey")


@pytest.mark.parametrize("text", ["public", "authenticated", "group:survey", "user:alice", "user:a:b", "group:/x/y z"])
def test_grantees_are_read_as_they_are_written(text: str) -> None:
    assert str(parse_grantee(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names nobody"),
        ("everybody", "names nobody"),
        ("Public", "names nobody"),
        ("public:x", "names nobody"),
        ("role:x", "names nobody"),
        ("group:", "the name is empty"),
        ("user: x", "has blanks around it"),
        ("user:anonymous", "is kept for those who are not known"),
        ("user:a\nb", "cannot be printed"),
        ("user:a\u202eb", "cannot be printed"),
        ("user:" + "x" * 256, "has 256 characters, at most 255"),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_grantee(text)


@given(st.text())
def test_a_name_that_has_no_problem_makes_a_grantee(name: str) -> None:
    text = f"group:{name}"
    if name_problem(name):
        with pytest.raises(UserError):
            parse_grantee(text)
    else:
        assert parse_grantee(text) == Grantee(GranteeKind.GROUP, name)


@pytest.mark.parametrize(
    ("readers", "seen_by"),
    [
        ({PUBLIC}, {ANONYMOUS, ALICE}),
        ({AUTHENTICATED}, {ALICE}),
        ({SURVEY}, {ALICE}),
        ({Grantee(GranteeKind.USER, "alice")}, {ALICE}),
        ({Grantee(GranteeKind.USER, "survey"), Grantee(GranteeKind.GROUP, "alice")}, set()),
        ({Grantee(GranteeKind.USER, "Alice"), Grantee(GranteeKind.GROUP, "SURVEY")}, set()),
        (set(), set()),
    ],
)
def test_who_may_read(readers: set[Grantee], seen_by: set[Identity]) -> None:
    database = replace(catalog().databases[0], readers=frozenset(readers))
    assert {who for who in (ANONYMOUS, ALICE) if who.may_read(database)} == seen_by
    assert OPERATOR.may_read(database)
    draft = replace(database, state=DatabaseState.LOADING)
    assert not any(who.may_read(draft) for who in (ANONYMOUS, ALICE))
    assert OPERATOR.may_read(draft)


def closed(name: str) -> Catalog:
    """Return the catalogue in which one database is the survey's alone."""
    databases = tuple(
        replace(database, readers=frozenset({SURVEY})) if database.name == name else database
        for database in catalog().databases
    )
    return replace(catalog(), databases=databases)


def seen(whole: Catalog, identity: Identity) -> Catalog:
    return whole.restricted_to(frozenset(database.name for database in whole.databases if identity.may_read(database)))


def test_a_view_has_no_trace_of_what_may_not_be_read() -> None:
    view = seen(closed("dr2"), ANONYMOUS)
    assert [database.name for database in view.databases] == ["dr1"]
    assert set(view.snapshots) == set(view.families) == {"dr1"}
    assert view.families["dr1"] is catalog().families["dr1"]  # chunk maps are cached by the state's identity
    assert {database.name for database in seen(closed("dr2"), ALICE).databases} == {"dr1", "dr2"}


QUERIES = [
    "SELECT * FROM dr2.Star",
    "SELECT * FROM dr2.Nothing",
    "SELECT * FROM dr2.Shared",
    "SELECT * FROM Star",
    "SELECT * FROM Staar",
    "SELECT * FROM d2.Star",
    'SELECT * FROM "dr2"."Star"',
    "SELECT o.objectId FROM dr1.Object AS o JOIN dr2.Star AS s ON o.objectId = s.starId",
    "SELECT * FROM draft.Draft",
    "SELECT * FROM Draft",
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_forbidden_table_and_one_that_is_not_there_get_the_same_message(query: str) -> None:
    whole = closed("dr2")
    without = replace(catalog(), databases=catalog().databases[:1])  # where dr2 has never been
    messages = []
    for view in (seen(whole, ANONYMOUS), without):
        with pytest.raises(UnknownTableError) as caught:
            resolve(parse(query), view)
        messages.append(caught.value.render())
    assert messages[0] == messages[1]


def test_a_name_in_two_databases_is_ambiguous_only_to_those_who_see_both() -> None:
    whole = closed("dr2")
    assert resolve(parse("SELECT a FROM Shared"), seen(whole, ANONYMOUS)).columns[0].name == "a"
    with pytest.raises(UnknownTableError, match="is ambiguous"):
        resolve(parse("SELECT a FROM Shared"), seen(whole, ALICE))
