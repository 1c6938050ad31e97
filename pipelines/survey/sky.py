"""The true sky in a cap around the field: stars that move, some of them variable, galaxies, supernovae, minor planets.

Everything that moves does so evenly along a great circle from its place at its epoch. Magnitudes are AB.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import pyarrow as pa

from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.survey.chance import Draw, numbers_for
from qserv_py.pipelines.survey.request import SurveyRequest

BANDS = "ugrizy"
NJY_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy."""

CATALOGUE_EPOCH_MJD = 57388.5
"""Of the stars' positions: J2016.0, as Gaia's."""

_DAYS_A_YEAR = 365.25
_VARIABLE_SHARE = 0.04
_FAINTEST = 99.0


class Kind(IntEnum):
    """What an object is."""

    STAR = 0
    GALAXY = 1
    TRANSIENT = 2
    MOVING = 3


class Variation(IntEnum):
    """How an object's light changes."""

    NONE = 0
    SINE = 1
    SAWTOOTH = 2
    """Rises fast, fades slowly, as RR Lyrae stars do."""

    ECLIPSES = 3
    """Constant but for a tenth of the period, as Algol."""

    OUTBURST = 4
    """Once: x exp(1 - x) after its begin, x in units of the period."""


OBJECT = np.dtype(
    [
        ("object_id", "i8"),
        ("kind", "i1"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("epoch_mjd", "f8"),
        ("pm_ra_masyr", "f8"),
        ("pm_dec_masyr", "f8"),
        *((f"{band}_mag", "f8") for band in BANDS),
        ("radius_arcsec", "f8"),
        ("profile", "f8"),
        ("e1", "f8"),
        ("e2", "f8"),
        ("variation", "i1"),
        ("amplitude_mag", "f8"),
        ("period_d", "f8"),
        ("begin_mjd", "f8"),
        ("host_id", "i8"),
    ]
)
"""Objects. ``profile`` is Spergel's index of a galaxy, 0.5 for an exponential disc; ``radius_arcsec`` has half of its
light; ``e1``, ``e2`` are its ellipticity (a**2 - b**2) / (a**2 + b**2), along west and between west and north.
``begin_mjd`` is where a period begins. Magnitudes are those of the mean light, of an outburst those of its peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Part of the sky and of time that a survey sees."""

    ra: float
    """ICRS degrees of the middle."""

    dec: float
    """ICRS degrees of the middle."""

    radius_deg: float
    """Of the cap."""

    times_mjd: FloatArray
    """Middles of the visits."""

    @property
    def area_deg2(self) -> float:
        """Square degrees of the cap."""
        return float(2 * np.pi * (1 - np.cos(np.radians(self.radius_deg))) * np.degrees(1) ** 2)


def draw_sky(request: SurveyRequest, span: Span) -> Array:
    """Return the objects of a survey, rows of ``OBJECT``."""
    random = numbers_for(request.seed, Draw.SKY)
    counts = [
        int(density * span.area_deg2)
        for density in (
            request.stars_per_deg2,
            request.galaxies_per_deg2,
            request.transients_per_deg2,
            request.moving_per_deg2,
        )
    ]
    if not len(span.times_mjd):
        counts[Kind.TRANSIENT] = counts[Kind.MOVING] = 0
    objects = np.zeros(sum(counts), OBJECT)
    objects["object_id"] = np.arange(1, len(objects) + 1)
    objects["kind"] = np.repeat([int(kind) for kind in Kind], counts)
    objects["ra"], objects["dec"] = _places(random, span, len(objects))
    objects["epoch_mjd"] = CATALOGUE_EPOCH_MJD
    stars, galaxies, transients, moving = (objects[part] for part in _parts(counts))
    _draw_stars(random, stars)
    _draw_galaxies(random, galaxies)
    _draw_transients(random, transients, galaxies, span)
    _draw_moving(random, moving, span)
    return objects


def places_at(objects: Array, time_mjd: float) -> tuple[FloatArray, FloatArray]:
    """Return ICRS ra in [0, 360) and dec, degrees, of objects at a time."""
    ra, dec = np.radians(objects["ra"]), np.radians(objects["dec"])
    years = (time_mjd - objects["epoch_mjd"]) / _DAYS_A_YEAR
    east, north = (np.radians(objects[name] * years / 3.6e6) for name in ("pm_ra_masyr", "pm_dec_masyr"))
    away = np.hypot(east, north)
    along = np.where(away > 0, np.sin(away) / np.where(away > 0, away, 1), 1.0)
    east, north, stay = along * east, along * north, np.cos(away)
    x = stay * np.cos(dec) * np.cos(ra) - east * np.sin(ra) - north * np.sin(dec) * np.cos(ra)
    y = stay * np.cos(dec) * np.sin(ra) + east * np.cos(ra) - north * np.sin(dec) * np.sin(ra)
    z = stay * np.sin(dec) + north * np.cos(dec)
    turned = np.degrees(np.arctan2(y, x)) % 360.0
    return np.where(turned >= 360.0, 0.0, turned), np.degrees(np.arctan2(z, np.hypot(x, y)))


def magnitudes_at(objects: Array, band: str, time_mjd: float) -> FloatArray:
    """Return AB magnitudes at a time; infinite before an outburst."""
    mean: FloatArray = objects[f"{band}_mag"]
    kind = objects["variation"]
    changing = kind != Variation.NONE
    period = np.where(changing, objects["period_d"], 1.0)
    since = np.where(changing, (time_mjd - objects["begin_mjd"]) / period, 0.0)
    phase = since % 1.0
    burst = np.where(since > 0, since, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        outburst = np.where(since > 0, -2.5 * (np.log10(burst) + (1 - burst) / np.log(10)), np.inf)
    shapes = [
        np.sin(2 * np.pi * phase),
        np.where(phase < 0.2, 1 - 10 * phase, (phase - 0.2) / 0.4 - 1),
        np.where(np.abs(phase - 0.5) < 0.05, 1 - np.abs(phase - 0.5) / 0.05, 0.0),
    ]
    change = np.select([kind == Variation.SINE, kind == Variation.SAWTOOTH, kind == Variation.ECLIPSES], shapes, 0.0)
    return mean + np.where(kind == Variation.OUTBURST, outburst, objects["amplitude_mag"] * change)


def sky_table(objects: Array) -> pa.Table:
    """Return objects as a table, what they are in words."""
    columns = {name: pa.array(objects[name]) for name in OBJECT.names or ()}
    for name, words in (("kind", Kind), ("variation", Variation)):
        names = pa.array([word.name.lower() for word in words])
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(objects[name]), names)
    columns["host_id"] = pa.array(objects["host_id"], mask=objects["host_id"] == 0)
    return pa.table(columns)


def _parts(counts: list[int]) -> list[slice]:
    ends = np.cumsum(counts)
    return [slice(int(end) - count, int(end)) for end, count in zip(ends, counts, strict=True)]


def _places(random: np.random.Generator, span: Span, count: int) -> tuple[FloatArray, FloatArray]:
    """Draw places in a cap, as many per square degree everywhere."""
    away = np.arccos(1 - random.random(count) * (1 - np.cos(np.radians(span.radius_deg))))
    towards = random.uniform(0, 2 * np.pi, count)
    return moved(np.full(count, span.ra), np.full(count, span.dec), np.degrees(away), towards)


def moved(ra: Array, dec: Array, away_deg: Array, towards: Array) -> tuple[FloatArray, FloatArray]:
    """Return where great circles lead from positions: so many degrees, towards angles from north through east."""
    start = np.zeros(len(ra), OBJECT)
    start["ra"], start["dec"] = ra, dec
    masyr = np.asarray(away_deg) * 3.6e6
    start["pm_ra_masyr"], start["pm_dec_masyr"] = masyr * np.sin(towards), masyr * np.cos(towards)
    return places_at(start, _DAYS_A_YEAR)


def _draw_stars(random: np.random.Generator, stars: Array) -> None:
    count = len(stars)
    r = _magnitudes(random, count, 14.5, 25.5, slope=0.13)
    g_r = np.where(random.random(count) < 0.45, random.normal(0.5, 0.15, count), random.normal(1.35, 0.12, count))
    g_r = np.clip(g_r, 0.15, 1.6)
    r_i = np.where(g_r < 1.2, 0.42 * g_r - 0.02, 0.48 + 2.2 * (g_r - 1.2)) + random.normal(0, 0.02, count)
    u_g = 0.6 + 1.35 * g_r + random.normal(0, 0.05, count)
    i_z, z_y = 0.55 * r_i, 0.25 * r_i
    _set_magnitudes(stars, r, u_g=u_g, g_r=g_r, r_i=r_i, i_z=i_z, z_y=z_y)
    speed = 10 ** random.normal(0.6, 0.35, count) * 10 ** (-0.05 * (r - 20))
    angle = random.uniform(0, 2 * np.pi, count)
    stars["pm_ra_masyr"], stars["pm_dec_masyr"] = speed * np.sin(angle), speed * np.cos(angle)
    variable = random.random(count) < _VARIABLE_SHARE
    kinds = random.integers(int(Variation.SINE), int(Variation.ECLIPSES) + 1, count)
    stars["variation"] = np.where(variable, kinds, int(Variation.NONE))
    stars["amplitude_mag"] = np.where(variable, random.uniform(0.1, 0.6, count), 0)
    stars["period_d"] = np.where(variable, 10 ** random.uniform(-0.8, 1.0, count), 0)
    stars["begin_mjd"] = np.where(variable, CATALOGUE_EPOCH_MJD + random.random(count), 0)


def _draw_galaxies(random: np.random.Generator, galaxies: Array) -> None:
    count = len(galaxies)
    r = _magnitudes(random, count, 18.5, 26.5, slope=0.34)
    early = random.random(count) < 0.25
    redder = np.where(early, 0.9, 0.45) + random.normal(0, 0.15, count)
    _set_magnitudes(
        galaxies, r, u_g=1.1 * redder + 0.2, g_r=redder, r_i=0.5 * redder, i_z=0.35 * redder, z_y=0.15 * redder
    )
    galaxies["radius_arcsec"] = 0.35 * 10 ** (-0.08 * (r - 23)) * np.exp(random.normal(0, 0.3, count))
    galaxies["profile"] = np.where(early, 0.0, 0.5)
    ellipticity, angle = np.minimum(random.rayleigh(0.2, count), 0.6), random.uniform(0, np.pi, count)
    galaxies["e1"], galaxies["e2"] = ellipticity * np.cos(2 * angle), ellipticity * np.sin(2 * angle)


def _draw_transients(random: np.random.Generator, transients: Array, galaxies: Array, span: Span) -> None:
    """Give half of the outbursts a host among the brighter galaxies; all of them are alight at some visit."""
    count = len(transients)
    if not count:
        return
    _set_magnitudes(transients, random.uniform(18.5, 24.0, count), u_g=0.8, g_r=0.1, r_i=0.0, i_z=-0.05, z_y=0.05)
    transients["variation"] = int(Variation.OUTBURST)
    transients["period_d"] = random.uniform(4.0, 15.0, count)
    transients["begin_mjd"] = random.choice(span.times_mjd, count) - transients["period_d"] * random.uniform(
        0.2, 3.0, count
    )
    hosts = galaxies[galaxies["r_mag"] < 23.5]
    if len(hosts):
        hosted = random.random(count) < 0.5
        chosen = hosts[random.integers(0, len(hosts), count)]
        away = np.abs(random.normal(0, 0.7, count)) * chosen["radius_arcsec"] / 3600
        ra, dec = moved(chosen["ra"], chosen["dec"], away, random.uniform(0, 2 * np.pi, count))
        transients["ra"][hosted], transients["dec"][hosted] = ra[hosted], dec[hosted]
        transients["host_id"] = np.where(hosted, chosen["object_id"], 0)


def _draw_moving(random: np.random.Generator, moving: Array, span: Span) -> None:
    count = len(moving)
    if not count:
        return
    _set_magnitudes(moving, random.uniform(17.5, 24.0, count), u_g=1.5, g_r=0.55, r_i=0.2, i_z=0.1, z_y=0.0)
    moving["epoch_mjd"] = random.choice(span.times_mjd, count)
    masyr = random.uniform(5.0, 60.0, count) * 24 * _DAYS_A_YEAR * 1000  # arc seconds an hour
    angle = random.normal(np.radians(250), 0.3, count)
    moving["pm_ra_masyr"], moving["pm_dec_masyr"] = masyr * np.sin(angle), masyr * np.cos(angle)


def _set_magnitudes(
    objects: Array,
    r: Array,
    *,
    u_g: Array | float,
    g_r: Array | float,
    r_i: Array | float,
    i_z: Array | float,
    z_y: Array | float,
) -> None:
    i, g = r - r_i, r + g_r
    for band, values in zip(BANDS, (g + u_g, g, r, i, i - i_z, i - i_z - z_y), strict=True):
        objects[f"{band}_mag"] = values


def _magnitudes(random: np.random.Generator, count: int, bright: float, faint: float, *, slope: float) -> FloatArray:
    """Draw magnitudes with number counts proportional to 10**(slope m)."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    return np.log10(random.uniform(low, high, count)) / slope
