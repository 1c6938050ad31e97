"""Tables that come with a query over HTTP."""

from __future__ import annotations

import io

import pytest
from astropy.io.votable import parse
from astropy.table import Table
from support.tap_server import TapServer

JOIN = "SELECT u.tag, o.objectId FROM clustered.Object o JOIN TAP_UPLOAD.mine u ON o.objectId = u.id ORDER BY u.tag"


@pytest.fixture
def ids(tap: TapServer) -> list[int]:
    reply = tap.query("SELECT TOP 3 objectId FROM clustered.Object ORDER BY objectId", FORMAT="csv")
    return [int(line) for line in reply.text.splitlines()[1:]]


def csv(ids: list[int]) -> bytes:
    return "\n".join(["id,tag", *(f"{identifier},t{number}" for number, identifier in enumerate(ids))]).encode()


def votable(ids: list[int]) -> bytes:
    sink = io.BytesIO()
    Table({"id": ids, "tag": [f"t{number}" for number in range(len(ids))]}).write(sink, format="votable")
    return sink.getvalue()


@pytest.mark.parametrize("make", [csv, votable])
def test_a_table_is_joined(tap: TapServer, ids: list[int], make: object) -> None:
    content = make(ids)  # type: ignore[operator]
    data = {"QUERY": JOIN, "FORMAT": "csv", "UPLOAD": "mine,param:part1"}
    reply = tap.post("/tap/sync", data=data, files={"part1": ("x", content)})
    expected = ["tag,objectId", *(f"t{number},{identifier}" for number, identifier in enumerate(ids))]
    assert reply.text.splitlines() == expected
    job = tap.post("/tap/async", data={**data, "PHASE": "RUN"}, files={"part1": ("x", content)}).headers["location"]
    path = job.removeprefix(tap.root)
    assert tap.wait(path) == "COMPLETED"
    assert tap.get(f"{path}/results/result").text.splitlines() == expected
    tap.post(path, data={"ACTION": "DELETE"})


def test_an_upload_that_is_a_part_of_its_answer_is_told(tap: TapServer, ids: list[int]) -> None:
    status = b'<INFO name="QUERY_STATUS" value="OVERFLOW"/>'
    content = votable(ids).replace(b"</TABLE>", b"</TABLE>" + status)
    assert status in content
    data = {"QUERY": JOIN, "UPLOAD": "mine,param:p"}
    reply = tap.post("/tap/sync", data=data, files={"p": ("p", content)})
    told = {info.name: info.value for info in parse(io.BytesIO(reply.content)).resources[0].infos}
    assert 'uploaded table "mine"' in told["WARNING"]
    assert "OVERFLOW" in told["WARNING"]
    assert "/" not in told["WARNING"], "no path of the server"
    whole = tap.post("/tap/sync", data=data, files={"p": ("p", votable(ids))})
    assert "WARNING" not in whole.text


def test_a_table_posted_to_a_pending_job(tap: TapServer, ids: list[int]) -> None:
    job = tap.submit(JOIN, FORMAT="csv")
    tap.post(f"{job}/parameters", data={"UPLOAD": "mine,param:p"}, files={"p": ("p", csv(ids))})
    tap.post(f"{job}/phase", data={"PHASE": "RUN"})
    assert tap.wait(job) == "COMPLETED"


@pytest.mark.parametrize(
    ("upload", "content", "message"),
    [
        ("mine,param:other", b"id\n1\n", 'part "other" of the form, which is not there'),
        ("mine,http://127.0.0.1/x", b"id\n1\n", "is not fetched"),
        ("mine,file:///etc/passwd", b"id\n1\n", "is not fetched"),
        ("../../x,param:p", b"id\n1\n", "cannot name"),
        ("mine,param:p", b"<!DOCTYPE v [<!ENTITY a 'b'>]><VOTABLE/>", "a document type"),
        ("mine,param:p", b"", "is empty"),
    ],
)
def test_wrong_uploads_are_refused(tap: TapServer, upload: str, content: bytes, message: str) -> None:
    data = {"QUERY": "SELECT * FROM TAP_UPLOAD.mine", "UPLOAD": upload}
    reply = tap.post("/tap/sync", data=data, files={"p": ("p", content)})
    assert (reply.status_code, message in reply.text) == (400, True), reply.text
    made = tap.post("/tap/async", data={**data, "PHASE": "RUN"}, files={"p": ("p", content)})
    if made.status_code == 303:
        assert tap.wait(made.headers["location"].removeprefix(tap.root)) == "ERROR"
    else:
        assert (made.status_code, message in made.text) == (400, True)
