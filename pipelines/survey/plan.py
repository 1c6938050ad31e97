"""Which exposures a survey takes, and under what sky: decided before the first pixel, from the request alone.

The telescope stands where the field is well placed. Visits are around the field's passage through the meridian,
whatever the Sun does then; the last calibration ends two hours before the first visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from qserv_py.pipelines.instrument.camera import Camera, Pointing
from qserv_py.pipelines.instrument.exposures import DAY_STARTS, EXPOSURES_A_DAY, ExposureInfo, day_of, mjd
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.wcs import from_plane
from qserv_py.pipelines.survey.chance import Draw, numbers_for
from qserv_py.pipelines.survey.request import BETWEEN_S, READ_OUT_S, SurveyRequest
from qserv_py.pipelines.survey.sky import BANDS, Span

DARK_S = 120.0
FLAT_S = 5.0

_SITE_LATITUDE, _SITE_LONGITUDE = -30.2446, -70.7494
_LOWEST = 45.0  # degrees from the zenith at the meridian
_SPREAD_H = 6.0
_LONGEST_PAUSE_MIN = 20.0

_ZERO_POINT_1S = (26.5, 28.38, 28.16, 27.85, 27.46, 26.68)  # magnitude of 1 electron a second, no atmosphere
_EXTINCTION = (0.45, 0.20, 0.10, 0.07, 0.06, 0.15)  # magnitudes an airmass
_SKY = (22.96, 22.26, 21.20, 20.48, 19.60, 18.61)  # magnitudes of a square arc second
_WAVELENGTH_500 = (0.74, 0.96, 1.24, 1.51, 1.74, 1.94)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the atmosphere and the telescope did in one visit."""

    seeing_arcsec: float
    """FWHM of the PSF on the optical axis."""

    fwhm_terms: tuple[float, ...]
    """Relative change of the FWHM with u, v, u**2, u v, v**2: 1 at the edge of the field."""

    e1_terms: tuple[float, ...]
    """Ellipticity of the PSF along the rows: constant, then as above."""

    e2_terms: tuple[float, ...]
    """Ellipticity of the PSF along the diagonal."""

    extinction_mag: float
    """By air and clouds."""

    zero_point: float
    """AB magnitude of one electron of the whole exposure, for a detector of mean throughput."""

    sky_mag: float
    """AB of a square arc second, as seen."""

    sky_slope: tuple[float, float]
    """Relative change of the sky from the axis to the edge of the field, along u and v."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A science exposure."""

    info: ExposureInfo
    """What the telescope wrote down; its pointing is what it believed."""

    pointing: Pointing
    """Where it really pointed."""

    conditions: Conditions
    """The sky of this visit."""

    @property
    def time_mjd(self) -> float:
        """Middle of the exposure, TAI."""
        return mjd(self.info.middle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All exposures of a survey."""

    visits: tuple[Visit, ...]
    """In the order of time."""

    calibrations: tuple[ExposureInfo, ...]
    """Bias, dark and flat exposures, in the order of time."""

    span: Span
    """What the visits see."""


def make_plan(request: SurveyRequest, camera: Camera) -> Plan:
    """Return the plan of a survey."""
    begins = _begins(request)
    first = begins[0] if begins else datetime.fromisoformat(request.first_night) + timedelta(days=1, hours=4)
    calibrations = _calibrations(request, camera, first - timedelta(hours=2))
    numbers = _Numbers(len(calibrations), first)
    visits = tuple(_visit(request, camera, number, begin, numbers.next(begin)) for number, begin in enumerate(begins))
    away = np.hypot(request.dither_arcsec, request.dither_arcsec) / 3600
    span = Span(
        ra=request.ra,
        dec=request.dec,
        radius_deg=camera.field_radius_deg + away + 0.02,
        times_mjd=np.array([visit.time_mjd for visit in visits]),
    )
    return Plan(visits=visits, calibrations=calibrations, span=span)


def field_terms(u: FloatArray, v: FloatArray) -> FloatArray:
    """Return the terms of ``Conditions`` at places in the field, shape (5, n)."""
    return np.stack([u, v, u * u, u * v, v * v])


class _Numbers:
    """Numbers exposures of a day; the calibrations have the first ones of theirs."""

    def __init__(self, calibrations: int, first: datetime) -> None:
        self._used = {day_of(first): calibrations}

    def next(self, begin: datetime) -> int:
        day = day_of(begin)
        self._used[day] = self._used.get(day, 0) + 1
        return day * EXPOSURES_A_DAY + self._used[day]


def _begins(request: SurveyRequest) -> list[datetime]:
    pause = timedelta(minutes=min(_LONGEST_PAUSE_MIN, 60 * _SPREAD_H / request.visits_a_night))
    pause = max(pause, timedelta(seconds=request.exposure_s + BETWEEN_S))
    nights = -(-request.visits // request.visits_a_night)
    begins = []
    for night in range(nights):
        day = date.fromisoformat(request.first_night) + timedelta(days=night * request.nights_apart)
        passage = _passage(request.ra, day)
        count = min(request.visits_a_night, request.visits - night * request.visits_a_night)
        begins += [passage + (turn - (count - 1) / 2) * pause for turn in range(count)]
    return [_to_milliseconds(begin) for begin in begins]


def _passage(ra: float, day: date) -> datetime:
    """Return when a right ascension is in the meridian in the 24 hours from noon."""
    noon = datetime.combine(day, datetime.min.time()) + DAY_STARTS
    return noon + timedelta(hours=((ra - _sidereal_deg(noon)) % 360.0) / 15.0 / 1.0027379)


def _sidereal_deg(time: datetime) -> float:
    """Return the local sidereal time to a second or so: enough to tell where a telescope looks."""
    return (280.46061837 + 360.98564736629 * (mjd(time) - 51544.5) + _SITE_LONGITUDE) % 360.0


def _horizontal(ra: float, dec: float, time: datetime) -> tuple[float, float]:
    """Return azimuth and altitude, degrees."""
    latitude = np.radians(np.clip(_SITE_LATITUDE, dec - _LOWEST, dec + _LOWEST))
    angle, height = np.radians(_sidereal_deg(time) - ra), np.radians(dec)
    north = np.sin(height) * np.cos(latitude) - np.cos(height) * np.sin(latitude) * np.cos(angle)
    east = -np.cos(height) * np.sin(angle)
    up = np.sin(height) * np.sin(latitude) + np.cos(height) * np.cos(latitude) * np.cos(angle)
    return float(np.degrees(np.arctan2(east, north)) % 360.0), float(np.degrees(np.arcsin(np.clip(up, -1, 1))))


def _visit(request: SurveyRequest, camera: Camera, number: int, begin: datetime, exposure: int) -> Visit:
    random = numbers_for(request.seed, Draw.VISIT, number)
    band = request.bands[number % len(request.bands)]
    dx, dy = random.uniform(-request.dither_arcsec, request.dither_arcsec, 2) / 3600
    rotation = 90.0 * random.integers(0, 4) + random.normal(0, 5)
    true = _pointing(request.ra, request.dec, dx, dy, rotation)
    radius, towards = 2.0 / 3600 * np.sqrt(random.random()), random.uniform(0, 2 * np.pi)
    believed = _pointing(
        true.ra, true.dec, radius * np.cos(towards), radius * np.sin(towards), rotation + random.uniform(-0.03, 0.03)
    )
    middle = begin + timedelta(seconds=request.exposure_s / 2)
    azimuth, altitude = _horizontal(true.ra, true.dec, middle)
    airmass = 1 / (np.sin(np.radians(altitude)) + 0.50572 * (altitude + 6.07995) ** -1.6364)  # Kasten & Young 1989
    info = ExposureInfo(
        instrument=camera.name,
        exposure=exposure,
        kind="science",
        physical_filter=camera.filter_of(band).physical_filter,
        band=band,
        exposure_s=request.exposure_s,
        dark_s=request.exposure_s + READ_OUT_S,
        begin=begin,
        pointing=believed,
        azimuth_deg=round(azimuth, 6),
        altitude_deg=round(altitude, 6),
        airmass=round(max(float(airmass), 1.0), 6),
        target="field",
        program="simulated survey",
        reason="science",
        simulated=True,
    )
    return Visit(info=info, pointing=true, conditions=_conditions(request, random, BANDS.index(band), info.airmass))


def _conditions(request: SurveyRequest, random: np.random.Generator, band: int, airmass: float) -> Conditions:
    seeing = 0.65 * float(np.exp(random.normal(0, 0.12))) * airmass**0.6 * _WAVELENGTH_500[band] ** -0.2
    clouds = float(random.exponential(0.03))
    extinction = _EXTINCTION[band] * airmass + clouds
    return Conditions(
        seeing_arcsec=float(np.hypot(seeing, 0.35)),  # the telescope's own part
        fwhm_terms=_normals(random, (0.01, 0.01, 0.02, 0.01, 0.02)),
        e1_terms=_normals(random, (0.01, 0.01, 0.01, 0.01, 0.01, 0.01)),
        e2_terms=_normals(random, (0.01, 0.01, 0.01, 0.01, 0.01, 0.01)),
        extinction_mag=extinction,
        zero_point=_ZERO_POINT_1S[band] + 2.5 * float(np.log10(request.exposure_s)) - extinction,
        sky_mag=_SKY[band] + float(random.normal(0, 0.15)),
        sky_slope=(float(random.normal(0, 0.02)), float(random.normal(0, 0.02))),
    )


def _normals(random: np.random.Generator, sigmas: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in random.normal(0, sigmas))


def _pointing(ra: float, dec: float, xi: float, eta: float, rotation: float) -> Pointing:
    to_ra, to_dec = from_plane(np.array([xi]), np.array([eta]), ra0=ra, dec0=dec)
    # As many digits as a header card keeps: what the files say is what was meant.
    return Pointing(
        ra=round(float(to_ra[0]), 10) % 360.0,
        dec=round(float(to_dec[0]), 10),
        rotation_deg=round(float(rotation), 8) % 360.0,
    )


def _calibrations(request: SurveyRequest, camera: Camera, end: datetime) -> tuple[ExposureInfo, ...]:
    """Return the calibrations; the last ends at a time."""
    wanted = [("bias", request.bands[0], 0.0, 0.0)] * request.biases
    wanted += [("dark", request.bands[0], 0.0, DARK_S)] * request.darks
    wanted += [("flat", band, FLAT_S, FLAT_S) for band in request.bands for _ in range(request.flats)]
    found = []
    begin = _to_milliseconds(end - sum((timedelta(seconds=one[3] + BETWEEN_S) for one in wanted), timedelta()))
    for number, (kind, band, exposure_s, dark_s) in enumerate(wanted, start=1):
        found.append(
            ExposureInfo(
                instrument=camera.name,
                exposure=day_of(begin) * EXPOSURES_A_DAY + number,
                kind=kind,
                physical_filter=camera.filter_of(band).physical_filter,
                band=band,
                exposure_s=exposure_s,
                dark_s=dark_s + READ_OUT_S,
                begin=begin,
                pointing=Pointing(ra=0.0, dec=0.0, rotation_deg=0.0),
                azimuth_deg=0.0,
                altitude_deg=90.0,
                airmass=1.0,
                target=kind.upper(),
                program="calibration",
                reason=kind,
                simulated=True,
            )
        )
        begin += timedelta(seconds=dark_s + BETWEEN_S)
    return tuple(found)


def _to_milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
