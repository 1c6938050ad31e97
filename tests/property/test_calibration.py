"""Zero points and coordinates over visits: what was planted comes out, whatever the survey looks like."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from support.frames import coordinates

from qserv_py.errors import NoFitError
from qserv_py.pipelines.calibration import astrometry, photometry
from qserv_py.pipelines.calibration.joint_fit import Anchors, Block, Observations, joint_fit
from qserv_py.pipelines.calibration.stars import Stars, associated
from qserv_py.pipelines.single_frame.references import References
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns, wcs_of_row

SIDE = 1000
SCALE_DEG = 0.2 / 3600


@st.composite
def surveys(draw: st.DrawFn) -> tuple[Stars, Table, References, np.ndarray, np.random.Generator]:
    """Some visits of two detectors over one field, dithered, with planted zero points."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    visits, number = draw(st.integers(2, 6)), draw(st.integers(150, 300))
    ra0, dec0 = draw(st.sampled_from([(0.0, 0.0), (359.99, -30.0), (120.0, 75.0)]))
    east, north = random.uniform(-0.06, 0.06, (2, number))
    ra, dec = np.mod(ra0 + east / np.cos(np.radians(dec0 + north)), 360), dec0 + north
    magnitude = random.uniform(17, 20, number)
    rows, parts = [], []
    for visit in range(visits):
        for detector in range(2):
            middle = random.normal([(detector - 0.5) * 0.06, 0], 0.005)
            wcs = coordinates(
                SIDE,
                turn_deg=random.uniform(-3, 3),
                ra0=ra0 + middle[0] / np.cos(np.radians(dec0)),
                dec0=dec0 + middle[1],
            )
            x, y = wcs.to_pixel(ra, dec)
            on = np.nonzero((x > 0) & (x < SIDE - 1) & (y > 0) & (y < SIDE - 1))[0]
            zero = 32 + random.normal(0, 0.1)
            parts.append((len(rows), visit, on, x[on], y[on], magnitude[on] - zero))
            rows.append(
                {"visitId": visit, "detector": detector, "zeroPoint": 32.0, "planted": zero, "xSize": SIDE,
                 "ySize": SIDE, "expMidptMJD": 61000.0 + visit, **wcs_columns(wcs)}
            )  # fmt: skip
    stars = Stars(
        image=np.concatenate([np.full(len(part[2]), part[0]) for part in parts]),
        visit=np.concatenate([np.full(len(part[2]), part[1]) for part in parts]),
        x=np.concatenate([part[3] for part in parts]),
        y=np.concatenate([part[4] for part in parts]),
        ra=np.concatenate([ra[part[2]] for part in parts]),
        dec=np.concatenate([dec[part[2]] for part in parts]),
        magnitude=np.concatenate([part[5] for part in parts]),
        magnitude_error=np.full(sum(len(part[2]) for part in parts), 0.001),
        position_error=np.full(sum(len(part[2]) for part in parts), 0.005),
    )
    references = References(
        id=np.arange(number), ra=ra, dec=dec, error_mas=np.full(number, 5.0), magnitude=magnitude,
        magnitude_error=np.full(number, 0.005),
    )  # fmt: skip
    return stars, Table(rows), references, magnitude, random


@given(surveys(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_planted_zero_points_come_out(survey: tuple, with_gradient: bool) -> None:
    stars, summary, references, _, _ = survey
    options = photometry.Options(flat_gradient=with_gradient)
    found = photometry.solve_zero_points(stars, summary, references, options)
    planted = {(row["visitId"], row["detector"]): row["planted"] for row in summary}
    for row in found:
        assert row["zeroPoint"] == pytest.approx(planted[row["visit"], row["detector"]], abs=1e-5)
        assert abs(row["zeroPointSlopeX"]) < 1e-5
    assert found.meta["repeatability_mmag"] < 0.01


@given(surveys(), st.floats(-0.2, 0.2))
@settings(max_examples=25, deadline=None)
def test_a_cloud_over_one_image_changes_its_zero_point_alone(survey: tuple, cloud: float) -> None:
    stars, summary, references, _, _ = survey
    before = photometry.solve_zero_points(stars, summary, references, photometry.Options())
    hit = int(stars.image[0])
    dimmed = Stars(
        **{name: getattr(stars, name) for name in Stars.__slots__ if name != "magnitude"},
        magnitude=stars.magnitude + np.where(stars.image == hit, cloud, 0),
    )
    after = photometry.solve_zero_points(dimmed, summary, references, photometry.Options())
    change = np.asarray(after["zeroPoint"]) - np.asarray(before["zeroPoint"])
    here = (before["visit"] == summary["visitId"][hit]) & (before["detector"] == summary["detector"][hit])
    assert change[here] == pytest.approx(-cloud, abs=1e-5)
    assert change[~here] == pytest.approx(0, abs=1e-5)


@given(surveys())
@settings(max_examples=25, deadline=None)
def test_a_slope_of_the_flat_comes_out(survey: tuple) -> None:
    stars, summary, references, _, _ = survey
    slope = 0.02 * (2 * stars.x / SIDE - 1) - 0.01 * (2 * stars.y / SIDE - 1)
    tilted = Stars(
        **{name: getattr(stars, name) for name in Stars.__slots__ if name != "magnitude"},
        magnitude=stars.magnitude - slope,
    )
    found = photometry.solve_zero_points(tilted, summary, references, photometry.Options(flat_gradient=True))
    assert np.asarray(found["zeroPointSlopeX"]) == pytest.approx(0.02, abs=1.5e-3)
    assert np.asarray(found["zeroPointSlopeY"]) == pytest.approx(-0.01, abs=1.5e-3)
    assert found.meta["repeatability_mmag"] < 0.1


@given(surveys(), st.floats(0.02, 0.2))
@settings(max_examples=25, deadline=None)
def test_variable_stars_are_left_out(survey: tuple, amplitude: float) -> None:
    stars, summary, references, _, random = survey
    variable = random.random(len(stars.x)) < 0.03
    noisy = Stars(
        **{name: getattr(stars, name) for name in Stars.__slots__ if name != "magnitude"},
        magnitude=stars.magnitude + random.normal(0, 0.002, len(stars.x)) + np.where(variable, amplitude, 0),
    )
    found = photometry.solve_zero_points(noisy, summary, references, photometry.Options())
    planted = {(row["visitId"], row["detector"]): row["planted"] for row in summary}
    off = [row["zeroPoint"] - planted[row["visit"], row["detector"]] for row in found]
    assert np.max(np.abs(off)) < 0.006


@given(surveys(), st.integers(1, 2))
@settings(max_examples=20, deadline=None)
def test_images_that_are_off_come_back_onto_the_sky(survey: tuple, order: int) -> None:
    stars, summary, references, _, random = survey
    true = [wcs_of_row(row) for row in summary]
    wrong = summary.copy()
    for number, wcs in enumerate(true):  # 20 mas, and a turn that moves a corner by 20 mas
        turn = 1 + random.normal(0, 1e-4, (2, 2)) * [[0, 1], [-1, 0]]
        moved = {"crval1": wcs.ra0 + random.normal(0, 20) / 3.6e6, "crval2": wcs.dec0 + random.normal(0, 20) / 3.6e6}
        for name, value in moved.items():
            wrong[name][number] = value
        for i in range(2):
            for j in range(2):
                wrong[f"cd{i + 1}_{j + 1}"][number] = wcs.cd[i, j] * turn[i, j]
    ra, dec = np.empty(len(stars.x)), np.empty(len(stars.x))
    for number in range(len(wrong)):
        rows = stars.image == number
        ra[rows], dec[rows] = wcs_of_row(wrong[number]).to_sky(stars.x[rows], stars.y[rows])
    seen = Stars(
        **{name: getattr(stars, name) for name in Stars.__slots__ if name not in ("ra", "dec")}, ra=ra, dec=dec
    )
    found = astrometry.solve_coordinates(seen, wrong, references, astrometry.Options(order=order))
    grid = np.array([0.0, SIDE / 2, SIDE - 1.0])
    x, y = (values.ravel() for values in np.meshgrid(grid, grid))
    for row in found:
        number = int(np.nonzero((summary["visitId"] == row["visit"]) & (summary["detector"] == row["detector"]))[0][0])
        mine, theirs = wcs_of_row(row).to_sky(x, y), true[number].to_sky(x, y)
        # the prior of 100 mas for a term holds the answer back by a little
        assert np.max(np.abs(mine[1] - theirs[1])) * 3.6e6 < 1.0
    assert found.meta["repeatability_mas"] < 0.1 < found.meta["repeatability_before_mas"]


@given(st.integers(0, 2**32), st.floats(0, 360), st.floats(-90, 90))
@settings(max_examples=50, deadline=None)
def test_detections_of_a_star_are_one_object(seed: int, ra: float, dec: float) -> None:
    random = np.random.default_rng(seed)
    number = int(random.integers(1, 6))
    off = random.normal(0, 0.03 / 3600, (2, number))
    with np.errstate(divide="ignore"):
        at = np.mod(ra + off[0] / max(np.cos(np.radians(dec)), 1e-3), 360), np.clip(dec + off[1], -90, 90)
    one = {name: np.zeros(number) for name in Stars.__slots__}
    one |= {"ra": at[0], "dec": at[1], "visit": np.arange(number), "image": np.arange(number)}
    assert (associated(Stars(**one), radius_arcsec=0.5) == 0).all()
    twice = Stars(**(one | {"visit": np.zeros(number, np.int64)}))
    assert (associated(twice, radius_arcsec=0.5) == (-1 if number > 1 else 0)).all()


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_stars_that_are_apart_are_objects_of_their_own(seed: int, number: int, times: int) -> None:
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 360, number), np.linspace(-89, 89, number) + random.uniform(-0.1, 0.1)
    star = np.tile(np.arange(number), times)
    off = random.normal(0, 0.02 / 3600, (2, len(star)))  # 20 mas, of a radius of 500
    one = {name: np.zeros(len(star)) for name in Stars.__slots__}
    one |= {"ra": np.mod(ra[star] + off[0] / np.cos(np.radians(dec[star])), 360), "dec": dec[star] + off[1]}
    one |= {"visit": np.repeat(np.arange(times), number), "image": np.zeros(len(star), np.int64)}
    label = associated(Stars(**one), radius_arcsec=0.5)
    assert sorted(set(label)) == list(range(number))
    assert all(len(set(label[star == this])) == 1 for this in range(number))


def test_nothing_seen_is_an_error_and_differences_need_no_reference() -> None:
    none = Observations(value=np.zeros(0), error=np.zeros(0), object=np.zeros(0, np.int64))
    with pytest.raises(NoFitError, match="no star was seen"):
        joint_fit(none, [])
    seen = Observations(value=np.array([10.0, 10.3, 12.0, 12.3]), error=np.full(4, 0.01), object=np.array([0, 0, 1, 1]))
    block = Block(group=np.array([0, 1, 0, 1]), basis=np.ones((4, 1)), prior=np.array([np.inf]))
    fit = joint_fit(seen, [block])
    assert fit.terms[0][1, 0] - fit.terms[0][0, 0] == pytest.approx(0.3)
    anchor = Anchors(object=np.array([0]), value=np.array([9.0]), error=np.array([0.01]))
    assert joint_fit(seen, [block], anchors=anchor).objects == pytest.approx([9.0, 11.0])
