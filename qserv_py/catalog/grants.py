"""Who may read a database: the grantees that a grant can name.

A grant is a pair of a database and a grantee; ``Database.readers`` holds the grantees. Names of users and groups are
compared letter by letter, as identity providers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qserv_py.errors import UserError

MAX_NAME_LENGTH = 255
NOBODY = "anonymous"
"""Owner of what belongs to nobody; no user can have this name."""


class GranteeKind(StrEnum):
    """Whom a grant means."""

    PUBLIC = "public"
    """Everybody, without any proof of identity too."""

    AUTHENTICATED = "authenticated"
    """Everybody who has proven who they are."""

    GROUP = "group"
    USER = "user"


NAMED = (GranteeKind.GROUP, GranteeKind.USER)


@dataclass(frozen=True, slots=True, order=True)
class Grantee:
    """Whom a grant is for."""

    kind: GranteeKind
    name: str = ""
    """Of the user or the group; empty for the other kinds."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


PUBLIC = Grantee(GranteeKind.PUBLIC)
AUTHENTICATED = Grantee(GranteeKind.AUTHENTICATED)


def parse_grantee(text: str) -> Grantee:
    """Return the grantee that ``public``, ``authenticated``, ``group:NAME`` or ``user:NAME`` means.

    Raises
    ------
    UserError
        If the text is none of them, or the name cannot be one.
    """
    kind, colon, name = text.partition(":")
    if colon and kind in NAMED:
        problem = user_problem(name) if kind == GranteeKind.USER else name_problem(name)
        if problem:
            raise UserError(f'"{text}": the name {problem}')
        return Grantee(GranteeKind(kind), name)
    if not colon and kind in {GranteeKind.PUBLIC, GranteeKind.AUTHENTICATED}:
        return Grantee(GranteeKind(kind))
    raise UserError(
        f'"{text}" names nobody whom a database can be granted to',
        hint="Write public, authenticated, group:NAME or user:NAME.",
    )


def name_problem(name: str) -> str:
    """Return why a text cannot be the name of a user or a group, as the end of a sentence; empty when it can be."""
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_LENGTH:
        return f"has {len(name)} characters, at most {MAX_NAME_LENGTH} are allowed"
    if name != name.strip() or not name.isprintable():
        return "has blanks around it or characters that cannot be printed"
    return ""


def user_problem(name: str) -> str:
    """Return why a text cannot be the name of a user, as ``name_problem`` does."""
    return "is kept for those who are not known" if name.lower() == NOBODY else name_problem(name)
