"""Who asks over HTTP sees what was granted, within the limits, and no jobs of others."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pyarrow as pa
import pytest
import pyvo
import requests
from support.identified import COUNT, ELSEWHERE, bearer, closed, finished, get_from, submitted, token_of
from support.tap_server import TapServer

from qserv_py.catalog.grants import Grantee, GranteeKind, parse_grantee
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.session import Session

ADA = Grantee(GranteeKind.USER, "ada")
SURVEY = Grantee(GranteeKind.GROUP, "survey")


@pytest.fixture
def tokens(cluster: Cluster, tap: TapServer) -> Iterator[dict[str, str]]:
    """Tokens of two users; only the first may read the catalogue while the test runs."""
    made = {user: token_of(cluster, user) for user in ("ada", "bob")}
    with closed(cluster, ADA):
        yield made


def test_a_closed_database_is_there_for_those_it_was_granted_to(tap: TapServer, tokens: dict[str, str]) -> None:
    data = {"QUERY": COUNT, "FORMAT": "csv"}
    ada = bearer(tokens["ada"])
    allowed = tap.post("/tap/sync", data=data, headers=ada)
    assert allowed.text.split() == ["n", "600"]
    basic = httpx2.post(f"{tap.tap}/sync", data=data, auth=("x-oauth-basic", tokens["ada"]))
    assert basic.text == allowed.text
    for path in ("/tap/tables", "/tap/tables?detail=min", "/tap/examples"):
        assert "clustered.Object" in tap.get(path, headers=ada).text, path
    assert tap.get("/tap/tables/clustered.Object", headers=ada).status_code == 200
    assert tap.post("/api/validate", json={"query": COUNT}, headers=ada).json()["ok"] is True
    assert tap.post("/api/explain", json={"query": COUNT}, headers=ada).json()["columns"][0]["name"] == "n"
    assert "COMPLETED" in finished(submitted(tap, ada, QUERY=COUNT), ada).text


@pytest.mark.parametrize("who", ["nobody", "bob"])
def test_for_others_it_does_not_exist_whatever_they_ask(tap: TapServer, tokens: dict[str, str], who: str) -> None:
    """No route names it but where the asker's own words come back, and no hint leads to it."""
    headers = {} if who == "nobody" else bearer(tokens[who])
    for path in ("/tap/tables", "/tap/tables?detail=min", "/tap/examples", "/tap/capabilities", "/tap/availability"):
        reply = tap.get(path, headers=headers)
        assert (reply.status_code, "clustered" in reply.text) == (200, False), path
        assert "clustered" not in tap.get(path, headers={**headers, "Accept": "text/plain"}).text, path
    for table in ("schemas", "tables", "columns", "keys", "key_columns"):
        query = {"QUERY": f"SELECT * FROM tap_schema.{table}", "FORMAT": "csv"}
        rows = tap.post("/tap/sync", data=query, headers=headers)
        assert (rows.status_code, "clustered" in rows.text.lower()) == (200, False), table
    never_there = tap.get("/tap/tables/clusterd.Object", headers=headers)
    hidden = tap.get("/tap/tables/clustered.Object", headers=headers)
    assert (hidden.status_code, hidden.text) == (404, never_there.text.replace("clusterd", "clustered"))
    for table in ("clustered.Object", "clusterd.Objct", '"clustered"."Object"'):
        query = f"SELECT COUNT(*) AS n FROM {table}"
        told = [
            tap.post("/tap/sync", data={"QUERY": query}, headers=headers),
            tap.post("/tap/sync", data={"QUERY": query, "MAXREC": "0"}, headers=headers),
            tap.post("/api/explain", json={"query": query}, headers=headers),
            tap.post("/api/validate", json={"query": query}, headers=headers),
            tap.post("/api/validate", json={"query": query, "mode": "strict"}, headers=headers),
            finished(submitted(tap, headers, QUERY=query), headers),
        ]
        assert [reply.status_code for reply in told] == [400, 400, 400, 200, 200, 200]
        for reply in told:
            assert "is not known" in reply.text, reply.text
            assert "Did you mean" not in reply.text
            asked = reply.text.replace("clustered.Object", "").replace("&quot;", '"').replace('\\"', '"')
            assert "clustered" not in asked.replace('"clustered"', ""), reply.text


def test_a_grant_counts_at_once_in_every_document(tap: TapServer, cluster: Cluster) -> None:
    assert "clustered.Object" in tap.get("/tap/tables").text
    with closed(cluster):
        assert "clustered.Object" not in tap.get("/tap/tables").text
    assert "clustered.Object" in tap.get("/tap/tables").text


def test_a_wrong_token_is_never_anonymous(tap: TapServer, tokens: dict[str, str]) -> None:
    for headers in (bearer("nonsense"), {"Authorization": "Digest x"}, bearer(tokens["ada"][:-2] + "xx")):
        for path in ("/tap/sync", "/tap/capabilities", "/tap/async", "/api/validate", "/tap/nope"):
            refused = tap.get(path, headers=headers)
            assert refused.status_code == 401, path
            challenges = refused.headers.get_list("www-authenticate")
            assert [challenge.split(" ")[0] for challenge in challenges] == ["Bearer", "Basic"]
            if path.startswith("/api"):
                assert refused.json()["error"]["code"] == "not_authenticated"
            else:
                assert 'name="QUERY_STATUS" value="ERROR"' in refused.text
    for path in ("/healthz", "/metrics", "/tap/availability"):
        assert tap.get(path, headers=bearer("nonsense")).status_code == 200
    log = "".join(tap.lines)
    assert "authentication_failure" in log
    assert not any(secret in log for secret in tokens.values())


def test_answers_say_whom_the_service_saw(tap: TapServer, tokens: dict[str, str]) -> None:
    for path in ("/tap/capabilities", "/tap/sync", "/tap/async", "/tap/tables"):
        nobody, ada = tap.get(path), tap.get(path, headers=bearer(tokens["ada"]))
        assert [value.split(" ")[0] for value in nobody.headers.get_list("www-authenticate")] == ["Bearer", "Basic"]
        assert "x-vo-authenticated" not in nobody.headers
        assert (ada.headers["x-vo-authenticated"], ada.headers["cache-control"]) == ("ada", "private")
        assert "www-authenticate" not in ada.headers


def test_a_page_of_another_site_cannot_act_for_a_user(tap: TapServer, tokens: dict[str, str]) -> None:
    """A browser adds a password that it remembers to whatever a page makes it send."""
    crossing = {**bearer(tokens["ada"]), "Sec-Fetch-Site": "cross-site"}
    refused = tap.post("/tap/async", data={"QUERY": COUNT}, headers=crossing)
    assert (refused.status_code, "another site" in refused.text) == (400, True)
    assert tap.post("/tap/async", data={"QUERY": COUNT}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 303
    assert tap.get("/tap/async", headers=crossing).status_code == 200


def test_jobs_belong_to_their_owner(tap: TapServer, tokens: dict[str, str]) -> None:
    ada, bob = bearer(tokens["ada"]), bearer(tokens["bob"])
    job = submitted(tap, ada, QUERY=COUNT)
    assert "COMPLETED" in finished(job, ada).text
    assert httpx2.get(f"{job}/owner", headers=ada).text == "ada"
    assert httpx2.get(f"{job}/results/result", headers=ada).text.split() == ["n", "600"]
    children = ("", "/phase", "/results", "/results/result", "/parameters", "/parameters/query", "/error", "/owner")
    for headers in ({}, bob):
        for path in children:
            assert httpx2.get(job + path, headers=headers).status_code == 404, path
        for path, data in (
            ("", {"ACTION": "DELETE"}),
            ("", {"PHASE": "RUN"}),
            ("/phase", {"PHASE": "ABORT"}),
            ("/parameters", {"QUERY": "SELECT 1"}),
            ("/destruction", {"DESTRUCTION": "2000-01-01T00:00:00Z"}),
            ("/executionduration", {"EXECUTIONDURATION": "1"}),
        ):
            assert httpx2.post(job + path, data=data, headers=headers).status_code == 404, path
        assert httpx2.delete(job, headers=headers).status_code == 404
        assert job.rsplit("/", 1)[1] not in tap.get("/tap/async", headers=headers).text
    assert job.rsplit("/", 1)[1] in tap.get("/tap/async", headers=ada).text
    assert httpx2.delete(job, headers=ada).status_code == 303
    assert httpx2.get(job, headers=ada).status_code == 404


def test_jobs_without_a_name_are_listed_to_their_address_and_open_to_whoever_knows_the_id(tap: TapServer) -> None:
    job = submitted(tap, {}, QUERY=COUNT)
    name = job.rsplit("/", 1)[1]
    finished(job, {})
    assert name in tap.get("/tap/async").text
    assert name not in get_from(ELSEWHERE, f"{tap.tap}/async").text
    assert get_from(ELSEWHERE, f"{job}/results/result").text.split() == ["n", "600"]


def test_a_job_reads_what_its_owner_may_read_when_it_runs(tap: TapServer, cluster: Cluster) -> None:
    """Groups are those that the owner had when the job was told to run; grants are looked at when it runs."""
    without, within = bearer(token_of(cluster, "cleo")), bearer(token_of(cluster, "cleo", "survey"))
    with closed(cluster, SURVEY):
        jobs = [tap.post("/tap/async", data={"QUERY": COUNT}, headers=without).headers["location"] for _ in range(2)]
        httpx2.post(f"{jobs[0]}/phase", data={"PHASE": "RUN"}, headers=within)
        assert "COMPLETED" in finished(jobs[0], without).text
        httpx2.post(f"{jobs[1]}/phase", data={"PHASE": "RUN"}, headers=without)
        assert "is not known" in finished(jobs[1], within).text
        late = tap.post("/tap/async", data={"QUERY": COUNT}, headers=within).headers["location"]
    with closed(cluster):
        httpx2.post(f"{late}/phase", data={"PHASE": "RUN"}, headers=within)
        assert "is not known" in finished(late, within).text


class TidySession(requests.Session):
    """A session that closes the answers that pyvo leaves half read: the collector warns of such a socket, some day."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[requests.Response] = []

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        self.answers.append(super().send(*args, **settings))
        return self.answers[-1]

    def close(self) -> None:
        for answer in self.answers:
            answer.close()
        super().close()


def test_pyvo_with_a_token(tap: TapServer, tokens: dict[str, str]) -> None:
    with TidySession() as session, TidySession() as bare:
        session.headers["Authorization"] = f"Bearer {tokens['ada']}"
        service = pyvo.dal.TAPService(tap.tap, session=session)
        assert service.run_sync(COUNT)["n"][0] == 600
        assert "clustered.Object" in set(service.tables.keys())
        job = service.submit_job(COUNT)
        job.run().wait(timeout=60)
        assert (job.phase, job.owner, job.fetch_result()["n"][0]) == ("COMPLETED", "ada", 600)
        assert job.job_id in {entry.jobid for entry in service.get_job_list()}
        job.delete()
        nobody = pyvo.dal.TAPService(tap.tap, session=bare)
        with pytest.raises(pyvo.dal.DALQueryError, match='database "clustered" is not known'):
            nobody.run_sync(COUNT)


def test_tables_that_users_keep_are_theirs(tap: TapServer, cluster: Cluster) -> None:
    eve, fay = (bearer(token_of(cluster, user)) for user in ("eve", "fay"))
    identity = Identity(user="eve", proof=Proof.TOKEN)
    with Session(cluster) as session:
        rows = pa.table({"id": [1, 2, 3]})
        session.user_tables.create(identity, "mine", (rows.schema, rows.to_batches()), limits=Limits())
        try:
            query = {"QUERY": "SELECT SUM(id) AS s FROM mydb.mine", "FORMAT": "csv"}
            assert tap.post("/tap/sync", data=query, headers=eve).text.split() == ["s", "6"]
            job = submitted(tap, eve, **query)
            assert "COMPLETED" in finished(job, eve).text
            assert tap.post("/api/validate", json={"query": query["QUERY"]}, headers=eve).json()["ok"] is True
            assert "mydb.mine" in tap.get("/tap/tables", headers=eve).text
            described = {"QUERY": "SELECT table_name, column_name FROM tap_schema.columns", "FORMAT": "csv"}
            lines = tap.post("/tap/sync", data=described, headers=eve).text.splitlines()
            assert "mydb.mine,id" in lines
            assert "tap_schema.columns,column_name" in lines
            assert len(set(lines)) == len(lines)
            assert "<name>id</name>" in tap.get("/tap/tables/mydb.mine", headers=eve).text
            for headers in ({}, fay):
                assert "mydb" not in tap.get("/tap/tables", headers=headers).text
                assert "mydb" not in tap.post("/tap/sync", data=described, headers=headers).text
                assert tap.post("/tap/sync", data=query, headers=headers).status_code == 400
                assert tap.post("/api/validate", json={"query": query["QUERY"]}, headers=headers).json()["ok"] is False
            session.user_tables.share(identity, "mine", parse_grantee("user:fay"))
            assert "mydb_eve.mine" in tap.get("/tap/tables", headers=fay).text
            assert "mydb_eve" not in tap.get("/tap/tables").text
        finally:
            session.user_tables.drop(identity, "mine")
    assert "mydb" not in tap.get("/tap/tables", headers=eve).text


def test_the_log_names_the_user(tap: TapServer, tokens: dict[str, str]) -> None:
    reply = tap.get("/tap/tables", headers=bearer(tokens["bob"]))
    ends = time.monotonic() + 10
    while True:
        lines = [json.loads(line) for line in list(tap.lines) if line.startswith("{")]
        found = [line for line in lines if line.get("request") == reply.headers["x-request-id"]]
        if found:
            break
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert found[0]["owner"] == "bob"
