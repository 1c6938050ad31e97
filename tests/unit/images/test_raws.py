"""Raw files: what was written is read back, in Python and by the Butler; damaged and foreign files are refused."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.images.fits_file import read_raw
from qserv_py.pipelines.instrument import raws
from qserv_py.pipelines.instrument.camera import Pointing
from qserv_py.pipelines.instrument.exposures import KINDS, ExposureInfo, dimension_records, mjd
from qserv_py.pipelines.instrument.layout import make_camera

CAMERA = make_camera(detectors=2, size=40)
INFO = ExposureInfo(
    instrument="QCam",
    exposure=2026112000007,
    kind="science",
    physical_filter="q_r",
    band="r",
    exposure_s=30.0,
    dark_s=32.5,
    begin=datetime(2026, 11, 21, 3, 4, 5, 678901),
    pointing=Pointing(ra=150.1, dec=2.25, rotation_deg=-31.5),
    azimuth_deg=12.0,
    altitude_deg=61.0,
    airmass=1.143,
    target="field",
    program="survey",
    reason="science",
    simulated=True,
)


def a_raw(detector: int = 0, info: ExposureInfo = INFO) -> RawImage:
    chosen = CAMERA.detector(detector)
    pixels = np.random.default_rng(detector).integers(0, 65536, chosen.raw_shape, dtype=np.uint16)
    return RawImage(pixels=pixels, header=raws.raw_header(CAMERA, chosen, info))


def test_a_raw_is_read_back(tmp_path: Path) -> None:
    raw, path = a_raw(1), raws.raw_path(tmp_path / "raw", "QCam", INFO.exposure, 1)
    raws.write_raw(path, raw)
    back = read_raw(path, name="raw")
    np.testing.assert_array_equal(back.pixels, raw.pixels)
    assert back.pixels.dtype == np.uint16
    assert list(back.header) == list(raw.header)
    assert back.header == raw.header
    assert ExposureInfo.of_cards(back.header) == INFO
    assert str(path.relative_to(tmp_path)) == "raw/QCam/20261120/2026112000007/QCam_2026112000007_001.fits"
    assert raws.parse_raw_name(path) == ("QCam", INFO.exposure, 1)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    with fits.open(path) as file:
        file.verify("exception")


def test_the_same_raw_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        raws.write_raw(tmp_path / name, a_raw())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_of_an_exposure_is_read_back_from_its_cards(kind: str) -> None:
    info = dataclasses.replace(INFO, kind=kind)
    header = raws.raw_header(CAMERA, CAMERA.detectors[0], info)
    assert ExposureInfo.of_cards(header) == info
    assert ("CRVAL1" in header) == (kind == "science")


def test_the_header_has_the_telescopes_guess_of_the_coordinates() -> None:
    detector = CAMERA.detectors[0]
    header = fits.Header(raws.raw_header(CAMERA, detector, INFO))
    x, y = np.array([0.0, 39.0]), np.array([5.0, 30.0])
    sky = WCS(header).pixel_to_world(x, y)
    np.testing.assert_allclose((sky.ra.deg, sky.dec.deg), CAMERA.wcs(detector, INFO.pointing).to_sky(x, y), atol=1e-10)


def test_times_are_those_of_astropy() -> None:
    assert mjd(INFO.begin) == pytest.approx(Time(INFO.begin.isoformat(), scale="tai").mjd, abs=1e-11)
    assert INFO.cards()["DATE-END"] == "2026-11-21T03:04:38.178901"
    assert (INFO.day_obs, INFO.seq_num) == (20261120, 7)


@pytest.mark.parametrize(
    ("card", "value", "message"),
    [
        ("EXPID", None, "raw: EXPID is missing"),
        ("EXPID", "2026112000007", "EXPID is '2026112000007'"),
        ("EXPID", 2026112100007, "EXPID is 2026112100007"),
        ("IMGTYPE", "object", "IMGTYPE is 'object'"),
        ("DATE-BEG", "yesterday", "DATE-BEG is 'yesterday'"),
        ("TIMESYS", "UTC", "TIMESYS is 'UTC'"),
        ("RA", 400.0, "RA is 400.0"),
        ("DEC", True, "DEC is True"),
        ("AIRMASS", 0, "AIRMASS is 0"),
        ("SIMULATE", 1, "SIMULATE is 1"),
    ],
)
def test_wrong_cards_are_named(card: str, value: str | float | None, message: str) -> None:
    cards = dict(INFO.cards())
    if value is None:
        del cards[card]
    else:
        cards[card] = value
    with pytest.raises(ImageFileError, match=message):
        ExposureInfo.of_cards(cards, place="raw")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "QCam_2026112000007_000.fits"
    raws.write_raw(path, a_raw())
    whole = path.read_bytes()
    for name, content in {
        "empty": b"",
        "text": b"no FITS at all\n" * 500,
        "cut": whole[:-2880],
        "half a header": whole[:1000],
        "a bit": whole[:-5000] + bytes([whole[-5000] ^ 1]) + whole[-4999:],
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageFileError, match=name):
            read_raw(tmp_path / name, name=name)
    with pytest.raises(ImageFileError, match="there is no file none.fits"):
        read_raw(tmp_path / "none.fits", name="none.fits")
    with pytest.raises(ImageFileError, match="a directory is not a whole FITS image"):
        read_raw(tmp_path, name="a directory")


def test_other_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cube.fits"
    fits.PrimaryHDU(np.zeros((2, 3, 4), np.float32)).writeto(path)
    with pytest.raises(ImageFileError, match="cube has no HDU with rows of pixels"):
        read_raw(path, name="cube")
    fits.PrimaryHDU().writeto(path, overwrite=True)
    with pytest.raises(ImageFileError, match="nothing has no HDU with rows of pixels"):
        read_raw(path, name="nothing")


@pytest.mark.parametrize("name", ["x.fits", "QCam_1_0.fits", "QCam_2026112000007_001.fits.fz"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ImageFileError, match="is not named as a raw file"):
        raws.parse_raw_name(Path(name))


@pytest.mark.parametrize("kind", ["science", "dark"])
@pytest.mark.filterwarnings("ignore")
def test_the_butler_imports_the_dimension_records(kind: str, tmp_path: Path) -> None:
    butlers = pytest.importorskip("lsst.daf.butler")
    repository = str(tmp_path / "repository")
    butlers.Butler.makeRepo(repository)
    butler = butlers.Butler.from_config(repository, writeable=True)
    instrument = {"name": "QCam", "visit_max": 2**62, "exposure_max": 2**62, "detector_max": 200, "class_name": "x.Y"}
    butler.registry.insertDimensionData("instrument", instrument)
    butler.registry.insertDimensionData("physical_filter", {"instrument": "QCam", "name": "q_r", "band": "r"})
    info = dataclasses.replace(INFO, kind=kind)
    raws.write_dimensions(tmp_path, info)
    path = raws.dimensions_path(tmp_path, "QCam", info.exposure)
    assert path.read_text() == dimension_records(info)
    butler.import_(filename=str(path))
    butler.import_(filename=str(path))  # again, as two detectors of one exposure may
    (record,) = butler.query_dimension_records("exposure", instrument="QCam", exposure=info.exposure)
    assert (record.observation_type, record.seq_num, record.day_obs) == (kind, 7, 20261120)
    assert record.tracking_ra == (150.1 if kind == "science" else None)
    assert record.timespan.begin.isot == "2026-11-21T03:04:05.678901"
    (day,) = butler.query_dimension_records("day_obs", instrument="QCam")
    assert day.timespan.begin <= record.timespan.begin < day.timespan.end
