"""ivoa.ObsCore as clients find it: absent without images, then in TAP_SCHEMA, in /tables and clean for taplint."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx2
import pytest
from support.butler_repository import make_repository
from support.cluster import running_cluster
from support.tap_server import TapServer, running_server

from qserv_py.catalog.grants import PUBLIC
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.butler.repository import open_repository
from qserv_py.ingest.butler.requests import ButlerRequest
from qserv_py.ingest.butler.run import DatasetIngest
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import revoke
from qserv_py.registry.schema_files.felis_schema import read_schema

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyvo

SETTINGS = """
images:
  links: https://data.example.org/links
  facility: Example Observatory
"""

MANDATORY = {
    "dataproduct_type", "calib_level", "obs_collection", "obs_id", "obs_publisher_did", "access_url", "access_format",
    "access_estsize", "target_name", "s_ra", "s_dec", "s_fov", "s_region", "s_xel1", "s_xel2", "s_resolution", "t_min",
    "t_max", "t_exptime", "t_resolution", "t_xel", "em_min", "em_max", "em_res_power", "em_xel", "o_ucd", "pol_states",
    "pol_xel", "facility_name", "instrument_name",
}  # fmt: skip


def rows(service: TapServer, query: str) -> list[list[object]]:
    reply = service.query(query, RESPONSEFORMAT="json")
    assert reply.status_code == 200, reply.text
    return list(reply.json()["data"])


@pytest.fixture(scope="module")
def site() -> Iterator[Cluster]:
    with running_cluster(workers=1) as cluster:
        (cluster.config.directory / "settings.yaml").write_text(SETTINGS)
        yield cluster


@pytest.fixture(scope="module")
def observed(site: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TapServer]:
    """A service of a cluster without images until its first test has seen that."""
    with running_server(site, "--upload-from", "tables.example.org") as server:
        assert "ObsCore" not in server.get("/tap/tables").text
        assert "dataModel" not in server.get("/tap/capabilities").text
        assert rows(server, "SELECT table_name FROM tap_schema.tables WHERE table_name LIKE 'ivoa%'") == []
        load(site, tmp_path_factory.mktemp("observed"))
        yield server


def load(cluster: Cluster, directory: Path) -> None:
    """Ingest two visits into a public database, and another one into a database that nobody may read."""
    repository = make_repository(directory / "repo")
    repository.process([1, 2], "run1")
    repository.process([3], "run2")
    with open_destination(cluster, sync=False) as destination, open_repository(str(repository.path)) as opened:
        for database, run in (("prompt", "run1"), ("secret", "run2")):
            destination.registry.add_database(prompt_database(database))
            request = ButlerRequest(collection=run, dataset_type="source", database=database, publish=True)
            DatasetIngest(destination, opened, request).run()
        revoke(destination.registry, "secret", PUBLIC)
    repository.close()


def test_the_rows(observed: TapServer) -> None:
    everything = "SELECT * FROM ivoa.ObsCore ORDER BY lsst_visit, lsst_detector"
    found = observed.query(everything, RESPONSEFORMAT="json").json()
    names = [column["name"] for column in found["metadata"]]
    assert set(names) >= MANDATORY
    assert len(found["data"]) == 4, "of the database that everybody may read"
    first = dict(zip(names, found["data"][0], strict=True))
    number = re.fullmatch(r"ivo://unregistered.example/qserv\?id=([0-9a-f-]{36})", first["obs_publisher_did"])
    assert number
    assert first["access_url"] == (
        f"https://data.example.org/links?ID=ivo%3A%2F%2Funregistered.example%2Fqserv%3Fid%3D{number[1]}"
    )
    known = {"access_format": "application/x-votable+xml;content=datalink", "facility_name": "Example Observatory"}
    known |= {"dataproduct_type": "image", "calib_level": 2, "obs_collection": "prompt", "obs_id": "F1"}
    known |= {"instrument_name": "Fake", "lsst_visit": 1, "lsst_detector": 0, "lsst_band": "g", "lsst_filter": "f_g"}
    known |= {"t_exptime": 30.0, "em_min": pytest.approx(402e-9), "em_max": pytest.approx(552e-9)}
    known |= {"s_ra": pytest.approx(10.55, abs=1e-6), "s_dec": pytest.approx(0.05, abs=1e-6)}
    known |= {"s_fov": pytest.approx(0.1414, abs=1e-3), "target_name": "field"}
    assert {name: first[name] for name in known} == known
    # 03:00:40 TAI, 37 s before that in UTC
    assert first["t_min"] == pytest.approx(61041 + (3 * 3600 + 40 - 37) / 86400, abs=1e-8)
    assert first["t_max"] - first["t_min"] == pytest.approx(30 / 86400, abs=1e-9)
    assert first["s_region"] == "POLYGON ICRS 10.5 0 10.6 0 10.6 0.1 10.5 0.1"


def test_regions(observed: TapServer) -> None:
    assert rows(
        observed,
        "SELECT lsst_visit, lsst_detector FROM ivoa.ObsCore WHERE 1 = CONTAINS(POINT(11.05, 0.05), s_region)",
    ) == [[2, 0]]
    assert rows(
        observed,
        "SELECT COUNT(*) FROM ivoa.ObsCore AS o WHERE 1 = INTERSECTS(CIRCLE(10.6, 0.05, 0.01), o.s_region)",
    ) == [[2]]


def test_a_region_as_numbers(observed: TapServer) -> None:
    query = "SELECT CAST(s_region AS POLYGON) AS p FROM ivoa.ObsCore WHERE lsst_visit = 1 AND lsst_detector = 0"
    found = observed.query(query, RESPONSEFORMAT="json").json()
    assert (found["metadata"][0]["datatype"], found["metadata"][0]["xtype"]) == ("double", "polygon")
    assert found["data"] == [[pytest.approx([10.5, 0, 10.6, 0, 10.6, 0.1, 10.5, 0.1])]]


def test_it_is_described(observed: TapServer) -> None:
    assert rows(
        observed, "SELECT table_name, utype FROM tap_schema.tables WHERE schema_name IN ('ivoa', 'butler') ORDER BY 1"
    ) == [["butler.Dataset", None], ["ivoa.ObsCore", "ivo://ivoa.net/std/obscore#table-1.1"]]
    [found] = rows(
        observed,
        "SELECT unit, ucd, utype, std, xtype FROM tap_schema.columns"
        " WHERE table_name = 'ivoa.ObsCore' AND column_name = 's_fov'",
    )
    assert found == [
        "deg",
        "phys.angSize;instr.fov",
        "obscore:Char.SpatialAxis.Coverage.Bounds.Extent.diameter",
        1,
        None,
    ]
    document = observed.get("/tap/tables").text
    assert "<name>ivoa.ObsCore</name>" in document
    assert "<utype>ivo://ivoa.net/std/obscore#table-1.1</utype>" in document
    assert 'ivo-id="ivo://ivoa.net/std/ObsCore#core-1.1"' in observed.get("/tap/capabilities").text


@pytest.mark.clients
@pytest.mark.filterwarnings("ignore")
def test_pyvo_finds_images(observed: TapServer) -> None:
    service = pyvo.dal.TAPService(observed.tap)
    table = service.run_sync("SELECT TOP 1 * FROM ivoa.ObsCore ORDER BY t_min").to_table()
    assert table["access_format"][0] == "application/x-votable+xml;content=datalink"
    assert str(table["s_ra"].unit) == "deg"
    assert service.run_sync("SELECT s_fov FROM ivoa.ObsCore").fielddescs[0].utype == (
        "obscore:Char.SpatialAxis.Coverage.Bounds.Extent.diameter"
    )


@pytest.mark.clients
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is a Debian package")
def test_taplint_finds_nothing(observed: TapServer) -> None:
    command = ["stilts", "taplint", f"tapurl={observed.tap}", "report=EWFS", "maxrepeat=100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "Section OBS" in done.stdout, done.stdout + done.stderr
    found = re.findall(r"^[EWF]-.*", done.stdout, re.MULTILINE)
    assert [line for line in found if not line.startswith("F-LOC-")] == [], "and ObsLocTAP need not be there"


def test_another_service_sees_what_it_may(observed: TapServer) -> None:
    reply = httpx2.get(f"{observed.root}/tap/sync", params={"LANG": "ADQL", "QUERY": "SELECT * FROM secret.Source"})
    assert reply.status_code == 400
    assert rows(observed, "SELECT DISTINCT obs_collection FROM ivoa.ObsCore") == [["prompt"]]
    assert rows(observed, "SELECT DISTINCT database_name FROM butler.Dataset") == [["prompt"]]


OWN = """\
dataproduct_type,calib_level,obs_collection,obs_id,obs_publisher_did,s_ra,s_dec,s_region,t_min,t_max,lsst_visit
image,2,DP02,v7,ivo://org.rubinobs/lsst-dp02?7,10.5,0.5,POLYGON ICRS 10 0 11 0 11 1 10 1,60000.5,60000.6,7
"""


@pytest.fixture
def own(site: Cluster, observed: TapServer, tmp_path: Path) -> Iterator[TapServer]:
    """The service while a table with Rubin's columns is ivoa.ObsCore."""
    settings, partition, images = site.config.directory / "settings.yaml", tmp_path / "p.yaml", tmp_path / "images.csv"
    settings.write_text(f"{SETTINGS}  obscore: dp02.ObsCore\n")
    partition.write_text("{database: dp02, tables: {ObsCore: {kind: ref}}}")
    images.write_text(OWN)
    schema = Path(str(files("lsst.sdm.schemas"))) / "dp02_obscore.yaml"
    with open_destination(site, sync=False) as destination:
        destination.registry.add_database(read_schema(schema, partition))
        run_ingest(destination, database="dp02", table="ObsCore", files=[images])
        publish_database(destination, "dp02")
        yield observed
        settings.write_text(SETTINGS)
        destination.registry.drop_database("dp02")


def test_a_table_of_ones_own_is_obscore_when_the_settings_say_so(own: TapServer) -> None:
    assert rows(own, "SELECT lsst_visit, pol_states FROM ivoa.ObsCore") == [[7, None]]
    assert rows(
        own, "SELECT utype, unit FROM tap_schema.columns WHERE column_name = 's_fov' AND table_name LIKE 'ivoa%'"
    ) == [["obscore:Char.SpatialAxis.Coverage.Bounds.Extent.diameter", "deg"]]
    assert 'ivo-id="ivo://ivoa.net/std/ObsCore#core-1.1"' in own.get("/tap/capabilities").text


@pytest.mark.long
@pytest.mark.clients
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is a Debian package")
def test_taplint_finds_nothing_wrong_with_it(own: TapServer) -> None:
    command = ["stilts", "taplint", f"tapurl={own.tap}", "stages=TMS OBS", "report=EWFS", "maxrepeat=100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "Section OBS" in done.stdout, done.stdout + done.stderr
    assert re.findall(r"^[EWF]-.*", done.stdout, re.MULTILINE) == []
