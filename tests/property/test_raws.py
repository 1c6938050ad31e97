"""Raw files and exposures: any that can be is read back equal, any damage is noticed or does no harm."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.images.fits_file import read_raw
from qserv_py.pipelines.instrument import raws
from qserv_py.pipelines.instrument.camera import Camera, Pointing
from qserv_py.pipelines.instrument.exposures import EXPOSURES_A_DAY, KINDS, ExposureInfo, day_of
from qserv_py.pipelines.instrument.layout import make_camera

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="&"), min_size=1, max_size=40)
CAMERA = make_camera(detectors=2, size=24, amplifiers=3)

INFO = ExposureInfo(
    instrument="QCam",
    exposure=2026112000001,
    kind="science",
    physical_filter="q_r",
    band="r",
    exposure_s=30.0,
    dark_s=32.0,
    begin=datetime(2026, 11, 21, 3),
    pointing=Pointing(ra=10.0, dec=-20.0, rotation_deg=30.0),
    azimuth_deg=0.0,
    altitude_deg=80.0,
    airmass=1.01,
    target="field",
    program="survey",
    reason="science",
    simulated=True,
)


@st.composite
def exposures(draw: st.DrawFn) -> ExposureInfo:
    """What a telescope may write down; numbers have as many digits as a card has room for."""
    begin = datetime(2026, 1, 1) + timedelta(microseconds=draw(st.integers(0, 10**14)))
    number = draw(st.integers(1, EXPOSURES_A_DAY - 1))

    def angle(low: float, high: float) -> float:
        return round(draw(st.floats(low, high)), 9)

    return ExposureInfo(
        instrument="QCam",
        exposure=day_of(begin) * EXPOSURES_A_DAY + number,
        kind=draw(st.sampled_from(KINDS)),
        physical_filter="q_r",
        band="r",
        exposure_s=angle(0, 3600),
        dark_s=angle(0, 3600),
        begin=begin,
        pointing=Pointing(ra=angle(0, 359.9), dec=angle(-90, 90), rotation_deg=angle(-360, 360)),
        azimuth_deg=angle(0, 360),
        altitude_deg=angle(-90, 90),
        airmass=angle(1, 40),
        target=draw(TEXTS),
        program=draw(TEXTS),
        reason=draw(TEXTS),
        simulated=draw(st.booleans()),
    )


def a_raw(info: ExposureInfo, seed: int) -> RawImage:
    detector = CAMERA.detectors[seed % 2]
    pixels = np.random.default_rng(seed).integers(0, 65536, detector.raw_shape, dtype=np.uint16)
    return RawImage(pixels=pixels, header=raws.raw_header(CAMERA, detector, info))


@given(exposures(), st.integers(0, 9))
def test_any_exposure_is_read_back(info: ExposureInfo, seed: int) -> None:
    raw = a_raw(info, seed)
    with tempfile.TemporaryDirectory() as directory:
        path = raws.raw_path(Path(directory), info.instrument, info.exposure, seed)
        raws.write_raw(path, raw)
        back = read_raw(path, name="raw.fits")
        assert raws.parse_raw_name(path) == ("QCam", info.exposure, seed)
    np.testing.assert_array_equal(back.pixels, raw.pixels)
    assert ExposureInfo.of_cards(back.header) == info
    assert back.header == raw.header


@given(st.integers(0, 2**32), st.integers(1, 255), st.booleans())
def test_any_damage_is_noticed_or_does_no_harm(where: int, change: int, cut: bool) -> None:
    raw = a_raw(INFO, 1)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "raw.fits"
        raws.write_raw(path, raw)
        content = bytearray(path.read_bytes())
        at = where % len(content)
        content[at] ^= change
        path.write_bytes(content[:at] if cut else content)
        try:
            back = read_raw(path, name="raw.fits")
        except ImageFileError:
            return
    np.testing.assert_array_equal(back.pixels, raw.pixels)


@given(st.integers(1, 30), st.integers(16, 200), st.integers(1, 64), st.integers(1, 40), st.floats(0, 0.01))
def test_any_camera_is_read_back(detectors: int, size: int, amplifiers: int, overscan: int, crosstalk: float) -> None:
    camera = make_camera(
        detectors=detectors,
        size=size,
        amplifiers=min(amplifiers, size // 8),
        overscan=overscan,
        crosstalk=crosstalk,
    )
    assert Camera.from_json(camera.to_json()) == camera
