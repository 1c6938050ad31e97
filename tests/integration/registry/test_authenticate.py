"""From the headers of a request to who asks."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network

import pytest
from support.issuer import AUDIENCE, Issuer, running_issuer

from qserv_py.czar.identity.authenticate import MAX_CREDENTIALS, Authenticator
from qserv_py.czar.identity.identity import ANONYMOUS, Proof
from qserv_py.czar.identity.settings import IdentitySettings, OidcSettings, ProxySettings
from qserv_py.czar.identity.tokens import create_token
from qserv_py.errors import AuthenticationError, IdentityProviderError
from qserv_py.registry.connection import Registry
from qserv_py.registry.tokens import revoke_token

PROXY = "10.1.2.3"
USER = "192.0.2.7"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def token(registry: Registry) -> str:
    return create_token(registry, user="alice", groups=("survey",), lifetime=timedelta(days=1))[0]


@pytest.fixture
def everything(registry: Registry, issuer: Issuer) -> Iterator[Authenticator]:
    """An authenticator that takes every proof there is."""
    settings = IdentitySettings(
        oidc=OidcSettings(issuer=issuer.url, audience=(AUDIENCE,)),
        proxy=ProxySettings(addresses=(ip_network("10.1.2.0/30"),)),
    )
    with Authenticator(Registry(registry.conninfo), settings) as made:
        yield made


@pytest.fixture
def plain(registry: Registry) -> Iterator[Authenticator]:
    """An authenticator without settings."""
    with Authenticator(Registry(registry.conninfo), IdentitySettings()) as made:
        yield made


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(text: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {text}")]


def test_without_credentials_nobody_asks(everything: Authenticator, plain: Authenticator) -> None:
    for headers in ([], [("Accept", "*/*"), ("Cookie", "token=x")]):
        for peer in (USER, PROXY, None, "testclient"):
            assert everything.authenticate(headers, peer) is ANONYMOUS
            assert plain.authenticate(headers, peer) is ANONYMOUS


def test_every_way_to_show_a_token(plain: Authenticator, token: str) -> None:
    ways = [
        f"Bearer {token}",
        f"bearer  {token} ",
        basic("x-oauth-basic", token),
        basic("anybody", token),
        basic("", token),
        basic(token, "x-oauth-basic"),
        basic(token, ""),
        basic("alice", token).replace("Basic", "BASIC"),
    ]
    for value in ways:
        identity = plain.authenticate([("Authorization", value)], USER)
        assert (identity.user, identity.groups, identity.proof) == ("alice", {"survey"}, Proof.TOKEN)


def test_tokens_of_the_issuer(everything: Authenticator, issuer: Issuer) -> None:
    text = issuer.token(sub="carol")
    for headers in (bearer(text), [("AUTHORIZATION", basic("x-oauth-basic", text))]):
        assert everything.authenticate(headers, USER).user == "carol"


def test_without_an_issuer_its_tokens_are_wrong(plain: Authenticator, issuer: Issuer) -> None:
    with pytest.raises(AuthenticationError, match="the token is not valid"):
        plain.authenticate(bearer(issuer.token()), USER)
    assert issuer.requests == []


WRONG = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer a.b.c",
    "Bearer qsv_000000000000_" + "A" * 43,
    "Bearer qsv_a.b.c",
    "Basic",
    "Basic !!!",
    "Basic Og==",
    "Basic " + base64.b64encode(b"nocolon").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
    basic("alice", "password"),
    basic("alice", ""),
    basic("alice:with:colons", "x"),
    "Digest username=alice",
    "Negotiate YII=",
    "",
    " ",
    "Bearer " + "x" * MAX_CREDENTIALS,
    "Bearer \x00",
    "Bearer é",
]


@pytest.mark.parametrize("value", WRONG, ids=[repr(value[:40]) for value in WRONG])
def test_wrong_credentials_are_never_nobody(everything: Authenticator, plain: Authenticator, value: str) -> None:
    for authenticator in (everything, plain):
        with pytest.raises(AuthenticationError) as caught:
            authenticator.authenticate([("Authorization", value)], USER)
        first, second = caught.value.challenges
        assert first.startswith('Bearer realm="qserv", error="invalid_token", error_description="')
        assert second == 'Basic realm="qserv", charset="UTF-8"'
        assert "\n" not in first
        assert first.isascii()
        assert first.count('"') == 6


def test_two_authorizations_are_one_too_many(plain: Authenticator, token: str) -> None:
    with pytest.raises(AuthenticationError, match="more than one Authorization header"):
        plain.authenticate([*bearer(token), *bearer(token)], USER)


def test_challenges_without_a_problem(plain: Authenticator) -> None:
    assert plain.challenges() == ('Bearer realm="qserv"', 'Basic realm="qserv", charset="UTF-8"')
    assert plain.challenges('a "quoted" \\ é\n')[0].endswith("error_description=\"a 'quoted' ' ''\"")


# Trusted proxies


def proxied(user: str, groups: str | None = None) -> list[tuple[str, str]]:
    headers = [("X-Auth-Request-User", user), ("X-Auth-Request-Email", "a@example.org")]
    return headers if groups is None else [*headers, ("X-Auth-Request-Groups", groups)]


def test_the_proxy_is_believed(everything: Authenticator) -> None:
    identity = everything.authenticate(proxied("alice", "survey, pi ,, ,"), PROXY)
    assert (identity.user, identity.groups, identity.proof) == ("alice", {"survey", "pi"}, Proof.PROXY)
    assert everything.authenticate([*proxied("alice", "a"), ("x-auth-request-groups", "b")], PROXY).groups == {"a", "b"}
    assert everything.authenticate(proxied("alice"), "::ffff:10.1.2.3").groups == frozenset()


@pytest.mark.parametrize("peer", [USER, "10.1.2.4", "127.0.0.1", "::1", None, "", "10.1.2.3, 192.0.2.7", "testclient"])
def test_nobody_else_is_believed(everything: Authenticator, plain: Authenticator, peer: str | None) -> None:
    spoofed = [*proxied("admin", "survey"), ("X-Forwarded-For", PROXY), ("X-Real-IP", PROXY), ("Forwarded", PROXY)]
    assert everything.authenticate(spoofed, peer) is ANONYMOUS
    assert plain.authenticate(spoofed, peer) is ANONYMOUS


def test_spoofed_headers_do_not_change_who_shows_a_token(everything: Authenticator, token: str) -> None:
    identity = everything.authenticate([*proxied("admin", "operators"), *bearer(token)], USER)
    assert (identity.user, identity.groups, identity.proof) == ("alice", {"survey"}, Proof.TOKEN)


def test_by_default_no_proxy_is_believed(plain: Authenticator) -> None:
    for peer in (PROXY, "127.0.0.1", None):
        assert plain.authenticate(proxied("admin"), peer) is ANONYMOUS


def test_what_the_proxy_says_is_not_mixed_with_credentials(everything: Authenticator, token: str) -> None:
    assert everything.authenticate([*proxied("bob"), *bearer(token)], PROXY).user == "bob"
    assert everything.authenticate([*proxied("bob"), *bearer("wrong")], PROXY).user == "bob"
    assert everything.authenticate(bearer(token), PROXY).user == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        proxied(""),
        proxied("a\tb"),
        proxied(" a"),
        proxied("a") + proxied("b"),
        proxied("x" * 256),
        proxied("anonymous"),
    ],
)
def test_a_proxy_that_names_no_user_or_two(everything: Authenticator, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(AuthenticationError, match="does not name one user"):
        everything.authenticate(headers, PROXY)


# What is written down


def test_failures_are_written_down_without_secrets(
    everything: Authenticator, token: str, registry: Registry, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    revoke_token(registry, token.split("_")[1])
    expired = issuer.token(exp=1)
    secrets = [token, token[:-1] + "~", expired, "hunter2"]
    for secret in secrets:
        for headers in (bearer(secret), [("Authorization", basic("alice", secret))]):
            with pytest.raises(AuthenticationError):
                everything.authenticate(headers, USER)
    lines = [json.loads(entry.getMessage()) for entry in caplog.records if entry.name == "qserv_py.audit"]
    assert len(lines) == 2 * len(secrets)
    assert {(line["event"], line["peer"]) for line in lines} == {("authentication_failure", USER)}
    reasons = {line["reason"] for line in lines}
    assert f"revoked token {token.split('_')[1]}" in reasons
    assert any(reason.startswith("the token has expired") for reason in reasons)
    for secret in (token.split("_", 2)[2][:20], expired.split(".")[2][:20], expired.split(".")[1][:20], "hunter2"):
        assert secret not in caplog.text


def test_what_strangers_send_cannot_forge_a_line(everything: Authenticator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="qserv_py.audit")
    with pytest.raises(AuthenticationError):
        everything.authenticate(bearer("x"), 'peer"\n{"event": "grant"}')
    (entry,) = caplog.records
    assert "\n" not in entry.getMessage()
    assert json.loads(entry.getMessage())["event"] == "authentication_failure"


def test_an_issuer_that_is_away_is_not_the_users_fault(
    everything: Authenticator, token: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    issuer.raw["/keys"] = b"oops"
    with pytest.raises(IdentityProviderError, match="cannot be checked at the moment"):
        everything.authenticate(bearer(issuer.token()), USER)
    assert '"event": "authentication_unavailable"' in caplog.text
    assert everything.authenticate(bearer(token), USER).user == "alice"


def test_threads_share_an_authenticator(everything: Authenticator, token: str, issuer: Issuer) -> None:
    texts = [token, issuer.token(sub="bob")] * 40
    with ThreadPoolExecutor(8) as threads:
        users = list(threads.map(lambda text: everything.authenticate(bearer(text), USER).user, texts))
    assert users == ["alice", "bob"] * 40
