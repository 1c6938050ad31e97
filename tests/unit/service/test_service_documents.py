"""The documents of the service: jobs, languages and functions."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from xml.etree import ElementTree

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FORMS, FUNCTIONS, STANDARD
from qserv_py.adql.words import written_name
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.registry.jobs import JobEntry, TapJob, UwsPhase
from qserv_py.vo.http.xml import document, iso_time
from qserv_py.vo.tap.capabilities import capabilities_document
from qserv_py.vo.tap.languages import feature_groups
from qserv_py.vo.uws.documents import job_document, jobs_document

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XLINK = "{http://www.w3.org/1999/xlink}"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
MOMENT = datetime(2026, 11, 20, 12, 30, 15, 123456, UTC)

JOB = TapJob(
    job_id="j1",
    owner="anonymous",
    identity={"user": "", "groups": [], "proof": "none"},
    phase=UwsPhase.PENDING,
    run_id="",
    parameters={"QUERY": "SELECT '<&>'", "UPLOAD": ["a,param:b", "c,param:d"]},
    execution_s=100,
    created_at=MOMENT,
    started_at=None,
    ended_at=None,
    destruction_at=MOMENT + timedelta(days=1),
    chunks_done=0,
    chunks=0,
    rows=0,
    result_file=None,
    result_type=None,
    result_bytes=None,
    overflow=False,
    error_code=None,
    error_message=None,
)


def read(job: TapJob) -> ElementTree.Element:
    return ElementTree.fromstring(document(job_document(job, "http://x/tap/async/j1")))


def test_a_new_job() -> None:
    root = read(JOB)
    names = [child.tag.removeprefix(UWS) for child in root]
    assert names == [
        "jobId", "ownerId", "phase", "quote", "creationTime", "startTime", "endTime", "executionDuration",
        "destruction", "parameters", "results",
    ]  # fmt: skip
    assert root.attrib["version"] == "1.1"
    assert root.findtext(f"{UWS}destruction") == "2026-11-21T12:30:15.123456Z"
    for name in ("ownerId", "quote", "startTime", "endTime"):
        found = root.find(f"{UWS}{name}")
        assert found is not None
        assert found.attrib[NIL] == "true"
    values = [(parameter.get("id"), parameter.text) for parameter in root.iter(f"{UWS}parameter")]
    assert values == [("QUERY", "SELECT '<&>'"), ("UPLOAD", "a,param:b"), ("UPLOAD", "c,param:d")]


def test_a_job_that_ended_well() -> None:
    done = replace(
        JOB, phase=UwsPhase.COMPLETED, owner="ada", run_id="r", started_at=MOMENT, ended_at=MOMENT, rows=5, chunks=4,
        chunks_done=4, result_file="j1/result.vot", result_type="text/csv", result_bytes=77, overflow=True,
    )  # fmt: skip
    root = read(done)
    (result,) = root.iter(f"{UWS}result")
    assert result.attrib[f"{XLINK}href"] == "http://x/tap/async/j1/results/result"
    assert (result.attrib["size"], result.attrib["mime-type"]) == ("77", "text/csv")
    assert (root.findtext(f"{UWS}ownerId"), root.findtext(f"{UWS}runId")) == ("ada", "r")
    info = {child.tag: child.text for child in root.find(f"{UWS}jobInfo") or ()}
    assert info == {"chunksDone": "4", "chunks": "4", "rows": "5", "overflow": "true"}


def test_a_job_that_waits_and_one_that_failed() -> None:
    waiting = read(replace(JOB, phase=UwsPhase.QUEUED, queue_place=3))
    assert [child.text for child in waiting.find(f"{UWS}jobInfo") or ()] == ["3"]
    failed = read(replace(JOB, phase=UwsPhase.ERROR, error_code="unknown_column", error_message="no\x00 <x>"))
    summary = failed.find(f"{UWS}errorSummary")
    assert summary is not None
    assert summary.findtext(f"{UWS}message") == "no\ufffd <x>"


def test_a_list_of_jobs() -> None:
    entry = JobEntry(job_id="j1", phase=UwsPhase.ERROR, run_id="", created_at=MOMENT, owner="anonymous")
    root = ElementTree.fromstring(document(jobs_document([entry], "http://x/tap/async")))
    (reference,) = root
    assert reference.attrib == {"id": "j1", f"{XLINK}href": "http://x/tap/async/j1"}
    assert reference.findtext(f"{UWS}phase") == "ERROR"


def test_times_are_utc_with_microseconds() -> None:
    berlin = timezone(timedelta(hours=1))
    assert iso_time(datetime(2026, 1, 1, 0, 30, tzinfo=berlin)) == "2025-12-31T23:30:00.000000Z"


def test_every_function_is_declared_with_a_signature() -> None:
    (further,) = [features for group, features in feature_groups() if group.endswith("#features-udf")]
    declared = {feature.form.split("(")[0] for feature in further}
    assert {name for name in (function.name for function in FUNCTIONS.values()) if name not in STANDARD} <= declared
    assert {aggregate.name for aggregate in AGGREGATE_FUNCTIONS.values()} <= declared
    geometry = {feature.form for group, features in feature_groups() for feature in features if "adqlgeo" in group}
    assert {form.name for form in FORMS} <= declared | geometry
    pattern = re.compile(r"[A-Za-z]\w*\((\w+ [A-Z ]+(\[\])?(, \w+ [A-Z ]+(\[\])?)*)?\) -> [A-Z ]+(\[\])?")
    for feature in further:
        assert pattern.fullmatch(feature.form), feature.form
        names = [argument.split(" ")[0] for argument in feature.form.split("(")[1].split(")")[0].split(", ")]
        assert len(set(names)) == len(names), feature.form
        assert feature.description


def test_capabilities_say_the_limits() -> None:
    text = document(capabilities_document("http://x", ServiceLimits(keep_s=86400), Limits(rows=17))).decode()
    assert '<hard unit="row">17</hard>' in text
    assert "<default>86400</default>" in text
    assert '<accessURL use="base">http://x/tap</accessURL>' in text


def test_names_as_a_query_must_write_them() -> None:
    pairs = {"ra": "ra", "B-Mag": '"B-Mag"', "size": '"size"', "_x": '"_x"', 'a"b': '"a""b"', "Å": '"Å"'}
    assert {name: written_name(name) for name in pairs} == pairs
