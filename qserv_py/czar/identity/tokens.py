"""Access tokens of this cluster: made once, shown once, kept as a hash.

A token is ``qsv_<id>_<secret>``: the prefix lets scanners of secrets know it, the id (48 random bits, no secret) finds
its row, the secret has 256 random bits. The registry holds the SHA-256 of the whole text. A slow hash, as passwords
need, would guard nothing here: there is no list of likely secrets to try, and 2**256 guesses are out of reach at any
speed; it would only cost every request its time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, timedelta

from qserv_py.catalog.grants import name_problem, user_problem
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.errors import AuthenticationError, UserError
from qserv_py.registry.connection import Registry
from qserv_py.registry.tokens import AccessToken, add_token, find_token, note_use

PREFIX = "qsv_"
_FORM = re.compile(PREFIX + r"([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
MAX_LIFETIME = timedelta(days=36_500)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def create_token(
    registry: Registry,
    *,
    user: str,
    groups: tuple[str, ...] = (),
    lifetime: timedelta | None,
    note: str = "",
) -> tuple[str, AccessToken]:
    """Make a token.

    Parameters
    ----------
    registry
        Registry that keeps the token's hash.
    user, groups
        Name and groups of the user whom the token stands for.
    lifetime
        Time for which the token is valid, from now on; None for no end.
    note
        What the token is for, in words of the operator.

    Returns
    -------
    text, token
        The token itself, which nobody can find out again, and what is kept of it.

    Raises
    ------
    UserError
        If a name cannot be one.
    """
    problems = [("user", user, user_problem(user)), *(("group", group, name_problem(group)) for group in groups)]
    for what, name, problem in problems:
        if problem:
            raise UserError(f"the {what}'s name {problem}: {name[:80]!r}")
    if not note.isprintable():
        raise UserError("the note has characters that cannot be printed")
    token_id = secrets.token_hex(6)
    text = f"{PREFIX}{token_id}_{secrets.token_urlsafe(32)}"
    distinct = tuple(sorted(set(groups)))
    made = add_token(
        registry,
        token_id=token_id,
        sha256=_hash(text),
        user=user,
        groups=distinct,
        note=note,
        lifetime=lifetime,
    )
    return text, made


def verify_token(registry: Registry, text: str) -> Identity:
    """Return whom a token stands for.

    Raises
    ------
    AuthenticationError
        If it is not a token of this cluster, has expired or was revoked. Only one who holds the whole token hears
        which; to others all wrong tokens are alike.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise AuthenticationError(_WRONG, reason="malformed token")
    token = find_token(registry, form[1])
    if token is None:
        raise AuthenticationError(_WRONG, reason="unknown token")
    if not hmac.compare_digest(token.sha256, _hash(text)):
        raise AuthenticationError(_WRONG, reason=f"wrong secret for token {token.token_id}")
    if token.revoked_at is not None:
        raise AuthenticationError("the token was revoked", reason=f"revoked token {token.token_id}")
    if token.expired and token.expires_at is not None:
        when = token.expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise AuthenticationError(f"the token expired at {when}", reason=f"expired token {token.token_id}")
    if not token.used_lately:
        note_use(registry, token.token_id)
    return Identity(user=token.user, groups=frozenset(token.groups), proof=Proof.TOKEN)


def parse_lifetime(text: str) -> timedelta | None:
    """Return the time that ``12h``, ``90d``, ``4w`` mean; None for ``never``. UserError for anything else."""
    if text == "never":
        return None
    form = re.fullmatch(r"([0-9]{1,7})([hdw])", text, re.ASCII)
    lifetime = int(form[1]) * _UNITS[form[2]] if form is not None else timedelta(0)
    if not timedelta(0) < lifetime <= MAX_LIFETIME:
        raise UserError(f'"{text}" is not a lifetime', hint="Write 12h, 90d, 4w (at most 100 years) or never.")
    return lifetime


def id_of(text: str) -> str:
    """Return the id of a token, when all of it is given; else the text."""
    form = _FORM.fullmatch(text)
    return form[1] if form is not None else text


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


_WRONG = "the token is not valid"
