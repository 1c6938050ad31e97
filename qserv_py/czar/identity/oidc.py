"""Tokens that an issuer of OpenID Connect has signed: JSON Web Tokens, checked here without asking the issuer."""

from __future__ import annotations

from typing import Any

import jwt

from qserv_py.czar.identity.claims import groups_of, user_of
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.czar.identity.issuer_keys import IssuerKeys
from qserv_py.czar.identity.settings import OidcSettings
from qserv_py.errors import AuthenticationError

_BROKEN = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""Exceptions of the library for wrong tokens; the last three come of absurd numbers and nesting, as in an attack."""

_SAID: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is meant for another service"),
    (jwt.MissingRequiredClaimError, "the token lacks a claim that is needed"),
)


class OidcVerifier:
    """Checks tokens of one issuer; threads may share it."""

    def __init__(self, settings: OidcSettings, keys: IssuerKeys) -> None:
        self._settings = settings
        self._keys = keys

    def verify(self, token: str) -> Identity:
        """Return whom a token stands for.

        Raises
        ------
        AuthenticationError
            If it is not a token of the issuer for this service, or its time has not come or is over.
        IdentityProviderError
            If the issuer's keys cannot be read.
        """
        algorithm, kid = self._look_at(token)
        for key in self._keys.find(kid, algorithm):
            try:
                return self._identity(self._decode(token, key.public, algorithm))
            except jwt.InvalidSignatureError:  # a token without a key id may be signed with another of the keys
                continue
            except _BROKEN as error:
                said = next((text for kind, text in _SAID if isinstance(error, kind)), "the token is not valid")
                raise AuthenticationError(said, reason=f"{said}: {error}") from error
        raise AuthenticationError(
            "the token is not signed with a key of the issuer", reason=f"key {kid!r:.100} of token"
        )

    def _look_at(self, token: str) -> tuple[str, str | None]:
        """Return algorithm and key id of a token that may be the issuer's; nothing of it is believed yet."""
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except _BROKEN as error:
            raise AuthenticationError("the token is not valid", reason=f"malformed token: {error}") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise AuthenticationError(
                "the token is signed in a way that is not allowed", reason=f"algorithm {algorithm!r:.40} of token"
            )
        if claims.get("iss") != self._settings.issuer:  # judged first: to look for the key may ask the issuer
            raise AuthenticationError(
                "the token is of another issuer", reason=f"token of issuer {claims.get('iss')!r:.200}"
            )
        return str(algorithm), kid

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=self._settings.leeway_s,
            options={"require": ["exp", "iss", "aud"]},
        )

    def _identity(self, claims: dict[str, Any]) -> Identity:
        user = user_of(claims, self._settings.user_claim)
        if not user:
            raise AuthenticationError(f'the token has no user\'s name in its claim "{self._settings.user_claim}"')
        return Identity(user=user, groups=groups_of(claims, self._settings.groups_claim), proof=Proof.OIDC)
