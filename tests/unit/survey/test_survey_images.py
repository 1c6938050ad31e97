"""Simulated images against their truth: positions, fluxes, noise, overscan, saturation, particles, calibrations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.isr import MaskedImage, remove_signature
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.detrending.signature import without_crosstalk
from qserv_py.pipelines.survey import readout
from qserv_py.pipelines.survey.cosmic import draw_particles
from qserv_py.pipelines.survey.devices import draw_device
from qserv_py.pipelines.survey.exposing import FLAT_ELECTRONS, Exposed, Simulator
from qserv_py.pipelines.survey.request import READ_OUT_S, SurveyRequest
from qserv_py.pipelines.survey.sky import Kind, places_at

REQUEST = SurveyRequest(visits=4, detectors=2, size=1024, bands="ri", amplifiers=4)
SPARSE = replace(REQUEST, stars_per_deg2=12_000, galaxies_per_deg2=0, transients_per_deg2=0, moving_per_deg2=0)


@cache
def simulator(request: SurveyRequest) -> Simulator:
    return Simulator(request)


@cache
def seen(request: SurveyRequest, visit: int = 0, detector: int = 0) -> Exposed:
    one = simulator(request)
    return one.science(one.plan.visits[visit], detector)


def taken(request: SurveyRequest, kind: str, detector: int = 0) -> list[tuple[ExposureInfo, Exposed]]:
    one = simulator(request)
    return [(info, one.calibration(info, detector)) for info in one.plan.calibrations if info.kind == kind]


def calibrated(request: SurveyRequest, exposed: Exposed, detector: int = 0, *, band: str = "") -> MaskedImage:
    """The image without its instrument, by the device as it truly is; with a band, also without its response."""
    one = simulator(request)
    device = one.device(detector)
    return remove_signature(
        exposed.raw.pixels,
        one.camera.detector(detector).readouts,
        shape=(request.size, request.size),
        bias=device.bias,
        dark=device.dark,
        flat=one.response(detector, band) if band else None,
        dark_s=float(exposed.raw.header["DARKTIME"]),
    )


@pytest.mark.parametrize(("visit", "detector"), [(0, 0), (1, 1)])
def test_sources_are_where_astropy_finds_them(visit: int, detector: int) -> None:
    one, truth = simulator(REQUEST), seen(REQUEST, visit, detector).sources
    assert len(truth) > 500
    wcs = WCS(one.camera.wcs(one.camera.detector(detector), one.plan.visits[visit].pointing).header())
    places = SkyCoord(truth["ra"], truth["dec"], unit="deg")
    assert wcs.pixel_to_world(truth["x"], truth["y"]).separation(places).mas.max() < 1e-3
    objects = one.objects[np.searchsorted(one.objects["object_id"], truth["object_id"])]
    np.testing.assert_array_equal(objects["object_id"], truth["object_id"])
    there = SkyCoord(*places_at(objects, one.plan.visits[visit].time_mjd), unit="deg")
    assert there.separation(places).mas.max() < 1e-3
    for axis in "xy":
        assert truth[axis].min() >= -0.5
        assert truth[axis].max() < 1023.5
    assert {Kind.STAR, Kind.GALAXY} <= set(objects["kind"])


def test_the_header_is_off_by_the_telescopes_error() -> None:
    one, exposed = simulator(REQUEST), seen(REQUEST)
    true = one.camera.wcs(one.camera.detectors[0], one.plan.visits[0].pointing)
    said = WCS(dict(exposed.raw.header))
    at = np.array([0.0, 1000.0])
    off = said.pixel_to_world(at, at).separation(SkyCoord(*true.to_sky(at, at), unit="deg")).arcsec
    assert np.all((off > 0.01) & (off < 3.0))


def test_aperture_fluxes_of_bright_stars_are_the_truth() -> None:
    request = replace(SPARSE, size=2048, stars_per_deg2=5_000, cosmic_rays_per_cm2_s=0.0)
    exposed, radius = seen(request), 30.0
    image = calibrated(request, exposed, band="r")
    truth = exposed.sources
    stars = truth[(truth["electrons"] > 5e4) & ~truth["full"]]
    stars = stars[(np.minimum(stars["x"], stars["y"]) > 50) & (np.maximum(stars["x"], stars["y"]) < 1998)]
    alone = []
    for row in stars:
        near = np.hypot(truth["x"] - row["x"], truth["y"] - row["y"]) < 150
        clean = not image.mask[int(row["y"]) - 31 : int(row["y"]) + 32, int(row["x"]) - 31 : int(row["x"]) + 32].any()
        alone.append(clean and truth["electrons"][near].sum() - row["electrons"] < 2e-3 * row["electrons"])
    stars = stars[alone]
    assert len(stars) >= 5
    sky = simulator(request).sky_image(simulator(request).plan.visits[0], simulator(request).camera.detectors[0], 0.0)
    sky *= np.nanmedian(image.image) / np.median(sky)
    frame = Frame(image=(image.image - sky).astype(np.float32), noise=float(np.sqrt(sky.mean() + 50)), gain=1.0)
    inside = 1 - 0.0924 * (stars["psf_fwhm"] / radius) ** (5 / 3)  # the rest is in the wings of turbulence
    found = aperture_fluxes(frame, stars["x"], stars["y"], radius)
    np.testing.assert_array_less(
        np.abs(found["flux"] - inside * stars["electrons"]), 4 * found["error"] + 3e-3 * stars["electrons"]
    )
    shapes = adaptive_moments(frame, stars["x"], stars["y"], 2.0)
    np.testing.assert_allclose(shapes["x"], stars["x"], atol=0.03)
    np.testing.assert_allclose(shapes["y"], stars["y"], atol=0.03)


def test_galaxies_keep_their_shape_on_the_sky_as_the_camera_turns() -> None:
    one = simulator(REQUEST)
    detector = one.camera.detectors[0]
    for visit in one.plan.visits[:3]:
        wcs = one.camera.wcs(detector, visit.pointing)
        chosen = np.flatnonzero(one.objects["kind"] == Kind.GALAXY)[:50]
        ra, dec = one.objects["ra"][chosen], one.objects["dec"][chosen]
        drawn = one._as_drawn(visit, detector, wcs, chosen, *wcs.to_pixel(ra, dec))
        # The long axis, west to north on the sky, as a step on the sky.
        angle = 0.5 * np.arctan2(one.objects["e2"][chosen], one.objects["e1"][chosen])
        step = 1e-4
        x0, y0 = wcs.to_pixel(ra, dec)
        x1, y1 = wcs.to_pixel(ra - step * np.cos(angle) / np.cos(np.radians(dec)), dec + step * np.sin(angle))
        expected = np.exp(2j * np.arctan2(y1 - y0, x1 - x0)) * np.hypot(
            one.objects["e1"][chosen], one.objects["e2"][chosen]
        )
        np.testing.assert_allclose(drawn["e1"] + 1j * drawn["e2"], expected, atol=3e-3)


def test_noise_gain_and_overscan_are_as_described() -> None:
    one = simulator(REQUEST)
    detector, device = one.camera.detectors[0], one.device(0)
    frames = [exposed.raw.pixels.astype(float) for _, exposed in taken(REQUEST, "bias")]
    flats = [exposed.raw.pixels.astype(float) for info, exposed in taken(REQUEST, "flat") if info.band == "r"]
    for amplifier, level in zip(detector.readouts, device.bias_levels, strict=True):
        lines = slice(amplifier.raw_y, amplifier.raw_y + amplifier.height)
        over = np.s_[lines, amplifier.overscan_x : amplifier.overscan_x + amplifier.overscan_width]
        data = np.s_[lines, amplifier.raw_x : amplifier.raw_x + amplifier.width]
        noise = np.std(frames[0][over] - frames[1][over]) / np.sqrt(2)
        rounding = 1 / 12
        assert noise == pytest.approx(np.hypot(amplifier.read_noise / amplifier.gain, np.sqrt(rounding)), rel=0.03)
        assert np.mean([frame[over].mean() for frame in frames]) == pytest.approx(level, abs=4 * 3 / np.sqrt(5))
        # Photon transfer: signal over variance is the gain, but for the linearity.
        middle = [flat[data] - flat[over].mean() for flat in flats[:2]]
        good = np.abs(middle[0] - np.median(middle[0])) < 3000
        linear = [signal[good] * (1 + amplifier.linearity[0] * signal[good]) for signal in middle]
        scale = np.mean(linear[0]) / np.mean(linear[1])
        variance = np.var(linear[0] - scale * linear[1]) / 2 - noise**2
        assert np.mean(linear) / variance == pytest.approx(amplifier.gain, rel=0.03)


def test_calibrations_show_the_device() -> None:
    one = simulator(REQUEST)
    device = one.device(1)
    biases = np.median([calibrated(REQUEST, exposed, 1).image for _, exposed in taken(REQUEST, "bias", 1)], axis=0)
    assert np.abs(np.median(biases)) < 0.5  # the true bias was subtracted
    assert np.std(device.bias) > 1.0
    (info, dark), *_ = taken(REQUEST, "dark", 1)
    hot = device.dark > 5
    left = calibrated(replace(REQUEST), dark, 1).image
    assert np.median(left[~hot]) == pytest.approx(0, abs=0.5)
    assert info.dark_s == 120 + READ_OUT_S
    for info, flat in taken(REQUEST, "flat", 1):
        level = np.nanmedian(calibrated(REQUEST, flat, 1, band=info.band).image)
        throughput = device.throughput["ugrizy".index(info.band)]
        assert level == pytest.approx(FLAT_ELECTRONS * throughput, rel=0.04)
        structure = calibrated(REQUEST, flat, 1).image / (one.response(1, info.band) * level)
        assert np.nanstd(structure[one.response(1, info.band) > 0.5]) < 0.02


def test_bad_columns_are_dark_or_bright_where_the_truth_says() -> None:
    one = simulator(REQUEST)
    for number in (0, 1):
        defects = one.device(number).defects
        kinds = set(defects["kind"])
        assert "dead column" in kinds
        response = one.response(number, "r")
        for defect in defects:
            x, y = defect["x0"], defect["y0"]
            box = np.s_[y : y + defect["height"], x : x + defect["width"]]
            if defect["kind"] == "dead column":
                assert response[box].max() < 0.1
            else:
                assert one.device(number).dark[box].min() > 4
        assert np.mean(response) == pytest.approx(1, abs=0.005)


def test_particles_are_on_the_image_where_the_truth_says() -> None:
    request = replace(SPARSE, cosmic_rays_per_cm2_s=2.0)
    exposed = seen(request)
    hits = exposed.hits
    mean = 2.0 * (1024e-3) ** 2 * (30 + READ_OUT_S)
    particles = len(np.unique(hits["particle"]))
    assert particles == pytest.approx(mean, abs=5 * np.sqrt(mean))
    image = calibrated(request, exposed).image
    strong = hits[(hits["electrons"] > 1000) & (hits["electrons"] < 2e4)]
    values = image[strong["y"], strong["x"]] - np.median(image)
    assert np.median(np.abs(values / strong["electrons"] - 1)) < 0.1
    assert not len(seen(replace(SPARSE, cosmic_rays_per_cm2_s=0.0)).hits)
    lengths = [np.ptp(hits["x"][hits["particle"] == number]) for number in np.unique(hits["particle"])]
    assert max(lengths) > 15 > np.median(lengths)


def test_full_pixels_are_recognised_and_charge_is_kept() -> None:
    request = replace(SPARSE, stars_per_deg2=60_000)
    exposed = seen(request)
    full = exposed.sources[exposed.sources["full"]]
    assert len(full) >= 2
    image = calibrated(request, exposed)
    for row in full:
        x, y = round(row["x"]), round(row["y"])
        assert image.mask[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].max() & Plane.SAT
    bright = exposed.sources[exposed.sources["electrons"] > 5e6]
    assert bright["full"].all()
    faint = exposed.sources[exposed.sources["electrons"] < 1e5]
    lonely = [row for row in faint if np.hypot(full["x"] - row["x"], full["y"] - row["y"]).min() > 60]
    assert not any(row["full"] for row in lonely)


def test_bleeding_moves_charge_along_the_column_and_loses_none() -> None:
    camera = make_camera(detectors=1, size=200, amplifiers=2)
    detector, device = camera.detectors[0], draw_device(1, camera.detectors[0])
    electrons = np.full((200, 200), 500.0)
    electrons[100, 50] += 2e6
    electrons[120:123, 150] += 3e5
    before = electrons.sum(axis=0)
    full = readout.bleed(electrons, detector, device)
    np.testing.assert_allclose(electrons.sum(axis=0), before, rtol=1e-12)
    well = readout.full_well(detector.readouts[0], float(device.bias_levels[0]))
    assert electrons[:, 50].max() <= well
    assert full[:, 50].sum() == pytest.approx(2e6 / well, abs=3)
    assert abs(np.flatnonzero(full[:, 50]).mean() - 100) < 1
    assert not full[:, [49, 51]].any()
    electrons[:] = 1e6  # all is full: what cannot be held is lost, and it ends
    assert readout.bleed(electrons, detector, device).all()


@pytest.mark.parametrize("amplifiers", [1, 3, 8])
def test_reading_out_is_undone_by_removing_the_signature(amplifiers: int) -> None:
    camera = make_camera(detectors=1, size=301, amplifiers=amplifiers)
    detector = camera.detectors[0]
    device = draw_device(2, detector)
    random = np.random.default_rng(5)
    electrons = random.uniform(0, 9e4, detector.shape)
    raw = readout.read_out(electrons, detector, device, random)
    back = remove_signature(raw, detector.readouts, shape=detector.shape, bias=device.bias)
    noise = max(one.read_noise for one in detector.readouts)
    assert np.std(back.image - electrons) < 1.3 * noise
    assert np.abs(np.mean(back.image - electrons)) < 0.5


def test_crosstalk_shows_a_bright_source_in_the_other_amplifier() -> None:
    camera = make_camera(detectors=1, size=200, amplifiers=2, crosstalk=5e-3)
    detector = camera.detectors[0]
    device = draw_device(1, detector)
    electrons = np.zeros(detector.shape)
    electrons[80, 30] = 8e4  # column 30 of the first, read from the left; the second is read from the right
    raws = [
        readout.read_out(electrons, one, device, np.random.default_rng(1))
        for one in (detector, replace(detector, crosstalk=()))
    ]
    shown = np.argwhere(raws[0] != raws[1])
    share = detector.crosstalk[1][0]
    x = detector.readouts[1].raw_x + 30
    assert shown.tolist() == [[80, x]]
    ghost = int(raws[0][80, x]) - int(raws[1][80, x])
    assert ghost == pytest.approx(share * 8e4 / detector.readouts[0].gain, rel=0.05)


def test_an_image_does_not_depend_on_those_made_before() -> None:
    alone = seen(REQUEST, 2, 1).raw.pixels
    other = Simulator(REQUEST)
    other.science(other.plan.visits[0], 0)
    np.testing.assert_array_equal(other.science(other.plan.visits[2], 1).raw.pixels, alone)
    assert not np.array_equal(seen(replace(REQUEST, seed=9), 2, 1).raw.pixels, alone)


def test_no_particle_leaves_the_detector() -> None:
    hits = draw_particles(np.random.default_rng(1), shape=(40, 60), mean=400)
    assert hits["x"].min() >= 0
    assert hits["x"].max() < 60
    assert hits["y"].max() < 40
    assert hits["electrons"].min() >= 30


def test_the_pipeline_removes_the_crosstalk() -> None:
    detector = make_camera(detectors=1, size=240, amplifiers=8, crosstalk=8e-3).detectors[0]
    device, random = draw_device(3, detector), np.random.default_rng(6)
    electrons = np.full(detector.shape, 1000.0)
    for x, y in random.integers(0, 240, (40, 2)):
        electrons[y, x] = 6e4
    raw = readout.read_out(electrons, detector, device, random)
    image = remove_signature(raw, detector.readouts, shape=detector.shape, bias=device.bias).image
    off = np.abs(image - electrons)
    clean = np.abs(without_crosstalk(image, detector) - electrons)
    assert off.max() > 300
    assert clean[electrons < 2000].max() < 60
