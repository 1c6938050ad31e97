"""Finds out from the headers of a request who asks; this is decided nowhere else.

The order: what a trusted proxy says; else the ``Authorization`` header; else nobody. Credentials that are there and
prove nothing end the request, they never make it anonymous: who is denied a table should not have to wonder why.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

from qserv_py.catalog.grants import name_problem, user_problem
from qserv_py.closing import Closing
from qserv_py.czar.identity import audit
from qserv_py.czar.identity.identity import ANONYMOUS, Identity, Proof
from qserv_py.czar.identity.issuer_keys import IssuerKeys
from qserv_py.czar.identity.oidc import OidcVerifier
from qserv_py.czar.identity.settings import IdentitySettings, ProxySettings
from qserv_py.czar.identity.tokens import PREFIX, verify_token
from qserv_py.errors import AuthenticationError, IdentityProviderError
from qserv_py.registry.connection import Registry

MAX_CREDENTIALS = 16_384
"""Characters of an ``Authorization`` header."""

FILLER = "x-oauth-basic"
"""Text that clients write as the user when the password is a token, and the other way round."""

Headers = dict[str, list[str]]


class Authenticator(Closing):
    """Finds out who asks; threads may share it.

    Parameters
    ----------
    registry
        Where the cluster's tokens are; the authenticator closes it.
    settings
        Which proofs are taken besides the cluster's tokens.
    """

    def __init__(self, registry: Registry, settings: IdentitySettings) -> None:
        self._registry = registry
        self._settings = settings
        self._oidc = OidcVerifier(settings.oidc, IssuerKeys(settings.oidc)) if settings.oidc is not None else None

    def close(self) -> None:
        """Close the connection to the registry."""
        self._registry.close()

    def authenticate(self, headers: Iterable[tuple[str, str]], peer: str | None) -> Identity:
        """Return who asks.

        Parameters
        ----------
        headers
            All headers of the request, also those that come twice; names in any case.
        peer
            Address that the connection comes from, as the socket says; None when it has none. Never one that a header
            names, such as ``X-Forwarded-For``: with it anybody could be the proxy.

        Raises
        ------
        AuthenticationError
            If credentials were given that prove nothing. ``challenges`` are the answer's ``WWW-Authenticate`` headers.
        IdentityProviderError
            If credentials cannot be checked at the moment.
        """
        found: Headers = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value)
        try:
            return self._from_proxy(found, peer) or self._from_credentials(found) or ANONYMOUS
        except AuthenticationError as error:
            audit.record("authentication_failure", peer=peer, reason=error.reason)
            error.challenges = self.challenges(error.message)
            raise
        except IdentityProviderError as error:
            audit.record("authentication_unavailable", peer=peer, reason=error.message)
            raise

    def challenges(self, problem: str = "") -> tuple[str, ...]:
        """Return values for ``WWW-Authenticate``: which credentials are taken, and what was wrong with those given.

        Without a problem they can go with any answer to a request without credentials, so that clients see that they
        may log in.
        """
        realm = f'realm="{self._settings.realm}"'
        said = re.sub(r"[^ !#-\[\]-~]", "'", problem)  # RFC 6750, section 3: no quotes, no backslashes
        bearer = f'Bearer {realm}, error="invalid_token", error_description="{said}"' if said else f"Bearer {realm}"
        return bearer, f'Basic {realm}, charset="UTF-8"'

    def _from_proxy(self, headers: Headers, peer: str | None) -> Identity | None:
        proxy = self._settings.proxy
        if proxy is None or not proxy.trusts(peer):
            return None
        users = headers.get(proxy.user_header.lower(), [])
        if not users:
            return None
        if len(users) > 1 or user_problem(users[0]):
            raise AuthenticationError(f"the proxy's header {proxy.user_header} does not name one user")
        return Identity(user=users[0], groups=_groups(proxy, headers), proof=Proof.PROXY)

    def _from_credentials(self, headers: Headers) -> Identity | None:
        values = headers.get("authorization", [])
        if not values:
            return None
        if len(values) > 1:
            raise AuthenticationError("there is more than one Authorization header")
        if len(values[0]) > MAX_CREDENTIALS:
            raise AuthenticationError(f"the Authorization header has more than {MAX_CREDENTIALS} characters")
        scheme, _, rest = values[0].strip().partition(" ")
        match scheme.lower():
            case "bearer":
                return self._verify(rest.strip())
            case "basic":
                return self._verify(_token_of_basic(rest.strip()))
        raise AuthenticationError("the Authorization header is neither Bearer nor Basic")

    def _verify(self, token: str) -> Identity:
        if self._oidc is not None and not token.startswith(PREFIX) and token.count(".") == 2:
            return self._oidc.verify(token)
        return verify_token(self._registry, token)


def _groups(proxy: ProxySettings, headers: Headers) -> frozenset[str]:
    names = (name.strip() for value in headers.get(proxy.groups_header.lower(), []) for name in value.split(","))
    return frozenset(name for name in names if not name_problem(name))


def _token_of_basic(encoded: str) -> str:
    """Return the token in the credentials of HTTP Basic: the password, or the user's name beside a filler."""
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user, colon, password = "", "", ""
    if not colon:
        raise AuthenticationError("the Authorization header is not of the form of HTTP Basic")
    return user if password in {"", FILLER} else password
