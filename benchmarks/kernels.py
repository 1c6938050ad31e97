"""The image kernels against sep and NumPy, and against truth, in the same run. Prints one JSON document.

CPU seconds are the least of some runs on one thread, each run of ours beside one of the peer's.

    python benchmarks/kernels.py [--side 2048] [--repeat 5] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded

import numpy as np
import sep

from qserv_py.pipelines.kernels.background import background
from qserv_py.pipelines.kernels.catalogues.astrometry import solve_wcs
from qserv_py.pipelines.kernels.catalogues.matching import nearest_within
from qserv_py.pipelines.kernels.cosmic_rays import find_cosmic_rays
from qserv_py.pipelines.kernels.detection import detect
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.isr import Amplifier, remove_signature
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes, axes_of, kron_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments, windowed_positions
from qserv_py.pipelines.kernels.measurement.psf_fit import fit_psf
from qserv_py.pipelines.kernels.measurement.psf_photometry import psf_photometry
from qserv_py.pipelines.kernels.measurement.stars import select_stars
from qserv_py.pipelines.kernels.reference import isr as isr_reference
from qserv_py.pipelines.kernels.scene import Scene, Simulated, psf_at, simulate
from qserv_py.pipelines.kernels.wcs import Wcs

SCALE = 0.2  # arc seconds per pixel
APERTURE = 1.2 / SCALE
MATCH = 0.8 / SCALE
THRESHOLD = 5.0


@dataclass(frozen=True)
class Measured:
    """What a detection and measurement gives."""

    x: np.ndarray
    y: np.ndarray
    aperture: np.ndarray
    kron: np.ndarray


def cpu(repeat: int, *works: Callable[[], Any]) -> list[float]:
    """Return the least CPU seconds of each work, run in turns."""
    least = [float("inf")] * len(works)
    for _ in range(repeat):
        for number, work in enumerate(works):
            started = time.process_time()
            work()
            least[number] = min(least[number], time.process_time() - started)
    return least


def ours(image: np.ndarray, kernel: np.ndarray) -> Measured:
    """Background, detection, aperture, Kron."""
    sky = background(image)
    light = sky.subtract_from(image)
    found = detect(light, noise=sky.mean_noise, kernel=kernel, threshold=THRESHOLD)
    rows = found.sources
    frame = Frame(image=light, noise=sky.mean_noise, gain=1.0, segments=found.segments)
    circles = aperture_fluxes(frame, rows["x"], rows["y"], APERTURE)
    shape = axes_of(rows["xx"], rows["yy"], rows["xy"])
    kron, _ = kron_fluxes(frame, rows["x"], rows["y"], *shape, segment=np.arange(len(rows)) + 1)
    return Measured(rows["x"], rows["y"], circles["flux"], kron["flux"])


def seps(image: np.ndarray, kernel: np.ndarray) -> Measured:
    """The same by sep: 5 sigmas of the image convolved with the same kernel."""
    sky = sep.Background(image, bw=64, bh=64)
    light = image - sky
    threshold = THRESHOLD * np.sqrt((kernel**2).sum()) / kernel.sum()
    rows = sep.extract(light, threshold, err=sky.globalrms, filter_kernel=kernel, filter_type="conv", minarea=3)
    circle, _, _ = sep.sum_circle(light, rows["x"], rows["y"], APERTURE, err=sky.globalrms, gain=1.0)
    shape = rows["a"], rows["b"], np.clip(rows["theta"], -np.pi / 2, np.pi / 2)  # sep refuses its own rounding
    radius, _ = sep.kron_radius(light, rows["x"], rows["y"], *shape, 6.0)
    size = np.clip(np.nan_to_num(2.5 * radius), 3.5, 100.0)
    kron, _, _ = sep.sum_ellipse(light, rows["x"], rows["y"], *shape, size, err=sky.globalrms, gain=1.0)
    return Measured(rows["x"], rows["y"], circle, kron)


def nearest(x: np.ndarray, y: np.ndarray, to_x: np.ndarray, to_y: np.ndarray) -> np.ndarray:
    """Return the nearest within the matching radius, -1 for none: pixels as tiny degrees."""
    tiny = 1e-6
    found = nearest_within(x * tiny, y * tiny, to_x * tiny, to_y * tiny, radius_arcsec=MATCH * tiny * 3600)
    return found.index


def spread(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def scatter_mmag(flux: np.ndarray, true: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return round(1000 * spread(-2.5 * np.log10(flux / true)), 1)


def against_truth(found: Measured, truth: np.ndarray) -> dict[str, Any]:
    """Return completeness, purity and scatter."""
    row = nearest(truth["x"], truth["y"], found.x, found.y)
    star, mag, hit = truth["star"], truth["mag"], row >= 0

    def part(low: float, high: float, stars: bool) -> np.ndarray:
        return (star == stars) & (mag >= low) & (mag < high)

    result: dict[str, Any] = {"detected": len(found.x)}
    steps = {"stars": ((22, 23), (23, 24), (24, 24.5)), "galaxies": ((22, 23), (23, 24))}
    for kind, stars in (("stars", True), ("galaxies", False)):
        for low, high in steps[kind]:
            result[f"{kind}_{low}_{high}"] = round(float(hit[part(low, high, stars)].mean()), 3)
    result["purity"] = round(float((nearest(found.x, found.y, truth["x"], truth["y"]) >= 0).mean()), 4)
    for label, flux, low, high, stars in (
        ("aperture_stars_18_20_mmag", found.aperture, 18, 20, True),
        ("aperture_stars_22_23_mmag", found.aperture, 22, 23, True),
        ("kron_galaxies_20_22_mmag", found.kron, 20, 22, False),
        ("kron_galaxies_23_24_mmag", found.kron, 23, 24, False),
    ):
        rows = part(low, high, stars) & hit
        result[label] = scatter_mmag(flux[row[rows]], truth["flux"][rows])
    return result


def signature(side: int, repeat: int, random: np.random.Generator) -> dict[str, Any]:
    """ISR of one detector of 16 amplifiers against the NumPy reference."""
    width, height, strip = side // 8, side // 2, 64
    amps = [
        Amplifier(
            raw_x=column * (width + strip), raw_y=row * height, width=width, height=height,
            out_x=column * width, out_y=row * height, flip_x=bool(row), overscan_x=column * (width + strip) + width,
            overscan_width=strip, gain=1.5, read_noise=8.0, saturation=60000.0, linearity=(1e-7,),
        )
        for row in range(2)
        for column in range(8)
    ]  # fmt: skip
    raw = random.poisson(2000, (2 * height, 8 * (width + strip))).astype(np.uint16)
    for amp in amps:
        raw[amp.raw_y :, amp.overscan_x : amp.overscan_x + strip] = random.normal(
            1000, 5, (raw.shape[0] - amp.raw_y, strip)
        )
    shape = (2 * height, 8 * width)
    bias, dark, flat = (random.normal(mean, 0.01, shape).astype(np.float32) for mean in (0, 0.02, 1))
    options: dict[str, Any] = {"shape": shape, "bias": bias, "dark": dark, "flat": flat, "dark_s": 30.0}
    mine, numpys = cpu(
        3 * repeat,  # short, and the first that a busy neighbour disturbs
        lambda: remove_signature(raw, amps, **options),
        lambda: isr_reference.remove_signature(raw, amps, **options),
    )
    one, other = remove_signature(raw, amps, **options), isr_reference.remove_signature(raw, amps, **options)
    return {
        "cpu_s": round(mine, 4),
        "numpy_cpu_s": round(numpys, 4),
        "numpy_over_ours": round(numpys / mine, 1),
        "same_bits": bool(np.array_equal(one.image, other.image) and np.array_equal(one.variance, other.variance)),
    }


def psf(scene: Scene, drawn: Simulated, kernel: np.ndarray, repeat: int) -> tuple[dict[str, Any], np.ndarray]:
    """The PSF model and PSF photometry of all detections, from pixels alone; return the rows too."""
    sky = background(drawn.image)
    light = sky.subtract_from(drawn.image)
    found = detect(light, noise=sky.mean_noise, kernel=kernel, threshold=THRESHOLD)
    rows = found.sources
    frame = Frame(image=light, noise=sky.mean_noise, gain=1.0, segments=found.segments)
    own = np.arange(len(rows)) + 1
    windowed_s, moments_s, rays_s = cpu(
        repeat,
        lambda: windowed_positions(frame, rows["x"], rows["y"], 1.6),
        lambda: adaptive_moments(frame, rows["x"], rows["y"], 2.0, segment=own),
        lambda: find_cosmic_rays(frame),
    )
    shapes = adaptive_moments(frame, rows["x"], rows["y"], 2.0, segment=own)
    bright = aperture_fluxes(frame, rows["x"], rows["y"], APERTURE)
    star = select_stars(shapes, flux=bright["flux"], error=bright["error"], planes=rows["planes"])
    fitted = fit_psf(frame, rows["x"], rows["y"], star=star)
    model_s, photometry_s = cpu(
        repeat,
        lambda: fit_psf(frame, rows["x"], rows["y"], star=star),
        lambda: psf_photometry(frame, fitted.psf, rows["x"], rows["y"]),
    )
    fluxes = psf_photometry(frame, fitted.psf, rows["x"], rows["y"]).fluxes
    result: dict[str, Any] = {
        "windowed_positions_cpu_s": round(windowed_s, 4),
        "adaptive_moments_cpu_s": round(moments_s, 4),
        "cosmic_rays_cpu_s": round(rays_s, 4),
        "model_cpu_s": round(model_s, 4),
        "stars_used": int(fitted.used.sum()),
        "photometry_cpu_s": round(photometry_s, 4),
        "sources": len(rows),
    }
    row = nearest(drawn.truth["x"], drawn.truth["y"], fluxes["x"], fluxes["y"])
    for low, high in ((18, 20), (20, 22), (22, 23), (23, 24)):
        inside = drawn.truth["star"] & (drawn.truth["mag"] >= low) & (drawn.truth["mag"] < high) & (row >= 0)
        true, mine = drawn.truth[inside], fluxes[row[inside]]
        result[f"stars_{low}_{high}_mmag"] = scatter_mmag(mine["flux"], true["flux"])
        result[f"stars_{low}_{high}_centroid_mas"] = round(1000 * SCALE * spread(mine["x"] - true["x"]), 2)
    return result | size_of_model(scene, fitted.psf), fluxes


def size_of_model(scene: Scene, model: Any) -> dict[str, Any]:
    """Return how much larger the model is than the true PSF, over a grid of positions."""
    ny, nx = scene.shape
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(0.05, 0.95, 6) * nx, np.linspace(0.05, 0.95, 6) * ny))
    ratio, shear = [], []
    for stamp, *at in zip(model.at(x, y), x, y, strict=True):
        mine, true = (
            adaptive_moments(Frame(image=image), [12.0], [12.0], 1.6)[0] for image in (stamp, psf_at(scene, *at))
        )
        sizes = [one["xx"] + one["yy"] for one in (mine, true)]
        ratio.append(sizes[0] / sizes[1] - 1)
        shear.append((mine["xx"] - mine["yy"]) / sizes[0] - (true["xx"] - true["yy"]) / sizes[1])
    return {
        "dT_over_T_percent": round(100 * float(np.mean(ratio)), 2),
        "dT_over_T_rms_percent": round(100 * float(np.std(ratio)), 2),
        "de_rms": round(float(np.sqrt(np.mean(np.square(shear)))), 5),
    }


def astrometry(drawn: Simulated, found: np.ndarray, side: int, random: np.random.Generator) -> dict[str, Any]:
    """WCS of one image: start 2 arc seconds and 0.03 degrees off, 158 reference stars of 5 mas."""
    angle, off = np.radians(25.0), np.radians(0.03)

    def coordinates(turn: float, ra0: float, dec0: float) -> Wcs:
        c, s = np.cos(turn), np.sin(turn)
        middle = (side - 1) / 2
        return Wcs(ra0=ra0, dec0=dec0, x0=middle, y0=middle, cd=SCALE / 3600 * np.array([[-c, s], [s, c]]))

    true = coordinates(angle, 53.1, -27.8)
    stars = drawn.truth[drawn.truth["star"]]
    stars = stars[np.argsort(stars["mag"])][: max(20, round(158 * (side / 2048) ** 2))]
    ra, dec = true.to_sky(stars["x"], stars["y"])
    ra = ra + random.normal(0, 5, len(stars)) / 3.6e6 / np.cos(np.radians(dec))
    dec = dec + random.normal(0, 5, len(stars)) / 3.6e6
    guess = coordinates(angle + off, 53.1 + 2 / 3600, -27.8 - 2 / 3600)
    found = np.sort(found[np.isfinite(found["flux"])], order="flux")[::-1]
    x, y = found["x"], found["y"]
    (seconds,) = cpu(1, lambda: solve_wcs(guess, x, y, ra, dec))
    fit = solve_wcs(guess, x, y, ra, dec)
    grid = np.meshgrid(np.linspace(0, side - 1, 20), np.linspace(0, side - 1, 20))
    mine, theirs = fit.wcs.to_sky(*(g.ravel() for g in grid)), true.to_sky(*(g.ravel() for g in grid))
    error = 3.6e6 * np.stack([(mine[0] - theirs[0]) * np.cos(np.radians(theirs[1])), mine[1] - theirs[1]])
    return {
        "cpu_s": round(seconds, 4),
        "pairs": len(fit.sources),
        "order": fit.wcs.order,
        "wcs_error_mas_rms_per_axis": round(float(np.sqrt(np.mean(error**2))), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    share = (options.side / 2048) ** 2
    scene = Scene(
        shape=(options.side, options.side),
        seed=options.seed,
        n_stars=round(650 * share),
        n_galaxies=round(4220 * share),
    )
    random = np.random.default_rng(options.seed)
    drawn = simulate(scene)
    kernel = np.ascontiguousarray(psf_at(scene, options.side / 2, options.side / 2, size=11), np.float32)
    mine, theirs = ours(drawn.image, kernel), seps(drawn.image, kernel)
    ours_s, seps_s = cpu(options.repeat, lambda: ours(drawn.image, kernel), lambda: seps(drawn.image, kernel))
    model, fluxes = psf(scene, drawn, kernel, options.repeat)
    result = {
        "benchmark": "kernels",
        "pixels": options.side**2,
        "objects": len(drawn.truth),
        "isr": signature(options.side, options.repeat, random),
        "detection": {
            "cpu_s": round(ours_s, 4),
            "sep_cpu_s": round(seps_s, 4),
            "ours_over_sep": round(ours_s / seps_s, 2),
            "ours": against_truth(mine, drawn.truth),
            "sep": against_truth(theirs, drawn.truth),
        },
        "psf": model,
        "astrometry": astrometry(drawn, fluxes, options.side, random),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
