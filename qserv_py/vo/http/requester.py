"""Who asks: the one place where a request's identity is found, before any route sees it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from qserv_py.czar.identity.authenticate import Authenticator
from qserv_py.czar.identity.identity import Identity
from qserv_py.errors import AuthenticationError, IdentityProviderError
from qserv_py.vo.http.replies import error_reply

OPEN_PATHS = ("/healthz", "/metrics")
"""What monitoring asks for, without an identity."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks."""

    identity: Identity
    address: str
    """Where the request came from."""

    @property
    def owner(self) -> str:
        """Name that jobs belong to."""
        return self.identity.owner

    @property
    def key(self) -> str:
        """Whose share of the service the request takes: that of a user, or of an address without a name."""
        return f"{self.owner} {self.address}" if self.identity.is_anonymous else self.owner


def requester_of(request: Request) -> Requester:
    """Return who sent a request."""
    found = request.scope["state"]["requester"]
    assert isinstance(found, Requester)
    return found


class Identification:
    """Middleware that finds out who asks; credentials that prove nothing end the request."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its requester."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        address = scope["client"][0] if scope.get("client") else ""
        authenticate = self._authenticator.authenticate
        try:
            if any(name == "authorization" for name, _ in headers):  # it asks the registry or an issuer
                identity = await run_in_threadpool(authenticate, headers, address or None)
            else:
                identity = authenticate(headers, address or None)
        except (AuthenticationError, IdentityProviderError) as error:
            await error_reply(error)(scope, receive, send)
            return
        scope.setdefault("state", {})["requester"] = Requester(identity, address)
        await self._app(scope, receive, send)
