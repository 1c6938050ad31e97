"""A survey on disk: the same bytes however it is made, gone on with after kills, refused where it does not belong."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.coordinates import SkyCoord
from support import simulated
from support.simulated import SMALL, files_of

from qserv_py.errors import ConfigError, PipelineError
from qserv_py.pipelines.images.fits_file import read_raw
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.instrument.plain import from_plain
from qserv_py.pipelines.instrument.raws import dimensions_path, parse_raw_name
from qserv_py.pipelines.survey import run
from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.htm import trixels_of
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.run import SurveyProgress, simulate_survey
from qserv_py.pipelines.survey.sky import places_at

IMAGES = 20


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small survey, made by one process."""
    directory = tmp_path_factory.mktemp("survey") / "whole"
    summary = simulate_survey(SMALL, directory)
    assert (summary.visits, summary.calibrations, summary.images, summary.kept) == (3, 7, IMAGES, 0)
    return directory


def copy_of(survey: Path, directory: Path) -> Path:
    shutil.copytree(survey, directory)
    return directory


def test_two_processes_make_the_same_bytes_as_one(survey: Path, tmp_path: Path) -> None:
    seen: list[SurveyProgress] = []
    simulate_survey(SMALL, tmp_path / "other", processes=2, progress=seen.append)
    assert files_of(tmp_path / "other") == files_of(survey)
    assert [one.done for one in seen] == list(range(IMAGES + 1))
    assert {one.total for one in seen} == {IMAGES}


def test_raws_are_laid_out_and_say_what_they_are(survey: Path) -> None:
    raws = sorted(survey.glob("*/QCam/*/*/*.fits"))
    assert len(raws) == IMAGES
    camera = from_plain(Camera, yaml.safe_load((survey / "survey.yaml").read_text())["camera"], place="survey.yaml")
    assert camera == SMALL.camera()
    for path in raws:
        raw = read_raw(path, name=path.name)
        info = ExposureInfo.of_cards(raw.header, place=str(path))
        assert parse_raw_name(path) == (info.instrument, info.exposure, raw.header["DETECTOR"])
        assert path.parts[-5] == ("raw" if info.kind == "science" else "calib")
        assert path.parts[-3:-1] == (str(info.day_obs), str(info.exposure))
        assert raw.pixels.shape == camera.detector(int(raw.header["DETECTOR"])).raw_shape
        assert dimensions_path(path.parents[3], "QCam", info.exposure).exists()
    assert {path.name for path in survey.iterdir()} == {
        "raw",
        "calib",
        "refcats",
        "truth",
        "survey.yaml",
    }


def test_truth_is_of_every_image_and_of_the_whole(survey: Path) -> None:
    truth = survey / "truth"
    objects = pq.read_table(truth / "objects.parquet")
    sources = pq.read_table(truth / "sources")
    simulator = Simulator(SMALL)
    assert objects.num_rows == len(simulator.objects)
    assert set(objects["kind"].to_pylist()) == {"star", "galaxy", "transient", "moving"}
    assert set(sources["object_id"].to_pylist()) <= set(objects["object_id"].to_pylist())
    visits = pq.read_table(truth / "visits.parquet").to_pylist()
    assert set(sources["exposure"].to_pylist()) == {row["visit"] for row in visits}
    rows = pq.read_table(truth / "visit_detectors.parquet").to_pylist()
    assert len(rows) == 6
    for row in rows:  # the coordinates in the table are those of the sources
        there = sources.filter(
            (sources["exposure"].to_numpy() == row["visit"]) & (sources["detector"].to_numpy() == row["detector"])
        )
        u, v = there["x"].to_numpy() - row["x0"], there["y"].to_numpy() - row["y0"]
        side = row["sip_order"] + 1
        a, b = (np.reshape(row[name], (side, side)) for name in ("sip_a", "sip_b"))
        u, v = u + np.polynomial.polynomial.polyval2d(u, v, a), v + np.polynomial.polynomial.polyval2d(u, v, b)
        xi = row["cd1_1"] * u + row["cd1_2"] * v
        eta = row["cd2_1"] * u + row["cd2_2"] * v
        middle = SkyCoord(row["ra0"], row["dec0"], unit="deg")
        places = SkyCoord(there["ra"].to_numpy(), there["dec"].to_numpy(), unit="deg")
        np.testing.assert_allclose(
            middle.separation(places).deg, np.degrees(np.arctan(np.radians(np.hypot(xi, eta)))), atol=1e-9
        )
        ratio = there["electrons"].to_numpy() / 10 ** (-0.4 * (there["mag"].to_numpy() - row["zero_point"]))
        np.testing.assert_allclose(ratio, 1, rtol=1e-9)
    hits = pq.read_table(truth / "cosmic_rays")
    assert hits.schema.metadata  # without, the Butler's formatter cannot count rows
    assert hits.num_rows > 0
    assert set(pq.read_table(truth / "defects.parquet")["detector"].to_pylist()) == {0, 1}
    assert pq.read_table(truth / "amplifiers.parquet").num_rows == 4


def test_references_are_stars_of_the_sky_with_errors(survey: Path) -> None:
    files = sorted((survey / "refcats" / "htm7").glob("*.parquet"))
    assert files
    pulls = []
    objects = Simulator(SMALL).objects
    for path in files:
        table = pq.read_table(path)
        ra, dec = table["ra"].to_numpy(), table["dec"].to_numpy()
        assert set(trixels_of(ra, dec, level=7).tolist()) == {int(path.stem)}
        stars = objects[np.searchsorted(objects["object_id"], table["id"].to_numpy())]
        true = SkyCoord(*places_at(stars, 57388.5), unit="deg")
        away = true.separation(SkyCoord(ra, dec, unit="deg")).mas
        pulls += list(away / 5.0)
        np.testing.assert_allclose(table["r_flux"], 10 ** (-0.4 * (stars["r_mag"] - 31.4)), rtol=0.03)
        assert table["epoch_mjd"].to_pylist() == [57388.5] * len(stars)
    assert np.sqrt(np.mean(np.square(pulls)) / 2) == pytest.approx(1, abs=0.25)


def test_what_is_there_is_kept_and_what_is_missing_is_made(survey: Path, tmp_path: Path) -> None:
    directory = copy_of(survey, tmp_path / "part")
    raws = sorted(directory.glob("*/QCam/*/*/*.fits"))
    for path in raws[::3]:
        path.unlink()
    next(directory.glob("raw/QCam/*/*/*_dimensions.yaml")).unlink()
    (directory / "truth" / "visits.parquet").unlink()
    next((directory / "refcats" / "htm7").iterdir()).unlink()
    next((directory / "truth" / "sources").glob(f"{parse_raw_name(raws[4])[1]}_*")).unlink()
    raws[5].write_bytes(raws[5].read_bytes()[:2880])
    half = raws[0].with_name(f".{raws[0].name}.0123456789ab")  # of a process that was killed
    half.write_bytes(b"half")
    kept = raws[1].stat().st_mtime_ns
    summary = simulate_survey(SMALL, directory)
    assert summary.kept == IMAGES - len(raws[::3]) - 2
    assert raws[1].stat().st_mtime_ns == kept
    assert files_of(directory) == files_of(survey)
    assert simulate_survey(SMALL, directory, processes=4).kept == IMAGES


def test_a_killed_survey_is_gone_on_with(survey: Path, tmp_path: Path) -> None:
    directory, images = tmp_path / "killed", 4
    child = subprocess.Popen([sys.executable, simulated.__file__, str(directory)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        while int(child.stdout.readline()) < images:
            pass
        child.kill()
    with released(directory):
        left = files_of(directory)
        assert any(name.endswith(".fits") for name in left)
        raws = [name for name in left if name.endswith(".fits") and not Path(name).name.startswith(".")]
        assert len(raws) < IMAGES
        whole = files_of(survey)
        assert all(left[name] == whole[name] for name in raws)
    summary = simulate_survey(SMALL, directory)
    assert images <= summary.kept < IMAGES
    assert files_of(directory) == files_of(survey)


@contextmanager
def released(directory: Path) -> Iterator[None]:
    """Wait until the processes of a killed survey have ended: they may finish the images they are at."""
    time.sleep(0.5)
    deadline = time.monotonic() + 20
    before = files_of(directory)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = files_of(directory)
        if now == before:
            break
        before = now
    yield


def test_an_interrupt_leaves_whole_images(survey: Path, tmp_path: Path) -> None:
    directory = tmp_path / "interrupted"
    child = subprocess.Popen(
        [sys.executable, simulated.__file__, str(directory)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    with child:
        while int(child.stdout.readline()) < 2:
            pass
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
    left, whole = files_of(directory), files_of(survey)
    assert left.keys() < whole.keys()
    assert all(left[name] == whole[name] for name in left)


def test_another_survey_is_refused_with_what_differs(survey: Path) -> None:
    with pytest.raises(ConfigError, match="holds another survey: it has visits 3, not 5, seed 1, not 7"):
        simulate_survey(replace(SMALL, visits=5, seed=7), survey)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense: [", "is no YAML"),
        ("a: 1", "is no survey"),
        ("{version: 99, request: {}, camera: {}}", "is of version 99 of the simulation"),
        ("{version: 1, request: {visits: many}, camera: {}}", "visits: 'many' is no whole number"),
        ("{version: 1, request: {visits: -1}, camera: {}}", "a survey with visits -1"),
        ("", "is no survey"),
    ],
)
def test_a_broken_description_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "survey.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        simulate_survey(SMALL, tmp_path)


def test_directories_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="is not empty and holds no survey"):
        simulate_survey(SMALL, tmp_path)
    with pytest.raises(ConfigError, match="cannot be made a directory of a survey"):
        simulate_survey(SMALL, tmp_path / "thesis.tex")
    assert files_of(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_in_the_way_is_named(survey: Path, tmp_path: Path) -> None:
    directory = copy_of(survey, tmp_path / "blocked")
    shutil.rmtree(directory / "raw")
    (directory / "raw").write_text("in the way")
    for processes in (1, 2):
        with pytest.raises(ConfigError, match=r"blocked/raw.* cannot be written: (Not a directory|File exists)"):
            simulate_survey(SMALL, directory, processes=processes)


def test_two_at_a_time_in_one_directory_are_refused(survey: Path) -> None:
    handle = os.open(survey, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process makes the survey"):
            simulate_survey(SMALL, survey)
    finally:
        os.close(handle)


def test_a_survey_that_does_not_fit_on_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(run.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ConfigError, match=r"20 images need 0\.0 GB, and .* has room for 0\.0 GB"):
        simulate_survey(SMALL, tmp_path / "big")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"bands": ""}, 'bands ""'),
        ({"bands": "gg"}, 'bands "gg"'),
        ({"bands": "gx"}, "each of ugrizy once"),
        ({"detectors": 190}, "QCam with detectors 190"),
        ({"visits": -1}, "a survey with visits -1"),
        ({"dec": 91.0}, "a survey with dec 91.0"),
        ({"ra": float("nan")}, "a survey with ra nan"),
        ({"exposure_s": 0.0}, "a survey with exposure_s 0.0"),
        ({"first_night": "tomorrow"}, 'first night "tomorrow" is no date'),
        ({"seed": -1}, "a survey with seed -1"),
        ({"visits": 30, "visits_a_night": 20, "exposure_s": 1800.0}, r"20 visits of 1800 s take 10\.0 hours"),
    ],
)
def test_impossible_wishes_are_refused(wish: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_survey(replace(SMALL, **wish), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_odd_surveys_can_be_made(tmp_path: Path) -> None:
    bare = replace(SMALL, visits=0, biases=0, darks=0, flats=0)
    assert simulate_survey(bare, tmp_path / "nothing", processes=2).images == 0
    dark = replace(SMALL, visits=1, detectors=1, biases=0, darks=0, flats=0, stars_per_deg2=0, galaxies_per_deg2=0)
    dark = replace(dark, transients_per_deg2=0, moving_per_deg2=0, dec=90.0, cosmic_rays_per_cm2_s=0)
    assert simulate_survey(dark, tmp_path / "empty sky").images == 1
    assert pq.read_table(tmp_path / "empty sky" / "truth" / "sources").num_rows == 0


def test_a_killed_worker_is_said_to_be_killed(tmp_path: Path) -> None:
    def kill(progress: SurveyProgress) -> None:
        if progress.done == 1:
            import multiprocessing

            multiprocessing.active_children()[0].kill()

    with pytest.raises(PipelineError, match="a process that made images was killed"):
        simulate_survey(SMALL, tmp_path / "s", processes=2, progress=kill)
    assert simulate_survey(SMALL, tmp_path / "s").images == IMAGES


def test_a_request_comes_back_from_its_description() -> None:
    other = SurveyRequest(visits=7, bands="uy", ra=0.5, first_night="2027-01-01")
    assert SurveyRequest.from_yaml(other.to_yaml()) == other
    assert other.differences(replace(other, visits=8)) == "visits 7, not 8"
