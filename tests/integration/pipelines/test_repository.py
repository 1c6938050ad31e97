"""A repository made of a survey's directory: what can be asked of it, repeated, killed, with wrong files, elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from astropy.time import Time
from lsst.daf.butler import Butler, DatasetType, Timespan
from lsst.pipe.base import Instrument
from psycopg.conninfo import conninfo_to_dict
from support.exposures import random_exposure, same_bits
from support.postgres import TestServer
from support.tiny_survey import (
    CAMERA,
    FIRST,
    INFO,
    contents,
    exposure,
    refcat_table,
    write_exposure_files,
    write_refcat,
    write_survey,
)

from qserv_py.errors import ConfigError, NotFoundError, RepositoryError
from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.images.fits_file import read_raw, write_exposure
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.instrument.raws import raw_path, write_raw
from qserv_py.pipelines.repository.ancillary import ingest_ancillary
from qserv_py.pipelines.repository.arrangement import arrange_collections
from qserv_py.pipelines.repository.calibrations import certify_run, ingest_calibrations
from qserv_py.pipelines.repository.certification import validity
from qserv_py.pipelines.repository.creation import create_repository
from qserv_py.pipelines.repository.instrument import read_camera, register_instrument, registered_camera
from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.repository.raws.ingest import ingest_raws
from qserv_py.pipelines.repository.raws.visits import define_visits
from qserv_py.pipelines.repository.refcats import ingest_refcats
from qserv_py.pipelines.repository.registry_database import UNFINISHED
from qserv_py.pipelines.repository.report import StepReport
from qserv_py.pipelines.repository.skymap import SkyMap, register_skymap
from qserv_py.pipelines.repository.status import repository_status
from qserv_py.pipelines.repository.whole import Place, init_repository
from qserv_py.workers.server_address import free_port


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_survey(tmp_path_factory.mktemp("survey") / "survey")


@pytest.fixture(scope="module")
def repository(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("made") / "repo")
    reports = list(init_repository(Place(root=root), survey=survey))
    assert not any(report.problems for report in reports)
    return root


@pytest.fixture(scope="module")
def butler(repository: str) -> Iterator[Butler]:
    with opened(repository) as butler:
        yield butler


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "repo"
    create_repository(str(root))
    with opened(str(root), writeable=True) as butler:
        register_instrument(butler, CAMERA)
    return root


@pytest.fixture
def empty(template: Path, tmp_path: Path) -> Iterator[Butler]:
    """A repository that knows the instrument and nothing else."""
    shutil.copytree(template, tmp_path / "repo")
    with opened(str(tmp_path / "repo"), writeable=True) as butler:
        yield butler


def said(report: StepReport) -> str:
    return "\n".join(f"{problem.place}: {problem.message}" for problem in report.problems)


def test_raws_are_found_by_time_filter_and_kind(butler: Butler, survey: Path) -> None:
    raws = butler.query_datasets("raw", collections="QCam/defaults", where="exposure.observation_type = 'science'")
    assert len(raws) == 3 * len(CAMERA.detectors)
    times = "(T'2026-11-21T03:04:00/tai', T'2026-11-21T03:04:20/tai')"
    first = butler.query_datasets(
        "raw", collections="QCam/defaults", where=f"exposure.timespan OVERLAPS {times}", instrument="QCam", detector=1
    )
    assert [ref.dataId["exposure"] for ref in first] == [FIRST]
    raw = butler.get(first[0])
    theirs = read_raw(raw_path(survey / "raw", "QCam", FIRST, 1), name="raw")
    assert same_bits(raw.pixels, theirs.pixels)
    assert raw.header["EXPID"] == FIRST
    found = butler.query_dimension_records("exposure", instrument="QCam", where="band = 'g'")
    assert [record.id for record in found] == [FIRST]
    (record,) = found
    assert record.tracking_ra == INFO.pointing.ra, "the records beside the raws have more digits than the headers"


def test_visits_lie_where_the_telescope_looked(butler: Butler) -> None:
    visits = butler.query_dimension_records("visit", instrument="QCam")
    assert sorted(record.id for record in visits) == [FIRST, FIRST + 1, FIRST + 2]
    for number in range(3):
        info = exposure(number)
        for detector in CAMERA.detectors:
            ra, dec = CAMERA.to_sky(detector, info.pointing, np.array([31.5]), np.array([31.5]))
            where = f"visit_detector_region.region OVERLAPS POINT({ra[0]}, {dec[0]})"
            found = butler.query_data_ids(["visit", "detector"], where=where, instrument="QCam")
            assert {"visit": info.exposure, "detector": detector.id} in [
                {"visit": one["visit"], "detector": one["detector"]} for one in found
            ]
    far = butler.query_data_ids(
        ["visit"], where="visit.region OVERLAPS POINT(60.0, -28.1)", instrument="QCam", explain=False
    )
    assert not far
    assert len(butler.query_dimension_records("visit_definition", instrument="QCam")) == 3


def test_visits_patches_and_reference_shards_overlap(butler: Butler, survey: Path) -> None:
    with butler.query() as query:
        chosen = query.where(instrument="QCam", skymap="qsky", visit=FIRST)
        patches = list(chosen.data_ids(["visit", "detector", "tract", "patch"]))
        shards = list(query.where(instrument="QCam", visit=FIRST).datasets("qcam_ref", collections="refcats"))
    assert {one["detector"] for one in patches} == {detector.id for detector in CAMERA.detectors}
    assert shards
    assert {str(ref.dataId["htm7"]) for ref in shards} <= {path.stem for path in (survey / "refcats/htm7").iterdir()}
    table = butler.get(shards[0])
    assert set(table.colnames) >= {"id", "ra", "dec", "r_flux"}


def test_the_skymap_covers_every_visit(butler: Butler) -> None:
    with butler.query() as query:
        tracts = {record.id: record.region for record in query.where(skymap="qsky").dimension_records("tract")}
    assert tracts
    for record in butler.query_dimension_records("visit", instrument="QCam"):
        for vertex in record.region.getVertices():
            assert any(region.contains(vertex) for region in tracts.values())
    assert butler.get("skyMap", skymap="qsky", collections="skymaps")["patch_order"] == 9


def test_the_camera_is_always_valid_and_the_instrument_is_found(butler: Butler) -> None:
    camera = butler.get("camera", instrument="QCam", exposure=FIRST, collections="QCam/defaults")
    assert camera == CAMERA
    assert registered_camera(butler) == CAMERA
    instrument = Instrument.fromName("QCam", butler.registry)
    assert isinstance(instrument, QCam)
    assert instrument.makeUmbrellaCollectionName() == "QCam/defaults"
    raw = butler.query_datasets("raw", collections="QCam/raw/all", limit=1)[0]
    assert instrument.getRawFormatter(raw.dataId).default_extension == ".fits"


def test_a_second_run_changes_nothing(repository: str, survey: Path) -> None:
    before = contents(repository)
    reports = list(init_repository(Place(root=repository), survey=survey))
    assert [report.new for report in reports] == [0] * len(reports)
    assert all(report.kept for report in reports)
    assert contents(repository) == before


def test_a_camera_that_was_put_and_not_certified_is_certified_by_the_next_run(empty: Butler) -> None:
    collection = "QCam/calib"
    empty.registry.decertify(collection, "camera", Timespan(None, None))
    assert not empty.query_datasets("camera", collections=collection, find_first=False, explain=False)
    register_instrument(empty, CAMERA)
    assert len(empty.query_datasets("camera", collections=collection, find_first=False)) == 1


@pytest.mark.parametrize("share", [3, pytest.param(100, marks=pytest.mark.long)])
def test_a_run_that_was_killed_anywhere_is_finished_by_the_next(share: int, tmp_path: Path) -> None:
    """The registry's commits are where things happen: the process is killed before one of them, after the others."""
    survey = write_survey(tmp_path / "survey", visits=1, biases=0)
    commits = _commits(survey, tmp_path / "counted")
    assert commits > 60
    wanted = contents(tmp_path / "counted")
    for number in np.unique(np.linspace(1, commits, min(share, commits)).astype(int)):
        root = tmp_path / f"killed{number}"
        assert _run_until_commit(root, survey, number) == -signal.SIGKILL
        reports = list(init_repository(Place(root=str(root)), survey=survey))
        assert "".join(map(said, reports)) == ""
        assert contents(root) == wanted, f"killed before commit {number}"
        assert not list(root.parent.glob("*-unfinished"))


def _commits(survey: Path, root: Path) -> int:
    seen = []

    def note(connection: Any) -> None:
        seen.append(connection)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", note)
    try:
        list(init_repository(Place(root=str(root)), survey=survey))
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "commit", note)
    return len(seen)


def _run_until_commit(root: Path, survey: Path, number: int) -> int:
    """Run in a child process that kills itself before a commit; return how it ended."""
    child = os.fork()
    if child == 0:
        seen = 0

        def kill(_connection: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", kill)
        list(init_repository(Place(root=str(root)), survey=survey))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("transfer", ["copy", "link"])
def test_files_can_be_brought_into_the_repository(empty: Butler, survey: Path, tmp_path: Path, transfer: str) -> None:
    for _ in range(2):
        report = ingest_raws(empty, [survey / "raw"], transfer=transfer)
        assert (report.new + report.kept, said(report)) == (6, "")
    ref = empty.query_datasets("raw", collections="QCam/raw/all", instrument="QCam", detector=0, limit=1)[0]
    path = Path(empty.getURI(ref).ospath)
    assert path.is_relative_to(tmp_path / "repo")
    assert empty.get(ref).header["EXPID"] == ref.dataId["exposure"]


def test_directories_may_have_any_name(empty: Butler, tmp_path: Path) -> None:
    odd = tmp_path / "a #1 %20 'b' ü"
    paths = write_exposure_files(odd, exposure(0))
    assert said(ingest_raws(empty, [odd])) == ""
    for ref in empty.query_datasets("raw", collections="QCam/raw/all"):
        assert Path(empty.getURI(ref).ospath) in paths
        assert empty.get(ref).header["EXPID"] == FIRST


def test_a_copy_that_a_kill_left_is_overwritten(empty: Butler, survey: Path, tmp_path: Path) -> None:
    ingest_raws(empty, [survey / "raw"], transfer="copy")
    refs = empty.query_datasets("raw", collections="QCam/raw/all")
    paths = [Path(empty.getURI(ref).ospath) for ref in refs]
    empty.pruneDatasets(refs, disassociate=True, unstore=True, purge=True)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half a file")
    assert ingest_raws(empty, [survey / "raw"], transfer="copy").new == 6
    assert {ref.id for ref in empty.query_datasets("raw", collections="QCam/raw/all")} == {ref.id for ref in refs}
    assert all(empty.get(ref).pixels.shape == CAMERA.detectors[0].raw_shape for ref in refs)


def test_wrong_raws_are_named_and_the_others_are_ingested(empty: Butler, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    good = write_exposure_files(raw, exposure(0))
    cut, text = write_exposure_files(raw, exposure(1))
    cut.write_bytes(cut.read_bytes()[:-3000])
    text.write_bytes(b"no FITS\n" * 999)
    swapped, kept = write_exposure_files(raw, exposure(2))
    shutil.copy(kept, swapped)
    other = write_exposure_files(tmp_path / "other", exposure(3), camera=make_camera(detectors=2, size=32))
    for path in other:
        path.rename(raw / path.name)
    (raw / "notes.fits").write_bytes(b"")
    beside = write_exposure_files(raw, exposure(4))[0].parent / f"{FIRST + 4}_dimensions.yaml"
    beside.write_text(beside.read_text().replace("exposure_time: 30.0", "exposure_time: 31.0"))
    unreadable = write_exposure_files(raw, exposure(5))[0].parent / f"{FIRST + 5}_dimensions.yaml"
    unreadable.write_text("data: [")
    copy = raw / "again" / good[0].name
    copy.parent.mkdir()
    shutil.copy(good[0], copy)

    report = ingest_raws(empty, [raw, tmp_path / "nowhere"])
    messages = said(report)
    for message in (
        f"{cut.name} is not a whole FITS image|{cut.name} is cut off",
        f"{text.name} is not a whole FITS image",
        f"{swapped.name}: the header says 1, the name of the file 0",
        f"{other[0].name} has 48 x 32 pixels; detector 0 has 128 x 64|{other[0].name} has",
        "notes.fits is not named as a raw file",
        "exposure has exposure_time 31.0; the headers say 30.0",
        f"{unreadable.name} holds no records of the Butler",
        "the same detector of the same exposure as",
        "nowhere: there is no such file or directory",
    ):
        assert re.search(message, messages), message + "\n" + messages
    assert len(report.problems) == 10
    refs = empty.query_datasets("raw", collections="QCam/raw/all")
    found = {(ref.dataId["exposure"] - FIRST, ref.dataId["detector"]) for ref in refs}
    assert found == {(0, 0), (0, 1), (2, 1)}
    assert report.new == 3

    # What was mended comes in by the next run.
    write_exposure_files(raw, exposure(1))
    assert ingest_raws(empty, [raw]).new == 2


def test_raws_without_records_beside_them_and_exposures_that_differ(empty: Butler, tmp_path: Path) -> None:
    first, _ = write_exposure_files(tmp_path / "raw", exposure(0))
    first.with_name(f"{FIRST}_dimensions.yaml").unlink()
    assert ingest_raws(empty, [first]).new == 1
    other = write_exposure_files(tmp_path / "other", exposure(0, band="z"))
    report = ingest_raws(empty, [other[1]])
    assert "is in the repository with physical_filter q_r; the files say q_z" in said(report)
    _, second = write_exposure_files(tmp_path / "raw", exposure(1))
    write_exposure_files(tmp_path / "other", exposure(1, band="z"))[1].replace(second)
    report = ingest_raws(empty, [second.parent])
    assert "of one exposure differ in physical_filter" in said(report)


def test_detectors_that_come_later_join_their_visit(empty: Butler, tmp_path: Path) -> None:
    first, _ = write_exposure_files(tmp_path / "raw", exposure(0))
    write_exposure_files(tmp_path / "raw", exposure(1))
    ingest_raws(empty, [first])
    assert define_visits(empty).new == 1
    (before,) = empty.query_dimension_records("visit", instrument="QCam")
    ingest_raws(empty, [tmp_path / "raw"])
    assert (define_visits(empty).new, define_visits(empty).kept) == (2, 2)
    after = empty.query_dimension_records("visit", instrument="QCam", visit=FIRST)[0]
    assert after.region.contains(before.region)
    assert not before.region.contains(after.region)
    found = empty.query_data_ids(["visit", "detector"], instrument="QCam", visit=FIRST)
    assert sorted(one["detector"] for one in found) == [0, 1]
    ra, dec = CAMERA.to_sky(CAMERA.detector(1), exposure(0).pointing, np.array([31.5]), np.array([31.5]))
    where = f"visit.region OVERLAPS POINT({ra[0]}, {dec[0]})"
    assert FIRST in [one["visit"] for one in empty.query_data_ids(["visit"], instrument="QCam", where=where)]


def test_visits_without_coordinates_are_left_out(empty: Butler, tmp_path: Path) -> None:
    write_exposure_files(tmp_path / "raw", exposure(0))
    lost = write_exposure_files(tmp_path / "raw", exposure(1))[0]
    raw = read_raw(lost, name="lost")
    write_raw(lost, RawImage(pixels=raw.pixels, header={k: v for k, v in raw.header.items() if k != "CTYPE1"}))
    ingest_raws(empty, [tmp_path / "raw"])
    report = define_visits(empty)
    assert report.new == 1
    assert f"exposure {FIRST + 1}" in said(report)
    assert "has no coordinates in its header" in said(report)


def test_calibrations_are_found_by_time(empty: Butler, survey: Path, tmp_path: Path) -> None:
    ingest_raws(empty, [survey / "raw"])
    places = {}
    for month, value in (("old", 1), ("new", 2)):
        places[month] = tmp_path / month
        places[month].mkdir()
        for detector in CAMERA.detectors:
            bias = random_exposure(value, shape=detector.shape, header={"DETECTOR": detector.id}, whole=False)
            write_exposure(bias, places[month] / f"bias_{detector.id:03d}.fits")
        write_exposure(random_exposure(9, shape=detector.shape, whole=False), places[month] / "flat_000_q_r.fits")
        defects = pa.table({name: pa.array([1, 5], pa.int64()) for name in ("x0", "y0", "width", "height")})
        pq.write_table(defects.replace_schema_metadata({"a": "b"}), places[month] / "defects_000.parquet")
    spans = {"old": validity(None, "2026-11-21T03:04:42"), "new": validity("2026-11-21T03:04:42", None)}
    for _ in range(2):
        for month, place in places.items():
            report = ingest_calibrations(empty, [place], label=month, timespan=spans[month])
            assert (said(report), report.new + report.kept) == ("", 4)
    arrange_collections(empty)
    for number, value in ((0, 1), (1, 2)):
        data_id = {"instrument": "QCam", "exposure": FIRST + number, "detector": 1}
        bias = empty.get("bias", data_id, collections="QCam/defaults")
        assert same_bits(bias.image, random_exposure(value, shape=CAMERA.detector(1).shape).image)
    defects = empty.get("defects", instrument="QCam", exposure=FIRST, detector=0, collections="QCam/defaults")
    assert list(defects["x0"]) == [1, 5]
    # Another bias for a time that has one is refused; the run of it can be certified for another time.
    report = ingest_calibrations(empty, [places["old"]], label="third", timespan=spans["old"])
    assert len(report.problems) == 4
    assert "bias" in said(report)
    assert "overlaps" in said(report)
    with pytest.raises(RepositoryError, match="of QCam/calib/old is valid"):
        certify_run(empty, "QCam/calib/third", spans["old"], types=["bias"])
    assert certify_run(empty, "QCam/calib/new", spans["new"]).kept == 4
    with pytest.raises(NotFoundError, match='no collection "QCam/calib/nwe"') as missing:
        certify_run(empty, "QCam/calib/nwe", spans["old"])
    assert missing.value.hint.startswith('Did you mean "QCam/calib/new"')
    assert missing.value.hint.endswith("`qserv pipeline show` lists them.")
    with pytest.raises(NotFoundError, match="has none of dark"):
        certify_run(empty, "QCam/calib/old", spans["old"], types=["dark"])


def test_wrong_calibrations_are_named(empty: Butler, tmp_path: Path) -> None:
    shape = CAMERA.detectors[0].shape
    for name, exposure_ in {
        "bias_001.fits": random_exposure(1, shape=shape, header={"DETECTOR": 0}, whole=False),
        "bias_007.fits": random_exposure(1, shape=shape, whole=False),
        "dark_000.fits": random_exposure(1, shape=(5, 5), whole=False),
        "flat_000.fits": random_exposure(1, shape=shape, whole=False),
        "dark_001_q_r.fits": random_exposure(1, shape=shape, whole=False),
        "gain_000.fits": random_exposure(1, shape=shape, whole=False),
    }.items():
        write_exposure(exposure_, tmp_path / name)
    pq.write_table(pa.table({"x0": [1]}), tmp_path / "defects_000.parquet")
    pq.write_table(
        pa.table({name: [1.5] for name in ("x0", "y0", "width", "height")}), tmp_path / "defects_001.parquet"
    )
    (tmp_path / "bias_000.fits").write_bytes(b"")
    report = ingest_calibrations(empty, [tmp_path], label="wrong", timespan=Timespan(None, None))
    assert report.new == 0
    for message in (
        "bias_001.fits: the header says detector 0",
        "has no detector 7",
        "dark_000.fits has the shape (5, 5)",
        "flat of the filter None",
        "dark_001_q_r.fits: only flats are of a filter",
        "gain_000.fits is not named as a calibration",
        'defects_000.parquet has no column "y0"',
        'defects_001.parquet: column "x0" is double, not int64',
        "bias_000.fits is not a whole FITS image",
    ):
        assert message in said(report)
    assert len(report.problems) == 9
    for begin, end, message in (("soon", None, '--begin "soon" is no time'), ("2026-12-01", "2026-11-01", "is empty")):
        with pytest.raises(ConfigError, match=message):
            validity(begin, end)
    assert validity("2026-11-20", None).begin == Time("2026-11-20", scale="tai")


def test_wrong_reference_shards_are_named(empty: Butler, tmp_path: Path) -> None:
    good = write_refcat(tmp_path, ra=(53.0, 53.3), dec=(-28.2, -28.0))
    pq.write_table(pa.table({"id": [1]}), tmp_path / "140000.parquet")
    pq.write_table(refcat_table(np.array([10.0]), np.array([np.nan])), tmp_path / "140001.parquet")
    pq.write_table(refcat_table(np.array([10.0]), np.array([20.0])).drop(["r_flux_error"]), tmp_path / "140002.parquet")
    (tmp_path / "140003.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "readme.parquet")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "7.parquet")
    report = ingest_refcats(empty, [tmp_path, tmp_path / "none"])
    assert report.new == len(good)
    for message in (
        '140000.parquet has no column "ra"',
        "140001.parquet: 1 rows are not in triangle 140001, the first is row 1 at 10.0, nan",
        "140002.parquet has no column r_flux_error",
        "140003.parquet is no Parquet file",
        "readme.parquet is not named after a triangle of HTM level 7",
        "7.parquet is not named after a triangle",
        "none: there is no such file or directory",
    ):
        assert message in said(report)
    assert len(report.problems) == 7
    again = ingest_refcats(empty, [tmp_path])
    assert (again.new, again.kept) == (0, len(good))


def test_ancillary_tables_are_of_the_instrument_or_of_an_image(empty: Butler, survey: Path, tmp_path: Path) -> None:
    ingest_raws(empty, [survey / "raw"])
    tables = tmp_path / "tables"
    (tables / "sources").mkdir(parents=True)
    table = pa.table({"id": [1, 2]})
    for name in (
        "objects",
        "a-b",
        f"sources/{FIRST}_000",
        f"sources/{FIRST}_009",
        "sources/2000010100001_000",
        "sources/x",
    ):
        pq.write_table(table, tables / f"{name}.parquet")
    (tables / "broken.parquet").write_bytes(b"")
    report = ingest_ancillary(empty, tables)
    assert (report.new, len(report.problems)) == (2, 5)
    for message in (
        '"truth_a-b" cannot be the name of a dataset type',
        "broken.parquet is no Parquet file",
        "QCam has no detector 9",
        "the repository has no exposure 2000010100001",
        "x.parquet is not named after an image",
    ):
        assert message in said(report)
    run = "QCam/ancillary/truth"
    assert list(empty.get("truth_objects", instrument="QCam", collections=run)["id"]) == [1, 2]
    assert len(empty.get("truth_sources", instrument="QCam", exposure=FIRST, detector=0, collections=run)) == 2
    again = ingest_ancillary(empty, tables)
    assert (again.new, again.kept, len(again.problems)) == (0, 2, 5)
    assert "there is no such directory" in said(ingest_ancillary(empty, tmp_path / "none"))


def test_another_camera_needs_a_word(empty: Butler, tmp_path: Path) -> None:
    assert register_instrument(empty).kept == len(CAMERA.detectors)
    more = make_camera(detectors=3, size=64)
    with pytest.raises(RepositoryError, match="the repository has another QCam") as caught:
        register_instrument(empty, more)
    assert "--update" in caught.value.hint
    assert register_instrument(empty, more, update=True).new == 1
    assert registered_camera(empty) == more
    (tmp_path / "camera.json").write_text(more.to_json())
    assert read_camera(tmp_path / "camera.json") == more
    (tmp_path / "other.yaml").write_text("a: 1\n")
    with pytest.raises(Exception, match="describes no camera"):
        read_camera(tmp_path / "other.yaml")
    with pytest.raises(NotFoundError, match="there is no file"):
        read_camera(tmp_path / "none.json")


def test_a_sky_map_keeps_its_name(empty: Butler) -> None:
    around = [(10.0, 0.0, 0.5)]
    first = register_skymap(empty, SkyMap(name="s", tract_order=4, patch_order=5), around=around)
    assert first.new >= 1
    assert register_skymap(empty, SkyMap(name="s", tract_order=4, patch_order=5), around=around).kept == first.new
    with pytest.raises(RepositoryError, match='another sky map "s"'):
        register_skymap(empty, SkyMap(name="s", tract_order=4, patch_order=6))
    patches = empty.query_dimension_records("patch", skymap="s")
    assert len(patches) == 4 * first.new
    assert {(patch.cell_x, patch.cell_y) for patch in patches} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_arranging_keeps_what_somebody_chained(empty: Butler) -> None:
    arrange_collections(empty)
    empty.collections.register("u/me")
    empty.collections.prepend_chain("QCam/defaults", "u/me")
    arrange_collections(empty)
    assert empty.collections.get_info("QCam/defaults").children == (
        "QCam/raw/all",
        "QCam/calib",
        "refcats",
        "skymaps",
        "u/me",
    )


def test_status_counts(butler: Butler) -> None:
    status = repository_status(butler)
    by_name = {one.name: one for one in status.collections}
    assert (status.exposures, status.visits) == (4, 3)
    assert by_name["QCam/raw/all"].datasets == {"raw": 8}
    assert by_name["QCam/calib"].datasets == {"camera": 1, "defects": 1}
    assert by_name["QCam/defaults"].children == ("QCam/raw/all", "QCam/calib", "refcats", "skymaps")
    assert {one.name for one in status.last_runs} == {
        "QCam/raw/all",
        "QCam/calib/unbounded",
        "QCam/calib/survey",
        "refcats/qcam_ref",
        "skymaps",
        "QCam/ancillary/truth",
    }


def test_repositories_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no Butler repository"), opened(str(tmp_path / "none")):
        pass
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(RepositoryError, match="is not empty and no Butler repository"):
        create_repository(str(tmp_path / "full"))
    with pytest.raises(ConfigError, match="takes a name with a dot for a file"):
        create_repository(str(tmp_path / "repo.v1"))
    with pytest.raises(ConfigError, match="needs its registry on PostgreSQL"):
        create_repository("s3://bucket/repo")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "butler.yaml").write_text("datastore: {}\n")
    with pytest.raises(RepositoryError, match="does not know the storage class"):
        create_repository(str(tmp_path / "broken"))
    (tmp_path / "made").mkdir()
    assert create_repository(str(tmp_path / "made")).new == 1
    (tmp_path / "made" / "gen3.sqlite3").write_bytes(b"")
    with pytest.raises(RepositoryError, match="cannot be opened"), opened(str(tmp_path / "made")):
        pass
    create_repository(str(tmp_path / "bare"))
    with (
        opened(str(tmp_path / "bare"), writeable=True) as butler,
        pytest.raises(NotFoundError, match="knows no instrument"),
    ):
        ingest_raws(butler, [tmp_path])
    with pytest.raises(NotFoundError, match="there is no directory"):
        list(init_repository(Place(root=str(tmp_path / "x")), survey=tmp_path / "none"))


def test_a_repository_on_postgresql(postgres_server: TestServer, survey: Path, tmp_path: Path) -> None:
    conninfo = conninfo_to_dict(postgres_server.create_database())
    query = {key: str(conninfo[key]) for key in ("host", "port", "passfile")}
    url = f"postgresql://{conninfo['user']}@/{conninfo['dbname']}?{urlencode(query)}"
    root = tmp_path / "repo"
    place = Place(root=str(root), registry=url, namespace="rubin_survey")
    for round_ in range(2):
        reports = list(init_repository(place, survey=survey))
        assert "".join(map(said, reports)) == ""
        assert all(report.new == 0 for report in reports) == (round_ == 1)
    assert "test" not in re.findall(r"(?m)^  db: (.*)$", (root / "butler.yaml").read_text())[0].split("passfile")[0]
    with opened(str(root)) as butler:
        visits = butler.query_data_ids(["visit"], instrument="QCam", where="visit.region OVERLAPS POINT(53.123, -28.1)")
        assert [one["visit"] for one in visits] == [FIRST]
        assert butler.get("camera", instrument="QCam", exposure=FIRST, collections="QCam/defaults") == CAMERA
    made = contents(root)

    # A run that was killed while the registry's tables were being made is begun again, by the comment on the schema.
    with psycopg.connect(postgres_server.conninfo, dbname=str(conninfo["dbname"]), autocommit=True) as connection:
        connection.execute(f"COMMENT ON SCHEMA \"rubin_survey\" IS '{UNFINISHED}'")
        connection.execute('DROP TABLE "rubin_survey".butler_attributes CASCADE')
    list(init_repository(place, survey=survey))
    assert contents(root) == made

    # A schema or a directory that belongs to another repository is left alone.
    with pytest.raises(RepositoryError, match="has tables, but not of this repository"):
        create_repository(str(tmp_path / "other"), registry=url, namespace="rubin_survey")
    with pytest.raises(RepositoryError, match="is a repository with --namespace rubin_survey, not second"):
        create_repository(str(root), registry=url, namespace="second")
    assert create_repository(str(tmp_path / "other"), registry=url, namespace="second").new == 1
    assert contents(root) == made


def test_a_registry_that_does_not_answer_or_says_its_password(tmp_path: Path) -> None:
    place = str(tmp_path / "repo")
    for url in ("postgresql://me:secret@host/db", "postgresql://me@host/db?password=secret"):
        with pytest.raises(ConfigError, match="no password in it") as caught:
            create_repository(place, registry=url)
        assert "secret" not in caught.value.render()
    for url in ("mysql://host/db", "host"):
        with pytest.raises(ConfigError, match="can be on PostgreSQL, not"):
            create_repository(place, registry=url)
    with pytest.raises(ConfigError, match='schema "Rubin survey"'):
        create_repository(place, registry="postgresql://host/db", namespace="Rubin survey")
    with pytest.raises(RepositoryError, match="does not answer"):
        create_repository(place, registry=f"postgresql://me@127.0.0.1:{free_port()}/db")
    assert not (tmp_path / "repo").exists()


def test_files_in_an_object_store(survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.delenv("S3_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="survey")
        place = Place(root=str(tmp_path / "repo"), datastore="s3://survey/files")
        for _ in range(2):
            reports = list(init_repository(place, survey=survey, transfer="copy"))
            assert "".join(map(said, reports)) == ""
        keys = [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket="survey")["Contents"]]
        assert len([key for key in keys if key.endswith(".fits")]) == 8
        with opened(str(tmp_path / "repo"), writeable=True) as butler:
            whole = random_exposure(1, shape=(300, 400))
            kind = DatasetType("picture", ("instrument",), "QExposure", universe=butler.dimensions)
            butler.registry.registerDatasetType(kind)
            butler.collections.register("u/me")
            ref = butler.put(whole, kind, instrument="QCam", run="u/me")
            assert str(butler.getURI(ref)).startswith("s3://survey/files/")
            box = butler.get(ref, parameters={"bbox": (10, 20, 30, 50)})
            assert same_bits(box.image, whole.image[20:50, 10:30].copy())
            assert butler.get(ref.makeComponentRef("header")) == whole.header
            assert same_bits(butler.get(ref).mask, whole.mask)
