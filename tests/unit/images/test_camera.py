"""The camera's description: round trip, hostile descriptions, and where its detectors look."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from qserv_py.errors import ConfigError, NotFoundError
from qserv_py.pipelines.instrument.camera import Camera, Pointing
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.kernels.isr import remove_signature

SKY = Pointing(ra=359.95, dec=-71.3, rotation_deg=203.0)


@pytest.mark.parametrize(
    ("detectors", "size", "amplifiers"), [(1, 64, 1), (4, 2048, 2), (5, 100, 3), (9, 129, 16), (189, 512, 4)]
)
def test_a_description_comes_back_equal_from_json(detectors: int, size: int, amplifiers: int) -> None:
    camera = make_camera(detectors=detectors, size=size, amplifiers=amplifiers, crosstalk=1e-4)
    assert len(camera.detectors) == detectors
    assert Camera.from_json(camera.to_json()) == camera
    assert make_camera(detectors=detectors, size=size, amplifiers=amplifiers, crosstalk=1e-4) == camera


@pytest.mark.parametrize("detectors", [2, 4, 21, 189])
def test_detectors_do_not_overlap_in_the_focal_plane(detectors: int) -> None:
    size = 1000
    camera = make_camera(detectors=detectors, size=size)
    middles = np.array([(one.focal_x, one.focal_y) for one in camera.detectors])
    apart = np.abs(middles[:, None] - middles).max(axis=2)
    assert apart[~np.eye(detectors, dtype=bool)].min() > size
    assert abs(middles.mean(axis=0)).max() < size


@pytest.mark.parametrize("amplifiers", [1, 2, 3, 8])
def test_amplifiers_bring_every_pixel_to_its_place(amplifiers: int) -> None:
    detector = make_camera(detectors=1, size=70, amplifiers=amplifiers, overscan=3).detectors[0]
    truth = np.arange(4900, dtype=np.float32).reshape(70, 70) % 251
    raw = np.zeros(detector.raw_shape, np.uint16)
    for one in detector.readouts:
        part = truth[one.out_y : one.out_y + one.height, one.out_x : one.out_x + one.width]
        part = part[:: -1 if one.flip_y else 1, :: -1 if one.flip_x else 1]
        raw[one.raw_y : one.raw_y + one.height, one.raw_x : one.raw_x + one.width] = part
    image = remove_signature(raw, detector.readouts, shape=detector.shape).image
    gains = np.empty(detector.shape)
    for one in detector.readouts:
        gains[one.out_y : one.out_y + one.height, one.out_x : one.out_x + one.width] = one.gain
    np.testing.assert_allclose(image / gains, truth, rtol=1e-3)  # what is left is the linearity


@pytest.mark.parametrize(
    ("detectors", "pointing"), [(4, SKY), (189, SKY), (9, Pointing(ra=10, dec=89.99, rotation_deg=5))]
)
def test_the_coordinates_follow_the_optics_to_a_microarcsecond(detectors: int, pointing: Pointing) -> None:
    camera = make_camera(detectors=detectors)
    random = np.random.default_rng(1)
    for detector in camera.detectors[:: max(1, detectors // 9)]:
        x, y = random.uniform(-0.5, 2047.5, (2, 300))
        exact = SkyCoord(*camera.to_sky(detector, pointing, x, y), unit="deg")
        wcs = camera.wcs(detector, pointing)
        assert exact.separation(SkyCoord(*wcs.to_sky(x, y), unit="deg")).mas.max() < 1e-3
        np.testing.assert_allclose(wcs.to_pixel(exact.ra.deg, exact.dec.deg), (x, y), atol=1e-6)
        astropy = WCS(wcs.header())
        assert exact.separation(astropy.pixel_to_world(x, y)).mas.max() < 1e-3


def test_the_focal_plane_is_turned_by_the_position_angle() -> None:
    camera = make_camera(detectors=1, size=1000)
    detector = camera.detectors[0]
    for angle in (0.0, 90.0, 215.0):
        wcs = camera.wcs(detector, Pointing(ra=40, dec=20, rotation_deg=angle))
        middle, above, right = (SkyCoord(*wcs.to_sky([x], [y]), unit="deg") for x, y in ((0, 0), (0, 900), (900, 0)))
        towards = middle.position_angle(above).deg[0]
        assert abs((towards - angle - detector.rotation_deg + 180) % 360 - 180) < 0.2
        assert abs((towards - middle.position_angle(right).deg[0]) % 360 - 90) < 0.2  # north up, east left


def test_what_it_does_not_have_is_named() -> None:
    camera = make_camera()
    assert camera.filter_of("r").physical_filter == "q_r"
    with pytest.raises(NotFoundError, match="QCam has no detector 4"):
        camera.detector(4)
    with pytest.raises(NotFoundError, match='QCam has no filter of the band "w"'):
        camera.filter_of("w")


@pytest.mark.parametrize(
    "wish", [{"detectors": 0}, {"detectors": 190}, {"size": 8}, {"amplifiers": 0}, {"overscan": 0}, {"crosstalk": -1.0}]
)
def test_wishes_out_of_range_are_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"QCam with {next(iter(wish))}"):
        make_camera(**wish)


def edited(path: str, value: Any) -> str:
    plain = json.loads(make_camera(detectors=2, size=64).to_json())
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    place = plain
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", 5, "camera.json: name: 5 is no text"),
        ("colour", "red", "camera.json: 'colour' is not known"),
        ("detectors", None, "camera.json: 'detectors' is missing"),
        ("detectors", [], "ids of detectors must be there and differ; they are none"),
        ("detectors.1.id", 0, "ids of detectors must be there and differ; they are 0, 0"),
        ("detectors.0.width", "64", r"detectors: detectors\[0\]|detectors\[0\]: width: '64' is no whole number"),
        ("detectors.0.width", 65, "64 pixels belong to no amplifier"),
        ("detectors.0.amplifiers.1.readout.out_x", 31, "its pixels are another's, too"),
        ("detectors.0.amplifiers.0.readout.width", 4000, "amplifier A00: a section leaves its frame"),
        ("detectors.0.amplifiers.0.readout.gain", 0.0, "gain 0.0"),
        ("detectors.0.amplifiers.0.readout.gain", float("nan"), "gain: nan is no number"),
        ("detectors.0.amplifiers.0.readout.saturation", 70000.0, "saturated from 70000.0 ADU of 65535"),
        ("detectors.0.crosstalk", [[0.0]], "cross-talk needs a square of 2 numbers a side"),
        ("filters.0", "q_u", r"filters\[0\]: str where names with values belong"),
        ("pixel_scale_arcsec", -0.2, "a pixel scale of -0.2"),
    ],
)
def test_a_wrong_description_is_refused_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Camera.from_json(edited(path, value), place="camera.json")


def test_a_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"camera\.json is no JSON"):
        Camera.from_json("{", place="camera.json")
