"""Finds the identity of a request, in one place and before any route sees the request.

Answers say whom the service took the request to be from, as IVOA's AuthVO asks for: ``X-VO-Authenticated`` names the
user, and whoever has no name hears with each answer which credentials are taken.
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qserv_py.czar.identity.authenticate import Authenticator
from qserv_py.czar.queries.requester import Requester
from qserv_py.errors import AuthenticationError, IdentityProviderError, UserError
from qserv_py.vo.http.replies import error_reply

OPEN_PATHS = ("/healthz", "/metrics", "/tap/availability")
"""Paths that monitoring reads. They say the same to everybody, so no identity is looked for."""

CHECKED_AT_A_TIME = 8
"""How many credentials are checked at a time, as an issuer that does not answer must not hold all threads."""


def requester_of(request: Request) -> Requester:
    """Return who sent a request."""
    found = request.scope["state"]["requester"]
    assert isinstance(found, Requester)
    return found


def known_requester_of(request: Request) -> Requester:
    """Return who sent a request; AuthenticationError if nobody is known to."""
    found = requester_of(request)
    if found.identity.is_anonymous:
        raise AuthenticationError("this is for users who are known", hint="Show a token.")
    return found


class Identification:
    """Middleware that finds out who asks; credentials that prove nothing end the request."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limiter = CapacityLimiter(CHECKED_AT_A_TIME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its requester."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            requester = await self._identify(scope)
        except (AuthenticationError, IdentityProviderError, UserError) as error:
            await error_reply(scope["path"], error)(scope, receive, send)
            return
        scope.setdefault("state", {})["requester"] = requester
        greeting = self._greeting(requester)

        async def greeted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *greeting]
            await send(message)

        await self._app(scope, receive, greeted)

    async def _identify(self, scope: Scope) -> Requester:
        """Return who asks.

        Raises
        ------
        AuthenticationError, IdentityProviderError
            As ``Authenticator.authenticate``.
        UserError
            If a page of another site makes a user's browser change something.
        """
        headers = Headers(scope=scope)
        address = scope["client"][0] if scope.get("client") else ""
        authenticate = self._authenticator.authenticate
        if "authorization" in headers:  # checking asks the registry or an issuer
            identity = await to_thread.run_sync(authenticate, headers.items(), address or None, limiter=self._limiter)
        else:
            identity = authenticate(headers.items(), address or None)
        if (
            not identity.is_anonymous
            and scope["method"] not in {"GET", "HEAD"}
            and headers.get("sec-fetch-site") == "cross-site"
        ):
            raise UserError("a page of another site sent this request in your name, which is not taken")
        return Requester(identity, address)

    def _greeting(self, requester: Requester) -> list[tuple[bytes, bytes]]:
        """Return headers that say whom the service sees."""
        if requester.identity.is_anonymous:
            return [(b"www-authenticate", challenge.encode()) for challenge in self._authenticator.challenges()]
        name = [(b"x-vo-authenticated", requester.owner.encode())] if requester.owner.isascii() else []
        return [*name, (b"cache-control", b"private")]
