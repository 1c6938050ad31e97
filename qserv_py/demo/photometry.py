"""How bright the simulated objects are: magnitudes on a stellar locus, galaxies in two colours, dust, noise.

Fluxes are in nJy (AB magnitude 31.4 is 1 nJy), as in Rubin's catalogues. Faint bands may have negative fluxes, as real
forced photometry has.
"""

from __future__ import annotations

import numpy as np

from qserv_py.catalog.snapshot import BoolArray, FloatArray
from qserv_py.demo.sky import Component, Positions

BANDS = "ugrizy"
"""The filters, in the order of the arrays here."""

NANOJANSKY_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy."""

VISIT_DEPTHS = np.array([23.9, 25.0, 24.7, 24.0, 23.3, 22.1])
"""Magnitude of a 5-sigma detection on one visit, by band."""

COADD_GAIN = 1.25 * np.log10(10.0)
"""How much deeper ten visits reach together, magnitudes."""

DUST = np.array([4.145, 3.237, 2.273, 1.684, 1.323, 1.088])
"""Extinction in magnitudes for E(B-V) = 1, by band (Schlafly & Finkbeiner 2011, R_V = 3.1)."""

LOCUS_R = np.array([2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0])
"""Absolute r magnitudes at which the colours of the main sequence stand below."""

LOCUS = np.array(
    [
        [1.05, 1.00, 1.15, 1.50, 1.95, 2.30, 2.45, 2.50, 2.55, 2.60, 2.60, 2.60],  # u - g
        [0.10, 0.30, 0.45, 0.65, 0.90, 1.15, 1.30, 1.38, 1.42, 1.45, 1.47, 1.50],  # g - r
        [0.00, 0.08, 0.15, 0.23, 0.33, 0.50, 0.70, 0.95, 1.20, 1.50, 1.80, 2.10],  # r - i
        [-0.03, 0.02, 0.06, 0.10, 0.17, 0.27, 0.38, 0.50, 0.65, 0.80, 0.95, 1.10],  # i - z
        [0.00, 0.00, 0.02, 0.04, 0.07, 0.11, 0.17, 0.23, 0.30, 0.37, 0.44, 0.50],  # z - y
    ]
)
"""Colours of the main sequence, after Covey et al. 2007 and Ivezic et al. 2008, rounded."""

BLUE_GALAXY = np.array([0.90, 0.45, 0.25, 0.15, 0.10])
RED_GALAXY = np.array([1.70, 0.95, 0.45, 0.30, 0.25])
"""Mean colours of the two kinds of galaxy."""

BRIGHTEST, FAINTEST = 14.5, 25.0
"""Range of r magnitudes; outside it detectors saturate or see nothing."""


def reddening(rng: np.random.Generator, latitude: FloatArray) -> FloatArray:
    """Return E(B-V) in magnitudes, a slab of dust with a patchy share; shape (n,)."""
    slab = 0.02 + 0.5 * np.exp(-np.abs(latitude) / 5.0)
    patchy: FloatArray = slab * np.exp(rng.normal(0.0, 0.25, len(latitude)))
    return patchy


def magnitudes(rng: np.random.Generator, positions: Positions, *, ebv: FloatArray) -> FloatArray:
    """Return the true AB magnitudes with dust, shape (n, 6)."""
    count = len(positions.ra)
    # Number counts grow as 10**(0.2 m) for stars: invert the cumulative distribution between the two limits.
    low, high = 10 ** (0.2 * BRIGHTEST), 10 ** (0.2 * FAINTEST)
    r_magnitude = 5.0 * np.log10(rng.uniform(low, high, count))
    galaxy = positions.component == Component.GALAXY
    colours = np.where(galaxy[:, None], _galaxy_colours(rng, count), _star_colours(rng, r_magnitude, positions, ebv))
    steps = np.cumsum(-colours, axis=1)  # g - u, r - u, i - u, ...
    from_u = np.column_stack((np.zeros(count), steps))
    intrinsic = (r_magnitude - ebv * DUST[2])[:, None] + from_u - from_u[:, 2:3]
    dusty: FloatArray = intrinsic + ebv[:, None] * DUST
    return dusty


def _star_colours(
    rng: np.random.Generator, r_magnitude: FloatArray, positions: Positions, ebv: FloatArray
) -> FloatArray:
    absolute = r_magnitude - ebv * DUST[2] - 10.0 - 5.0 * np.log10(np.maximum(positions.distance_kpc, 0.05))
    colours = np.column_stack([np.interp(absolute, LOCUS_R, row) for row in LOCUS])
    return colours + rng.normal(0.0, (0.06, 0.03, 0.02, 0.02, 0.02), colours.shape)


def _galaxy_colours(rng: np.random.Generator, count: int) -> FloatArray:
    red = rng.random(count) < 0.4
    return np.where(red[:, None], RED_GALAXY, BLUE_GALAXY) + rng.normal(0.0, 0.12, (count, 5))


def flux_of(magnitude: FloatArray) -> FloatArray:
    """Return the flux of an AB magnitude, nJy."""
    flux: FloatArray = 10.0 ** (0.4 * (NANOJANSKY_ZERO_POINT - magnitude))
    return flux


def flux_error(flux: FloatArray, depth: FloatArray) -> FloatArray:
    """Return the standard error of a flux, nJy: the sky's noise at a 5-sigma depth, and 0.5 % of calibration."""
    error: FloatArray = np.hypot(flux_of(depth) / 5.0, 0.005 * flux)
    return error


def magnitude_of(flux: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return AB magnitudes and a mask of the fluxes that have none, because they are not positive."""
    missing = flux <= 0.0
    return NANOJANSKY_ZERO_POINT - 2.5 * np.log10(np.where(missing, 1.0, flux)), missing
