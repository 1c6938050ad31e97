"""The pipelines over a small simulated survey in a Butler repository: from raws to rows, and past what is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from lsst.daf.butler import Butler
from scipy.spatial import cKDTree
from support.calibrated_survey import (
    SCIENCE,
    CalibratedSurvey,
    calibrated_survey,
    pipeline,
    run_pipeline,
    run_to_the_end,
)

from qserv_py.pipelines.images.exposure import Exposure, RawImage
from qserv_py.pipelines.images.fits_file import read_raw
from qserv_py.pipelines.instrument.raws import write_raw
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.calibrate_image import background_of

VISITS = (2026112000010, 2026112000011, 2026112000012, 2026112000013)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> CalibratedSurvey:
    made = calibrated_survey(tmp_path_factory.mktemp("tasks"))
    run_pipeline(made.repository, "drp-single-frame.yaml", output="QCam/drp", where=SCIENCE)
    return made


@pytest.fixture(scope="module")
def butler(survey: CalibratedSurvey) -> Butler:
    return Butler.from_config(survey.repository, collections=["QCam/drp", "QCam/defaults"])


def truth_of(survey: CalibratedSurvey, visit: int, detector: int) -> Any:
    """Return true sources of a detector of a visit, with their kind."""
    objects = pq.read_table(survey.survey / "truth" / "objects.parquet", columns=["object_id", "kind"])
    kinds = dict(zip(objects["object_id"].to_pylist(), objects["kind"].to_pylist(), strict=True))
    table = pq.read_table(survey.survey / "truth" / "sources" / f"{visit}_{detector:03d}.parquet")
    columns = {name: table[name].to_numpy() for name in ("object_id", "x", "y", "ra", "dec", "mag")}
    return columns | {"star": np.array([kinds.get(int(one)) == "star" for one in columns["object_id"]])}


def spread(values: Any) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def test_every_dataset_of_the_contract_is_there(butler: Butler) -> None:
    expected = {
        "post_isr_image": 8, "preliminary_visit_image": 8, "preliminary_visit_image_background": 8,
        "single_visit_psf_star": 8, "single_visit_star_unstandardized": 8, "preliminary_visit_detector_summary": 8,
        "preliminary_visit_summary": 4, "visit_photometric_fit": 1, "visit_astrometric_fit": 1, "visit_summary": 4,
        "recalibrated_star_detector": 8, "recalibrated_star": 4, "visit_table": 1, "visit_detector_table": 1,
        "bias": 2, "dark": 2, "flat": 2, "defects": 2,
    }  # fmt: skip
    found = {name: len(butler.query_datasets(name, find_first=False, limit=None, explain=False)) for name in expected}
    assert found == expected


def test_calibrations_are_those_of_the_simulated_devices(survey: CalibratedSurvey, butler: Butler) -> None:
    flat: Exposure = butler.get("flat", detector=0, physical_filter="q_r", exposure=VISITS[0])
    dark: Exposure = butler.get("dark", detector=0, exposure=VISITS[0])
    bias: Exposure = butler.get("bias", detector=0, exposure=VISITS[0])
    good = (flat.mask & Plane.BAD) == 0
    assert np.mean(flat.image[good]) == pytest.approx(1.0, abs=1e-4)
    assert 0.01 < np.std(flat.image[good]) < 0.1
    assert 0.0 < np.median(dark.image) < 0.2
    assert abs(np.median(bias.image)) < 5.0
    assert flat.header["NEXP"] == 3
    found = butler.get("defects", detector=0, collections="QCam/cp")
    true = pq.read_table(survey.survey / "truth" / "defects.parquet").to_pandas()
    planted, mine = (np.zeros(flat.image.shape, bool) for _ in range(2))
    for boxes, mask in ((true[true["detector"] == 0].to_records(), planted), (found, mine)):
        for box in boxes:
            mask[box["y0"] : box["y0"] + box["height"], box["x0"] : box["x0"] + box["width"]] = True
    assert (mine & planted).sum() > 0.95 * planted.sum()
    assert (mine & ~planted).sum() < 30


@pytest.mark.parametrize("visit", VISITS)
def test_rows_are_where_and_how_bright_the_truth_is(survey: CalibratedSurvey, butler: Butler, visit: int) -> None:
    rows = butler.get("recalibrated_star", visit=visit)
    assert len(np.unique(rows["sourceId"])) == len(rows)
    assert set(np.unique(rows["detector"])) == {0, 1}
    assert (rows["visit"] == visit).all()
    for detector in (0, 1):
        mine, true = rows[rows["detector"] == detector], truth_of(survey, visit, detector)
        distance, at = cKDTree(np.stack([true["x"], true["y"]], axis=1)).query(np.stack([mine["x"], mine["y"]], axis=1))
        assert np.mean(distance < 4) > 0.93
        chosen = (distance < 2) & true["star"][at] & (true["mag"][at] > 17) & (true["mag"][at] < 20.5)
        chosen &= ~np.asarray(mine["pixelFlags_saturated"] | mine["psfFlux_flag"] | (mine["parentSourceId"] != 0))
        at, mine = at[chosen], mine[chosen]
        off = 31.4 - 2.5 * np.log10(mine["psfFlux"]) - true["mag"][at]
        assert abs(np.median(off)) < 0.008
        assert spread(off) < 0.020
        east = 3.6e6 * (mine["ra"] - true["ra"][at]) * np.cos(np.radians(true["dec"][at]))
        north = 3.6e6 * (mine["dec"] - true["dec"][at])
        assert max(abs(np.median(east)), abs(np.median(north))) < 2.0
        assert max(spread(east), spread(north)) < 5.0


def test_the_fits_over_visits_reach_the_summaries(butler: Butler) -> None:
    for visit in VISITS:
        first, final = (butler.get(name, visit=visit) for name in ("preliminary_visit_summary", "visit_summary"))
        assert final["photometricFit"].all()
        assert final["astrometricFit"].all()
        assert np.max(np.abs(final["zeroPoint"] - first["zeroPoint"])) < 0.02
        assert (final["zeroPoint"] != first["zeroPoint"]).all()
        assert (final["zeroPointErr"] < 0.005).all()
    photometry = butler.get("photometricFit_metadata", physical_filter="q_r")["photometricFit"]
    assert photometry["repeatability_mmag"] < 5.0  # Rubin's requirement
    assert photometry["images_fitted"] == 8
    assert photometry["references"] > 100
    assert butler.get("astrometricFit_metadata")["astrometricFit"]["repeatability_mas"] < 6.0


def test_tables_of_visits_have_a_row_each(butler: Butler) -> None:
    visits, detectors = butler.get("visit_table"), butler.get("visit_detector_table")
    assert visits["visit"].tolist() == list(VISITS)
    assert list(zip(detectors["visitId"], detectors["detector"], strict=True)) == [
        (v, d) for v in VISITS for d in (0, 1)
    ]
    assert (detectors["seeing"] > 0.5).all()
    assert (detectors["magLim"] > 23).all()
    assert ((detectors["effTime"] > 5) & (detectors["effTime"] < 60)).all()  # of 30 s, by the night


def test_images_carry_what_their_rows_came_from(butler: Butler) -> None:
    image: Exposure = butler.get("preliminary_visit_image", visit=VISITS[1], detector=1)
    before: Exposure = butler.get("post_isr_image", exposure=VISITS[1], detector=1)
    background = background_of(butler.get("preliminary_visit_image_background", visit=VISITS[1], detector=1))
    summary = butler.get("preliminary_visit_detector_summary", visit=VISITS[1], detector=1)[0]
    scale = 10 ** (-0.4 * (summary["zeroPoint"] - 31.4))
    untouched = (image.mask & (Plane.CR | Plane.BAD)) == 0
    again = (before.image - background.level_image()) * np.float32(scale)
    np.testing.assert_allclose(image.image[untouched], again[untouched], atol=0.01 * np.std(again))
    assert image.njy_per_unit == 1.0
    assert image.psf is not None
    assert image.wcs is not None
    psf_stars = butler.get("single_visit_psf_star", visit=VISITS[1], detector=1)
    assert len(psf_stars) == summary["nPsfStar"]


def test_metadata_say_what_was_done(butler: Butler) -> None:
    isr = butler.get("isr_metadata", exposure=VISITS[0], detector=0)["isr"]
    assert isr["bad_pixels"] > 0
    assert isr["median_electrons"] > 100
    image = butler.get("calibrateImage_metadata", visit=VISITS[0], detector=0)["calibrateImage"]
    assert image["sources"] > 50
    assert image["psf_stars"] <= image["psf_candidates"]
    assert image["runEndCpuTime"] > image["runStartCpuTime"]


def test_the_same_inputs_give_the_same_bits(survey: CalibratedSurvey, butler: Butler) -> None:
    where = f"{SCIENCE} AND visit={VISITS[0]} AND detector=0"
    run_pipeline(survey.repository, "drp-single-frame.yaml#step1", output="QCam/again", where=where)
    run_pipeline(survey.repository, "drp-single-frame.yaml#step2", output="QCam/drp", where=SCIENCE)
    again = Butler.from_config(survey.repository, collections=["QCam/again"])
    first, second = (
        one.get("single_visit_star_unstandardized", visit=VISITS[0], detector=0) for one in (butler, again)
    )
    for name in first.colnames:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    runs = butler.query_datasets("visit_photometric_fit", collections="QCam/drp", find_first=False, limit=None)
    fits = [butler.get(ref) for ref in runs]
    assert len(fits) == 2
    for name in fits[0].colnames:
        np.testing.assert_array_equal(fits[0][name], fits[1][name], err_msg=name)


def broken_raws(survey: CalibratedSurvey) -> None:
    """Spoil raws where they lie: the repository reads them in place."""

    def spoil(visit: int, detector: int, change: Any) -> None:
        path = survey.raw(visit, detector)
        raw = read_raw(path, name=str(path))
        size = path.stat().st_size
        write_raw(path, change(raw))
        assert path.stat().st_size == size

    random = np.random.default_rng(1)

    def with_cards(raw: RawImage, **cards: Any) -> RawImage:
        return replace(raw, header=dict(raw.header) | cards)

    spoil(VISITS[0], 0, lambda raw: replace(raw, pixels=np.full_like(raw.pixels, 1000)))
    full = lambda raw: replace(raw, pixels=random.integers(65000, 65535, raw.pixels.shape).astype(np.uint16))  # noqa: E731
    spoil(VISITS[0], 1, full)
    spoil(VISITS[3], 0, lambda raw: with_cards(raw, DETECTOR=7))
    shut = lambda raw: replace(raw, pixels=random.normal(1000, 5, raw.pixels.shape).astype(np.uint16))  # noqa: E731
    spoil(VISITS[1], 1, shut)
    spoil(VISITS[2], 0, lambda raw: with_cards(raw, EXPTIME=-3.0))
    spoil(VISITS[2], 1, lambda raw: with_cards(raw, CRVAL1=float(raw.header["CRVAL1"]) + 1.0))


def test_what_is_broken_fails_by_itself_and_the_rest_goes_on(
    survey: CalibratedSurvey, butler: Butler, tmp_path: Path
) -> None:
    originals = {key: survey.raw(*key).read_bytes() for key in [(v, d) for v in VISITS for d in (0, 1)]}
    try:
        broken_raws(survey)
        failed = run_to_the_end(survey.repository, "drp-single-frame.yaml#step1", output="QCam/broken", where=SCIENCE)
        assert {key: message.split("\n")[0] for key, message in failed.items()} == {
            ("isr", VISITS[3], 0): f"header of exposure {VISITS[3]}, detector 0 is that of exposure {VISITS[3]},"
            " detector 7",
            ("isr", VISITS[2], 0): f"header of exposure {VISITS[2]}, detector 0: EXPTIME is -3.0",
            (
                "calibrateImage",
                VISITS[1],
                1,
            ): "0 of 0 sources are bright and clean enough for coordinates; 5 are needed",
            ("calibrateImage", VISITS[2], 1): "0 reference stars on this image; 5 are needed",
        }
        run_pipeline(survey.repository, "drp-single-frame.yaml#step2", output="QCam/broken", where=SCIENCE)
        run_pipeline(survey.repository, "drp-single-frame.yaml#step3", output="QCam/broken", where=SCIENCE)
    finally:
        for key, content in originals.items():
            survey.raw(*key).write_bytes(content)
    after = Butler.from_config(survey.repository, collections=["QCam/broken"])
    assert after.get("visit_table")["visit"].tolist() == [VISITS[1], VISITS[3]]
    for visit, detector in ((VISITS[1], 0), (VISITS[3], 1)):
        rows = after.get("recalibrated_star", visit=visit)
        assert len(rows) > 100
        assert (rows["detector"] == detector).all()
    # what was measured before the fit failed is there to look at
    assert len(after.get("single_visit_psf_star", visit=VISITS[2], detector=1)) > 12
    images = after.query_datasets("preliminary_visit_image", limit=None)
    assert {(ref.dataId["visit"], ref.dataId["detector"]) for ref in images} == {(VISITS[1], 0), (VISITS[3], 1)}


def test_a_missing_calibration_is_named(survey: CalibratedSurvey) -> None:
    with pytest.raises(Exception, match=rf"no flat for exposure {VISITS[0]}, detector 0 was valid when the graph"):
        run_without_flats(survey)


def run_without_flats(survey: CalibratedSurvey) -> None:
    from lsst.pipe.base.simple_pipeline_executor import SimplePipelineExecutor

    inputs = ["QCam/raw/all", "QCam/calib/unbounded"]
    butler = SimplePipelineExecutor.prep_butler(survey.repository, inputs, "QCam/uncalibrated")
    chosen = pipeline("drp-single-frame.yaml#isr")
    chosen.addConfigOverride("isr", "do_bias", False)
    chosen.addConfigOverride("isr", "do_dark", False)
    where = f"instrument='QCam' AND exposure={VISITS[0]} AND detector=0"
    SimplePipelineExecutor.from_pipeline(chosen, where=where, butler=butler).run(register_dataset_types=True)
