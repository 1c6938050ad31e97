"""Who asks over HTTP sees what was granted, and no jobs of others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from support.tap_server import TapServer

from qserv_py.catalog.grants import PUBLIC, Grantee, GranteeKind
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.tokens import create_token
from qserv_py.registry.grants import grant, revoke

COUNT = "SELECT COUNT(*) AS n FROM clustered.Object"
ADA = Grantee(GranteeKind.USER, "ada")


@pytest.fixture
def tokens(cluster: Cluster, tap: TapServer) -> Iterator[dict[str, str]]:
    """Tokens of two users; only the first may read the catalogue while the test runs."""
    with cluster.registry() as registry:
        made = {user: create_token(registry, user=user, lifetime=timedelta(hours=1))[0] for user in ("ada", "bob")}
        grant(registry, "clustered", ADA)
        revoke(registry, "clustered", PUBLIC)
        yield made
        grant(registry, "clustered", PUBLIC)
        revoke(registry, "clustered", ADA)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_closed_database_is_there_for_those_it_was_granted_to(tap: TapServer, tokens: dict[str, str]) -> None:
    data = {"QUERY": COUNT, "FORMAT": "csv"}
    allowed = tap.post("/tap/sync", data=data, headers=bearer(tokens["ada"]))
    assert allowed.text.split() == ["n", "600"]
    basic = httpx2.post(f"{tap.tap}/sync", data=data, auth=("x-oauth-basic", tokens["ada"]))
    assert basic.text == allowed.text
    for headers in ({}, bearer(tokens["bob"])):
        refused = tap.post("/tap/sync", data=data, headers=headers)
        assert (refused.status_code, 'database "clustered" is not known' in refused.text) == (400, True)
        assert "clustered.Object" not in tap.get("/tap/tables", headers=headers).text
        assert "clustered" not in tap.get("/tap/examples", headers=headers).text
        assert tap.get("/tap/tables/clustered.Object", headers=headers).status_code == 404
        assert tap.post("/api/validate", json={"query": COUNT}, headers=headers).json()["ok"] is False
        assert tap.post("/api/explain", json={"query": COUNT}, headers=headers).status_code == 400
        job = tap.post("/tap/async", data={**data, "PHASE": "RUN"}, headers=headers).headers["location"]
        reply = httpx2.get(job, params={"WAIT": "-1"}, headers=headers)
        while "EXECUTING" in reply.text or "QUEUED" in reply.text:
            reply = httpx2.get(job, params={"WAIT": "-1"}, headers=headers)
        assert "is not known" in reply.text
    assert "clustered.Object" in tap.get("/tap/tables", headers=bearer(tokens["ada"])).text


def test_a_wrong_token_is_never_anonymous(tap: TapServer, tokens: dict[str, str]) -> None:
    for headers in (bearer("nonsense"), {"Authorization": "Digest x"}, bearer(tokens["ada"][:-2] + "xx")):
        for path in ("/tap/sync", "/tap/capabilities", "/tap/async", "/api/validate"):
            refused = tap.get(path, headers=headers)
            assert refused.status_code == 401, path
            challenges = refused.headers.get_list("www-authenticate")
            assert [challenge.split(" ")[0] for challenge in challenges] == ["Bearer", "Basic"]
    assert tap.get("/healthz", headers=bearer("nonsense")).status_code == 200
    log = "".join(tap.lines)
    assert "authentication_failure" in log
    assert not any(secret in log for secret in tokens.values())


def test_jobs_belong_to_their_owner(tap: TapServer, tokens: dict[str, str]) -> None:
    ada, bob = bearer(tokens["ada"]), bearer(tokens["bob"])
    job = tap.post("/tap/async", data={"QUERY": COUNT, "FORMAT": "csv", "PHASE": "RUN"}, headers=ada).headers[
        "location"
    ]
    while "COMPLETED" not in httpx2.get(f"{job}/phase", headers=ada).text:
        pass
    assert httpx2.get(f"{job}/owner", headers=ada).text == "ada"
    assert httpx2.get(f"{job}/results/result", headers=ada).text.split() == ["n", "600"]
    for headers in ({}, bob):
        for path in ("", "/phase", "/results/result", "/parameters"):
            assert httpx2.get(job + path, headers=headers).status_code == 404
        assert httpx2.delete(job, headers=headers).status_code == 404
        assert httpx2.post(f"{job}/phase", data={"PHASE": "ABORT"}, headers=headers).status_code == 404
        assert job.rsplit("/", 1)[1] not in tap.get("/tap/async", headers=headers).text
    assert job.rsplit("/", 1)[1] in tap.get("/tap/async", headers=ada).text
