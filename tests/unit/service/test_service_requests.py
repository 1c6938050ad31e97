"""Reading requests: parameters, their rules, bounds, who is let in, and replies with errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from xml.etree import ElementTree

import pytest
from starlette.requests import Request

from qserv_py.czar.identity.identity import ANONYMOUS, Identity, Proof
from qserv_py.czar.identity.limits import LimitRules
from qserv_py.czar.queries.admission import Admission
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.czar.queries.request import query_request
from qserv_py.czar.queries.requester import Requester
from qserv_py.errors import (
    AuthenticationError,
    ClusterError,
    ConfigError,
    EvaluationError,
    InternalError,
    LimitError,
    NotFoundError,
    QservError,
    TooLargeError,
    TooManyRequestsError,
    UnknownColumnError,
    UserError,
)
from qserv_py.executor.turns import Priority
from qserv_py.vo.http.parameters import Parameters, read_parameters
from qserv_py.vo.http.replies import accepted_codings, error_reply

FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="<<<---a.b---MULTIPART-BOUNDARY--->>>"'
EDGE = b"--<<<---a.b---MULTIPART-BOUNDARY--->>>"


def request(query: bytes = b"", *, body: bytes = b"", kind: str = FORM, pieces: int = 1) -> Request:
    parts = [body[n * len(body) // pieces : (n + 1) * len(body) // pieces] for n in range(pieces)]

    async def messages() -> AsyncIterator[dict[str, object]]:
        for number, part in enumerate(parts):
            yield {"type": "http.request", "body": part, "more_body": number < pieces - 1}

    stream = messages()
    headers = [(b"content-type", kind.encode())]
    method = "POST" if body else "GET"
    scope = {"type": "http", "method": method, "path": "/", "query_string": query, "headers": headers}

    async def receive() -> dict[str, object]:
        return await anext(stream)

    return Request(scope, receive)  # type: ignore[arg-type]


def read(asked: Request, *, most_bytes: int = 10_000) -> Parameters:
    return asyncio.run(read_parameters(asked, most_bytes=most_bytes))


def test_names_have_no_case_and_the_first_value_counts() -> None:
    found = read(request(b"query=a&Lang=ADQL&QUERY=b&lang="))
    assert (found.get("QUERY"), found.all("QUERY"), found.get("LANG")) == ("a", ["a", "b"], "ADQL")
    assert "RUNID" not in found


def test_what_was_posted_goes_before_the_address() -> None:
    found = read(request(b"MAXREC=1", body=b"MAXREC=2&QUERY=%C3%A5+%2B"))
    assert (found.get("MAXREC"), found.get("QUERY")) == ("2", "å +")


@pytest.mark.parametrize("pieces", [1, 3, 50])
def test_a_multipart_form_as_topcat_sends_it(pieces: int) -> None:
    body = (
        b"\r\n" + EDGE + b'\r\nContent-Disposition: form-data; name="QUERY"\r\n\r\nSELECT 1\r\n'
        + EDGE + b'\r\nContent-Disposition: form-data; name="t1"; filename="t1"\r\n'
        b"Content-Type: application/x-votable+xml\r\n\r\n<VOTABLE/>\r\n" + EDGE + b"--\r\n"
    )  # fmt: skip
    found = read(request(body=body, kind=MULTIPART, pieces=pieces))
    assert found.get("QUERY") == "SELECT 1"
    assert found.files["t1"].file.read() == b"<VOTABLE/>"
    found.close()


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (EDGE + b'\r\nContent-Disposition: form-data; name="A"\r\n\r\nSEL', MULTIPART, "ends in the middle"),
        (EDGE + b"\r\nContent-Disp", MULTIPART, "ends in the middle"),
        (b"no boundary at all", MULTIPART, "cannot be read"),
        (EDGE + b"\r\nX: y\r\n\r\nz\r\n" + EDGE + b"--", MULTIPART, 'field "name" must be provided'),
        (b"x", "multipart/form-data", "Missing boundary"),
        (b"{}", "application/json", 'a body of type "application/json" is not understood'),
        (b"a=%ff", FORM, "is not UTF-8"),
        (b"\xff\xfe=1", FORM, "is not UTF-8"),
        (b"QUERY=a%00b", FORM, "NUL"),
        (b"&".join(b"a=1" for _ in range(500)), FORM, "more than 200 parameters"),
    ],
)
def test_what_cannot_be_read_is_said(body: bytes, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(request(body=body, kind=kind))


@pytest.mark.parametrize("kind", [FORM, MULTIPART])
def test_a_body_is_counted_as_it_comes(kind: str) -> None:
    with pytest.raises(TooLargeError, match="more than 100 bytes"):
        read(request(body=EDGE + b"\r\n" + b"x" * 1000, kind=kind, pieces=20), most_bytes=100)


def test_parameters_of_a_job_leave_out_what_is_not_the_querys() -> None:
    found = read(request(b"QUERY=a&PHASE=RUN&runid=x&UPLOAD=t,u&upload=v,w"))
    assert found.without("PHASE", "RUNID") == {"QUERY": "a", "UPLOAD": ["t,u", "v,w"]}


def test_the_rules_of_tap() -> None:
    asked = query_request({"QUERY": "SELECT 1", "FORMAT": "csv", "RESPONSEFORMAT": "json"}, most_rows=10)
    assert (asked.adql, asked.format.name, asked.maxrec) == ("SELECT 1", "json", 10)
    for text, rows in (("0", 0), ("7", 7), ("11", 10), ("+3", 3), ("9" * 40, 10), (" ", 10)):
        assert query_request({"QUERY": "q", "MAXREC": text}, most_rows=10).maxrec == rows
    for language in ("ADQL", "adql", "ADQL-2.0", "ADQL-2.1"):
        assert query_request({"QUERY": "q", "LANG": language, "REQUEST": "DOquery"}, most_rows=1).adql == "q"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "QUERY is missing or empty"),
        ({"QUERY": "  "}, "QUERY is missing or empty"),
        ({"QUERY": "q", "LANG": "OOBLECK"}, 'LANG is "OOBLECK"'),
        ({"QUERY": "q", "LANG": "ADQL-3.0"}, 'LANG is "ADQL-3.0"'),
        ({"QUERY": "q", "REQUEST": "doThis"}, 'REQUEST is "doThis"'),
        ({"QUERY": "q", "MAXREC": "-1"}, 'MAXREC is "-1"'),
        ({"QUERY": "q", "MAXREC": "ten"}, 'MAXREC is "ten"'),
        ({"QUERY": "q", "FORMAT": "punchcard"}, 'format "punchcard" is not known'),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        query_request(parameters, most_rows=10)


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigError, match='limit "jobs_running" is 0'):
        ServiceLimits(jobs_running=0)


def test_a_rate_is_held_and_comes_back() -> None:
    now = [0.0]
    rules = LimitRules(anonymous={"requests_per_minute": 60})
    admission = Admission(ServiceLimits(), rules, clock=lambda: now[0])
    one, other = Requester(ANONYMOUS, "10.0.0.1"), Requester(ANONYMOUS, "10.0.0.2")
    for _ in range(60):
        admission.count(one)
    with pytest.raises(TooManyRequestsError, match="more than 60 queries within a minute") as caught:
        admission.count(one)
    assert caught.value.retry_after_s == pytest.approx(1)
    admission.count(other)
    now[0] += 1
    admission.count(one)
    with pytest.raises(TooManyRequestsError):
        admission.count(one)


def test_a_requester_has_so_many_queries_at_a_time() -> None:
    admission = Admission(ServiceLimits(), LimitRules(default={"concurrent_queries": 2}))
    ada = Identity(user="ada", proof=Proof.TOKEN)
    user = Requester(ada, "10.0.0.1")

    async def go() -> None:
        async with admission.presence(user), admission.presence(user):
            assert admission.present == 2
            with pytest.raises(TooManyRequestsError, match="you have 2 synchronous queries"):
                async with admission.presence(Requester(ada, "10.0.0.9")):
                    pass
        assert admission.present == 0

    asyncio.run(go())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("wrong"), 400),
        (UnknownColumnError("no such", text="SELECT x", offset=7), 400),
        (EvaluationError("by zero"), 400),
        (LimitError("too long"), 400),
        (AuthenticationError("wrong token", challenges=("Bearer", "Basic")), 401),
        (NotFoundError("not there"), 404),
        (TooLargeError("too large"), 413),
        (TooManyRequestsError("too many", retry_after_s=2.5), 429),
        (InternalError("ours", detail="secret path /etc/x"), 500),
        (ClusterError("away"), 503),
    ],
)
def test_every_error_is_a_votable_with_its_status(error: QservError, status: int) -> None:
    reply = error_reply("/tap/sync", error)
    assert reply.status_code == status
    root = ElementTree.fromstring(bytes(reply.body))
    (info,) = root.iter("{http://www.ivoa.net/xml/VOTable/v1.3}INFO")
    assert info.attrib == {"name": "QUERY_STATUS", "value": "ERROR"}
    assert error.message in (info.text or "")
    assert "secret" not in (info.text or "")
    assert ("retry-after" in reply.headers) == (status in {429, 503})


def test_an_error_text_that_xml_cannot_hold_is_still_xml() -> None:
    reply = error_reply("/tap/sync", UserError('no "<a&b>" \x01\ud800 here'))
    assert "no" in ElementTree.tostring(ElementTree.fromstring(bytes(reply.body)), encoding="unicode")


def test_accept_encoding() -> None:
    assert accepted_codings("gzip, deflate;q=0.5, br;q=0, *;q=x") == {"gzip", "deflate"}
    assert accepted_codings("") == set()


def test_turns_go_to_the_more_urgent_and_are_shared_by_those_who_ask() -> None:
    admission = Admission(ServiceLimits(sync_running=4), LimitRules())
    ran: list[str] = []

    async def run(name: str, address: str, priority: Priority, go: asyncio.Event) -> None:
        async with admission.turn(Requester(ANONYMOUS, address), priority):
            ran.append(name)
            await go.wait()

    async def go() -> None:
        end, at_once = asyncio.Event(), asyncio.Event()
        at_once.set()
        scans = [asyncio.create_task(run(f"busy {n}", "10.0.0.1", Priority.SCAN, end)) for n in range(6)]
        await asyncio.sleep(0)
        assert ran == ["busy 0", "busy 1", "busy 2"], "one place is kept"
        await asyncio.wait_for(run("look-up", "10.0.0.1", Priority.LOOK_UP, at_once), 5)
        other = asyncio.create_task(run("other", "10.0.0.2", Priority.SCAN, at_once))
        await asyncio.sleep(0)
        leaving = scans[3]
        leaving.cancel()
        await asyncio.wait([leaving])
        end.set()
        await asyncio.wait([other, *scans])
        assert ran == ["busy 0", "busy 1", "busy 2", "look-up", "other", "busy 4", "busy 5"]
        await asyncio.wait_for(run("last", "10.0.0.1", Priority.SCAN, at_once), 5)

    asyncio.run(go())


def test_a_service_has_room_for_so_many_queries() -> None:
    admission = Admission(ServiceLimits(sync_present=2), LimitRules())

    async def go() -> None:
        async with (
            admission.presence(Requester(ANONYMOUS, "10.0.0.1")),
            admission.presence(Requester(ANONYMOUS, "10.0.0.2")),
        ):
            with pytest.raises(TooManyRequestsError, match="2 synchronous queries run or wait, which is the most"):
                async with admission.presence(Requester(ANONYMOUS, "10.0.0.3")):
                    pass

    asyncio.run(go())
