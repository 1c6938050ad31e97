"""Who asks, and whose share of a service he takes."""

from __future__ import annotations

from dataclasses import dataclass

from qserv_py.czar.identity.identity import Identity


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
        """Whose share of the service the request takes: that of a user, or of an address without a name.

        No user's name begins with a blank.
        """
        return f" {self.address}" if self.identity.is_anonymous else self.owner
