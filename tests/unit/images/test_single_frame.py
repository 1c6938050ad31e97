"""One detector from electrons to calibrated rows, against the truth of a simulation."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.table import Table
from scipy.spatial import cKDTree
from support.frames import BAND, Simulated, info_of, simulated_frame

from qserv_py.errors import ImageFileError, NoFitError, PipelineError, UnusableImageError
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.values.row_converter import match_columns
from qserv_py.pipelines.instrument.exposures import mjd
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.calibrate_image import (
    Calibrated,
    Measured,
    Options,
    background_of,
    background_table,
    calibrate,
    measure_image,
)
from qserv_py.pipelines.single_frame.characterisation.characterise import Options as CharacteriseOptions
from qserv_py.pipelines.single_frame.references import References, references_at
from qserv_py.pipelines.single_frame.tables.source_table import njy_per_electron, source_table, visit_source_table
from qserv_py.pipelines.single_frame.tables.summary import Fiducials, effective_time, limiting_magnitude
from qserv_py.pipelines.single_frame.tables.visit_tables import visit_detector_table, visit_summary, visit_table
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_of_row

SIDE = 1024
DP1_TYPES = {
    "double": "float64", "float": "float32", "long": "int64", "int": "int32", "boolean": "bool", "char": "<U",
    "timestamp": "datetime64",
}  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> Simulated:
    return simulated_frame(SIDE, seed=3, cosmic_rays=40)


@pytest.fixture(scope="module")
def measured(frame: Simulated) -> Measured:
    return measure_image(frame.exposure, Options())


def references_of(frame: Simulated) -> References:
    return references_at([frame.references], band=BAND, mjd=float(frame.exposure.header["MJD-AVG"]))


@pytest.fixture(scope="module")
def calibrated(frame: Simulated, measured: Measured) -> Calibrated:
    return calibrate(frame.exposure, measured, references_of(frame), Options())


def stars_of(frame: Simulated, table: Any, low: float, high: float) -> tuple[np.ndarray, Any]:
    """Return true stars of some magnitudes that were found, and their rows."""
    distance, row = cKDTree(np.stack([table["x"], table["y"]], axis=1)).query(
        np.stack([frame.truth["x"], frame.truth["y"]], axis=1)
    )
    chosen = frame.truth["star"] & (frame.truth["mag"] >= low) & (frame.truth["mag"] < high) & (distance < 4)
    return frame.truth[chosen], table[row[chosen]]


def spread(values: Any) -> float:
    values = np.asarray(values)
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def test_bright_stars_are_right_in_flux_and_position(frame: Simulated, calibrated: Calibrated) -> None:
    true, rows = stars_of(frame, source_table(calibrated.table, calibrated.summary[0]), 18, 21)
    off = 31.4 - 2.5 * np.log10(rows["psfFlux"]) - true["mag"]
    assert len(true) >= 20
    assert abs(np.median(off)) < 0.005
    assert spread(off) < 0.010  # anchors: 3.7 mmag to 20 mag, 13 to 22 mag
    ra, dec = frame.wcs.to_sky(true["x"], true["y"])
    east = 3.6e6 * (rows["ra"] - ra) * np.cos(np.radians(dec))
    assert spread(east) < 4.0
    assert abs(np.median(east)) < 2.0
    assert spread(3.6e6 * (rows["dec"] - dec)) < 4.0


def test_errors_are_those_of_the_scatter(frame: Simulated, calibrated: Calibrated) -> None:
    true, rows = stars_of(frame, source_table(calibrated.table, calibrated.summary[0]), 20, 23)
    flux = 10 ** (-0.4 * (true["mag"] - 31.4))
    for name in ("psfFlux", "calibFlux", "gaussianFlux"):
        pull = (rows[name] - flux * np.median(rows[name] / flux)) / rows[f"{name}Err"]
        assert 0.7 < spread(pull) < (2.2 if name == "calibFlux" else 1.6), name  # neighbours fall into a large circle
    pull = (rows["x"] - true["x"]) / rows["xErr"]
    assert 0.7 < spread(pull) < 1.5


def test_coordinates_are_good_to_a_few_milliarcseconds(frame: Simulated, calibrated: Calibrated) -> None:
    x, y = (values.ravel() for values in np.meshgrid(*[np.linspace(0, SIDE - 1, 10)] * 2))
    mine, true = calibrated.exposure.wcs.to_sky(x, y), frame.wcs.to_sky(x, y)
    error = 3.6e6 * np.stack([(mine[0] - true[0]) * np.cos(np.radians(true[1])), mine[1] - true[1]])
    assert np.sqrt(np.mean(error**2)) < 2.5  # 40 references of 5 mas: 1.4 expected


def test_stars_and_galaxies_part_and_blends_know_each_other(frame: Simulated, calibrated: Calibrated) -> None:
    rows = source_table(calibrated.table, calibrated.summary[0])
    _, stars = stars_of(frame, rows, 18, 21)
    assert np.mean(stars["extendedness"]) < 0.15
    galaxies = cKDTree(np.stack([frame.truth["x"], frame.truth["y"]], axis=1))
    distance, nearest = galaxies.query(np.stack([rows["x"], rows["y"]], axis=1))
    bright = (distance < 2) & ~frame.truth["star"][nearest] & (frame.truth["mag"][nearest] < 22)
    assert np.mean(rows["extendedness"][bright]) > 0.9
    blends = rows[rows["parentSourceId"] > 0]
    assert len(blends)
    assert not set(blends["parentSourceId"]) & set(rows["sourceId"])
    assert np.min(np.unique(blends["parentSourceId"], return_counts=True)[1]) >= 2


def test_what_is_saturated_is_neither_star_nor_galaxy(calibrated: Calibrated) -> None:
    measured = calibrated.table.copy()
    measured["center_planes"][:5] |= int(Plane.SAT)
    rows = source_table(measured, calibrated.summary[0])
    assert np.isnan(rows["extendedness"][:5]).all()
    assert rows["extendedness_flag"][:5].all()
    assert np.isfinite(rows["extendedness"][5:]).mean() > 0.8


def test_what_an_earlier_version_measured_is_refused(calibrated: Calibrated) -> None:
    measured = calibrated.table.copy()
    measured.remove_columns(["spread", "spread_error"])
    with pytest.raises(PipelineError, match="an earlier version measured visit .* there is no column spread") as caught:
        source_table(measured, calibrated.summary[0])
    assert "Measure the images again" in caught.value.hint


def test_cosmic_rays_are_masked_and_make_no_stars(frame: Simulated, measured: Measured) -> None:
    assert 40 <= measured.image.cosmic_ray_pixels < 400
    rows = measured.table
    distance = cKDTree(np.stack([frame.truth["x"], frame.truth["y"]], axis=1)).query(
        np.stack([rows["x"], rows["y"]], axis=1)
    )[0]
    assert np.mean(distance < 4) > 0.98
    assert ((measured.image.mask & Plane.CR) != 0).sum() == measured.image.cosmic_ray_pixels


def test_the_image_is_in_nanojansky(frame: Simulated, calibrated: Calibrated) -> None:
    image = calibrated.exposure
    scale = 10 ** (-0.4 * (calibrated.summary["zeroPoint"][0] - 31.4))
    assert image.njy_per_unit == 1.0
    assert image.psf is not None
    np.testing.assert_allclose(image.variance, frame.exposure.variance * scale**2, rtol=1e-5)
    assert abs(np.median(image.image)) < 3 * scale  # an electron or three of 1000: the sky is gone
    assert calibrated.summary["zeroPoint"][0] == pytest.approx(32.0, abs=0.03)


def test_the_background_survives_its_table(measured: Measured) -> None:
    again = background_of(background_table(measured.image.sky))
    assert np.array_equal(again.level_image(), measured.image.sky.level_image())
    assert np.array_equal(again.noise_image(), measured.image.sky.noise_image())


def test_the_summary_says_what_the_image_is(calibrated: Calibrated) -> None:
    row = calibrated.summary[0]
    assert row["visitId"] == 2026112000001
    assert row["detector"] == 2
    assert row["expMidptMJD"] == pytest.approx(mjd(info_of().middle))
    assert row["seeing"] == pytest.approx(0.80, abs=0.05)  # adaptive moments of a Kolmogorov profile of 0.75"
    assert row["skyBg"] == pytest.approx(1000, abs=5)
    assert row["skyNoise"] == pytest.approx(32.6, abs=0.7)
    assert row["pixelScale"] == pytest.approx(0.2, rel=1e-3)
    assert row["magLim"] == pytest.approx(24.4, abs=0.1)
    assert row["astromOffsetMean"] == pytest.approx(0.0075, abs=0.003)
    wcs = wcs_of_row(row)
    for corner, at in {"llc": (-0.5, -0.5), "urc": (SIDE - 0.5, SIDE - 0.5), "ulc": (-0.5, SIDE - 0.5)}.items():
        assert (row[f"{corner}ra"], row[f"{corner}dec"]) == pytest.approx(
            [float(value[0]) for value in wcs.to_sky([at[0]], [at[1]])]
        )


def test_columns_are_those_of_dp1_in_name_and_type(calibrated: Calibrated) -> None:
    with (resources.files("lsst.sdm.schemas") / "dp1.yaml").open() as file:
        tables = {table["name"]: table["columns"] for table in yaml.safe_load(file)["tables"]}
    summary = visit_summary([calibrated.summary])
    made = {
        "Source": source_table(calibrated.table, calibrated.summary[0]),
        "Visit": visit_table([summary]),
        "CcdVisit": visit_detector_table([summary]),
    }
    for name, table in made.items():
        known = {column["name"]: DP1_TYPES[column["datatype"]] for column in tables[name]}
        ours = {"kronFlux", "kronFluxErr", "kronFlux_flag", "kronRad", "shape_flag", "spreadModel", "spreadModelErr"}
        assert set(table.colnames) - set(known) <= ours
        for column in set(table.colnames) & set(known):
            assert known[column] in str(table[column].dtype), column
    source = {column["name"] for column in tables["Source"]}
    assert (len(source & set(made["Source"].colnames)), len(source)) == (
        107,
        156,
    )  # as docs/reference/pipelines.md says
    assert set(made["Visit"].colnames) == {column["name"] for column in tables["Visit"]}
    assert set(made["CcdVisit"].colnames) == {column["name"] for column in tables["CcdVisit"]}


def test_columns_have_a_place_in_the_catalogue(calibrated: Calibrated) -> None:
    summary = visit_summary([calibrated.summary])
    made = {
        "Source": source_table(calibrated.table, calibrated.summary[0]),
        "Visit": visit_table([summary]),
        "VisitDetector": visit_detector_table([summary]),
    }
    for table in prompt_database("prompt").tables:
        names = made[table.name].colnames
        assert set(match_columns("the table", names, table, ignore_extra=False).values()) == set(names)


def test_a_final_zero_point_and_its_slope_reach_the_rows(calibrated: Calibrated) -> None:
    before = source_table(calibrated.table, calibrated.summary[0])
    final = calibrated.summary.copy()
    final["zeroPoint"] += 0.1
    final["zeroPointSlopeX"], final["zeroPointSlopeY"] = [0.02], [0.0]
    after = source_table(calibrated.table, final[0])
    ratio = -2.5 * np.log10(after["psfFlux"] / before["psfFlux"])
    right = np.asarray(before["x"]) / SIDE * 2 - 1
    good = np.isfinite(ratio)
    np.testing.assert_allclose(ratio[good], 0.1 + 0.02 * right[good], atol=1e-6)
    assert njy_per_electron(final[0], np.array([(SIDE) / 2]), np.zeros(1))[0] == pytest.approx(
        10 ** (-0.4 * (final["zeroPoint"][0] - 31.4))
    )


def test_the_rows_of_a_visit_are_distinct(calibrated: Calibrated) -> None:
    other = calibrated.summary.copy()
    other["detector"] = 3
    one, two = (source_table(calibrated.table, summary[0]) for summary in (calibrated.summary, other))
    visit = visit_source_table([two, one])
    assert len(visit) == 2 * len(one)
    assert (np.diff(np.asarray(visit["sourceId"])) > 0).all()
    with pytest.raises(PipelineError, match="two sources have the identifier"):
        visit_source_table([one, one])
    other["visitId"] += 1
    with pytest.raises(PipelineError, match="detectors of the visits"):
        visit_summary([calibrated.summary, other])


def test_what_cannot_be_measured_says_why(frame: Simulated) -> None:
    good = frame.exposure
    nan = replace(good, image=np.full_like(good.image, np.nan))
    with pytest.raises(UnusableImageError, match=r"0.0 % of the pixels can be used"):
        measure_image(nan, Options())
    saturated = replace(good, mask=np.full_like(good.mask, Plane.SAT))
    with pytest.raises(UnusableImageError, match="can be used"):
        measure_image(saturated, Options())
    flat = replace(good, image=np.full_like(good.image, 7.0))
    with pytest.raises(UnusableImageError, match="no noise"):
        measure_image(flat, Options())
    random = np.random.default_rng(1)
    empty = replace(good, image=random.normal(1000, 30, good.image.shape).astype(np.float32))
    assert len(measure_image(empty, Options()).table) <= 2


def test_an_image_without_a_psf_is_calibrated_all_the_same(frame: Simulated) -> None:
    options = Options(characterise=CharacteriseOptions(least_stars=10_000))
    made = calibrate(frame.exposure, measure_image(frame.exposure, options), references_of(frame), options)
    rows = source_table(made.table, made.summary[0])
    assert made.summary["nPsfStar"][0] == 0
    assert rows["psfFlux_flag"].all()
    true, mine = stars_of(frame, rows, 18, 20)
    assert len(true) > 10
    assert abs(np.median(31.4 - 2.5 * np.log10(mine["psfFlux"]) - true["mag"])) < 0.03


def test_references_that_do_not_fit_say_why(frame: Simulated, measured: Measured) -> None:
    references = references_of(frame)
    with pytest.raises(NoFitError, match="no reference star covers"):
        references_at([], band=BAND, mjd=61000.0)
    with pytest.raises(PipelineError, match='no column "z_flux"'):
        references_at([frame.references], band="z", mjd=61000.0)
    away = replace(frame.exposure, wcs=replace(frame.exposure.wcs, ra0=10.0))
    with pytest.raises(NoFitError, match="0 reference stars on this image"):
        calibrate(away, measured, references, Options())
    turned = replace(frame.exposure, wcs=replace(frame.exposure.wcs, cd=-frame.exposure.wcs.cd[:, ::-1]))
    with pytest.raises(NoFitError, match="no offset within"):
        calibrate(turned, measured, references, Options())
    dark = replace(references, magnitude=np.full(len(references.ra), np.nan))
    with pytest.raises(NoFitError, match="references with a magnitude"):
        calibrate(frame.exposure, measured, dark, Options())
    with pytest.raises(ImageFileError, match="no coordinates"):
        calibrate(replace(frame.exposure, wcs=None), measured, references, Options())
    header = {key: value for key, value in frame.exposure.header.items() if key != "EXPTIME"}
    with pytest.raises(ImageFileError, match="EXPTIME is missing"):
        calibrate(replace(frame.exposure, header=header), measured, references, Options())


def test_proper_motions_bring_references_to_the_visit() -> None:
    star = Table({"id": [5], "ra": [359.9999999], "dec": [60.0], "ra_error_mas": [4.0], "dec_error_mas": [5.0]})
    star["pm_ra_masyr"], star["pm_dec_masyr"], star["epoch_mjd"] = [100.0], [-50.0], [57389.0]
    star["r_flux"], star["r_flux_error"] = [3631e3], [3631.0]
    at = references_at([star, star], band="r", mjd=57389.0 + 3652.5)
    assert at.id.tolist() == [5]
    assert (at.ra[0] - star["ra"][0]) % 360 * 3.6e6 * np.cos(np.radians(60)) == pytest.approx(1000, rel=1e-6)
    assert (at.dec[0] - 60) * 3.6e6 == pytest.approx(-500)
    assert at.magnitude[0] == pytest.approx(15.0, abs=1e-3)
    assert at.error_mas[0] == 5.0


def test_effective_time_of_a_fiducial_exposure_is_its_length() -> None:
    row = {"band": "r", "expTime": 30.0, "psfSigma": 1.7, "skyBg": 900.0, "zeroPoint": 32.0}
    fiducials = Fiducials(
        psf_sigma_pixels={"r": 1.7}, sky_per_s={"r": 30.0}, zero_point_1s={"r": 32.0 - 2.5 * np.log10(30)}
    )
    assert effective_time(row, fiducials)["effTime"] == pytest.approx(30.0)
    worse = effective_time(row | {"psfSigma": 3.4, "zeroPoint": 31.0}, fiducials)
    assert worse["effTime"] == pytest.approx(30 / 4 * 10**-0.8)
    assert np.isnan(effective_time(row | {"band": "u"}, fiducials)["effTime"])


def test_limiting_magnitude_has_a_signal_to_noise_of_five() -> None:
    limit = limiting_magnitude(32.0, 33.0, 43.0)
    flux = 10 ** (-0.4 * (limit - 32.0))
    assert flux / np.sqrt(43 * 33.0**2 + flux) == pytest.approx(5.0)
