"""Jobs over HTTP by UWS 1.1; a real server process."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime
from xml.etree import ElementTree

import httpx2
import pytest
from support.cluster import count_statements
from support.tap_server import ENDLESS, TapServer
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
XLINK = "{http://www.w3.org/1999/xlink}"
TOP = "SELECT TOP 5 objectId, coord_ra FROM clustered.Object ORDER BY objectId"


def document(tap: TapServer, job: str, **parameters: str) -> ElementTree.Element:
    return ElementTree.fromstring(tap.get(job, params=parameters).content)


def info(tap: TapServer, job: str) -> dict[str, str]:
    found = document(tap, job).find(f"{UWS}jobInfo")
    return {} if found is None else {child.tag: child.text or "" for child in found}


def test_a_job_from_its_making_to_its_end(tap: TapServer) -> None:
    job = tap.submit(TOP, RUNID="first", FORMAT="csv")
    assert tap.phase(job) == "PENDING"
    root = document(tap, job)
    for name, child in (("phase", "phase"), ("executionDuration", "executionduration"), ("destruction", "destruction")):
        assert root.findtext(f"{UWS}{name}") == tap.get(f"{job}/{child}").text
    assert (tap.get(f"{job}/quote").text, tap.get(f"{job}/owner").text) == ("", "")
    assert root.findtext(f"{UWS}runId") == "first"
    started = tap.post(f"{job}/phase", data={"PHASE": "RUN"})
    assert (started.status_code, started.headers["location"]) == (303, tap.root + job)
    assert tap.wait(job) == "COMPLETED"
    (result,) = document(tap, job).iter(f"{UWS}result")
    reply = httpx2.get(result.attrib[f"{XLINK}href"])
    assert reply.headers["content-type"] == "text/csv;header=present"
    assert len(reply.text.splitlines()) == 6
    assert int(result.attrib["size"]) == len(reply.content)
    assert info(tap, job)["rows"] == "5"
    assert info(tap, job)["chunks"] == info(tap, job)["chunksDone"]


def test_phase_run_in_the_post_that_makes_it(tap: TapServer) -> None:
    assert tap.wait(tap.submit(TOP, phase="run")) == "COMPLETED"


def test_parameters_may_be_posted_until_it_runs(tap: TapServer) -> None:
    job = tap.submit("SELECT nope")
    tap.post(f"{job}/parameters", data={"runId": "later", "query": TOP, "MAXREC": "2", "format": "csv"})
    assert document(tap, job).findtext(f"{UWS}runId") == "later"
    shown = ElementTree.fromstring(tap.get(f"{job}/parameters").content)
    assert {found.attrib["id"]: found.text for found in shown}["QUERY"] == TOP
    assert tap.get(f"{job}/parameters/maxrec").text == "2"
    tap.post(job, data={"PHASE": "RUN"})
    assert tap.wait(job) == "COMPLETED"
    assert info(tap, job)["overflow"] == "true"
    late = tap.post(f"{job}/parameters", data={"QUERY": TOP})
    assert (late.status_code, "cannot be changed any more" in late.text) == (400, True)


def test_an_error_has_a_summary_and_a_votable(tap: TapServer) -> None:
    job = tap.submit("SELECT nope FROM clustered.Object", PHASE="RUN")
    assert tap.wait(job) == "ERROR"
    assert 'has no column "nope"' in (document(tap, job).findtext(f"{UWS}errorSummary/{UWS}message") or "")
    error = tap.get(f"{job}/error")
    assert error.status_code == 200
    assert 'has no column "nope"' in error.text
    assert info(tap, job)["errorCode"] == "unknown_column"
    assert tap.get(f"{job}/results/result").status_code == 404
    assert tap.post(f"{job}/phase", data={"PHASE": "RUN"}).status_code == 400


@pytest.mark.parametrize("parameters", [{"LANG": "OOBLECK"}, {"FORMAT": "punchcard"}, {"MAXREC": "x"}, {"QUERY": ""}])
def test_wrong_parameters_make_a_job_fail(tap: TapServer, parameters: dict[str, str]) -> None:
    reply = tap.post("/tap/async", data={"QUERY": TOP, "PHASE": "RUN", **parameters})
    assert tap.wait(reply.headers["location"].removeprefix(tap.root)) == "ERROR"


@pytest.mark.parametrize("how", ["DELETE", "POST"])
def test_deleting(tap: TapServer, how: str) -> None:
    job = tap.submit(TOP, PHASE="RUN")
    tap.wait(job)
    if how == "DELETE":
        reply = httpx2.delete(tap.root + job)
    else:
        reply = tap.post(job, data={"ACTION": "DELETE"})
    assert (reply.status_code, reply.headers["location"]) == (303, f"{tap.tap}/async")
    assert tap.get(job).status_code == 404
    assert tap.get(f"{job}/results/result").status_code == 404


def test_aborting_stops_the_servers(tap: TapServer, cluster: Cluster) -> None:
    job = tap.submit(ENDLESS, PHASE="RUN")
    assert tap.wait(job, "EXECUTING") == "EXECUTING"
    assert wait_until(lambda: count_statements(cluster))
    tap.post(f"{job}/phase", data={"PHASE": "ABORT"})
    assert tap.phase(job) == "ABORTED"
    assert wait_until(lambda: not count_statements(cluster)), "an aborted job still runs"
    pending = tap.submit(TOP)
    tap.post(f"{pending}/phase", data={"PHASE": "ABORT"})
    assert tap.phase(pending) == "ABORTED"
    assert tap.post(f"{pending}/phase", data={"PHASE": "ABORT"}).status_code == 303


def test_execution_duration_binds_whatever_the_format(tap: TapServer, cluster: Cluster) -> None:
    job = tap.submit(ENDLESS, FORMAT="csv")
    tap.post(f"{job}/executionduration", data={"EXECUTIONDURATION": "1"})
    assert tap.get(f"{job}/executionduration").text == "1"
    tap.post(f"{job}/phase", data={"PHASE": "RUN"})
    assert tap.wait(job, seconds=40) == "ERROR"
    assert "ran longer than 1 s" in tap.get(f"{job}/error").text
    assert count_statements(cluster) == 0


def test_destruction_keeps_microseconds_and_has_a_limit(tap: TapServer) -> None:
    job = tap.submit(TOP)
    for written, shown in (
        ("2026-11-25T01:02:03.000456Z", None),
        ("2000-01-01T00:00:00", "2000-01-01T00:00:00.000000Z"),
    ):
        job = tap.submit(TOP)
        before = tap.get(f"{job}/destruction").text
        tap.post(f"{job}/destruction", data={"DESTRUCTION": written})
        after = tap.get(f"{job}/destruction")
        if after.status_code == 404:
            continue  # it was swept between the two
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", after.text)
        assert after.text == (shown or min(written, before))
    tap.post(f"{job}/destruction", data={"DESTRUCTION": "2999-01-01T00:00:00Z"})
    reply = tap.get(f"{job}/destruction")
    if reply.status_code == 200:
        assert datetime.fromisoformat(reply.text).year < 2999
    assert tap.post(f"{job}/destruction", data={"DESTRUCTION": "tomorrow"}).status_code in {400, 404}


def test_waiting_for_a_change(tap: TapServer) -> None:
    job = tap.submit(ENDLESS)
    before = time.monotonic()
    assert document(tap, job, WAIT="0").findtext(f"{UWS}phase") == "PENDING"
    assert document(tap, job, WAIT="-1", PHASE="EXECUTING").findtext(f"{UWS}phase") == "PENDING"
    assert time.monotonic() - before < 5
    assert document(tap, job, WAIT="1", PHASE="PENDING").findtext(f"{UWS}phase") == "PENDING"
    assert time.monotonic() - before > 1
    tap.post(f"{job}/phase", data={"PHASE": "RUN"})
    tap.wait(job, "EXECUTING")
    with httpx2.Client(timeout=30) as client:
        began = time.monotonic()
        threading.Timer(0.5, tap.post, (f"{job}/phase",), {"data": {"PHASE": "ABORT"}}).start()
        reply = client.get(tap.root + job, params={"WAIT": "-1"})
    assert ElementTree.fromstring(reply.content).findtext(f"{UWS}phase") == "ABORTED"
    assert time.monotonic() - began < 10
    assert document(tap, job, WAIT="-1").findtext(f"{UWS}phase") == "ABORTED"
    assert tap.get(job, params={"WAIT": "soon"}).status_code == 400


def test_the_list_and_its_filters(tap: TapServer) -> None:
    jobs = [tap.submit(TOP, RUNID=f"n{number}") for number in range(3)]
    ids = [job.rsplit("/", 1)[1] for job in jobs]

    def listed(**parameters: str) -> list[str]:
        root = ElementTree.fromstring(tap.get("/tap/async", params=parameters).content)
        return [reference.attrib["id"] for reference in root]

    assert listed(LAST="3") == ids[::-1]
    assert listed(last="1", phase="PENDING") == ids[-1:]
    assert ids[0] not in listed(PHASE="COMPLETED")
    assert set(ids) <= set(listed())
    moment = document(tap, jobs[1]).findtext(f"{UWS}creationTime") or ""
    assert listed(AFTER=moment) == ids[:1:-1]
    for wrong in ({"PHASE": "ODD"}, {"LAST": "-1"}, {"AFTER": "noon"}):
        assert tap.get("/tap/async", params=wrong).status_code == 400


def test_parts_of_a_result(tap: TapServer) -> None:
    job = tap.submit("SELECT objectId FROM clustered.Object", PHASE="RUN", FORMAT="csv")
    assert tap.wait(job) == "COMPLETED"
    path = f"{job}/results/result"
    whole = tap.get(path)
    assert whole.headers["accept-ranges"] == "bytes"
    part = tap.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert tap.get(path, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    head = httpx2.head(tap.root + path)
    assert (head.content, int(head.headers["content-length"])) == (b"", len(whole.content))


def test_odd_addresses(tap: TapServer) -> None:
    job = tap.submit(TOP)
    for path in ("/tap/async/nope", "/tap/async/..%2f..%2fetc", "/tap/async/nope/results/result", f"{job}/nope"):
        assert tap.get(path).status_code == 404, path
    assert tap.get(f"{job}/error").status_code == 404
    assert tap.post(job, data={"ACTION": "EAT"}).status_code == 400
    assert tap.post(f"{job}/phase", data={"PHASE": "EAT"}).status_code == 400
    assert tap.post(f"{job}/owner", data={"OWNER": "me"}).status_code == 400
    assert tap.post("/tap/async", data={"PHASE": "ABORT"}).status_code == 400
