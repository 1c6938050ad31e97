"""The service as the programs of others see it: pyvo, astroquery, and stilts where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator

import pytest
from astropy.table import Table
from support.tap_server import TapServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyvo
    from astroquery.utils.tap.core import TapPlus

TOP = "SELECT TOP 5 objectId, coord_ra FROM clustered.Object ORDER BY objectId"
JOIN = "SELECT o.objectId, u.tag FROM clustered.Object o JOIN TAP_UPLOAD.mine u ON o.objectId = u.id"

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def service(tap: TapServer) -> pyvo.dal.TAPService:
    return pyvo.dal.TAPService(tap.tap)


def test_pyvo_queries(service: pyvo.dal.TAPService) -> None:
    found = service.run_sync(TOP).to_table()
    assert (len(found), str(found["coord_ra"].unit)) == (5, "deg")
    with pytest.raises(pyvo.DALQueryError, match='has no column "nope"'):
        service.run_sync("SELECT nope FROM clustered.Object")
    assert service.run_sync(TOP, maxrec=2).status[0] == "OVERFLOW"


def test_pyvo_jobs(service: pyvo.dal.TAPService) -> None:
    job = service.submit_job(TOP, maxrec=3)
    assert (job.phase, job.query) == ("PENDING", TOP)
    job.execution_duration = 77
    job.destruction = job.destruction
    assert job.execution_duration.sec == 77
    job.query = TOP.replace("5", "4")
    job.run()
    job.wait(timeout=60)
    assert job.phase == "COMPLETED"
    job.raise_if_error()
    assert len(job.fetch_result()) == 3
    assert job.job_id in [entry.jobid for entry in service.get_job_list(last=3)]
    job.delete()
    assert job.job_id not in [entry.jobid for entry in service.get_job_list()]
    with pytest.raises(pyvo.DALQueryError, match='has no column "nope"'):
        service.run_async("SELECT nope FROM clustered.Object")


@pytest.mark.parametrize("how", ["run_sync", "run_async"])
def test_pyvo_uploads(service: pyvo.dal.TAPService, how: str) -> None:
    ids = service.run_sync(TOP).to_table()["objectId"]
    mine = Table({"id": ids, "tag": [f"t{number}" for number in range(len(ids))]})
    found = getattr(service, how)(JOIN, uploads={"mine": mine}).to_table()
    assert sorted(found["tag"]) == list(mine["tag"])


def test_pyvo_metadata(service: pyvo.dal.TAPService) -> None:
    assert service.available
    table = service.tables["clustered.Object"]
    assert "coord_ra" in [column.name for column in table.columns]
    assert service.tables["clustered.Source"].foreignkeys[0].targettable == "clustered.Object"
    examples = [example["QUERY"] for example in service.examples]
    assert examples
    for query in examples:  # catalogues of other tests may have no rows
        assert len(service.run_sync(query)) or "clustered." not in query
    language = service.get_tap_capability().get_adql()
    geometry = language.get_feature_list("ivo://ivoa.net/std/TAPRegExt#features-adqlgeo")
    assert {"CIRCLE", "CONTAINS", "POINT"} <= {feature.form for feature in geometry}
    assert language.get_udf("ivo_hasword") is not None
    assert service.hardlimit == 100_000_000


def test_astroquery(tap: TapServer) -> None:
    plus = TapPlus(url=tap.tap)
    tables = {table.name: table for table in plus.load_tables()}
    assert len(tables["clustered.Object"].columns) == 10
    assert len(plus.load_table("clustered.Source").columns) == 6
    for launch in (plus.launch_job, plus.launch_job_async):
        found = launch(TOP).get_results()
        assert (found.colnames, len(found)) == (["objectId", "coord_ra"], 5)
    with pytest.raises(Exception, match='has no column "nope"'):
        plus.launch_job("SELECT nope FROM clustered.Object")


stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed: make test-clients does it")


@stilts
def test_stilts_queries(tap: TapServer) -> None:
    command = ["stilts", "tapquery", f"tapurl={tap.tap}", f"adql={TOP}", "ofmt=csv"]
    for mode in ("sync=true", "sync=false"):
        done = subprocess.run([*command, mode], capture_output=True, text=True, timeout=120)
        assert len(done.stdout.splitlines()) == 6, done.stderr
    assert 'has no column "nope"' in subprocess.run(
        [*command[:3], "adql=SELECT nope FROM clustered.Object", "sync=true"], capture_output=True, text=True
    ).stderr  # fmt: skip


def problems(tap: TapServer) -> Iterator[str]:
    """Yield the errors, warnings and failures of taplint; it says nothing by its exit code."""
    command = ["stilts", "taplint", f"tapurl={tap.tap}", "report=EWFS", "maxrepeat=5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    totals = re.search(r"Totals: Errors: \d+; Warnings: \d+", done.stdout)
    assert totals, done.stdout + done.stderr
    yield from re.findall(r"^[EWF]-.*", done.stdout, re.MULTILINE)


NOT_OURS = ("F-OBS-", "F-LOC-")
"""Stages of taplint for tables that a service need not have: ObsCore and ObsLocTAP."""


@stilts
def test_taplint_finds_nothing(tap: TapServer) -> None:
    assert [line for line in problems(tap) if not line.startswith(NOT_OURS)] == []
