"""Who asks: the one place where a request's owner is found."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks."""

    owner: str
    """Name that jobs belong to."""

    address: str
    """Where the request came from."""

    @property
    def key(self) -> str:
        """Whose share of the service the request takes: that of a user, or of an address without a name."""
        return f"{ANONYMOUS} {self.address}" if self.owner == ANONYMOUS else self.owner


def requester_of(request: Request) -> Requester:
    """Return who sent a request."""
    return Requester(ANONYMOUS, request.client.host if request.client else "")
