"""Tables that users keep, over HTTP: made, filled, kept from jobs, shared, dropped; a real server process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyvo
import requests
from astropy.table import Table
from pyvo.utils.prototype import activate_features
from support.identified import COUNT, bearer, finished, submitted, token_of
from support.tap_server import TapServer

from qserv_py.czar.cluster import Cluster

CSV = "id,Mag,label\n1,1.5,a\n2,,b\n3,3.5,\n"
SUM = "SELECT COUNT(*) AS n, SUM(id) AS s FROM {}"


class User:
    """Somebody with a token."""

    def __init__(self, tap: TapServer, cluster: Cluster, name: str, *groups: str) -> None:
        self.tap = tap
        self.headers = bearer(token_of(cluster, name, *groups))

    def send(self, method: str, path: str, **values: object) -> httpx2.Response:
        headers = {**self.headers, **values.pop("headers", {})}  # type: ignore[dict-item]
        return httpx2.request(method, f"{self.tap.root}{path}", headers=headers, timeout=60, **values)  # type: ignore[arg-type]

    def rows(self, table: str) -> list[str]:
        reply = self.send("POST", "/tap/sync", data={"QUERY": SUM.format(table), "FORMAT": "csv"})
        return reply.text.split()[1:] if reply.status_code == 200 else [reply.text]

    def kept(self) -> list[dict[str, object]]:
        return list(self.send("GET", "/api/tables").json()["tables"])


@pytest.fixture
def ada(tap: TapServer, cluster: Cluster) -> Iterator[User]:
    user = User(tap, cluster, "ada")
    yield user
    for table in user.kept():
        if table["owner"] == "ada":
            assert user.send("DELETE", f"/tap/tables/{table['name']}").status_code == 204
    assert user.kept() == []


@pytest.fixture
def bob(tap: TapServer, cluster: Cluster) -> User:
    return User(tap, cluster, "bob", "survey")


def bodies(tmp_path: Path) -> dict[str, bytes]:
    rows = {"id": [1, 2, 3], "Mag": [1.5, 2.5, 3.5], "label": ["a", "b", "c"]}
    pq.write_table(pa.table(rows), tmp_path / "parquet")
    for kind in ("fits", "votable"):
        Table(rows).write(tmp_path / kind, format=kind)
    return {"csv": CSV.encode(), **{kind: (tmp_path / kind).read_bytes() for kind in ("parquet", "fits", "votable")}}


def test_a_table_of_each_format(ada: User, tmp_path: Path) -> None:
    for kind, body in bodies(tmp_path).items():
        made = ada.send("PUT", f"/tap/tables/mydb.{kind}_t", content=body)
        assert (made.status_code, made.headers["location"]) == (201, f"{ada.tap.tap}/tables/mydb.{kind}_t"), made.text
        assert ada.rows(f"mydb.{kind}_t") == ["3,6"]
    tabbed = CSV.replace(",", "\t").encode()
    kind = {"Content-Type": "text/tab-separated-values"}
    assert ada.send("PUT", "/tap/tables/MyDB.tabs", content=tabbed, headers=kind).status_code == 201
    assert ada.rows("mydb.tabs") == ["3,6"]
    described = ada.send("PUT", "/tap/tables/mydb.told", content=CSV.encode(), params={"description": "from <http>"})
    assert described.status_code == 201
    shown = ada.send("GET", "/tap/tables").text
    assert all(f"<name>mydb.{name}</name>" in shown for name in ("csv_t", "fits_t", "told"))
    assert "from &lt;http&gt;" in shown
    cone = "SELECT COUNT(*) AS n FROM clustered.Object AS o JOIN mydb.csv_t AS t ON MOD(o.objectId, 4) = t.id"
    assert ada.send("POST", "/tap/sync", data={"QUERY": cone}).status_code == 200


def test_pyvo_makes_fills_and_removes_a_table(ada: User, tap: TapServer) -> None:
    definition = b"""<vosi:table xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0"
     xmlns:vod="http://www.ivoa.net/xml/VODataService/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
     <name>mydb.pyvo_t</name>
     <column><name>id</name><dataType xsi:type="vod:TAPType">BIGINT</dataType></column>
     <column><name>Mag</name><unit>mag</unit><dataType xsi:type="vod:VOTableType">double</dataType></column>
     <column><name>label</name><dataType xsi:type="vod:TAPType">VARCHAR</dataType></column></vosi:table>"""
    activate_features("cadc-tb-upload")
    with requests.Session() as session:
        session.headers.update(ada.headers)
        service = pyvo.dal.TAPService(tap.tap, session=session)
        service.create_table("mydb.pyvo_t", io.BytesIO(definition))
        assert ada.rows("mydb.pyvo_t")[0].startswith("0,")
        service.load_table("mydb.pyvo_t", io.BytesIO(CSV.encode()), format="csv")
        service.load_table("mydb.pyvo_t", io.BytesIO(b"label\tid\nz\t10\n"))
        result = service.run_sync("SELECT id, Mag, label FROM mydb.pyvo_t ORDER BY id").to_table()
        assert list(result["id"]) == [1, 2, 3, 10]
        assert str(result["Mag"].unit) == "mag"
        assert "mydb.pyvo_t" in set(service.tables.keys())
        empty = io.BytesIO()
        Table({"x": [1.0][:0]}).write(empty, format="votable")
        service.create_table("mydb.further", io.BytesIO(empty.getvalue()), format="VOTable")
        assert ada.kept()[0]["name"] == "mydb.further"
        for name in ("pyvo_t", "further"):
            service.remove_table(f"mydb.{name}")
        assert ada.kept() == []


@pytest.mark.parametrize("kind", ["votable", "votable/td", "votable/b", "fits", "csv", "tsv", "parquet", "arrow"])
def test_a_result_is_kept_as_a_table(ada: User, kind: str) -> None:
    query = "SELECT TOP 7 objectId, coord_ra, objectId FROM clustered.Object ORDER BY objectId"
    job = submitted(ada.tap, ada.headers, QUERY=query, FORMAT=kind)
    finished(job, ada.headers)
    kept = ada.send("POST", "/tap/tables/mydb.kept", data={"JOB": job.rsplit("/", 1)[1], "DESCRIPTION": "seven"})
    assert (kept.status_code, kept.headers["location"]) == (303, f"{ada.tap.tap}/tables/mydb.kept"), kept.text
    joined = "SELECT COUNT(*) AS n FROM clustered.Object AS o JOIN mydb.kept AS k ON o.objectId = k.objectId_2"
    assert ada.send("POST", "/tap/sync", data={"QUERY": joined, "FORMAT": "csv"}).text.split() == ["n", "7"]
    assert (ada.kept()[0]["rows"], ada.kept()[0]["description"]) == (7, "seven")
    if kind in {"votable", "votable/td", "votable/b", "arrow"}:
        assert "<unit>deg</unit>" in ada.send("GET", "/tap/tables/mydb.kept").text


def test_results_that_are_not_ones_own_or_not_whole(ada: User, bob: User, tap: TapServer) -> None:
    foreign = submitted(tap, bob.headers, QUERY=COUNT)
    cut = submitted(tap, ada.headers, QUERY="SELECT objectId FROM clustered.Object", MAXREC="3")
    page = submitted(tap, ada.headers, QUERY=COUNT, FORMAT="html")
    pending = tap.post("/tap/async", data={"QUERY": COUNT}, headers=ada.headers).headers["location"]
    for job, headers in ((foreign, bob.headers), (cut, ada.headers), (page, ada.headers)):
        finished(job, headers)
    for job, status, text in (
        (foreign, 404, "there is no job"),
        (cut, 400, "cut off at a limit"),
        (page, 400, "the result is html"),
        (pending, 400, "the job is PENDING"),
        ("/nope", 404, "there is no job"),
    ):
        reply = ada.send("POST", "/tap/tables/mydb.kept", data={"JOB": job.rsplit("/", 1)[1]})
        assert (reply.status_code, text in reply.text) == (status, True), reply.text
    assert ada.kept() == []


def test_sharing(ada: User, bob: User) -> None:
    ada.send("PUT", "/tap/tables/mydb.t", content=CSV.encode())
    assert "is not known" in bob.rows("mydb_ada.t")[0]
    shared = ada.send("POST", "/tap/tables/mydb.t", data={"SHARE": ["group:survey", "user:cleo"]})
    assert shared.status_code == 303
    assert bob.rows("mydb_ada.t") == ["3,6"]
    assert ada.kept()[0]["shared_with"] == ["group:survey", "user:cleo"]
    (seen,) = bob.kept()
    assert (seen["name"], seen["owner"], seen["shared_with"]) == ("mydb_ada.t", "ada", [])
    assert "mydb_ada.t" in bob.send("GET", "/tap/tables").text
    for method, path in (("DELETE", "/tap/tables/mydb_ada.t"), ("PUT", "/tap/tables/mydb_ada.t")):
        assert bob.send(method, path, content=CSV.encode()).status_code == 400
    for path in ("/tap/load/mydb.t", "/tap/tables/mydb.t"):
        assert bob.send("POST", path, data={"UNSHARE": "group:survey"}).status_code == 404
    assert bob.send("DELETE", "/tap/tables/mydb.t").status_code == 404
    ada.send("POST", "/tap/tables/mydb.t", data={"UNSHARE": "group:survey"})
    assert "is not known" in bob.rows("mydb_ada.t")[0]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("PUT", "/tap/tables/mydb.t", b"", 400, "is empty"),
        ("PUT", "/tap/tables/mydb.t", b"a,b\n1\n", 400, "has 1 fields"),
        ("PUT", "/tap/tables/mydb.t", b"a,a\n1,2\n", 400, "more than once"),
        ("PUT", "/tap/tables/mydb.t", b"<a/>", 400, "cannot be read"),
        ("PUT", "/tap/tables/mydb.t", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', 400, "a document type"),
        ("PUT", "/tap/tables/mydb.t", b"PAR1 and no more", 400, "cannot be read"),
        ("PUT", "/tap/tables/mydb.t", b"\x1f\x8b\x08", 400, "is compressed"),
        ("PUT", "/tap/tables/mydb.select", CSV.encode(), 400, "reserves the word"),
        ("PUT", "/tap/tables/mydb.a.b", CSV.encode(), 400, "cannot name a table"),
        ("PUT", "/tap/tables/clustered.Object", CSV.encode(), 400, "names no table of yours"),
        ("DELETE", "/tap/tables/clustered.Object", b"", 400, "names no table of yours"),
        ("DELETE", "/tap/tables/mydb.nope", b"", 404, "you have no table"),
        ("POST", "/tap/load/mydb.nope", CSV.encode(), 404, "you have no table"),
        ("POST", "/tap/tables/mydb.nope", b"", 400, "JOB, SHARE or UNSHARE"),
        ("PATCH", "/tap/tables/mydb.nope", b"", 405, "does not take that method"),
    ],
)
def test_what_is_refused(ada: User, method: str, path: str, body: bytes, status: int, text: str) -> None:
    reply = ada.send(method, path, content=body)
    assert (reply.status_code, text in reply.text) == (status, True), reply.text
    assert 'value="ERROR"' in reply.text
    assert ada.kept() == []


def test_those_without_a_name_keep_nothing(tap: TapServer) -> None:
    for method, path in (
        ("PUT", "/tap/tables/mydb.t"),
        ("POST", "/tap/tables/mydb.t"),
        ("DELETE", "/tap/tables/mydb.t"),
        ("POST", "/tap/load/mydb.t"),
        ("GET", "/api/tables"),
    ):
        reply = httpx2.request(method, f"{tap.root}{path}", content=CSV.encode())
        assert (reply.status_code, "users who are known" in reply.text) == (401, True), path
        assert len(reply.headers.get_list("www-authenticate")) == 2


def test_a_name_is_taken_once(ada: User) -> None:
    assert ada.send("PUT", "/tap/tables/mydb.t", content=CSV.encode()).status_code == 201
    again = ada.send("PUT", "/tap/tables/mydb.T", content=CSV.encode())
    assert (again.status_code, "you have a table" in again.text) == (400, True)
    assert ada.rows("mydb.t") == ["3,6"]
