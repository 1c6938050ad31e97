"""The description of a camera: detectors with their amplifiers, filters, the focal plane, and the optics before it.

A description is frozen and plain: it is written as JSON beside what was made with it, and read back equal. It says
where each detector looks when the telescope points somewhere: a TAN-SIP ``Wcs`` around the middle of the detector.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qserv_py.errors import ConfigError, NotFoundError
from qserv_py.pipelines.instrument.plain import from_plain, to_plain
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.isr import Amplifier
from qserv_py.pipelines.kernels.wcs import Wcs, from_plane, powers_of, to_plane

SIP_ORDER = 4
"""Of the coordinates of a detector; keeps the optics of a field of 3.5 degrees to a microarcsecond."""

_ADU = 65535
_SAMPLES = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAmplifier:
    """One amplifier of a detector."""

    name: str
    """Unique in its detector."""

    readout: Amplifier
    """Its sections in the raw frame and in the detector, gain, noise, saturation, linearity: as kernels take them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One detector and where it is."""

    id: int
    """As headers and the Butler say it."""

    name: str
    """Unique in its camera."""

    serial: str
    """Of the device."""

    width: int
    """Columns without overscans."""

    height: int
    """Rows without overscans."""

    raw_width: int
    """Columns of the raw frame."""

    raw_height: int
    """Rows of the raw frame."""

    focal_x: float
    """Of its middle, in pixels from the optical axis, to the west where the y axis points north."""

    focal_y: float
    """Of its middle, in pixels from the optical axis, upwards."""

    rotation_deg: float
    """Turn of its rows against the focal plane's x axis, counterclockwise."""

    amplifiers: tuple[NamedAmplifier, ...]
    """At least one; together they cover the detector."""

    crosstalk: tuple[tuple[float, ...], ...] = ()
    """Share of the signal of amplifier j that appears in amplifier i, pixels read at the same time; empty for none."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns without overscans."""
        return self.height, self.width

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns of the raw frame."""
        return self.raw_height, self.raw_width

    @property
    def readouts(self) -> tuple[Amplifier, ...]:
        """The amplifiers as ``remove_signature`` takes them."""
        return tuple(amplifier.readout for amplifier in self.amplifiers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter of the camera."""

    physical_filter: str
    """Its own name."""

    band: str
    """The pass band, one of ugrizy."""

    wavelength_nm: float
    """Of its middle."""


@dataclass(frozen=True, kw_only=True)
class Pointing:
    """Where a telescope points."""

    ra: float
    """ICRS degrees of the optical axis."""

    dec: float
    """ICRS degrees of the optical axis."""

    rotation_deg: float
    """Position angle of the focal plane's y axis: from north through east."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera behind its optics."""

    name: str
    """Of the instrument."""

    pixel_scale_arcsec: float
    """On the optical axis."""

    distortion: tuple[float, ...]
    """d1, d2, ... of tangent = r (1 + d1 r**2 + d2 r**4 ...): r in degrees of the focal plane, tangent in the sky's."""

    filters: tuple[Filter, ...]
    """At least one, in the order of wavelength."""

    detectors: tuple[Detector, ...]
    """At least one, in the order of their ids."""

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def _by_id(self) -> dict[int, Detector]:
        return {detector.id: detector for detector in self.detectors}

    def detector(self, number: int) -> Detector:
        """Return a detector by its id.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        if number not in self._by_id:
            raise NotFoundError(
                f"{self.name} has no detector {number}",
                hint=f"Its detectors are {self.detectors[0].id} to {self.detectors[-1].id}.",
            )
        return self._by_id[number]

    def filter_of(self, band: str) -> Filter:
        """Return the filter of a band.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        for one in self.filters:
            if one.band == band:
                return one
        raise NotFoundError(
            f'{self.name} has no filter of the band "{band}"',
            hint=f"It has {', '.join(one.band for one in self.filters)}.",
        )

    @cached_property
    def field_radius_deg(self) -> float:
        """Degrees from the optical axis to the farthest corner of a detector."""
        corners = [
            np.hypot(*self.to_focal(one, np.array([-0.5, one.width - 0.5] * 2), np.repeat([-0.5, one.height - 0.5], 2)))
            for one in self.detectors
        ]
        return float(np.degrees(np.arctan(np.radians(self._stretched(np.max(corners))))))

    def to_focal(self, detector: Detector, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where pixels of a detector are in the focal plane, degrees from the optical axis at its scale."""
        turn = np.radians(detector.rotation_deg)
        u, v = x - (detector.width - 1) / 2, y - (detector.height - 1) / 2
        scale = self.pixel_scale_arcsec / 3600
        return (
            scale * (detector.focal_x + np.cos(turn) * u - np.sin(turn) * v),
            scale * (detector.focal_y + np.sin(turn) * u + np.cos(turn) * v),
        )

    def to_sky(
        self, detector: Detector, pointing: Pointing, x: FloatArray, y: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return ICRS ra and dec, degrees, of pixels of a detector: exact, where ``wcs`` is a polynomial."""
        focal_x, focal_y = self.to_focal(detector, x, y)
        radius = np.hypot(focal_x, focal_y)
        stretch = np.where(radius > 0, self._stretched(radius) / np.where(radius > 0, radius, 1), 1)
        right, up = stretch * focal_x, stretch * focal_y
        turn = np.radians(pointing.rotation_deg)
        xi = -np.cos(turn) * right + np.sin(turn) * up
        eta = np.sin(turn) * right + np.cos(turn) * up
        return from_plane(xi, eta, ra0=pointing.ra, dec0=pointing.dec)

    def wcs(self, detector: Detector, pointing: Pointing) -> Wcs:
        """Return the coordinates of a detector, TAN-SIP around its middle."""
        half_x, half_y = detector.width / 2, detector.height / 2
        x0, y0 = (detector.width - 1) / 2, (detector.height - 1) / 2
        ra0, dec0 = (float(one[0]) for one in self.to_sky(detector, pointing, np.array([x0]), np.array([y0])))
        nodes = np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES)
        u, v = (one.ravel() for one in np.meshgrid(nodes, nodes))
        plane = to_plane(*self.to_sky(detector, pointing, x0 + half_x * u, y0 + half_y * v), ra0=ra0, dec0=dec0)
        powers = powers_of(SIP_ORDER)[1:]  # the middle is the tangent point: there is no constant
        terms = np.stack([u**i * v**j for i, j in powers], axis=1)
        fitted = np.linalg.lstsq(terms, np.stack(plane, axis=1), rcond=None)[0]
        fitted /= np.array([[half_x**i * half_y**j] for i, j in powers])
        cd = fitted[:2].T.copy()
        bends = np.linalg.solve(cd, fitted[2:].T)
        a, b = np.zeros((2, SIP_ORDER + 1, SIP_ORDER + 1))
        for (i, j), bend_x, bend_y in zip(powers[2:], *bends, strict=True):
            a[i, j], b[i, j] = bend_x, bend_y
        return Wcs(ra0=ra0, dec0=dec0, x0=x0, y0=y0, cd=cd, order=SIP_ORDER, a=a, b=b)

    def _stretched(self, radius: Any) -> Any:
        powers = sum(factor * radius ** (2 * number) for number, factor in enumerate(self.distortion, start=1))
        return radius * (1 + powers)

    def to_json(self) -> str:
        """Return the description as JSON."""
        return json.dumps(to_plain(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, *, place: str = "camera") -> Camera:
        """Read a description.

        Parameters
        ----------
        text
            As ``to_json`` wrote it.
        place
            What messages call it, such as the name of the file.

        Raises
        ------
        ConfigError
            If it is no description of a camera; with the place.
        """
        try:
            return from_plain(cls, json.loads(text), place=place)
        except ValueError as error:
            raise ConfigError(f"{place} is no JSON: {error}") from error


def _check(camera: Camera) -> None:
    _distinct(camera.name, "filters", [one.physical_filter for one in camera.filters])
    _distinct(camera.name, "bands", [one.band for one in camera.filters])
    _distinct(camera.name, "ids of detectors", [one.id for one in camera.detectors])
    _distinct(camera.name, "names of detectors", [one.name for one in camera.detectors])
    if not camera.pixel_scale_arcsec > 0:
        raise ConfigError(f"{camera.name}: a pixel scale of {camera.pixel_scale_arcsec} arc seconds")
    for detector in camera.detectors:
        _check_detector(detector, f"{camera.name}, detector {detector.id}")


def _check_detector(detector: Detector, place: str) -> None:
    if detector.id < 0 or min(detector.shape) < 1:
        raise ConfigError(f"{place}: {detector.width} x {detector.height} pixels; ids count from 0")
    _distinct(place, "amplifiers", [one.name for one in detector.amplifiers])
    sides = {len(detector.crosstalk), *map(len, detector.crosstalk)}
    if detector.crosstalk and sides != {len(detector.amplifiers)}:
        raise ConfigError(f"{place}: cross-talk needs a square of {len(detector.amplifiers)} numbers a side")
    owner = np.zeros(detector.shape, bool)
    for amplifier in detector.amplifiers:
        _check_amplifier(detector, amplifier, f"{place}, amplifier {amplifier.name}")
        one = amplifier.readout
        part = owner[one.out_y : one.out_y + one.height, one.out_x : one.out_x + one.width]
        if part.any():
            raise ConfigError(f"{place}, amplifier {amplifier.name}: its pixels are another's, too")
        part[:] = True
    if not owner.all():
        raise ConfigError(f"{place}: {np.sum(~owner):,} pixels belong to no amplifier")


def _check_amplifier(detector: Detector, amplifier: NamedAmplifier, place: str) -> None:
    one = amplifier.readout
    fits = (
        _within(one.raw_x, one.width, detector.raw_width)
        and _within(one.raw_y, one.height, detector.raw_height)
        and _within(one.out_x, one.width, detector.width)
        and _within(one.out_y, one.height, detector.height)
        and (one.overscan_width == 0 or _within(one.overscan_x, one.overscan_width, detector.raw_width))
    )
    if not fits:
        raise ConfigError(f"{place}: a section leaves its frame")
    if not one.gain > 0 or one.read_noise < 0:
        raise ConfigError(f"{place}: gain {one.gain}, read noise {one.read_noise}")
    if not 0 < one.suspect <= one.saturation <= _ADU:
        raise ConfigError(f"{place}: suspect from {one.suspect}, saturated from {one.saturation} ADU of {_ADU}")


def _within(start: int, length: int, room: int) -> bool:
    return start >= 0 and length >= 1 and start + length <= room


def _distinct(place: str, what: str, names: list[Any]) -> None:
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"{place}: {what} must be there and differ; they are {', '.join(map(str, names)) or 'none'}")
