"""TAP as a client sees it: synchronous queries, documents, errors, hostile requests; a real server process."""

from __future__ import annotations

import gzip
import io
import json
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse_single_table
from support.cluster import count_statements
from support.tap_server import ENDLESS, TapServer
from support.waiting import wait_until

import qserv_py
from qserv_py.czar.cluster import Cluster

VOTABLE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
TOP = "SELECT TOP 5 objectId, coord_ra FROM clustered.Object ORDER BY objectId"


def statuses(reply: httpx2.Response) -> list[tuple[str, str]]:
    root = ElementTree.fromstring(reply.content)
    infos = [info for info in root.iter(f"{VOTABLE}INFO") if info.get("name") == "QUERY_STATUS"]
    return [(info.get("value", ""), (info.text or "").strip()) for info in infos]


def message(reply: httpx2.Response) -> str:
    """Return the text of an error."""
    assert reply.headers["content-type"] == "application/x-votable+xml", reply.text
    ((value, text),) = statuses(reply)
    assert value == "ERROR"
    return text


@pytest.mark.parametrize("how", ["GET", "POST", "multipart"])
def test_a_query_is_answered(tap: TapServer, how: str) -> None:
    parameters = {"LANG": "ADQL", "QUERY": TOP, "request": "doQuery", "DUMMY": "ignore-me"}
    if how == "GET":
        reply = tap.get("/tap/sync", params=parameters)
    elif how == "POST":
        reply = tap.post("/tap/sync", data=parameters)
    else:
        reply = tap.post("/tap/sync", files={name: (None, value) for name, value in parameters.items()})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/x-votable+xml"
    table = parse_single_table(io.BytesIO(reply.content)).to_table(use_names_over_ids=True)
    assert (len(table), str(table["coord_ra"].unit)) == (5, "deg")
    assert list(table["objectId"]) == sorted(table["objectId"])
    assert statuses(reply) == [("OK", "")]


def test_the_service_shows_what_it_has(tap: TapServer, cluster: Cluster) -> None:
    def rows(query: str) -> list[dict[str, object]]:
        reply = tap.query(query, RESPONSEFORMAT="parquet")
        assert reply.status_code == 200, reply.text
        return pq.read_table(io.BytesIO(reply.content)).to_pylist()

    databases = "SELECT schema_name, description FROM tap_schema.schemas ORDER BY schema_index"
    assert rows("SHOW DATABASES") == rows(databases) != []
    for statement in ("SHOW TABLES FROM clustered", "SHOW FULL COLUMNS FROM clustered.Object"):
        with qserv_py.connect(cluster.config.directory) as local:
            assert rows(statement) == local.query(statement).to_arrow().to_pylist() != []
    assert 'database "nowhere" is not known' in message(tap.query("SHOW TABLES FROM nowhere"))


def test_every_format_by_its_names(tap: TapServer) -> None:
    kinds = {
        "csv": "text/csv", "text/csv;header=absent": "text/csv", "tsv": "text/tab-separated-values",
        "json": "application/json", "fits": "application/fits", "votable/td": "application/x-votable+xml",
        "parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.stream",
        "html": "text/html", "text/xml": "text/xml",
    }  # fmt: skip
    for name, mime in kinds.items():
        reply = tap.query(TOP, RESPONSEFORMAT=name)
        assert (reply.status_code, reply.headers["content-type"].split(";")[0]) == (200, mime), name
    assert tap.query(TOP, FORMAT="csv").text.splitlines()[0] == "objectId,coord_ra"
    assert pq.read_table(io.BytesIO(tap.query(TOP, FORMAT="parquet").content)).num_rows == 5
    assert pa.ipc.open_stream(tap.query(TOP, FORMAT="arrow").content).read_all().num_rows == 5


def test_overflow_is_told_only_when_rows_are_left_out(tap: TapServer) -> None:
    assert statuses(tap.query(TOP, MAXREC="5")) == [("OK", "")]
    assert [value for value, _ in statuses(tap.query(TOP, MAXREC="4"))] == ["OK", "OVERFLOW"]


def test_of_a_query_that_is_not_run_nobody_says_that_there_are_more_rows(tap: TapServer) -> None:
    """DALI 1.1, section 3.4.4, demands the overflow indicator of MAXREC=0, whether or not there are rows."""
    not_run = "the query was not run, as MAXREC is 0"
    for query in (TOP, TOP.replace("ORDER", "WHERE n < 0 ORDER")):
        empty = tap.query(query, MAXREC="0")
        assert statuses(empty) == [("OK", ""), ("OVERFLOW", not_run)]
        assert len(parse_single_table(io.BytesIO(empty.content)).fields) == 2
        for name in ("html", "fits", "arrow", "parquet"):
            said = tap.query(query, MAXREC="0", RESPONSEFORMAT=name).content.lower()
            assert not_run.encode().lower() in said, name
            assert b"more rows" not in said, name
        with qserv_py.connect(tap.root, token="") as service:
            job = service.submit(query, maxrec=0)
            for result in (service.query(query, maxrec=0), job.result()):
                assert result.to_arrow().num_rows == 0
                assert result.stats.overflow
            job.delete()


@pytest.mark.parametrize(
    ("parameters", "status", "text"),
    [
        ({"QUERY": "DUFF QUERY"}, 400, "ADQL line 1"),
        ({"QUERY": "SELECT nope FROM clustered.Object"}, 400, 'has no column "nope"'),
        ({"QUERY": "SELECT 1/(n - n) FROM clustered.Object"}, 400, "division by zero"),
        ({"QUERY": TOP, "LANG": "OOBLECK"}, 400, "OOBLECK"),
        ({"QUERY": TOP, "FORMAT": "punchcard"}, 400, "punchcard"),
        ({"QUERY": TOP, "MAXREC": "-3"}, 400, "MAXREC"),
        ({}, 400, "QUERY is missing"),
    ],
)
def test_errors_are_votables(tap: TapServer, parameters: dict[str, str], status: int, text: str) -> None:
    reply = tap.post("/tap/sync", data=parameters)
    assert reply.status_code == status
    assert text in message(reply)


def test_what_is_not_there_is_a_votable_too(tap: TapServer) -> None:
    assert "nothing at this address" in message(tap.get("/tap/nope"))
    assert tap.get("/tap/nope").status_code == 404
    assert tap.get("/tap/tables/clustered.nope").status_code == 404
    refused = httpx2.request("PATCH", f"{tap.tap}/sync")
    assert (refused.status_code, "does not take that method" in message(refused)) == (405, True)


def test_a_text_of_any_characters_is_echoed_as_xml(tap: TapServer) -> None:
    text = TOP.replace("5", "1") + ' -- "quoted" <b>&amp; \']]> å'
    assert statuses(tap.query(text)) == [("OK", "")]
    assert message(tap.query('SELECT "<b>&\x01" FROM clustered.Object'))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_results_are_compressed_for_those_who_ask(tap: TapServer, coding: str) -> None:
    plain = tap.query(TOP, FORMAT="csv").content
    with httpx2.stream(
        "POST", f"{tap.tap}/sync", data={"QUERY": TOP, "FORMAT": "csv"}, headers={"Accept-Encoding": coding}
    ) as reply:
        raw = b"".join(reply.iter_raw())
    assert reply.headers["content-encoding"] == coding
    unpacked = gzip.decompress(raw) if coding == "gzip" else pa.CompressedInputStream(io.BytesIO(raw), "zstd").read()
    assert unpacked == plain
    refused = tap.get("/tap/sync", params={"QUERY": TOP}, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers


def test_head_sends_no_rows(tap: TapServer) -> None:
    reply = httpx2.head(f"{tap.tap}/sync", params={"QUERY": TOP, "FORMAT": "csv"})
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, b"", "text/csv;header=present")


def test_a_client_that_leaves_ends_its_query(tap: TapServer, cluster: Cluster) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{tap.tap}/sync", data={"QUERY": ENDLESS}, timeout=1.5)
    assert wait_until(lambda: not count_statements(cluster)), "the statements of a client that left still run"


def test_many_clients_at_a_time(tap: TapServer) -> None:
    def ask(number: int) -> tuple[int, int]:
        reply = tap.query(f"SELECT objectId FROM clustered.Object WHERE MOD(objectId, 16) = {number}", FORMAT="csv")
        return reply.status_code, len(reply.text.splitlines()) - 1

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(ask, range(16)))
    assert {status for status, _ in found} == {200}
    assert sum(rows for _, rows in found) == 600


def test_the_metadata_documents(tap: TapServer) -> None:
    whole, short = tap.get("/tap/tables"), tap.get("/tap/tables", params={"DETAIL": "min"})
    names = [name.text for name in ElementTree.fromstring(whole.content).findall("schema/table/name")]
    assert {"clustered.Object", "clustered.Source", "clustered.Visit"} <= set(names)
    assert not list(ElementTree.fromstring(short.content).iter("column"))
    one = ElementTree.fromstring(tap.get("/tap/tables/clustered.source").content)
    assert one.findtext("foreignKey/targetTable") == "clustered.Object"
    assert "healpix29" not in [name.text for name in one.findall("column/name")]
    assert tap.get("/tap/tables", params={"detail": "much"}).status_code == 400
    assert whole.headers["content-encoding"] == "gzip"
    available = ElementTree.fromstring(tap.get("/tap/availability").content)
    assert available.findtext("{http://www.ivoa.net/xml/VOSIAvailability/v1.0}available") == "true"
    assert ElementTree.fromstring(tap.get("/tap/capabilities").content).findtext("capability/language/name") == "ADQL"


def test_every_example_has_rows(tap: TapServer) -> None:
    page = ElementTree.fromstring(tap.get("/tap/examples").content)
    queries = [found.text or "" for found in page.iter() if found.get("property") == "query"]
    assert len(queries) >= 4
    for adql in queries:
        reply = tap.query(adql, FORMAT="csv")
        assert reply.status_code == 200, reply.text
        # the cluster may hold catalogues of other tests, without rows
        assert len(reply.text.splitlines()) > 1 or "clustered." not in adql, adql


def test_validate_and_explain(tap: TapServer) -> None:
    right = tap.post("/api/validate", json={"query": "SELECT coord_ra AS ra FROM clustered.Object"}).json()
    assert (right["ok"], right["columns"][0]["name"], right["columns"][0]["unit"]) == (True, "ra", "deg")
    wrong = tap.post("/api/validate", json={"query": "SELECT\n x FROM clustered.Object"}).json()
    assert (wrong["ok"], wrong["error"]["code"], wrong["error"]["line"]) == (False, "unknown_column", 2)
    strict = tap.post("/api/validate", json={"query": f"{TOP} LIMIT 2", "mode": "strict"}).json()
    assert strict["ok"] is False
    cone = "SELECT * FROM clustered.Object WHERE CONTAINS(POINT(coord_ra, coord_dec), CIRCLE(0, 89, 0.1)) = 1"
    plan = tap.post("/api/explain", json={"query": cone}).json()
    assert plan["chunks"] < plan["chunks_known"]
    assert plan["estimate"]["rows"] <= 600
    assert "stage s1" in plan["text"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"query": 3}', b'{"query": "q", "mode": "odd"}', b"[" * 100_000])
def test_wrong_json_is_refused_as_json(tap: TapServer, body: bytes) -> None:
    reply = tap.post("/api/validate", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


def test_health_figures_and_logs(tap: TapServer) -> None:
    assert tap.get("/healthz").text == "ok"
    request_id = tap.query(TOP).headers["x-request-id"]
    text = tap.get("/metrics").text
    assert 'qserv_http_requests_total{route="/tap/sync",status="200"}' in text
    assert 'qserv_jobs{phase="EXECUTING"}' in text
    assert wait_until(lambda: any(request_id in line for line in list(tap.lines)))
    (line,) = [json.loads(line) for line in tap.lines if request_id in line]
    assert (line["path"], line["status"], line["owner"]) == ("/tap/sync", 200, "anonymous")


def test_a_huge_text_is_refused_before_it_is_read(tap: TapServer) -> None:
    body = b"QUERY=" + b"x" * 100_000_000
    with socket.create_connection(_address(tap), timeout=20) as connection:
        head = f"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body[:1000])
        reply = connection.recv(1000)
        assert reply.startswith(b"HTTP/1.1 413 ")
        while b"</INFO>" not in reply:
            reply += connection.recv(1000)
        assert b"HINT: Upload a long list of values as a table and join it." in reply
    assert tap.query(TOP).status_code == 200


def test_connections_that_say_nothing_keep_nobody_out(tap: TapServer) -> None:
    """10,000 of them, or as many as the machine lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 11_000 if hard == resource.RLIM_INFINITY else min(11_000, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    held = []
    try:
        for number in range(wanted - 1000):
            connection = socket.create_connection(_address(tap), timeout=20)
            if number % 3 == 0:
                connection.sendall(b"GET /tap/sync HTTP/1.1\r\nHost:")
            held.append(connection)
        assert tap.query(TOP).status_code == 200
        assert _is_closed(held[0])  # the oldest had to go
        assert not _is_closed(held[-1])
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_reader_that_does_not_read_holds_no_worker(tap: TapServer, cluster: Cluster) -> None:
    adql = "SELECT a.*, b.* FROM clustered.Source a JOIN clustered.Visit b ON 1 = 1"
    connections = []
    try:
        for _ in range(6):
            connection = socket.create_connection(_address(tap), timeout=20)
            body = httpx2.QueryParams({"QUERY": adql, "FORMAT": "json"})
            head = f"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: {len(str(body))}\r\n"
            connection.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
            connections.append(connection)
        time.sleep(0.5)
        assert wait_until(lambda: not count_statements(cluster), seconds=30), "slow readers hold connections to workers"
        assert tap.query(TOP).status_code == 200
    finally:
        for connection in connections:
            connection.close()


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.5)
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def _address(tap: TapServer) -> tuple[str, int]:
    host, _, port = tap.root.removeprefix("http://").rpartition(":")
    return host, int(port)


def test_without_a_publication_there_is_no_record(tap: TapServer) -> None:
    reply = tap.get("/record")
    assert (reply.status_code, "settings.yaml" in reply.text) == (404, True)
