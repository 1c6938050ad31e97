"""The public keys of an issuer of tokens, kept in memory and read again when they may have changed.

They are read when first needed, once an hour, and when a token names a key that is not known: that is how a rotation
shows. Whatever tokens come, the issuer is asked at most every half minute, by one thread at a time. While it does not
answer, keys that were read within six hours go on to count.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from qserv_py.czar.identity.fetch import fetch_json, url_problem
from qserv_py.czar.identity.settings import OidcSettings
from qserv_py.errors import IdentityProviderError

DISCOVERY = "/.well-known/openid-configuration"
FRESH_S = 3600.0
STALE_S = 6 * 3600.0
RETRY_S = 30.0
MAX_KEYS = 64
MIN_RSA_BITS = 2048

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
Fetch = Callable[..., dict[str, Any]]

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_log = logging.getLogger("qserv_py.identity")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerKey:
    """One public key that signatures are checked with."""

    kid: str | None
    algorithms: frozenset[str]
    """Algorithms that the key is for; it is tried with no other."""

    public: PublicKey


class IssuerKeys:
    """The keys of one issuer; threads may share it.

    Parameters
    ----------
    settings
        Settings that name the issuer.
    fetch
        Reads a JSON document, as ``fetch_json`` does.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, settings: OidcSettings, *, fetch: Fetch = fetch_json, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[IssuerKey, ...] = ()
        self._read_at = -STALE_S
        self._tried_at = -RETRY_S
        self._failed = False

    def find(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        """Return the keys that may have made a signature: the one of an id, or without an id all of the algorithm.

        Raises
        ------
        IdentityProviderError
            If there is none and the issuer did not answer when it was last asked.
        """
        age = self._age()
        if age > FRESH_S:
            self._read_again(wait=age > STALE_S)
        found = self._known(kid, algorithm)
        if not found:
            self._read_again(wait=True)
            found = self._known(kid, algorithm)
        if not found and self._failed:
            raise IdentityProviderError(
                f"tokens of {self._settings.issuer} cannot be checked at the moment", hint="Try again in a minute."
            )
        return found

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _known(self, kid: str | None, algorithm: str) -> tuple[IssuerKey, ...]:
        if self._age() > STALE_S:
            return ()
        return tuple(key for key in self._keys if algorithm in key.algorithms and kid in {None, key.kid})

    def _read_again(self, *, wait: bool) -> None:
        """Ask the issuer, unless it was asked lately or, with ``wait`` false, another thread is asking it."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._clock() - self._tried_at < RETRY_S:
                return
            self._tried_at = self._clock()
            self._keys = self._read()
            self._read_at = self._clock()
            self._failed = False
        except IdentityProviderError as error:
            self._failed = True
            _log.warning("keys of %s were not read: %s", self._settings.issuer, error.render())
        finally:
            self._lock.release()

    def _read(self) -> tuple[IssuerKey, ...]:
        issuer, ca_file = self._settings.issuer, self._settings.ca_file
        document = self._fetch(issuer.rstrip("/") + DISCOVERY, ca_file=ca_file)
        if document.get("issuer") != issuer:
            raise IdentityProviderError(f"{issuer} calls itself {document.get('issuer')!r:.200}, letter by letter")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or url_problem(url, with_query=True):
            raise IdentityProviderError(f"{issuer} names no URL of its keys that can be used: {url!r:.200}")
        if url.startswith("http:") and not issuer.startswith("http:"):
            raise IdentityProviderError(f"{issuer} names a URL of its keys without https: {url:.200}")
        listed = self._fetch(url, ca_file=ca_file).get("keys")
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise IdentityProviderError(f"{url} is not a list of at most {MAX_KEYS} keys")
        keys = tuple(key for key in map(_key, listed) if key is not None)
        if not keys:
            raise IdentityProviderError(f"{url} has no key that can be used, of {len(listed)}")
        return keys


def _key(entry: object) -> IssuerKey | None:
    """Return a key of a JWK set; None for what is not a public key for signatures, or too weak."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry or "k" in entry:
        return None
    kid, operations, meant_for = entry.get("kid"), entry.get("key_ops"), entry.get("alg")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    try:
        public = PyJWK({name: value for name, value in entry.items() if name != "alg"}).key
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    algorithms = _algorithms(public)
    if meant_for is not None:
        algorithms &= {str(meant_for)}
    if not algorithms or not (kid is None or isinstance(kid, str)):
        return None
    return IssuerKey(kid=kid, algorithms=algorithms, public=public)


def _algorithms(public: object) -> frozenset[str]:
    match public:
        case RSAPublicKey() if public.key_size >= MIN_RSA_BITS:
            return frozenset(f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512))
        case EllipticCurvePublicKey() if public.curve.name in _CURVES:
            return frozenset({_CURVES[public.curve.name]})
        case Ed25519PublicKey() | Ed448PublicKey():
            return frozenset({"EdDSA"})
        case _:
            return frozenset()
