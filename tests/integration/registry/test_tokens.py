"""Access tokens: whom they stand for, when they stop, and that nothing that could be used is kept."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from qserv_py.czar.identity.identity import Proof
from qserv_py.czar.identity.tokens import create_token, id_of, parse_lifetime, verify_token
from qserv_py.errors import AuthenticationError, NotFoundError, UserError
from qserv_py.registry.connection import Registry
from qserv_py.registry.tokens import find_token, list_tokens, revoke_token

DAY = timedelta(days=1)


def test_a_token_stands_for_its_user_and_groups(registry: Registry) -> None:
    text, made = create_token(registry, user="alice", groups=("b", "a", "b"), lifetime=DAY, note="notebook")
    identity = verify_token(registry, text)
    assert (identity.user, identity.groups, identity.proof) == ("alice", {"a", "b"}, Proof.TOKEN)
    assert (made.groups, made.note, made.state) == (("a", "b"), "notebook", "valid")
    assert made.expires_at is not None
    assert made.expires_at - made.created_at == DAY
    assert (id_of(text), id_of("other")) == (made.token_id, "other")


def test_the_text_of_a_token_is_kept_nowhere(registry: Registry, registry_database: str) -> None:
    text, made = create_token(registry, user="alice", lifetime=DAY)
    secret = text.removeprefix(f"qsv_{made.token_id}_")
    with psycopg.connect(registry_database) as connection:
        rows = connection.execute("SELECT t::text FROM access_token t").fetchall()
    assert made.token_id in rows[0][0]
    assert secret not in rows[0][0]
    assert len(secret) == 43


def test_two_tokens_share_nothing(registry: Registry) -> None:
    texts = {create_token(registry, user="alice", lifetime=DAY)[0] for _ in range(20)}
    assert len(texts) == len({id_of(text) for text in texts}) == len({text[-43:] for text in texts}) == 20


def test_wrong_tokens_are_all_alike_to_who_shows_them(registry: Registry) -> None:
    text, made = create_token(registry, user="alice", lifetime=DAY)
    revoked, _ = create_token(registry, user="bob", lifetime=DAY)
    revoke_token(registry, id_of(revoked))
    last = "A" if text[-1] != "A" else "B"
    wrong = {
        "": "malformed token",
        text.upper(): "malformed token",
        text + " ": "malformed token",
        text[:-1]: "malformed token",
        text[:-1] + "é": "malformed token",
        text.replace(made.token_id, "0" * 12): "unknown token",
        text[:-1] + last: f"wrong secret for token {made.token_id}",
        revoked[:-43] + text[-43:]: f"wrong secret for token {id_of(revoked)}",
    }
    for shown, reason in wrong.items():
        with pytest.raises(AuthenticationError) as caught:
            verify_token(registry, shown)
        assert caught.value.render() == "the token is not valid"
        assert caught.value.reason == reason


def test_a_revoked_token_is_useless_at_once(registry: Registry) -> None:
    text, made = create_token(registry, user="alice", lifetime=None)
    other, _ = create_token(registry, user="alice", lifetime=None)
    verify_token(registry, text)
    assert revoke_token(registry, made.token_id).revoked_at is None
    with pytest.raises(AuthenticationError, match="the token was revoked"):
        verify_token(registry, text)
    first = find_token(registry, made.token_id)
    assert first is not None
    assert first.state == "revoked"
    assert revoke_token(registry, made.token_id).revoked_at == first.revoked_at
    assert verify_token(registry, other).user == "alice"
    with pytest.raises(NotFoundError, match='there is no token "abc"'):
        revoke_token(registry, "abc")


def test_a_token_ends_with_its_lifetime(registry: Registry, registry_database: str) -> None:
    text, _ = create_token(registry, user="alice", lifetime=timedelta(hours=1))
    with psycopg.connect(registry_database, autocommit=True) as connection:
        connection.execute("UPDATE access_token SET expires_at = '2026-01-02T03:04:00Z'")
    with pytest.raises(AuthenticationError, match="the token expired at 2026-01-02 03:04 UTC"):
        verify_token(registry, text)
    assert [token.state for token in list_tokens(registry)] == ["expired"]


def test_use_is_written_down_once_a_minute(registry: Registry, registry_database: str) -> None:
    text, made = create_token(registry, user="alice", lifetime=DAY)
    assert made.used_at is None
    times = []
    for _ in range(2):
        verify_token(registry, text)
        (token,) = list_tokens(registry)
        times.append(token.used_at)
    assert times[0] == times[1] is not None
    with psycopg.connect(registry_database, autocommit=True) as connection:
        connection.execute("UPDATE access_token SET used_at = used_at - interval '61 seconds'")
    verify_token(registry, text)
    (token,) = list_tokens(registry)
    assert token.used_at is not None
    assert token.used_at >= times[0]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"user": ""}, "the user's name is empty"),
        ({"user": "a", "groups": ("b", " c")}, "the group's name has blanks around it"),
        ({"user": "a\x00"}, "cannot be printed"),
        ({"user": "Anonymous"}, "is kept for those who are not known"),
        ({"user": "a", "note": "x\ny"}, "the note has characters that cannot be printed"),
    ],
)
def test_names_are_checked(registry: Registry, named: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        create_token(registry, lifetime=DAY, **named)  # type: ignore[arg-type]
    assert list_tokens(registry) == ()


@pytest.mark.parametrize(("text", "days"), [("12h", 0.5), ("90d", 90), ("4w", 28), ("36500d", 36500), ("never", None)])
def test_lifetimes(text: str, days: float | None) -> None:
    assert parse_lifetime(text) == (None if days is None else timedelta(days=days))


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "36501d", "9999999w", "90D", "90d ", "٣d", "1y"])
def test_other_lifetimes_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a lifetime"):
        parse_lifetime(text)


def test_a_verification_survives_a_lost_connection(registry: Registry, registry_database: str) -> None:
    text, _ = create_token(registry, user="alice", lifetime=DAY)
    verify_token(registry, text)
    with psycopg.connect(registry_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert verify_token(registry, text).user == "alice"
