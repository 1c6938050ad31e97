"""Positions that are computed: the middles of HEALPix cells, and stars at another epoch.

The same arithmetic stands in sql/worker/shape_functions.sql.
"""

from __future__ import annotations

import math

from qserv_py.adql.geometry.sphere import is_shape, position, vector

_AU_PER_YEAR = 4.740470463533349
"""In km/s."""

_LARGEST = 1e6
"""Of a parallax, a motion, a velocity or a number of years; beyond stand the NaN and infinities of no star."""


def healpix_center(order: int, cell: int) -> tuple[float, float] | None:
    """Return the middle of a HEALPix cell (NESTED), degrees; None when there is no such cell.

    References
    ----------
    Gorski et al. 2005, ApJ 622, 759, section 4.1.
    """
    nside = 1 << order
    if not 0 <= cell < 12 * nside * nside:
        return None
    face, ix, iy = cell >> (2 * order), 0, 0
    for bit in range(order):
        ix |= ((cell >> (2 * bit)) & 1) << bit
        iy |= ((cell >> (2 * bit + 1)) & 1) << bit
    # counted from the north pole in rings, and eastward in half cells
    ring = (2 + face // 4) * nside - ix - iy - 1
    across = 2 * (face % 4) + (0 if 4 <= face <= 7 else 1)
    if nside <= ring <= 3 * nside:
        cells = nside
        dec = math.degrees(math.asin((2 * nside - ring) * 2 / (3 * nside)))
    else:
        cells = min(ring, 4 * nside - ring)
        # the sine of half the distance from the pole keeps the digits that the declination needs
        dec = 90 - math.degrees(2 * math.asin(math.sqrt((cells / nside) * (cells / nside) / 3 / 2)))
        dec = dec if ring < nside else -dec
    steps = across * cells + ix - iy
    return 45 * float(steps + 8 * cells if steps < 0 else steps) / cells, dec


def epoch_prop_pos(
    ra: float,
    dec: float,
    parallax: float | None,
    pmra: float | None,
    pmdec: float | None,
    radial_velocity: float | None,
    ref_epoch: float,
    out_epoch: float,
) -> tuple[float, float] | None:
    """Return the place of a star at another epoch, degrees: it moves straight on in space.

    Parameters
    ----------
    ra, dec
        At ``ref_epoch``, degrees.
    parallax, pmra, pmdec, radial_velocity
        mas, mas/yr (with the factor cos(dec)), mas/yr, km/s. None counts as 0, a negative parallax too.
    ref_epoch, out_epoch
        Julian years.

    Returns
    -------
    place
        None when a number is not finite or out of all range.

    References
    ----------
    ESA 1997, The Hipparcos and Tycho Catalogues, SP-1200, volume 1, section 1.5.5.
    """
    years = out_epoch - ref_epoch
    numbers = [number or 0.0 for number in (parallax, pmra, pmdec, radial_velocity)]
    if not is_shape((ra, dec)) or not all(abs(number) < _LARGEST for number in (years, *numbers)):
        return None
    distance, east, north, speed = numbers
    lon, lat = math.radians(ra), math.radians(dec)
    east, north = (math.radians(motion / 3600000) * years for motion in (east, north))
    away = 1 + math.radians(max(distance, 0.0) / 3600000) * speed / _AU_PER_YEAR * years
    x, y, z = vector(ra, dec)
    return position(
        x * away - math.sin(lon) * east - math.sin(lat) * math.cos(lon) * north,
        y * away + math.cos(lon) * east - math.sin(lat) * math.sin(lon) * north,
        z * away + math.cos(lat) * north,
    )
