"""Who asks, before any route: the middleware, and the session that answers nobody without a name."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest

from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR, Identity, Proof
from qserv_py.czar.queries.requester import Requester
from qserv_py.czar.session import Session
from qserv_py.errors import AuthenticationError, IdentityProviderError, InternalError
from qserv_py.vo.http.requester import Identification

ADA = Identity(user="ada", proof=Proof.TOKEN)


class Decided:
    """An authenticator whose mind is made up; it notes what it was asked."""

    def __init__(self, found: Identity | Exception) -> None:
        self.found = found
        self.asked: list[tuple[list[tuple[str, str]], str | None]] = []

    def authenticate(self, headers: Any, peer: str | None) -> Identity:
        self.asked.append((list(headers), peer))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def challenges(self) -> tuple[str, ...]:
        return ("Bearer", "Basic")


def ask(
    found: Identity | Exception, path: str = "/tap/sync", *headers: tuple[bytes, bytes], method: str = "GET"
) -> Any:
    """Return status, headers, body, and the requester that the application saw."""
    seen: list[Requester | None] = []
    sent: list[dict[str, Any]] = []
    decided = Decided(found)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("state", {}).get("requester"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    async def go() -> None:
        scope = {
            "type": "http", "method": method, "path": path, "headers": list(headers), "client": ("192.0.2.7", 1234)
        }  # fmt: skip
        await Identification(application, decided)(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(go())
    status, body = sent[0]["status"], b"".join(message.get("body", b"") for message in sent)
    return status, sent[0]["headers"], body, seen, decided


@pytest.mark.parametrize("headers", [(), ((b"authorization", b"Bearer x"),)])
def test_all_headers_and_the_address_of_the_socket_are_asked(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    forged = ((b"x-forwarded-for", b"10.0.0.1"), (b"x-two", b"a"), (b"x-two", b"b"))
    _, _, _, seen, decided = ask(ADA, "/tap/sync", *forged, *headers)
    ((asked, peer),) = decided.asked
    assert asked == [(name.decode(), value.decode()) for name, value in (*forged, *headers)]
    assert peer == "192.0.2.7"
    assert seen == [Requester(ADA, "192.0.2.7")]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AuthenticationError("wrong", challenges=("Bearer x", "Basic y")), 401, "not_authenticated"),
        (IdentityProviderError("the issuer does not answer"), 503, "identity_provider"),
    ],
)
def test_an_identity_that_cannot_be_found_ends_the_request(error: Exception, status: int, code: str) -> None:
    got, headers, body, seen, _ = ask(error)
    assert (got, seen) == (status, [])
    assert b'name="QUERY_STATUS" value="ERROR"' in body
    expected = [b"Bearer x", b"Basic y"] if status == 401 else []
    assert [value for name, value in headers if name.lower() == b"www-authenticate"] == expected
    got, headers, body, seen, _ = ask(error, "/api/validate", (b"authorization", b"Bearer x"), method="POST")
    assert (got, seen, json.loads(body)["error"]["code"]) == (status, [], code)
    assert [value for name, value in headers if name.lower() == b"www-authenticate"] == expected


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/tap/availability"])
def test_monitoring_needs_no_identity(path: str) -> None:
    status, _, _, seen, decided = ask(AuthenticationError("wrong"), path, (b"authorization", b"Bearer x"))
    assert (status, seen, decided.asked) == (200, [None], [])


def test_only_users_are_kept_from_what_pages_of_other_sites_send() -> None:
    crossing = (b"sec-fetch-site", b"cross-site")
    assert ask(ADA, "/tap/async", crossing, method="POST")[0] == 400
    assert ask(ADA, "/tap/async", crossing, method="DELETE")[0] == 400
    assert ask(ADA, "/tap/async", crossing)[0] == 200
    assert ask(ADA, "/tap/async", (b"sec-fetch-site", b"same-origin"), method="POST")[0] == 200
    assert ask(ANONYMOUS, "/tap/async", crossing, method="POST")[0] == 200


def test_a_user_and_an_address_never_share() -> None:
    assert Requester(ANONYMOUS, "10.0.0.1").key != Requester(Identity(user="10.0.0.1", proof=Proof.OIDC), "x").key
    assert Requester(ADA, "10.0.0.1").key == Requester(ADA, "10.0.0.2").key


def test_the_operator_never_asks_through_a_service() -> None:
    session = IdentifiedSession(Session.__new__(Session))
    for ask_as in (session.catalog, lambda who: session.plan("SELECT 1", who), lambda who: session.answer("x", who)):
        with pytest.raises(InternalError, match="asked as the operator"):
            ask_as(OPERATOR)


def test_no_call_of_a_service_can_leave_out_who_asks() -> None:
    for name, call in inspect.getmembers(IdentifiedSession, inspect.isfunction):
        if name.startswith("_") or name == "check":
            continue
        assert inspect.signature(call).parameters["identity"].default is inspect.Parameter.empty, name
