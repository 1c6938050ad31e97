"""The registry's side of access tokens: rows of ``access_token``. No token's text ever comes here, only its hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from qserv_py.errors import InternalError, NotFoundError
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import run


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What is known of one token. Times have a zone."""

    token_id: str
    sha256: bytes
    user: str
    groups: tuple[str, ...]
    note: str
    created_at: datetime
    expires_at: datetime | None
    """Moment at which the token ends; None when it never does."""

    used_at: datetime | None
    """Last use, to about a minute."""

    revoked_at: datetime | None
    expired: bool
    """Whether the token had ended when it was read, by the registry's clock."""

    used_lately: bool
    """Whether ``used_at`` is so recent that another use need not be written down."""

    @property
    def state(self) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        return "revoked" if self.revoked_at is not None else "expired" if self.expired else "valid"


def add_token(
    registry: Registry,
    *,
    token_id: str,
    sha256: bytes,
    user: str,
    groups: tuple[str, ...],
    note: str,
    lifetime: timedelta | None,
) -> AccessToken:
    """Write down a new token; without a lifetime it never expires."""
    with registry.transaction() as connection:
        run(
            connection,
            "insert_token",
            token_id=token_id,
            sha256=sha256,
            user=user,
            groups=list(groups),
            note=note,
            lifetime=lifetime,
        )
    found = find_token(registry, token_id)
    if found is None:
        raise InternalError(f"token {token_id} was written and is not there")
    return found


def find_token(registry: Registry, token_id: str) -> AccessToken | None:
    """Return the token of an id; None if there is none."""
    found = _tokens(registry, token_id)
    return found[0] if found else None


def list_tokens(registry: Registry) -> tuple[AccessToken, ...]:
    """Return all tokens, oldest first."""
    return _tokens(registry, None)


def revoke_token(registry: Registry, token_id: str) -> AccessToken:
    """Make a token useless from now on; return it as it was before. NotFoundError if there is none."""
    before = find_token(registry, token_id)
    if before is None:
        raise NotFoundError(f'there is no token "{token_id}"', hint="qserv token list shows the ids.")
    with registry.transaction() as connection:
        run(connection, "revoke_token", token_id=token_id)
    return before


def note_use(registry: Registry, token_id: str) -> None:
    """Write down that a token was used, unless that was done within the last minute."""
    with registry.transaction() as connection:
        run(connection, "note_token_use", token_id=token_id)


def _tokens(registry: Registry, token_id: str | None) -> tuple[AccessToken, ...]:
    return tuple(
        AccessToken(
            token_id=row[0],
            sha256=bytes(row[1]),
            user=row[2],
            groups=tuple(row[3]),
            note=row[4],
            created_at=row[5],
            expires_at=row[6],
            used_at=row[7],
            revoked_at=row[8],
            expired=row[9],
            used_lately=row[10],
        )
        for row in registry.look_up("tokens", token_id=token_id)
    )
