"""The running queries of a user at a service, by its JSON API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from qserv_py.errors import ClusterError
from qserv_py.remote.http import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryView:
    """A running query as a service shows it to its owner."""

    query_id: str
    kind: str
    priority: int
    phase: str
    owner: str
    started_at: datetime
    snapshots: dict[str, int]
    text: str


class RemoteQueries:
    """The queries that the owner of a token runs at a service.

    Parameters
    ----------
    service
        The service.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def list(self) -> list[QueryView]:
        """Return those that run, the oldest first."""
        body = self._service.text("GET", "/api/queries")
        try:
            return [
                QueryView(
                    query_id=told["id"],
                    kind=told["kind"],
                    priority=told["priority"],
                    phase=told["phase"],
                    owner=told["owner"],
                    started_at=datetime.fromisoformat(told["started"]),
                    snapshots=told["snapshots"],
                    text=told["text"],
                )
                for told in json.loads(body)["queries"]
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ClusterError("the service sent a list of queries that cannot be read", detail=str(error)) from error

    def cancel(self, query_id: str) -> None:
        """End one; NotFoundError if none of this id runs."""
        self._service.text("DELETE", f"/api/queries/{quote(query_id, safe='')}")
