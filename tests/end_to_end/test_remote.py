"""A service asked by the Python API and by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from support.tap_server import ENDLESS, TapServer

import qserv_py
from qserv_py.cli.main import run
from qserv_py.client.connection import Connection
from qserv_py.client.remote import RemoteConnection
from qserv_py.czar.cluster import Cluster
from qserv_py.errors import ClusterError, ConfigError, NotFoundError, QservError, UnknownColumnError, UserError

TOP = "SELECT TOP 5 objectId, coord_ra AS ra FROM clustered.Object ORDER BY objectId"


@pytest.fixture
def db(tap: TapServer) -> RemoteConnection:
    return qserv_py.connect(tap.root, token="")


def test_a_query(db: RemoteConnection) -> None:
    result = db.query(TOP)
    assert [(column.name, column.unit) for column in result.columns] == [("objectId", ""), ("ra", "deg")]
    assert len(result) == 5
    assert str(result.to_astropy()["ra"].unit) == "deg"
    cut = db.query(TOP, maxrec=3)
    assert (len(cut), cut.stats.overflow) == (3, True)
    assert not db.query(TOP, maxrec=5).stats.overflow


def test_rows_of_every_type(db: RemoteConnection, tap: TapServer) -> None:
    found = db.query("SELECT TOP 9 * FROM clustered.Source ORDER BY sourceId")
    expected = tap.query("SELECT TOP 9 * FROM clustered.Source ORDER BY sourceId", FORMAT="csv").text.splitlines()
    assert found.to_arrow().column_names == expected[0].split(",")
    assert [str(value) for value in found.to_arrow().column("sourceId").to_pylist()] == [
        line.split(",")[0] for line in expected[1:]
    ]
    assert {column.datatype.value for column in found.columns} >= {"long", "double", "timestamp"}


def test_an_answer_as_a_file(db: RemoteConnection, tmp_path: Path) -> None:
    db.query(TOP).to_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size > 500


def test_errors_have_their_class(db: RemoteConnection) -> None:
    with pytest.raises(UnknownColumnError, match='has no column "nope"'):
        db.query("SELECT nope FROM clustered.Object")
    with pytest.raises(UnknownColumnError, match='has no column "nope"'):
        db.explain("SELECT nope FROM clustered.Object")
    with pytest.raises(NotFoundError, match='there is no job "x"'):
        db.job("x")
    with pytest.raises(ClusterError, match="does not answer"):
        qserv_py.connect("http://127.0.0.1:9", token="").query(TOP)


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "example.org"])
def test_what_is_no_service(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the address of a service"):
        RemoteConnection(url)


def test_a_token_does_not_cross_the_network_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="a token is not sent"):
        RemoteConnection("http://example.org", token="secret")


@pytest.fixture(params=["service", "cluster"])
def either(request: pytest.FixtureRequest, tap: TapServer, cluster: Cluster) -> Iterator[RemoteConnection | Connection]:
    """A connection to the service, and one to the cluster itself: jobs are handled in the same way."""
    target = tap.root if request.param == "service" else cluster.config.directory
    with qserv_py.connect(target) as connection:
        yield connection


def test_an_error_says_all_that_it_knows(either: RemoteConnection | Connection) -> None:
    with pytest.raises(UnknownColumnError) as caught:
        either.query("SELECT objectIdd FROM clustered.Object").to_arrow()
    assert str(caught.value).splitlines() == [
        'ADQL line 1, column 8: "Object" has no column "objectIdd"',
        "  SELECT objectIdd FROM clustered.Object",
        "         ^",
        'HINT: Did you mean "objectId"?',
    ]
    assert caught.value.hint == 'Did you mean "objectId"?'


def test_an_error_of_explain_has_its_place_and_hint(db: RemoteConnection) -> None:
    with pytest.raises(UnknownColumnError) as caught:
        db.explain("SELECT objectIdd FROM clustered.Object")
    assert str(caught.value).startswith('ADQL line 1, column 8: "Object" has no column "objectIdd"\nHINT: Did you mean')


def test_a_job(either: RemoteConnection | Connection) -> None:
    db = either
    job = db.submit(TOP, run_id="mine")
    assert job.wait().phase == "COMPLETED"
    result = job.result()
    assert len(result) == 5
    assert result.to_arrow().equals(job.result().to_arrow())
    assert [column.unit for column in result.columns] == ["", "deg"]
    again = db.job(job.job_id)
    assert (again.state.run_id, again.state.rows, again.state.query) == ("mine", 5, TOP)
    job.delete()
    with pytest.raises(NotFoundError):
        db.job(job.job_id)
    with pytest.raises(QservError, match='has no column "nope"'):
        db.submit("SELECT nope FROM clustered.Object").wait()
    endless = db.submit(ENDLESS)
    endless.cancel()
    assert endless.state.phase == "ABORTED"
    with pytest.raises(QservError):
        endless.result()
    cut = db.submit(TOP, maxrec=3)
    assert (len(cut.result()), cut.state.overflow) == (3, True)


def test_a_closed_connection_has_ended_its_jobs(cluster: Cluster) -> None:
    with qserv_py.connect(cluster.config.directory) as db:
        job = db.submit(ENDLESS)
        mine = pa.table({"id": [1, 2]})
        with pytest.raises(UserError, match="did not say|brings|uploaded|TAP_UPLOAD"):
            db.submit("SELECT * FROM TAP_UPLOAD.other", uploads={"mine": mine})
    assert job.state.phase == "ABORTED"
    with pytest.raises(QservError):
        job.result()


def test_uploads(db: RemoteConnection, tap: TapServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ids = db.query(TOP).to_arrow().column("objectId")
    mine = pa.table({"id": ids, "tag": ["a", "b", "c", "d", None]})
    adql = "SELECT u.tag, o.objectId FROM clustered.Object o JOIN TAP_UPLOAD.mine u ON o.objectId = u.id"
    tags = db.query(adql, uploads={"mine": mine}).to_arrow()["tag"].to_pylist()
    assert sorted(map(str, tags)) == ["None", "a", "b", "c", "d"]
    assert len(db.submit(adql, uploads={"mine": mine}).result()) == 5
    (tmp_path / "m.csv").write_text(f"id,tag\n{ids[0]},x\n")
    options = ["--url", tap.root, "--upload", f"mine={tmp_path / 'm.csv'}", "--format", "csv"]
    assert run(["query", *options, adql]) == 0
    assert capfd.readouterr().out.split() == ["tag,objectId", f"x,{ids[0]}"]


@pytest.mark.parametrize("asked", ["service", "cluster"])
def test_files_that_are_brought_along_are_read_as_told(
    tap: TapServer, cluster: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str], asked: str
) -> None:
    (tmp_path / "m.csv").write_bytes("id;tag\n1;M\xfcller\n2;-\n".encode("latin-1"))
    where = ["--url", tap.root] if asked == "service" else ["--cluster", str(cluster.config.directory)]
    options = [*where, "--upload", f"mine={tmp_path / 'm.csv'}", "--format", "csv"]
    adql = "SELECT id, tag FROM TAP_UPLOAD.mine ORDER BY id"
    reading = ["--delimiter", ";", "--encoding", "latin-1", "--null", "-"]
    assert run(["query", *options, *reading, adql]) == 0
    assert capfd.readouterr().out.splitlines() == ["id,tag", "1,Müller", "2,"]
    assert run(["query", *options, adql]) == 1
    assert "on the command line --delimiter names another sign" in capfd.readouterr().err


def test_metadata(db: RemoteConnection) -> None:
    assert {"clustered.Object", "tap_schema.tables"} <= set(db.tables())
    assert "chunks" in db.explain(TOP)
    assert len(db.tap.run_sync(TOP)) == 5


def test_commands(tap: TapServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "t.csv"
    assert run(["query", "--url", tap.root, "-o", str(target), "--timing", TOP]) == 0
    assert len(target.read_text().splitlines()) == 6
    assert "5 rows" in capfd.readouterr().err
    assert run(["query", "--url", tap.root, "SELECT nope FROM clustered.Object"]) == 1
    assert 'has no column "nope"' in capfd.readouterr().err
    job = tap.submit(TOP, FORMAT="csv", PHASE="RUN", RUNID="r1")
    job_id = job.rpartition("/")[2]
    here = ["--url", tap.root]
    assert run(["job", "watch", job_id, *here]) == 0
    assert run(["job", "list", *here, "--format", "json", "--last", "1"]) == 0
    ((listed),) = json.loads(capfd.readouterr().out)
    assert (listed["job"], listed["phase"], listed["run id"]) == (job_id, "COMPLETED", "r1")
    assert run(["job", "show", job_id, *here]) == 0
    assert TOP in capfd.readouterr().out
    assert run(["job", "result", job_id, *here]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 6
    assert run(["job", "cancel", job_id, *here]) == 0
    assert "The job is COMPLETED." in capfd.readouterr().err
    assert run(["job", "delete", job_id, *here]) == 0
    assert run(["job", "show", job_id, *here]) == 3
    assert run(["job", "list"]) == 2
    assert "no service was named" in capfd.readouterr().err
