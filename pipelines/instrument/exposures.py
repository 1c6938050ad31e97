"""What is true of a whole exposure: number, kind, filter, times, pointing; as header cards and as Butler records.

Times are TAI. A day of observation begins at noon TAI, so a night in Chile has one date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import yaml

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import HeaderValue
from qserv_py.pipelines.instrument.camera import Pointing

KINDS = ("science", "bias", "dark", "flat")
"""What an exposure can be of."""

EXPOSURES_A_DAY = 100_000
_MJD_0 = datetime(1858, 11, 17)
DAY_STARTS = timedelta(hours=12)
"""TAI hours at which a day of observation begins."""

_FORMAT_VERSION = "1.0.2"  # of the Butler's export files
_UNIVERSE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureInfo:
    """What a telescope writes down about an exposure."""

    instrument: str
    """Name of the instrument."""

    exposure: int
    """yyyymmdd * 100000 + the number in the day; the number of the visit, too."""

    kind: str
    """One of ``KINDS``."""

    physical_filter: str
    """In the beam."""

    band: str
    """Of the filter."""

    exposure_s: float
    """Seconds for which the shutter was open."""

    dark_s: float
    """Seconds for which charge was collected."""

    begin: datetime
    """When the exposure began, TAI."""

    pointing: Pointing
    """Where the telescope thought it was pointing."""

    azimuth_deg: float
    """From north through east."""

    altitude_deg: float
    """Above the horizon."""

    airmass: float
    """In the middle of the exposure."""

    target: str
    """Name of the field."""

    program: str
    """Of the science, or of the calibration."""

    reason: str
    """Why it was taken."""

    simulated: bool
    """Whether no photon was harmed."""

    @property
    def day_obs(self) -> int:
        """The day as yyyymmdd."""
        return self.exposure // EXPOSURES_A_DAY

    @property
    def seq_num(self) -> int:
        """Number in the day."""
        return self.exposure % EXPOSURES_A_DAY

    @property
    def end(self) -> datetime:
        """When the exposure ended, TAI."""
        return self.begin + timedelta(seconds=self.dark_s)

    @property
    def middle(self) -> datetime:
        """Middle of the time in which the shutter was open, TAI."""
        return self.begin + timedelta(seconds=self.exposure_s / 2)

    def cards(self) -> dict[str, HeaderValue]:
        """Return the header cards."""
        return {
            "INSTRUME": self.instrument,
            "EXPID": self.exposure,
            "OBSID": f"{self.instrument}_{self.exposure}",
            "DAYOBS": self.day_obs,
            "SEQNUM": self.seq_num,
            "IMGTYPE": self.kind,
            "FILTER": self.physical_filter,
            "BAND": self.band,
            "EXPTIME": self.exposure_s,
            "DARKTIME": self.dark_s,
            "TIMESYS": "TAI",
            "DATE-BEG": _iso(self.begin),
            "DATE-AVG": _iso(self.middle),
            "DATE-END": _iso(self.end),
            "MJD-BEG": mjd(self.begin),
            "MJD-AVG": mjd(self.middle),
            "MJD-END": mjd(self.end),
            "RA": self.pointing.ra,
            "DEC": self.pointing.dec,
            "ROTPA": self.pointing.rotation_deg,
            "AZ": self.azimuth_deg,
            "EL": self.altitude_deg,
            "AIRMASS": self.airmass,
            "OBJECT": self.target,
            "PROGRAM": self.program,
            "REASON": self.reason,
            "SIMULATE": self.simulated,
        }

    @classmethod
    def of_cards(cls, cards: Mapping[str, HeaderValue], *, place: str = "header") -> ExposureInfo:
        """Read the cards.

        Parameters
        ----------
        cards
            As ``cards`` made them, among others.
        place
            What messages call them, such as the name of the file.

        Raises
        ------
        ImageFileError
            If a card is missing or says what cannot be; with its keyword.
        """
        read = _Cards(cards, place)
        info = cls(
            instrument=read.text("INSTRUME"),
            exposure=read.whole("EXPID"),
            kind=read.text("IMGTYPE"),
            physical_filter=read.text("FILTER"),
            band=read.text("BAND"),
            exposure_s=read.number("EXPTIME", 0, 1e6),
            dark_s=read.number("DARKTIME", 0, 1e6),
            begin=read.time("DATE-BEG"),
            pointing=Pointing(
                ra=read.number("RA", 0, 360),
                dec=read.number("DEC", -90, 90),
                rotation_deg=read.number("ROTPA", -360, 360),
            ),
            azimuth_deg=read.number("AZ", 0, 360),
            altitude_deg=read.number("EL", -90, 90),
            airmass=read.number("AIRMASS", 1, 100),
            target=read.text("OBJECT"),
            program=read.text("PROGRAM"),
            reason=read.text("REASON"),
            simulated=read.of_kind("SIMULATE", bool),
        )
        if info.kind not in KINDS:
            raise read.wrong("IMGTYPE", f"one of {', '.join(KINDS)}")
        if not info.seq_num > 0 or day_of(info.begin) != info.day_obs:
            raise read.wrong("EXPID", f"{day_of(info.begin)} and a number, as DATE-BEG is {_iso(info.begin)}")
        return info


def mjd(time: datetime) -> float:
    """Return the Modified Julian Date of a time in the same scale."""
    return (time - _MJD_0) / timedelta(days=1)


def dimension_records(info: ExposureInfo) -> str:
    """Return the Butler's records of an exposure, its group and its day as YAML, as ``Butler.export`` writes them."""
    day = datetime.strptime(str(info.day_obs), "%Y%m%d") + DAY_STARTS
    group = f"{info.instrument}_{info.exposure}"
    exposure = {
        "instrument": info.instrument,
        "id": info.exposure,
        "day_obs": info.day_obs,
        "group": group,
        "physical_filter": info.physical_filter,
        "obs_id": f"{info.instrument}_{info.exposure}",
        "exposure_time": info.exposure_s,
        "dark_time": info.dark_s,
        "observation_type": info.kind,
        "observation_reason": info.reason,
        "seq_num": info.seq_num,
        "seq_start": info.seq_num,
        "seq_end": info.seq_num,
        "target_name": info.target,
        "science_program": info.program,
        # Calibrations look at a screen or at nothing: where the telescope points means nothing for them.
        "tracking_ra": info.pointing.ra if info.kind == "science" else None,
        "tracking_dec": info.pointing.dec if info.kind == "science" else None,
        "sky_angle": info.pointing.rotation_deg if info.kind == "science" else None,
        "azimuth": info.azimuth_deg,
        "zenith_angle": 90.0 - info.altitude_deg,
        "has_simulated": info.simulated,
        "can_see_sky": info.kind == "science",
        "datetime_begin": _TaiTime(info.begin),
        "datetime_end": _TaiTime(info.end),
    }
    days = {"datetime_begin": _TaiTime(day), "datetime_end": _TaiTime(day + timedelta(days=1))}
    records: list[tuple[str, dict[str, Any]]] = [
        ("group", {"instrument": info.instrument, "name": group}),
        ("day_obs", {"instrument": info.instrument, "id": info.day_obs, **days}),
        ("exposure", exposure),
    ]
    text: str = yaml.dump(
        {
            "description": "Butler Data Repository Export",
            "version": _FORMAT_VERSION,
            "universe_version": _UNIVERSE,
            "universe_namespace": "daf_butler",
            "data": [{"type": "dimension", "element": name, "records": [record]} for name, record in records],
        },
        Dumper=_Dumper,
        sort_keys=False,
    )
    return text


class _TaiTime:
    """A time that YAML writes with the Butler's tag."""

    def __init__(self, time: datetime) -> None:
        self.text = time.isoformat(sep=" ", timespec="microseconds") + "000"


class _Dumper(yaml.SafeDumper):
    """Knows times as the Butler writes them."""


_Dumper.add_representer(
    _TaiTime, lambda dumper, time: dumper.represent_scalar("!butler_time/tai/iso", time.text, style="'")
)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")


def day_of(begin: datetime) -> int:
    """Return the day of observation of a time, TAI, as yyyymmdd."""
    return int((begin - DAY_STARTS).strftime("%Y%m%d"))


@dataclass(frozen=True, slots=True)
class _Cards:
    """Header cards that are checked as they are read."""

    cards: Mapping[str, HeaderValue]
    place: str

    def wrong(self, keyword: str, belongs: str) -> ImageFileError:
        said = repr(self.cards[keyword]) if keyword in self.cards else "missing"
        return ImageFileError(f"{self.place}: {keyword} is {said}", hint=f"It should be {belongs}.")

    def of_kind(self, keyword: str, kind: type) -> Any:
        value = self.cards.get(keyword)
        if type(value) is not kind:
            raise self.wrong(keyword, {int: "a whole number", str: "a text", bool: "T or F"}[kind])
        return value

    def text(self, keyword: str) -> str:
        return str(self.of_kind(keyword, str))

    def whole(self, keyword: str) -> int:
        return int(self.of_kind(keyword, int))

    def number(self, keyword: str, low: float, high: float) -> float:
        value = self.cards.get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(keyword, f"a number from {low:g} to {high:g}")
        return float(value)

    def time(self, keyword: str) -> datetime:
        try:
            time = datetime.fromisoformat(self.text(keyword))
        except ValueError:
            raise self.wrong(keyword, "a time such as 2026-11-21T03:04:05.678") from None
        if time.tzinfo is not None or self.cards.get("TIMESYS") != "TAI":
            raise self.wrong("TIMESYS", "TAI")
        return time
