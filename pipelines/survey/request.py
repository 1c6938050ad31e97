"""What a simulated survey is asked to be. The same request gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import yaml

from qserv_py.errors import ConfigError
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.layout import make_camera
from qserv_py.pipelines.instrument.plain import from_plain, to_plain

VERSION = 1
"""Of the simulation; another one makes other pixels of the same request."""


READ_OUT_S = 2.0
"""Seconds of a read-out; charge is collected in them, too."""

BETWEEN_S = READ_OUT_S + 3.0
"""Seconds from the end of an exposure to the begin of the next one, at least."""

_NIGHT_H = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyRequest:
    """A survey of one field."""

    visits: int = 4
    """Science exposures."""

    detectors: int = 4
    """Of the camera."""

    size: int = 2048
    """Columns and rows of a detector."""

    amplifiers: int = 2
    """Of a detector."""

    crosstalk: float = 0.0
    """Share of an amplifier's signal that appears in its neighbour."""

    bands: str = "gri"
    """Bands of the visits, in turns."""

    seed: int = 1
    """Of everything that is drawn."""

    ra: float = 53.13
    """ICRS degrees of the field's middle."""

    dec: float = -28.1
    """ICRS degrees of the field's middle."""

    first_night: str = "2026-11-20"
    """Date of the day before the first night."""

    visits_a_night: int = 8
    """Visits before the telescope turns to other fields."""

    nights_apart: int = 3
    """From one night of the field to the next."""

    exposure_s: float = 30.0
    """Seconds of each visit."""

    dither_arcsec: float = 60.0
    """How far a visit may be from the field's middle, on each axis."""

    stars_per_deg2: float = 50_000.0
    """Of r = 14.5 to 25.5."""

    galaxies_per_deg2: float = 326_000.0
    """Of r = 18.5 to 26.5."""

    transients_per_deg2: float = 500.0
    """Supernovae that are seen in some visit."""

    moving_per_deg2: float = 500.0
    """Minor planets, each in the field in one visit at least."""

    cosmic_rays_per_cm2_s: float = 0.2
    """Particles through the detector."""

    biases: int = 5
    """Bias exposures."""

    darks: int = 3
    """Dark exposures."""

    flats: int = 5
    """Flat exposures of each band."""

    def camera(self) -> Camera:
        """Return the camera.

        Raises
        ------
        ConfigError
            If there cannot be such a camera.
        """
        return make_camera(
            detectors=self.detectors, size=self.size, amplifiers=self.amplifiers, crosstalk=self.crosstalk
        )

    def check(self) -> None:
        """Refuse what cannot be simulated.

        Raises
        ------
        ConfigError
            If a number is out of its range, or a band is not known; names it.
        """
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"a survey with {name} {value}: it can be {low:,} to {high:,}")
        hours = min(self.visits, self.visits_a_night) * (self.exposure_s + BETWEEN_S) / 3600
        if hours > _NIGHT_H:
            raise ConfigError(
                f"{min(self.visits, self.visits_a_night)} visits of {self.exposure_s:g} s take {hours:.1f} hours",
                hint=f"A night has {_NIGHT_H:g} hours: ask for fewer visits a night, or shorter ones.",
            )
        known = "".join(one.band for one in self.camera().filters)
        if not self.bands or set(self.bands) - set(known) or len(set(self.bands)) < len(self.bands):
            raise ConfigError(f'bands "{self.bands}": each of {known} once at most, and one at least')
        try:
            date.fromisoformat(self.first_night)
        except ValueError:
            raise ConfigError(f'first night "{self.first_night}" is no date such as 2026-11-20') from None

    def to_yaml(self) -> str:
        """Return the request and the camera that it means, as ``survey.yaml`` keeps them."""
        plain = {"version": VERSION, "request": to_plain(self), "camera": to_plain(self.camera())}
        text: str = yaml.dump(plain, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)
        return text

    @classmethod
    def from_yaml(cls, text: str, *, place: str = "survey.yaml") -> SurveyRequest:
        """Read what ``to_yaml`` wrote.

        Raises
        ------
        ConfigError
            If it is something else, or of another version; with the place.
        """
        try:
            plain = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
        except yaml.YAMLError as error:
            raise ConfigError(f"{place} is no YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(plain, dict) or set(plain) != {"version", "request", "camera"}:
            raise ConfigError(f"{place} is no survey", hint="It has a version, a request and a camera.")
        if plain["version"] != VERSION:
            raise ConfigError(f"{place} is of version {plain['version']} of the simulation; this program has {VERSION}")
        request = from_plain(cls, plain["request"], place=place)
        request.check()
        return request

    def differences(self, other: SurveyRequest) -> str:
        """Return what is different in another request, as words; empty when nothing is."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return ", ".join(f"{name} {ours}, not {theirs}" for name, ours, theirs in pairs if ours != theirs)


_RANGES: dict[str, tuple[float, float]] = {
    "visits": (0, 90_000),
    "size": (128, 16384),
    "seed": (0, 2**62),
    "ra": (0, 360),
    "dec": (-90, 90),
    "visits_a_night": (1, 1000),
    "nights_apart": (1, 365),
    "exposure_s": (0.1, 3600),
    "dither_arcsec": (0, 36_000),
    "stars_per_deg2": (0, 2_000_000),
    "galaxies_per_deg2": (0, 2_000_000),
    "transients_per_deg2": (0, 100_000),
    "moving_per_deg2": (0, 100_000),
    "cosmic_rays_per_cm2_s": (0, 100),
    "biases": (0, 1000),
    "darks": (0, 1000),
    "flats": (0, 1000),
}
