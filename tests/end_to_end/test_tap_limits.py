"""A server with settings: whom it believes, and how much it gives to whom."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import httpx2
import pytest
from support.identified import COUNT, ELSEWHERE, bearer, closed, finished, get_from, submitted, token_of
from support.issuer import AUDIENCE, Issuer, running_issuer
from support.tap_server import ENDLESS, TapServer, running_server

from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.czar.cluster import Cluster

ALL = "SELECT objectId FROM clustered.Object"
SURVEY = Grantee(GranteeKind.GROUP, "survey")

SETTINGS = """
identity:
  oidc: {{issuer: "{issuer}", audience: {audience}}}
  proxy: {{addresses: [127.0.0.1]}}
limits:
  default: {{rows: 30}}
  anonymous: {{rows: 10}}
  groups:
    survey: {{rows: 20}}
    deep: {{rows: 25}}
  users:
    hasty: {{requests_per_minute: 2}}
    short: {{execution_s: 1, result_bytes: 2_000, rows: 100_000}}
    busy: {{concurrent_jobs: 1, unfinished_jobs: 2}}
publication:
  identifier: ivo://example.org/qserv
  title: Sky & survey
  short_name: sky
  publisher: Example Data Centre
  description: What the tests ask for.
  contact_name: The operators
  contact_email: help@example.org
  reference_url: https://example.org/qserv
  created: 2026-11-20
  creators: [Ada, Grace]
  wavebands: Optical
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture(scope="module")
def ruled(cluster: Cluster, tap: TapServer, issuer: Issuer) -> Iterator[TapServer]:
    """A server that trusts an issuer and the proxy at 127.0.0.1; the other one stands still, or would take its jobs."""
    settings = cluster.config.directory / "settings.yaml"
    settings.write_text(SETTINGS.format(issuer=issuer.url, audience=AUDIENCE))
    tap.stop(signal.SIGSTOP)
    try:
        with running_server(cluster, "--json-logs") as server:
            yield server
    finally:
        tap.process.send_signal(signal.SIGCONT)
        settings.unlink()


def test_behind_a_proxy_jobs_without_a_name_are_not_listed(ruled: TapServer) -> None:
    job = submitted(ruled, {}, QUERY=COUNT)
    finished(job, {})
    assert job.rsplit("/", 1)[1] not in ruled.get("/tap/async").text


def test_every_proof_over_http(ruled: TapServer, cluster: Cluster, issuer: Issuer) -> None:
    token = token_of(cluster, "ada", "survey")
    signed = issuer.token(sub="Gün", groups=["survey"])

    def user(headers: dict[str, str], *, peer: str = ELSEWHERE) -> str | None:
        reply = get_from(peer, f"{ruled.tap}/capabilities", headers=headers)
        assert reply.status_code == 200, reply.text
        return reply.headers.get("x-vo-authenticated")

    assert user(bearer(token)) == "ada"
    assert user(bearer(issuer.token(sub="alice"))) == "alice"
    assert user(bearer(signed)) is None  # the header has no way to say it, but:
    with closed(cluster, Grantee(GranteeKind.USER, "Gün")):
        for headers, expected in ((bearer(signed), 200), (bearer(issuer.token(sub="Gun")), 400)):
            reply = ruled.post("/tap/sync", data={"QUERY": COUNT, "FORMAT": "csv"}, headers=headers)
            assert reply.status_code == expected
    said = {"X-Auth-Request-User": "carol", "X-Auth-Request-Groups": "survey,other"}
    assert user(said, peer="127.0.0.1") == "carol"
    assert user(said) is None  # anybody can write these
    assert user({**said, "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}) is None
    wrong = get_from(ELSEWHERE, f"{ruled.tap}/tables", headers=bearer(issuer.token(aud="another")))
    assert (wrong.status_code, "meant for another service" in wrong.text) == (401, True)
    with closed(cluster, SURVEY):
        for headers, expected in ((said, 200), ({"X-Auth-Request-User": "carol"}, 400)):
            reply = ruled.post("/tap/sync", data={"QUERY": COUNT, "FORMAT": "csv"}, headers=headers)
            assert reply.status_code == expected


def test_rows_by_user_and_group(ruled: TapServer, cluster: Cluster, issuer: Issuer) -> None:
    """What is said of the user, else the most of the groups, else of those without a name, else of everybody."""
    who = {
        10: {},
        20: bearer(token_of(cluster, "dora", "survey")),
        25: bearer(issuer.token(sub="dora", groups=["survey", "deep"])),
        30: bearer(token_of(cluster, "dora")),
    }
    for most, headers in who.items():
        for asked in ({}, {"MAXREC": "1000"}):
            reply = ruled.post("/tap/sync", data={"QUERY": ALL, "FORMAT": "csv", **asked}, headers=headers)
            assert len(reply.text.splitlines()) - 1 == most
        job = submitted(ruled, headers, QUERY=ALL)
        assert "<overflow>true</overflow>" in finished(job, headers).text
        assert len(httpx2.get(f"{job}/results/result", headers=headers).text.splitlines()) - 1 == most
        capabilities = ruled.get("/tap/capabilities", headers=headers).text
        assert f'<hard unit="row">{most}</hard>' in capabilities


def test_seconds_bytes_and_rates_of_a_user(ruled: TapServer, cluster: Cluster) -> None:
    short = bearer(token_of(cluster, "short"))
    everything = "SELECT a.* FROM clustered.Object AS a"
    for document in (
        ruled.post("/tap/sync", data={"QUERY": everything}, headers=short).text,
        finished(submitted(ruled, short, QUERY=everything), short).text,
    ):
        assert "OVERFLOW" in document or "<overflow>true</overflow>" in document
    late = ruled.post("/tap/sync", data={"QUERY": ENDLESS}, headers=short)
    assert (late.status_code, "ran longer than 1 s" in late.text) == (400, True)
    job = submitted(ruled, short, QUERY=ENDLESS, EXECUTIONDURATION="500")
    assert httpx2.get(f"{job}/executionduration", headers=short).text == "1"
    assert "ran longer than 1 s" in finished(job, short).text
    hasty = bearer(token_of(cluster, "hasty"))
    found = [ruled.post("/tap/sync", data={"QUERY": COUNT}, headers=hasty) for _ in range(3)]
    assert [reply.status_code for reply in found] == [200, 200, 429]
    assert int(found[-1].headers["retry-after"]) >= 1
    assert ruled.post("/api/validate", json={"query": COUNT}, headers=hasty).status_code == 429
    assert ruled.query(COUNT).status_code == 200


def test_numbers_of_jobs_of_a_user(ruled: TapServer, cluster: Cluster) -> None:
    busy = bearer(token_of(cluster, "busy"))
    jobs = [submitted(ruled, busy, QUERY=ENDLESS) for _ in range(2)]
    full = ruled.post("/tap/async", data={"QUERY": COUNT}, headers=busy)
    assert (full.status_code, "you have 2 jobs that have not ended" in full.text) == (400, True)
    ends = time.monotonic() + 30
    while (phases := sorted(httpx2.get(f"{job}/phase", headers=busy).text for job in jobs))[0] != "EXECUTING":
        assert time.monotonic() < ends
        time.sleep(0.05)
    time.sleep(1.2)  # two looks of the dispatcher
    assert phases == ["EXECUTING", "QUEUED"]
    for job in jobs:
        assert httpx2.delete(job, headers=busy).status_code == 303


def test_the_record_for_a_registry(ruled: TapServer, tmp_path: Path) -> None:
    reply = ruled.get("/record")
    assert reply.status_code == 200
    root = ElementTree.fromstring(reply.content)
    assert root.findtext("identifier") == "ivo://example.org/qserv"
    assert [name.text for name in root.iterfind("curation/creator/name")] == ["Ada", "Grace"]
    standards = {capability.get("standardID"): capability for capability in root.iterfind("capability")}
    assert {"ivo://ivoa.net/std/TAP", "ivo://ivoa.net/std/ConeSearch"} <= standards.keys()
    searches = [each for each in root.iterfind("capability") if each.get("standardID", "").endswith("ConeSearch")]
    (cone,) = [each for each in searches if "clustered.Object" in (each.findtext("interface/accessURL") or "")]
    test = {name.tag.upper(): name.text for name in cone.find("testQuery") or ()}
    answer = httpx2.get(f"{cone.findtext('interface/accessURL')}", params=test)
    assert b"<STREAM" in answer.content
    tables = {table.text for table in root.iterfind("tableset/schema/table/name")}
    assert "clustered.Object" in tables
    if shutil.which("stilts"):
        assert _schema_problems(reply.content, tmp_path) == ""


def _schema_problems(document: bytes, directory: Path) -> str:
    """Return what the schemas of the IVOA, as stilts has them, say against a document."""
    (directory / "record.xml").write_bytes(document)
    ours = Path(__file__).parents[1] / "data" / "xsd"
    schemas = [
        f"schemaloc=http://www.ivoa.net/xml/{name}/v1.0={(ours / name).as_uri()}.xsd"
        for name in ("RegistryInterface", "ConeSearch")
    ]
    command = ["stilts", "xsdvalidate", f"doc={directory / 'record.xml'}", "uselocals=true", *schemas]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr
