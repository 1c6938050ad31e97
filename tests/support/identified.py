"""People who ask a server of TAP: their tokens, addresses and jobs, and a catalogue that is closed to most of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx2
from support.tap_server import TapServer

from qserv_py.catalog.grants import PUBLIC, Grantee
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.tokens import create_token
from qserv_py.registry.grants import grant, revoke

COUNT = "SELECT COUNT(*) AS n FROM clustered.Object"
ELSEWHERE = "127.0.0.2"
"""An address of this machine that nobody trusts."""


@contextmanager
def closed(cluster: Cluster, *readers: Grantee) -> Iterator[None]:
    """Take the catalogue away from everybody but some."""
    with cluster.registry() as registry:
        for reader in readers:
            grant(registry, "clustered", reader)
        revoke(registry, "clustered", PUBLIC)
        try:
            yield
        finally:
            grant(registry, "clustered", PUBLIC)
            for reader in readers:
                revoke(registry, "clustered", reader)


def token_of(cluster: Cluster, user: str, *groups: str) -> str:
    with cluster.registry() as registry:
        return create_token(registry, user=user, groups=groups, lifetime=timedelta(hours=1))[0]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def get_from(address: str, url: str, **values: object) -> httpx2.Response:
    """Ask from another address of this machine."""
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address=address)) as client:
        return client.get(url, timeout=60, **values)  # type: ignore[arg-type]


def finished(job: str, headers: dict[str, str], *, seconds: float = 60) -> httpx2.Response:
    """Wait for a job's end; return its document."""
    ends = time.monotonic() + seconds
    while True:
        reply = httpx2.get(job, params={"WAIT": "5"}, headers=headers, timeout=30)
        if any(f"<uws:phase>{phase}<" in reply.text for phase in ("COMPLETED", "ERROR", "ABORTED")):
            return reply
        assert time.monotonic() < ends, reply.text


def submitted(tap: TapServer, headers: dict[str, str], **parameters: str) -> str:
    reply = tap.post("/tap/async", data={"FORMAT": "csv", "PHASE": "RUN", **parameters}, headers=headers)
    assert reply.status_code == 303, reply.text
    return reply.headers["location"]
