"""Damaged pixels on images that GalSim drew: a star stays one row, says what it lost, and keeps its flux."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.galsim_fields import bad_columns, draw, exposed, grid_of_stars, rows_near, summary_row

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.detection import detect, gaussian_kernel
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.calibrate_image import Options, measure_image
from qserv_py.pipelines.single_frame.interpolation import interpolate
from qserv_py.pipelines.single_frame.tables.source_table import source_table

SHAPE = (400, 400)
STEP = 40
SPOILT = slice(1, None, 3)
"""Which of the stars, in order, are damaged."""


def rows_of(exposure: Exposure) -> Any:
    measured = measure_image(exposure, Options()).table
    measured["astrometry_used"] = measured["photometry_used"] = np.zeros(len(measured), bool)
    return source_table(measured, summary_row())


@pytest.fixture(scope="module")
def stars() -> Any:
    return draw(grid_of_stars(np.random.default_rng(5), shape=SHAPE, step=STEP, bright=17, faint=18), shape=SHAPE)


@pytest.fixture(scope="module")
def whole(stars: Any) -> Any:
    return rows_of(exposed(stars, np.random.default_rng(6)))


def column(exposure: Exposure, x: int, y: int) -> None:
    exposure.mask[y - 18 : y + 19, x + 1] = Plane.BAD
    exposure.image[y - 18 : y + 19, x + 1] = 65000


def two_columns(exposure: Exposure, x: int, y: int) -> None:
    exposure.mask[y - 18 : y + 19, x : x + 2] = Plane.BAD
    exposure.image[y - 18 : y + 19, x : x + 2] = np.nan


def two_rows(exposure: Exposure, x: int, y: int) -> None:
    exposure.mask[y - 2 : y, x - 18 : x + 19] = Plane.NO_DATA
    exposure.image[y - 2 : y, x - 18 : x + 19] = 0


def not_a_number(exposure: Exposure, x: int, y: int) -> None:
    exposure.image[y : y + 2, x - 1 : x + 1] = np.nan


def cosmic_ray(exposure: Exposure, x: int, y: int) -> None:
    for step in range(-8, 9):  # at the star's foot: on its flank rays are not always told from the star
        exposure.image[y + step, x + 7 + step // 5] += 8000
        exposure.variance[y + step, x + 7 + step // 5] += 8000


def known_cosmic_ray(exposure: Exposure, x: int, y: int) -> None:
    for step in range(-6, 7):
        exposure.image[y + step, x + step] += 20000
        exposure.mask[y + step, x + step] = Plane.CR


def saturation(exposure: Exposure, x: int, y: int) -> None:
    exposure.mask[y - 1 : y + 2, x - 1 : x + 2] = Plane.SAT | Plane.SUSPECT


DAMAGE: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "column": (column, ("pixelFlags_bad", "pixelFlags_interpolated", "pixelFlags_interpolatedCenter")),
    "two_columns": (two_columns, ("pixelFlags_bad", "pixelFlags_interpolated", "pixelFlags_interpolatedCenter")),
    "two_rows": (two_rows, ("pixelFlags_nodata", "pixelFlags_interpolated")),
    "not_a_number": (not_a_number, ("pixelFlags_nodata", "pixelFlags_interpolated", "pixelFlags_interpolatedCenter")),
    "cosmic_ray": (cosmic_ray, ("pixelFlags_cr", "pixelFlags_interpolated")),
    "known_cosmic_ray": (known_cosmic_ray, ("pixelFlags_cr", "pixelFlags_crCenter", "pixelFlags_interpolated")),
    "saturation": (saturation, ("pixelFlags_saturated", "pixelFlags_saturatedCenter", "pixelFlags_suspectCenter")),
}
FLUX_FLAGS = ("ap12Flux_flag", "psfFlux_flag", "gaussianFlux_flag", "kronFlux_flag", "apFlux_17_0_flag")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_star_is_one_row_with_its_flags_and_flux(stars: Any, whole: Any, kind: str) -> None:
    spoil, flags = DAMAGE[kind]
    exposure = exposed(stars, np.random.default_rng(6))
    spoilt = np.zeros(len(stars.truth), bool)
    spoilt[SPOILT] = True
    for star in stars.truth[SPOILT]:
        spoil(exposure, round(star["x"]), round(star["y"]))
    rows = rows_of(exposure)
    near = rows_near(rows, stars.truth, within=8)
    assert [len(found) for found in near] == [1] * len(near)
    at = np.concatenate(near)
    light = {"saturation": (), "cosmic_ray": ("ap12Flux_flag", "apFlux_17_0_flag")}.get(kind, FLUX_FLAGS)
    for flag in flags + light:
        np.testing.assert_array_equal(rows[flag][at], spoilt, err_msg=flag)
    before = whole[np.concatenate(rows_near(whole, stars.truth, within=8))]
    for name, limit in (("ap12Flux", 0.015), ("psfFlux", 0.015), ("gaussianFlux", 0.05), ("kronFlux", 0.03)):
        ratio = np.asarray(rows[name][at] / before[name])
        assert np.abs(ratio - 1).max() < limit, name
    assert np.hypot(rows["x"][at] - before["x"], rows["y"][at] - before["y"]).max() < 0.08
    assert np.median((rows["psfFlux"][at] / before["psfFlux"])[~spoilt]) == pytest.approx(1, abs=0.001)


def test_a_star_at_the_border_has_its_flux() -> None:
    random = np.random.default_rng(8)
    truth = grid_of_stars(random, shape=SHAPE, step=STEP, bright=16.5, faint=17)
    left, top = truth["x"] < STEP, truth["y"] > SHAPE[0] - STEP
    truth["x"][left] = random.uniform(1.5, 10, left.sum())
    truth["y"][top] = SHAPE[0] - 1 - random.uniform(1.5, 10, top.sum())
    outer = truth.copy()
    outer["x"] += 30
    outer["y"] += 30
    field = draw(outer, shape=(SHAPE[0] + 60, SHAPE[1] + 60))
    true = aperture_fluxes(Frame(image=field.light), outer["x"], outer["y"], 12.0)["flux"]
    rows = rows_of(exposed(replace(field, light=field.light[30:-30, 30:-30], truth=truth), random))
    near = rows_near(rows, truth, within=3)
    assert [len(found) for found in near] == [1] * len(near)
    rows = rows[np.concatenate(near)]
    assert (rows["ap12Flux_flag"][left | top]).all()
    assert not (rows["ap12Flux_flag"][~left & ~top]).any()
    error = np.asarray(rows["ap12Flux"] / true - 1)
    assert np.abs(error[left ^ top]).max() < 0.03
    corner = left & top  # a quarter of the circle may be all that there is
    assert (np.isnan(error[corner]) | (np.abs(error[corner]) < 0.5)).all()


def test_noise_beside_interpolated_pixels_makes_no_sources() -> None:
    # Without regard to it there are forty times as many as on whole pixels.
    random = np.random.default_rng(9)
    mask = bad_columns((400, 400), range(5, 400, 11))
    mask |= bad_columns((400, 400), range(9, 400, 37), width=6)
    false = {"whole": 0, "damaged": 0}
    for _ in range(25):
        image = random.normal(0, 5, (400, 400)).astype(np.float32)
        variance = np.full_like(image, 25.0)
        damaged = interpolate(Exposure(image=image, variance=variance, mask=mask))
        kernel = gaussian_kernel(3.75)
        for kind, one in (("whole", Exposure(image=image, variance=variance, mask=0 * mask)), ("damaged", damaged)):
            false[kind] += len(detect(one.image, noise=5.0, kernel=kernel, mask=one.mask, threshold=4.0).sources)
    assert false["whole"] > 5
    assert false["damaged"] <= 2 * false["whole"]
