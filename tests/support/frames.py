"""One detector of a visit in electrons, with truth: a scene, coordinates that are a little wrong, reference stars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from astropy.table import Table

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.instrument.camera import Pointing
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.kernels.scene import Scene, simulate
from qserv_py.pipelines.kernels.wcs import Wcs

SCALE = 0.2 / 3600
BAND = "r"
BEGIN = datetime(2026, 11, 21, 3, 0, 0)


@dataclass(frozen=True)
class Simulated:
    """What a task would get, and the truth."""

    exposure: Exposure
    truth: np.ndarray
    wcs: Wcs
    references: Any


def info_of(exposure: int = 2026112000001, *, seconds: float = 30.0, band: str = BAND) -> ExposureInfo:
    return ExposureInfo(
        instrument="QCam",
        exposure=exposure,
        kind="science",
        physical_filter=f"q_{band}",
        band=band,
        exposure_s=seconds,
        dark_s=seconds + 2,
        begin=BEGIN + timedelta(seconds=40 * (exposure % 100_000)),
        pointing=Pointing(ra=53.1, dec=-27.8, rotation_deg=25.0),
        azimuth_deg=120.0,
        altitude_deg=70.0,
        airmass=1.064,
        target="field",
        program="test",
        reason="science",
        simulated=True,
    )


def coordinates(side: int, *, turn_deg: float = 25.0, ra0: float = 53.1, dec0: float = -27.8) -> Wcs:
    """Return coordinates with a distortion like that of a real detector."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[2, 0], a[1, 1], b[0, 2], b[3, 0] = 2e-7, -1e-7, 1.5e-7, 2e-11
    middle = (side - 1) / 2
    cd = SCALE * np.array([[-c, s], [s, c]])
    return Wcs(ra0=ra0, dec0=dec0, x0=middle, y0=middle, cd=cd, order=3, a=a, b=b)


def guess_of(wcs: Wcs, *, off_arcsec: float = 2.0, turn_deg: float = 0.03) -> Wcs:
    """Return what a telescope would say: off and turned, the optics known."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    return replace(
        wcs,
        ra0=wcs.ra0 + off_arcsec / 3600,
        dec0=wcs.dec0 - off_arcsec / 3600,
        cd=wcs.cd @ np.array([[c, -s], [s, c]]),
    )


def reference_stars(
    truth: np.ndarray, wcs: Wcs, *, random: np.random.Generator, mjd: float, most: int = 158, band: str = BAND
) -> Any:
    """Return a shard of the reference catalogue: bright stars at an earlier epoch, with proper motions and errors."""
    stars = truth[truth["star"]]
    stars = stars[np.argsort(stars["mag"])][:most]
    ra, dec = wcs.to_sky(stars["x"], stars["y"])
    motion = random.normal(0, 8, (2, len(stars)))
    years, cos = (mjd - 57389.0) / 365.25, np.cos(np.radians(dec))
    table = Table()
    table["id"] = np.arange(len(stars), dtype=np.int64) + 1000
    table["ra"] = ra - (motion[0] * years + random.normal(0, 5, len(stars))) / 3.6e6 / cos
    table["dec"] = dec - (motion[1] * years + random.normal(0, 5, len(stars))) / 3.6e6
    table["ra_error_mas"] = table["dec_error_mas"] = np.full(len(stars), 5.0)
    table["pm_ra_masyr"], table["pm_dec_masyr"] = motion
    table["epoch_mjd"] = np.full(len(stars), 57389.0)
    flux = 10 ** (-0.4 * (stars["mag"] - 31.4))
    table[f"{band}_flux"] = flux * (1 + random.normal(0, 0.005, len(stars)))
    table[f"{band}_flux_error"] = 0.005 * flux
    return table


def simulated_frame(
    side: int = 1024, *, seed: int = 1, cosmic_rays: int = 0, exposure: int = 2026112000001, **scene: Any
) -> Simulated:
    """Return a detector of some pixels a side, with as many objects to a pixel as the acceptance has."""
    share = (side / 2048) ** 2
    numbers = {"n_stars": round(650 * share), "n_galaxies": round(4220 * share)} | scene
    drawn = simulate(Scene(shape=(side, side), seed=seed, **numbers))
    random = np.random.default_rng(seed)
    image = drawn.image.copy()
    for _ in range(cosmic_rays):
        x, y = random.integers(5, side - 5, 2)
        image[y, x : x + random.integers(1, 5)] += random.uniform(500, 5000)
    info, wcs = info_of(exposure), coordinates(side)
    exposure_image = Exposure(
        image=image,
        variance=np.maximum(image, 0) + np.float32(25.0),
        mask=np.zeros(image.shape, np.int32),
        header=info.cards() | {"DETECTOR": 2},
        wcs=guess_of(wcs),
    )
    mjd = float(info.cards()["MJD-AVG"])
    stars = reference_stars(drawn.truth, wcs, random=random, mjd=mjd, most=max(40, round(158 * share)))
    return Simulated(exposure=exposure_image, truth=drawn.truth, wcs=wcs, references=stars)
