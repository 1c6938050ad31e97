"""Raw files before they are ingested: found, read as far as their headers, and held against what they should be."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.images.fits_file import raw_frame
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.exposures import ExposureInfo, dimension_records
from qserv_py.pipelines.instrument.raws import parse_raw_name
from qserv_py.pipelines.repository.report import StepReport

_DIGITS = 1e-12  # relative: header cards have 15 digits


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFile:
    """A raw file that can be ingested."""

    path: Path
    """Absolute."""

    info: ExposureInfo
    """What its header says of the exposure."""

    detector: int
    """Number of its detector."""


def find_raws(places: Iterable[Path], report: StepReport) -> list[Path]:
    """Return the FITS files in directories, at any depth, and those named one by one; sorted, each once."""
    found: set[Path] = set()
    for place in places:
        if place.is_dir():
            found |= {path.absolute() for path in place.rglob("*.fits") if not path.name.startswith(".")}
        elif place.exists():
            found.add(place.absolute())
        else:
            report.leave_out(place, "there is no such file or directory")
    return sorted(found)


def read_raw_file(path: Path, camera: Camera) -> RawFile:
    """Read the header of a raw file and check it.

    Raises
    ------
    ImageFileError
        If name, header and size of the file do not agree with each other or with the camera.
    """
    instrument, exposure, number = parse_raw_name(path)
    cards, shape, size = raw_frame(path)
    info = ExposureInfo.of_cards(cards, place=str(path))
    for said, meant in (
        (info.instrument, instrument),
        (info.exposure, exposure),
        (cards.get("DETECTOR"), number),
    ):
        if said != meant:
            raise ImageFileError(f"{path}: the header says {said!r}, the name of the file {meant!r}")
    if instrument != camera.name:
        raise ImageFileError(f"{path}: instrument {instrument}, the repository knows {camera.name}")
    detector = camera.detector(number)
    if shape != detector.raw_shape:
        columns, rows = detector.raw_width, detector.raw_height
        raise ImageFileError(f"{path} has {shape[1]} x {shape[0]} pixels; detector {number} has {columns} x {rows}")
    if os.path.getsize(path) < size:
        raise ImageFileError(f"{path} is cut off: {os.path.getsize(path):,} bytes of {size:,}")
    chosen = camera.filter_of(info.band).physical_filter
    if chosen != info.physical_filter:
        raise ImageFileError(f"{path}: filter {info.physical_filter}; {camera.name} has {chosen} for {info.band}")
    return RawFile(path=path, info=info, detector=number)


def exposure_records(files: Iterable[RawFile]) -> dict[str, dict[str, Any]]:
    """Return the Butler's records of one exposure, by dimension: those beside its files, else those of the headers.

    Raises
    ------
    ImageFileError
        If its files do not agree with each other, or with the records beside them.
    """
    first, *others = files
    for other in others:
        if other.info != first.info:
            name = next(key for key in _fields(first.info) if _fields(first.info)[key] != _fields(other.info)[key])
            raise ImageFileError(
                f"{first.path.name} and {other.path.name} of one exposure differ in {name}",
                detail=f"{_fields(first.info)[name]} and {_fields(other.info)[name]}",
            )
    said = _records(dimension_records(first.info), "header")
    for beside in sorted({file.path.parent / f"{first.info.exposure}_dimensions.yaml" for file in (first, *others)}):
        if beside.exists():
            written = _records(_text(beside), str(beside))
            _compare(written, said, beside)
            said = written
    return said


def _fields(info: ExposureInfo) -> dict[str, object]:
    return {name: getattr(info, name) for name in info.__slots__}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C is ten times faster
    """Knows times as the Butler writes them."""


_Loader.add_constructor(
    "!butler_time/tai/iso",
    lambda _loader, node: datetime.fromisoformat(str(node.value)[:26]),  # to the microsecond
)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageFileError(f"{path} cannot be read: {error}") from error


def _records(text: str, place: str) -> dict[str, dict[str, Any]]:
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader with times
        records = {part["element"]: list(part["records"]) for part in data["data"] if part["type"] == "dimension"}
        if any(len(rows) != 1 for rows in records.values()):
            raise ImageFileError(f"{place} has more or less than one record of a dimension")
        return {element: dict(rows[0]) for element, rows in records.items()}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ImageFileError(f"{place} holds no records of the Butler: {str(error).splitlines()[0]}") from error


def _compare(written: Mapping[str, Mapping[str, Any]], said: Mapping[str, Mapping[str, Any]], place: Path) -> None:
    for element, record in said.items():
        other = written.get(element)
        if other is None:
            raise ImageFileError(f"{place} has no record of the {element}")
        for key in sorted({*record, *other}):
            left, right = other.get(key), record.get(key)
            if not _same(left, right):
                raise ImageFileError(f"{place}: {element} has {key} {left!r}; the headers say {right!r}")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=_DIGITS, abs_tol=1e-12)
    return bool(left == right)


def named(path: Path) -> tuple[int, int] | None:
    """Return exposure and detector that a file's name says; None where it says none."""
    try:
        return parse_raw_name(path)[1:]
    except ImageFileError:
        return None


def checked_raws(paths: Iterable[Path], camera: Camera, report: StepReport) -> Iterator[RawFile]:
    """Yield the raw files that can be ingested; the others go to the report."""
    for path in paths:
        try:
            yield read_raw_file(path, camera)
        except QservError as error:
            report.leave_out(path, error)
