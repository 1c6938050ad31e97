"""Raw frames to electrons, and many of them to one: signature, interpolation, combination, identifiers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.errors import CalibrationError, NoFitError, PipelineError, UnusableImageError, UserError
from qserv_py.pipelines.images.exposure import Exposure, RawImage
from qserv_py.pipelines.instrument.camera import Detector
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.isr import MaskedImage
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.single_frame.aperture_correction import fit_aperture_correction
from qserv_py.pipelines.single_frame.detrending import combination
from qserv_py.pipelines.single_frame.detrending.combination import clipped_mean
from qserv_py.pipelines.single_frame.detrending.defects import boxes_of, defects_of
from qserv_py.pipelines.single_frame.detrending.flat_fields import as_response, normalised
from qserv_py.pipelines.single_frame.detrending.signature import Calibrations, without_signature
from qserv_py.pipelines.single_frame.interpolation import interpolate
from qserv_py.pipelines.single_frame.tables.identifiers import MAX_SOURCES, parts_of, source_ids, visit_detector_id
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns, wcs_of_row


def detector_of(*, crosstalk: float = 0.0, size: int = 64) -> Detector:
    return make_camera(detectors=1, size=size, amplifiers=4, overscan=8, crosstalk=crosstalk).detectors[0]


def raw_of(detector: Detector, electrons: np.ndarray, *, level: float = 500.0) -> RawImage:
    """Return what a detector without noise would read out."""
    pixels = np.full(detector.raw_shape, level)
    for number, amp in enumerate(detector.readouts):
        adu = _read(detector, electrons, number) + sum(
            share * _read(detector, electrons, other)
            for other, share in enumerate(detector.crosstalk[number] if detector.crosstalk else ())
        )
        linear = amp.linearity[0]
        adu = (np.sqrt(1 + 4 * linear * adu) - 1) / (2 * linear)
        pixels[amp.raw_y : amp.raw_y + amp.height, amp.raw_x : amp.raw_x + amp.width] += adu
    return RawImage(pixels=np.rint(pixels).astype(np.uint16), header={"EXPID": 1})


def _read(detector: Detector, electrons: np.ndarray, number: int) -> np.ndarray:
    amp = detector.readouts[number]
    section = electrons[amp.out_y : amp.out_y + amp.height, amp.out_x : amp.out_x + amp.width]
    return section[:: -1 if amp.flip_y else 1, :: -1 if amp.flip_x else 1] / amp.gain


def exposure_of(image: np.ndarray) -> Exposure:
    image = image.astype(np.float32)
    return Exposure(image=image, variance=np.ones_like(image), mask=np.zeros(image.shape, np.int32))


def electrons_of(detector: Detector) -> np.ndarray:
    return np.random.default_rng(5).uniform(500, 20000, detector.shape)


@pytest.mark.parametrize("crosstalk", [0.0, 0.001])
def test_a_raw_frame_becomes_the_electrons_that_fell(crosstalk: float) -> None:
    detector = detector_of(crosstalk=crosstalk)
    electrons = electrons_of(detector)
    image = without_signature(raw_of(detector, electrons), detector, calibrations=Calibrations(), dark_s=0)
    assert np.max(np.abs(image.image - electrons)) < 3.0  # half an ADU, and cross-talk of cross-talk
    np.testing.assert_allclose(image.variance, electrons, rtol=0.2)
    assert not image.mask.any()


def test_calibrations_are_applied_and_what_they_cannot_do_is_bad() -> None:
    detector = detector_of(crosstalk=0.001)
    random = np.random.default_rng(2)
    electrons = electrons_of(detector)
    bias, dark, flat = (
        random.normal(0, 20, detector.shape),
        random.uniform(0, 1, detector.shape),
        random.normal(1, 0.05, detector.shape),
    )
    flat_exposure = exposure_of(flat)
    flat_exposure.mask[3, 4] |= Plane.BAD
    calibrations = Calibrations(
        bias=exposure_of(bias),
        dark=exposure_of(dark),
        flat=flat_exposure,
        defects=Table({"x0": [10, -2], "y0": [20, 60], "width": [2, 5], "height": [5, 50]}),
    )
    raw = raw_of(detector, electrons * flat + bias + 30 * dark)
    image = without_signature(raw, detector, calibrations=calibrations, dark_s=30)
    bad = (image.mask & Plane.BAD) != 0
    assert bad[3, 4]
    assert bad[20:25, 10:12].all()
    assert bad[60:, :3].all()
    assert bad.sum() == 1 + 10 + 12
    assert np.max(np.abs(image.image - electrons)[~bad]) < 10.0
    assert ((image.mask & Plane.INTRP) != 0).sum() == bad.sum()
    assert np.isfinite(image.image).all()


def test_dead_amplifiers_are_bad_and_a_blank_detector_is_refused() -> None:
    detector = detector_of()
    raw = raw_of(detector, electrons_of(detector))
    pixels, amp = raw.pixels.copy(), detector.readouts[1]
    pixels[amp.raw_y : amp.raw_y + amp.height, amp.raw_x : amp.raw_x + amp.width] = 0
    image = without_signature(replace(raw, pixels=pixels), detector, calibrations=Calibrations(), dark_s=0)
    bad = (image.mask & Plane.BAD) != 0
    assert bad[amp.out_y : amp.out_y + amp.height, amp.out_x : amp.out_x + amp.width].all()
    assert bad.sum() == amp.width * amp.height
    with pytest.raises(UnusableImageError, match="detector 0 is blank"):
        without_signature(
            replace(raw, pixels=np.full_like(pixels, 1000)), detector, calibrations=Calibrations(), dark_s=0
        )
    full = np.random.default_rng(0).integers(65000, 65535, pixels.shape).astype(np.uint16)
    with pytest.raises(UnusableImageError, match="100 % of detector 0 is saturated"):
        without_signature(replace(raw, pixels=full), detector, calibrations=Calibrations(), dark_s=0)


def test_frames_of_another_shape_are_refused() -> None:
    detector = detector_of()
    raw = raw_of(detector, electrons_of(detector))
    with pytest.raises(CalibrationError, match="the camera has"):
        without_signature(replace(raw, pixels=raw.pixels[1:]), detector, calibrations=Calibrations(), dark_s=0)
    with pytest.raises(CalibrationError, match="the flat has the shape"):
        without_signature(raw, detector, calibrations=Calibrations(flat=exposure_of(np.ones((3, 3)))), dark_s=0)


def test_interpolation_takes_the_shorter_way() -> None:
    row, column = np.indices((40, 50), dtype=np.float32)
    image = 100 + 2 * column + 3 * row
    exposure = exposure_of(image.copy())
    damage = np.zeros(image.shape, bool)
    damage[5, 10:40] = damage[12:15, 20:22] = damage[30:32, :] = damage[:, 45] = damage[20:22, 0] = True
    exposure.mask[damage] = Plane.BAD
    exposure.image[damage] = 1e6
    exposure.image[35, 5] = np.nan
    done = interpolate(exposure)
    damage[35, 5] = True
    inside = damage.copy()
    inside[20:22, 0] = False
    assert done.image[~damage] == pytest.approx(image[~damage])
    assert done.image[inside] == pytest.approx(image[inside], rel=1e-5)
    assert done.image[20:22, 0] == pytest.approx(image[20:22, 0], rel=1e-5)  # along the column there are two sides
    assert (((done.mask & Plane.INTRP) != 0) == damage).all()
    assert done.mask[35, 5] == Plane.NO_DATA | Plane.INTRP
    assert (done.mask & Plane.BAD == exposure.mask & Plane.BAD).all()
    assert interpolate(done) is done


def test_interpolation_does_not_reach_into_a_dead_amplifier() -> None:
    image = np.full((60, 80), 7.0, np.float32)
    exposure = exposure_of(image)
    exposure.mask[:, 30:70] = Plane.BAD
    exposure.mask[:, 76:] = Plane.BAD
    exposure.image[:, 30:70] = exposure.image[:, 76:] = 123.0
    done = interpolate(exposure)
    assert (done.image[:, 30:70] == 123.0).all()
    assert not (done.mask[:, 30:70] & Plane.INTRP).any()
    assert (done.image[:, 76:] == 7.0).all()  # at the border what is nearest goes on
    whole = replace(exposure, mask=np.full_like(exposure.mask, Plane.BAD))
    assert (interpolate(whole).mask == Plane.BAD).all()


@given(st.integers(1, 9), st.integers(0, 2**32), st.integers(1, 40))
def test_the_mean_of_bands_is_the_mean_of_the_whole(count: int, seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    stack = random.normal(100, 2, (count, 7, 5)).astype(np.float32)
    images = [
        MaskedImage(image=one, variance=np.full_like(one, 4.0), mask=np.zeros(one.shape, np.int32)) for one in stack
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combination, "_BAND_BYTES", 8 * 5 * count * rows)
        combined = clipped_mean(iter(images), clip=50)
    assert combined.image.image == pytest.approx(stack.mean(axis=0), rel=1e-5)
    assert combined.image.variance == pytest.approx(4.0 / count)
    assert (combined.images, combined.clipped) == (count, 0)


def test_outliers_and_masked_pixels_do_not_count() -> None:
    random = np.random.default_rng(1)
    images = [
        MaskedImage(
            image=random.normal(100, 2, (6, 6)).astype(np.float32),
            variance=np.full((6, 6), 4.0, np.float32),
            mask=np.zeros((6, 6), np.int32),
        )
        for _ in range(9)
    ]
    images[0].image[2, 2] = 5000
    images[3].image[4, 4] = np.inf
    images[5].image[1, 1], images[5].mask[1, 1] = 900, Plane.SAT
    for one in images:
        one.mask[0, 0] = Plane.BAD
    combined = clipped_mean(images)
    mean, mask = combined.image.image, combined.image.mask
    assert mask[0, 0] == Plane.BAD
    assert np.isnan(mean[0, 0])
    assert not mask.ravel()[1:].any()
    assert np.abs(mean.ravel()[1:] - 100).max() < 4
    assert combined.clipped >= 1
    with pytest.raises(PipelineError, match="no image to combine"):
        clipped_mean([])
    with pytest.raises(PipelineError, match="image 2 has the shape"):
        clipped_mean([images[0], replace(images[0], image=np.zeros((2, 2), np.float32))])


@given(
    st.dates(min_value=date(2010, 1, 1), max_value=date(2099, 9, 17)),
    st.integers(0, 99_999),
    st.integers(0, 255),
    st.integers(0, MAX_SOURCES - 1),
)
def test_identifiers_come_apart_again(day: object, seq: int, detector: int, number: int) -> None:
    visit = int(f"{day:%Y%m%d}") * 100_000 + seq
    one = source_ids(visit, detector, [number])[0]
    assert 0 <= one < 2**63 - 1
    assert parts_of(int(one)) == (visit, detector, number)
    assert visit_detector_id(visit, detector) < 2**40


def test_identifiers_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="does not begin with a date"):
        visit_detector_id(42, 0)
    with pytest.raises(UserError, match="does not begin with a date"):
        visit_detector_id(2026_02_30_00001, 0)
    with pytest.raises(UserError, match="detector 256 is out of range"):
        visit_detector_id(2026112000001, 256)
    with pytest.raises(UserError, match="source numbers -1 to -1"):
        source_ids(2026112000001, 0, [-1])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_boxes_hold_the_bad_pixels_and_no_other(rows: int, columns: int, seed: int, share: float) -> None:
    bad = np.random.default_rng(seed).random((rows, columns)) < share
    times = np.zeros(bad.shape, int)
    for box in boxes_of(bad):
        times[box["y0"] : box["y0"] + box["height"], box["x0"] : box["x0"] + box["width"]] += 1
    assert (times == bad).all()


def test_hot_and_dull_pixels_are_defects() -> None:
    dark, flat = exposure_of(np.full((40, 50), 0.1)), exposure_of(np.ones((40, 50)))
    dark.image[3, 4] = 50.0
    dark.image[5, 5] = np.nan
    flat.image[10:20, 30] = 0.5
    flat.mask[39, 49] = Plane.BAD
    found = {tuple(box) for box in defects_of(dark, [flat], response=0.2, hot=10.0)}
    assert found == {(4, 3, 1, 1), (5, 5, 1, 1), (30, 10, 1, 10), (49, 39, 1, 1)}


def test_a_flat_needs_light_and_marks_what_is_blind() -> None:
    frame = MaskedImage(
        image=np.full((4, 4), 3000.0, np.float32),
        variance=np.full((4, 4), 3000.0, np.float32),
        mask=np.zeros((4, 4), np.int32),
    )
    frame.image[0, 0] = 30.0
    response = as_response(normalised(frame))
    assert response.mask[0, 0] == Plane.BAD
    assert response.image[1:] == pytest.approx(1.0)
    assert response.variance[1, 1] == pytest.approx(1 / 3000)
    with pytest.raises(CalibrationError, match="has 30 electrons in the median"):
        normalised(replace(frame, image=np.full((4, 4), 30.0, np.float32)))
    with pytest.raises(CalibrationError, match="no usable pixel"):
        as_response(replace(frame, mask=np.full((4, 4), Plane.BAD, np.int32)))


@given(st.integers(0, 2**32), st.integers(30, 60), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_aperture_corrections_follow_the_image_and_leave_blends_out(seed: int, count: int, a: float, b: float) -> None:
    random = np.random.default_rng(seed)
    x, y = random.uniform(0, 1000, (2, count))
    ratio = 1.02 + a * (2 * x / 1000 - 1) + b * (2 * y / 1000 - 1)
    blended = np.arange(count) < count // 10
    stars = Table({"x": x, "y": y, "psf_flux": np.full(count, 1e5)})
    stars["ap12_flux"] = 1e5 * ratio * (1 + random.normal(0, 1e-4, count)) * np.where(blended, 1.5, 1.0)
    stars["ap12_flux_error"] = np.full(count, 100.0)
    stars["psf_flags"] = stars["ap12_flags"] = np.zeros(count, np.int32)
    damaged = np.arange(count) >= count - 5  # not enough to stand out
    stars["ap12_flux"][damaged] *= 1.01
    stars["ap12_flags"][damaged] = int(Flag.MASKED)
    fit = fit_aperture_correction(stars, flux="psf", aperture="ap12", shape=(1000, 1000))
    assert not fit.used[blended | damaged].any()
    np.testing.assert_allclose(fit.at(x, y), ratio, atol=1e-3)
    assert fit.error < 1e-3
    assert fit.at([5000.0], [500.0]) == pytest.approx(fit.at([1000.0], [500.0]))


def test_an_aperture_correction_varies_only_as_far_as_stars_show_it() -> None:
    random = np.random.default_rng(8)
    x, y = random.uniform(0, 1000, (2, 400))
    stars = Table({"x": x, "y": y, "psf_flux": np.full(400, 1e4), "ap12_flux_error": np.full(400, 500.0)})
    stars["ap12_flux"] = 1e4 * (0.99 + random.normal(0, 0.05, 400))
    stars["psf_flags"] = stars["ap12_flags"] = np.zeros(400, np.int32)
    even = fit_aperture_correction(stars, flux="psf", aperture="ap12", shape=(1000, 1000))
    assert np.ptp(even.at(x, y)) == 0
    assert even.at([500.0], [500.0])[0] == pytest.approx(0.99, abs=0.01)
    stars["ap12_flux"] += 1e4 * 0.03 * (x / 500 - 1)
    sloping = fit_aperture_correction(stars, flux="psf", aperture="ap12", shape=(1000, 1000))
    assert np.diff(sloping.at([0.0, 1000.0], [500.0, 500.0]))[0] == pytest.approx(0.06, abs=0.02)


def test_an_aperture_correction_needs_a_star() -> None:
    none = Table({name: [np.nan] for name in ("x", "y", "psf_flux", "ap12_flux", "ap12_flux_error")})
    none["psf_flags"] = none["ap12_flags"] = [0]
    with pytest.raises(NoFitError, match="none of 1 stars has both fluxes"):
        fit_aperture_correction(none, flux="psf", aperture="ap12", shape=(10, 10))


@given(st.integers(1, 5), st.integers(0, 2**32))
def test_coordinates_survive_their_columns(order: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(0, 1e-8, (2, order + 1, order + 1))
    wcs = Wcs(
        ra0=random.uniform(0, 360), dec0=random.uniform(-89, 89), x0=500.0, y0=400.0,
        cd=random.normal(0, 1e-4, (2, 2)), order=order, a=a if order > 1 else None, b=b if order > 1 else None,
    )  # fmt: skip
    again = wcs_of_row(Table([wcs_columns(wcs)])[0])
    at = random.uniform(0, 1000, (2, 5))
    np.testing.assert_array_equal(again.to_sky(*at), wcs.to_sky(*at))
    with pytest.raises(PipelineError, match="order 6; a row holds 5"):
        wcs_columns(replace(wcs, order=6))
