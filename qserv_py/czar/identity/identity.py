"""Who asks, and which databases that lets them read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from qserv_py.catalog.grants import AUTHENTICATED, NOBODY, PUBLIC, Grantee, GranteeKind
from qserv_py.catalog.model import Database, DatabaseState


class Proof(StrEnum):
    """How an identity was proven."""

    OPERATOR = "operator"
    """Proven by the right to read the cluster's directory: the command line, the Python API on the czar's machine."""

    NONE = "none"
    """Nothing was proven: an anonymous request."""

    TOKEN = "token"  # noqa: S105 - not a password
    """Proven by an access token of this cluster."""

    OIDC = "oidc"
    """Proven by a token that the configured issuer has signed."""

    PROXY = "proxy"
    """Proven by headers of a trusted proxy."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who asks. Jobs and tables belong to ``user``."""

    user: str
    """Name of the user; empty for somebody who has proven nothing, and for the operator."""

    groups: frozenset[str] = frozenset()
    proof: Proof

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is known to ask."""
        return self.proof is Proof.NONE

    @property
    def owner(self) -> str:
        """Name that jobs and tables are kept under; that of anonymous requests can be no user's name."""
        return self.user or NOBODY

    @cached_property
    def grantees(self) -> frozenset[Grantee]:
        """Everything that a grant can name and that means this identity."""
        if not self.user:
            return frozenset({PUBLIC})
        groups = {Grantee(GranteeKind.GROUP, group) for group in self.groups}
        return frozenset({PUBLIC, AUTHENTICATED, Grantee(GranteeKind.USER, self.user), *groups})

    def may_read(self, database: Database) -> bool:
        """Tell whether a database exists for this identity: all for the operator, published granted ones for others."""
        if self.proof is Proof.OPERATOR:
            return True
        return database.state is DatabaseState.PUBLISHED and not self.grantees.isdisjoint(database.readers)

    def as_record(self) -> dict[str, Any]:
        """Return the identity as JSON can hold it."""
        return {"user": self.user, "groups": sorted(self.groups), "proof": self.proof.value}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Identity:
        """Return the identity of a record."""
        return cls(user=record["user"], groups=frozenset(record["groups"]), proof=Proof(record["proof"]))


ANONYMOUS = Identity(user="", proof=Proof.NONE)
OPERATOR = Identity(user="", proof=Proof.OPERATOR)
