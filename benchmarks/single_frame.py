"""Single-frame pipelines on a simulated survey: CPU seconds of each step beside sep, and every result against truth.

Two parts, both of one detector on one thread, without the middleware (which takes about 50 ms a quantum): the fields on
which the anchors of PSF photometry were measured, in electrons; and visits of a simulated survey, from raw files to the
fits over all visits. Prints one JSON document with the goals beside what was measured.

    python benchmarks/single_frame.py [--size 2048] [--visits 6] [--fields 3] [--seed 1] [--directory DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded

import numpy as np
import pyarrow.parquet as pq
from astropy.table import Table, vstack
from kernels import ours, scatter_mmag, seps, size_of_model, spread
from scipy.spatial import cKDTree

from qserv_py.pipelines.calibration import astrometry, photometry
from qserv_py.pipelines.calibration.stars import Options as StarOptions
from qserv_py.pipelines.calibration.stars import bright_stars
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.images.fits_file import read_raw
from qserv_py.pipelines.images.wcs_cards import wcs_of
from qserv_py.pipelines.instrument.exposures import ExposureInfo, mjd
from qserv_py.pipelines.kernels.detection import gaussian_kernel
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments
from qserv_py.pipelines.kernels.measurement.psf_fit import fit_psf
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.scene import Scene, simulate
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.single_frame.calibrate_image import Calibrated, Options, calibrate, measure_image
from qserv_py.pipelines.single_frame.characterisation.characterise import characterise
from qserv_py.pipelines.single_frame.detrending.combination import clipped_mean
from qserv_py.pipelines.single_frame.detrending.defects import defects_of
from qserv_py.pipelines.single_frame.detrending.flat_fields import as_response, normalised
from qserv_py.pipelines.single_frame.detrending.signature import Calibrations, as_masked_image, without_signature
from qserv_py.pipelines.single_frame.references import proper_motions, references_at
from qserv_py.pipelines.single_frame.tables.source_table import source_table
from qserv_py.pipelines.single_frame.tables.visit_tables import updated_summary
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_of_row
from qserv_py.pipelines.survey.drawing import DRAWN, add_sources
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.run import simulate_survey

DETECTOR = 0
SCALE_MAS = 200.0
GOALS = {
    "detection_chain_over_sep": ("<=", 1.0),
    "psf_model_cpu_s": ("<=", 0.75),
    "stars_23_24_found": (">=", 0.92),
    "stars_24_24.5_found": (">=", 0.54),
    "purity": (">=", 0.99),
    "psf_dT_over_T_percent": ("<=", 0.7),
    "psf_photometry_cpu_s": ("<=", 0.8),
    "psf_stars_18_20_mmag": ("<=", 3.7),
    "psf_stars_18_20_centroid_mas": ("<=", 1.4),
    "astrometry_mas_rms_per_axis": ("<=", 1.0),
    "repeatability_mmag": ("<=", 5.0),
}


@dataclass
class Clock:
    """CPU seconds of steps, each the median of its runs."""

    runs: dict[str, list[float]] = field(default_factory=dict)

    def time(self, step: str, work: Callable[[], Any]) -> Any:
        """Return the result of a step, its seconds kept."""
        started = time.process_time()
        result = work()
        self.runs.setdefault(step, []).append(time.process_time() - started)
        return result

    def medians(self) -> dict[str, float]:
        """Return the seconds of each step."""
        return {step: round(float(np.median(values)), 4) for step, values in self.runs.items()}


def calibrations(survey: Path, camera: Any, clock: Clock) -> Calibrations:
    """Return bias, dark, flat and defects from the survey's calibration exposures."""
    raws: dict[str, list[Any]] = {"bias": [], "dark": [], "flat": []}
    for path in sorted((survey / "calib").glob(f"*/*/*/*_{DETECTOR:03d}.fits")):
        raw = read_raw(path, name=str(path))
        raws[str(raw.header["IMGTYPE"])].append(raw)
    detector = camera.detector(DETECTOR)

    def frames(kind: str, known: Calibrations) -> Any:
        for raw in raws[kind]:
            seconds = ExposureInfo.of_cards(raw.header).dark_s
            frame = as_masked_image(without_signature(raw, detector, calibrations=known, dark_s=seconds))
            if kind == "dark":
                frame = type(frame)(
                    image=frame.image / np.float32(seconds), variance=frame.variance / np.float32(seconds**2),
                    mask=frame.mask,
                )  # fmt: skip
            yield normalised(frame) if kind == "flat" else frame

    def made(kind: str, known: Calibrations) -> Exposure:
        image = clock.time(f"cp_{kind}", lambda: clipped_mean(frames(kind, known)).image)
        image = as_response(image) if kind == "flat" else image
        return Exposure(image=image.image, variance=image.variance, mask=image.mask)

    bias = made("bias", Calibrations())
    dark = made("dark", Calibrations(bias=bias))
    flat = made("flat", Calibrations(bias=bias, dark=dark))
    defects = clock.time("cp_defects", lambda: defects_of(dark, [flat], response=0.2, hot=10.0))
    return Calibrations(bias=bias, dark=dark, flat=flat, defects=defects)


def one_visit(path: Path, known: Calibrations, camera: Any, shards: list[Any], clock: Clock) -> Calibrated:
    """Return a calibrated image from a raw file."""
    raw = clock.time("read_raw", lambda: read_raw(path, name=str(path)))
    info = ExposureInfo.of_cards(raw.header)
    guess = wcs_of(raw.header, name=str(path))
    image = clock.time(
        "isr",
        lambda: without_signature(raw, camera.detector(DETECTOR), calibrations=known, dark_s=info.dark_s, wcs=guess),
    )
    options = Options()
    found = clock.time("characterise", lambda: characterise(image, options.characterise))
    rows = found.found.sources
    fitted = clock.time("psf_model", lambda: fit_psf(found.frame, rows["x"], rows["y"], star=found.candidate).psf)
    clock.time("psf_photometry", lambda: psf_photometry(found.frame, fitted, rows["x"], rows["y"]))
    kernel = np.ascontiguousarray(gaussian_kernel(found.fwhm_pixels), np.float32)
    smooth = np.where(np.isfinite(image.image), image.image, 0).astype(np.float32)
    clock.time("detection_chain", lambda: ours(smooth, kernel))
    clock.time("sep_detection_chain", lambda: seps(smooth, kernel))
    measured = clock.time("characterise_and_measure", lambda: measure_image(image, options))
    stars = clock.time("references", lambda: references_at(shards, band=info.band, mjd=mjd(info.middle)))
    return clock.time("calibrate", lambda: calibrate(image, measured, stars, options))


def truth_of(survey: Path, visit: int) -> Any:
    """Return the true sources of the detector, with whether they are stars that do not vary."""
    objects = pq.read_table(
        survey / "truth" / "objects.parquet", columns=["object_id", "kind", "variation"]
    ).to_pandas()
    steady = objects[(objects["kind"] == "star") & (objects["variation"] == "none")]["object_id"].to_numpy()
    table = pq.read_table(survey / "truth" / "sources" / f"{visit}_{DETECTOR:03d}.parquet").to_pandas()
    table["star"] = np.isin(table["object_id"], steady)
    return table


def wcs_of_truth(survey: Path, visit: int) -> Wcs:
    """Return the true coordinates of the detector."""
    table = pq.read_table(survey / "truth" / "visit_detectors.parquet").to_pandas()
    row = table[(table["visit"] == visit) & (table["detector"] == DETECTOR)].iloc[0]
    order = int(row["sip_order"])
    a, b = (np.array(row[name]).reshape(order + 1, order + 1) for name in ("sip_a", "sip_b"))
    return Wcs(
        ra0=row["ra0"], dec0=row["dec0"], x0=row["x0"], y0=row["y0"], order=order, a=a, b=b,
        cd=np.array([[row[f"cd{i}_{j}"] for j in (1, 2)] for i in (1, 2)]),
    )  # fmt: skip


def anchor_field(size: int, seed: int) -> dict[str, float]:
    """Return what PSF photometry makes of a field as the anchors had it."""
    share = (size / 2048) ** 2
    scene = Scene(shape=(size, size), seed=seed, n_stars=round(650 * share), n_galaxies=round(4220 * share))
    drawn = simulate(scene)
    image = Exposure(
        image=drawn.image,
        variance=np.maximum(drawn.image, 0) + np.float32(scene.read_noise**2),
        mask=np.zeros(drawn.image.shape, np.int32),
    )
    measured = measure_image(image, Options())
    rows, true = measured.table, drawn.truth
    near, row = cKDTree(np.stack([rows["x"], rows["y"]], axis=1)).query(np.stack([true["x"], true["y"]], axis=1))
    chosen = true["star"] & (true["mag"] >= 18) & (true["mag"] < 20) & (near < 4)
    mine, theirs = rows[row[chosen]], true[chosen]
    far, _ = cKDTree(np.stack([true["x"], true["y"]], axis=1)).query(np.stack([rows["x"], rows["y"]], axis=1))

    def found(low: float, high: float) -> float:
        return float(np.mean(near[true["star"] & (true["mag"] >= low) & (true["mag"] < high)] < 4))

    return {
        "psf_dT_over_T_percent": abs(size_of_model(scene, measured.image.psf)["dT_over_T_percent"]),
        "psf_stars_18_20_mmag": scatter_mmag(np.asarray(mine["psf_flux"]), theirs["flux"]),
        "psf_stars_18_20_centroid_mas": SCALE_MAS * spread(np.asarray(mine["x"]) - theirs["x"]),
        "stars_23_24_found": found(23, 24),
        "stars_24_24.5_found": found(24, 24.5),
        "purity": float(np.mean(far < 4)),
    }


def medians(each: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each number."""
    return {name: round(float(np.median([one[name] for one in each])), 4) for name in each[0]}


def psf_error(image: Exposure, true: Any) -> tuple[float, float]:
    """Return the mean of dT/T in percent, and the rms of the ellipticity's error, at some of the true stars."""
    ratios, shears = [], []
    side = image.psf.side
    for row in true[true["star"]].iloc[:: max(1, len(true) // 300)].itertuples():
        stamp = np.zeros((129, 129))
        point = np.zeros(1, DRAWN)
        point["x"] = point["y"] = 64
        point["flux"], point["fwhm"], point["psf_e1"], point["psf_e2"] = 1.0, row.psf_fwhm, row.psf_e1, row.psf_e2
        add_sources(stamp, point, threshold=1e-9)
        both = [
            adaptive_moments(Frame(image=one), [one.shape[0] // 2], [one.shape[0] // 2], 1.8)[0]
            for one in (
                image.psf.at([row.x], [row.y])[0],
                stamp[64 - side // 2 : 65 + side // 2, 64 - side // 2 : 65 + side // 2],
            )
        ]
        sizes = [one["xx"] + one["yy"] for one in both]
        ratios.append(sizes[0] / sizes[1] - 1)
        shears.append((both[0]["xx"] - both[0]["yy"]) / sizes[0] - (both[1]["xx"] - both[1]["yy"]) / sizes[1])
    return 100 * float(np.mean(ratios)), float(np.sqrt(np.mean(np.square(shears))))


def coordinates_error(wcs: Wcs, true: Wcs, size: int) -> float:
    """Return the rms per axis over the detector, mas."""
    x, y = (one.ravel() for one in np.meshgrid(*[np.linspace(0, size - 1, 20)] * 2))
    mine, theirs = wcs.to_sky(x, y), true.to_sky(x, y)
    error = np.stack([(mine[0] - theirs[0]) * np.cos(np.radians(theirs[1])), mine[1] - theirs[1]])
    return float(3.6e6 * np.sqrt(np.mean(error**2)))


def against_truth(rows: Any, true: Any) -> dict[str, float]:
    """Return completeness, purity and scatter of one detector's rows."""
    spoilt = rows["pixelFlags_bad"] | rows["pixelFlags_cr"] | rows["pixelFlags_saturated"] | rows["pixelFlags_edge"]
    near, row = cKDTree(np.stack([rows["x"], rows["y"]], axis=1)).query(true[["x", "y"]].to_numpy())
    far, _ = cKDTree(true[["x", "y"]].to_numpy()).query(np.stack([rows["x"], rows["y"]], axis=1))
    result = {"purity": float(np.mean(far < 4)), "sources": len(rows)}
    for low, high in ((22, 23), (23, 24)):
        chosen = true["star"] & (true["mag"] >= low) & (true["mag"] < high)
        result[f"stars_{low}_{high}_found"] = float(np.mean(near[chosen] < 4))
    for low, high in ((18, 20), (20, 22), (22, 23)):
        chosen = (true["star"] & (true["mag"] >= low) & (true["mag"] < high)).to_numpy() & (near < 4)
        chosen &= ~np.asarray(spoilt)[row]
        mine, theirs = rows[row[chosen]], true[chosen]
        flux = 10 ** (-0.4 * (theirs["mag"].to_numpy() - 31.4))
        result[f"psf_stars_{low}_{high}_mmag"] = scatter_mmag(np.asarray(mine["psfFlux"]), flux)
        result[f"psf_stars_{low}_{high}_centroid_mas"] = SCALE_MAS * spread(
            np.asarray(mine["x"]) - theirs["x"].to_numpy()
        )
        off = np.asarray(-2.5 * np.log10(mine["psfFlux"] / flux))
        result[f"zero_of_stars_{low}_{high}_mmag"] = 1000 * float(np.nanmedian(off))
    return result


def over_visits(done: dict[int, Calibrated], shards: list[Any], clock: Clock) -> tuple[Any, dict[str, Any]]:
    """Return the final summary of all images, and what the fits over visits say of themselves."""
    summary = vstack([one.summary for one in done.values()], metadata_conflicts="silent")
    tables = [(number, visit, one.table) for number, (visit, one) in enumerate(done.items())]
    stars = bright_stars(tables, StarOptions())
    when = float(np.mean(summary["expMidptMJD"]))
    known = references_at(shards, band=str(summary["band"][0]), mjd=when)
    zero = clock.time(
        "photometric_fit", lambda: photometry.solve_zero_points(stars, summary, known, photometry.Options())
    )
    motions = proper_motions(shards, known)
    place = clock.time(
        "astrometric_fit",
        lambda: astrometry.solve_coordinates(stars, summary, known, astrometry.Options(), motions=motions),
    )
    return updated_summary(summary, photometry=zero, astrometry=place), {**zero.meta, **place.meta}


def measured_results(survey: Path, request: SurveyRequest, clock: Clock) -> dict[str, Any]:
    """Run everything; return what was measured."""
    camera = request.camera()
    known = calibrations(survey, camera, clock)
    shards = [
        Table.from_pandas(pq.read_table(path).to_pandas()) for path in sorted((survey / "refcats").glob("*/*.parquet"))
    ]
    done = {}
    for path in sorted((survey / "raw").glob(f"*/*/*/*_{DETECTOR:03d}.fits")):
        visit = int(path.name.split("_")[1])
        done[visit] = one_visit(path, known, camera, shards, clock)
    final, fits = over_visits(done, shards, clock)
    each: list[dict[str, float]] = []
    for row, (visit, image) in zip(final, done.items(), strict=True):
        true, coordinates = truth_of(survey, visit), wcs_of_truth(survey, visit)
        ratio, shear = psf_error(image.exposure, true)
        single = wcs_of_row(image.summary[0])
        each.append(
            against_truth(source_table(image.table, row), true)
            | {
                "psf_dT_over_T_percent": abs(ratio),
                "psf_de_rms": shear,
                "single_visit_astrometry_mas_rms_per_axis": coordinates_error(single, coordinates, request.size),
                "astrometry_mas_rms_per_axis": coordinates_error(wcs_of_row(row), coordinates, request.size),
            }
        )
    return medians(each) | {name: round(float(value), 3) for name, value in fits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--visits", type=int, default=6)
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    request = SurveyRequest(
        visits=options.visits, detectors=1, size=options.size, bands="r", seed=options.seed, biases=3, darks=3, flats=3
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        survey = options.directory or Path(scratch) / "survey"
        simulate_survey(request, survey)
        results = measured_results(survey, request, clock)
    seconds = clock.medians()
    fields = medians([anchor_field(options.size, options.seed + number) for number in range(options.fields)])
    goals = results | fields | {f"{step}_cpu_s": value for step, value in seconds.items()}
    goals["detection_chain_over_sep"] = round(seconds["detection_chain"] / seconds["sep_detection_chain"], 2)
    print(
        json.dumps(
            {
                "benchmark": "single_frame",
                "pixels": options.size**2,
                "visits": options.visits,
                "load": round(os.getloadavg()[0], 1),
                "cpu_s_median": seconds,
                "median_over_fields": fields,
                "median_over_visits": results,
                "goals": {
                    name: {
                        "goal": f"{sign} {bound}",
                        "measured": goals[name],
                        "met": (goals[name] <= bound) == (sign == "<="),
                    }
                    for name, (sign, bound) in GOALS.items()
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
