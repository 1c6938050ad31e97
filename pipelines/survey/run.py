"""Making a survey on disk, image by image, in several processes; it can be broken off anywhere and gone on with.

Every file is whole or not there. A raw is written after the truth of its image, and the Butler's records of an exposure
after all of its raws; so a file that is there says that what belongs to it is there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qserv_py.errors import ConfigError
from qserv_py.pipelines.instrument.raws import dimensions_path, raw_path, write_dimensions
from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.processes import run_units
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.tables import (
    IMAGE_TABLES,
    image_table_path,
    write_references,
    write_survey_tables,
)
from qserv_py.pipelines.survey.units import Unit, info_of, root_of
from qserv_py.whole_file import whole_file

REQUEST_FILE = "survey.yaml"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}")
_TRUTH_SHARE = 1.15  # bytes of everything, raws 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyProgress:
    """How far a survey is."""

    done: int
    """Images that are there."""

    total: int
    """Images in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveySummary:
    """What came of a survey."""

    visits: int
    """Science exposures."""

    calibrations: int
    """Bias, dark and flat exposures."""

    images: int
    """Raw files, science and calibration."""

    kept: int
    """Those that were there before."""

    raw_bytes: int
    """Of all raw files."""

    seconds: float
    """That it took."""


def simulate_survey(
    request: SurveyRequest,
    directory: Path,
    *,
    processes: int = 1,
    progress: Callable[[SurveyProgress], None] = lambda progress: None,
) -> SurveySummary:
    """Make a simulated survey in a directory, or go on with one.

    Parameters
    ----------
    request
        What it should be. The same request gives the same bytes, whatever ``processes`` is.
    directory
        Where it goes; it is made, or empty, or holds a part of the same survey. Images that are there are kept.
    processes
        That make images side by side. A script that asks for more than one needs ``if __name__ == "__main__":``.
    progress
        Called in this process when it begins and after each image.

    Raises
    ------
    ConfigError
        If the request cannot be fulfilled, or the directory holds another survey, or something else, or cannot be
        written to, or another process is at work in it, or the disk has too little room.
    """
    request.check()
    if processes < 1:
        raise ConfigError(f"{processes} processes: at least one must do the work")
    begun = time.monotonic()
    simulator = Simulator(request)
    try:
        with _claimed(directory):
            _settle(request, simulator, directory)
            summary = _make_images(simulator, directory, processes, progress)
    except OSError as error:
        if error.filename is None:
            raise  # of the listener, not of our files
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from error
    return SurveySummary(**summary, seconds=time.monotonic() - begun)


def _make_images(
    simulator: Simulator, directory: Path, processes: int, progress: Callable[[SurveyProgress], None]
) -> dict[str, int]:
    plan, detectors = simulator.plan, simulator.camera.detectors
    exposures = [(number, False) for number in range(len(plan.calibrations))]
    exposures += [(number, True) for number in range(len(plan.visits))]
    units = [
        Unit(exposure=number, science=science, detector=detector.id)
        for number, science in exposures
        for detector in detectors
    ]
    missing = [unit for unit in units if not _is_whole(simulator, directory, unit)]
    _check_room(directory, simulator, len(missing))
    left = dict.fromkeys(exposures, 0)
    for unit in missing:
        left[unit.exposure, unit.science] += 1
    for exposure in exposures:
        if not left[exposure]:
            _finish(simulator, directory, exposure)
    done = len(units) - len(missing)
    progress(SurveyProgress(done=done, total=len(units)))
    for unit in run_units(simulator, directory, missing, processes):
        left[unit.exposure, unit.science] -= 1
        if not left[unit.exposure, unit.science]:
            _finish(simulator, directory, (unit.exposure, unit.science))
        done += 1
        progress(SurveyProgress(done=done, total=len(units)))
    return {
        "visits": len(plan.visits),
        "calibrations": len(plan.calibrations),
        "images": len(units),
        "kept": len(units) - len(missing),
        "raw_bytes": sum(_raw_file(simulator, directory, unit).stat().st_size for unit in units),
    }


def _is_whole(simulator: Simulator, directory: Path, unit: Unit) -> bool:
    """Tell whether an image is there with its truth; a raw that is too short, as after a power cut, is not."""
    info, raw = info_of(simulator, unit), _raw_file(simulator, directory, unit)
    rows, columns = simulator.camera.detector(unit.detector).raw_shape
    tables = [image_table_path(directory, name, info.exposure, unit.detector) for name in IMAGE_TABLES]
    return raw.exists() and raw.stat().st_size > 2 * rows * columns and all(path.exists() for path in tables)


def _raw_file(simulator: Simulator, directory: Path, unit: Unit) -> Path:
    info = info_of(simulator, unit)
    return raw_path(root_of(directory, info), info.instrument, info.exposure, unit.detector)


def _finish(simulator: Simulator, directory: Path, exposure: tuple[int, bool]) -> None:
    """Write the Butler's records of an exposure whose raws are all there."""
    info = info_of(simulator, Unit(exposure=exposure[0], science=exposure[1], detector=0))
    if not dimensions_path(root_of(directory, info), info.instrument, info.exposure).exists():
        write_dimensions(root_of(directory, info), info)


def _settle(request: SurveyRequest, simulator: Simulator, directory: Path) -> None:
    """Write what is of the whole survey, unless it is there already; refuse a directory of something else."""
    path = directory / REQUEST_FILE
    try:
        found = path.read_text()
    except FileNotFoundError:
        if any(directory.iterdir()):
            raise ConfigError(
                f"{directory} is not empty and holds no survey", hint="Name a directory that is new or empty."
            ) from None
        with whole_file(path) as file:
            file.write(request.to_yaml().encode())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    else:
        if found != request.to_yaml():
            other = SurveyRequest.from_yaml(found, place=str(path))
            raise ConfigError(
                f"{directory} holds another survey: it has {other.differences(request) or 'another camera'}",
                hint="Name another directory, or ask for the same survey again to go on with it.",
            )
    write_references(simulator, directory)
    write_survey_tables(simulator, directory)


def _check_room(directory: Path, simulator: Simulator, images: int) -> None:
    detector = simulator.camera.detectors[0]
    needed = images * 2 * detector.raw_width * detector.raw_height * _TRUTH_SHARE
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise ConfigError(
            f"{images:,} images need {needed / 1e9:.1f} GB, and {directory} has room for {free / 1e9:.1f} GB",
            hint="Fewer visits, detectors or calibrations need less.",
        )


@contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    """Make a directory and hold it: no other process simulates into it, and nobody's half files stay in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"{directory} cannot be made a directory of a survey: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another process makes the survey in {directory}", hint="Wait for it, or stop it, then go on."
            ) from None
        _remove_half_files(directory)
        yield
    finally:
        os.close(handle)


def _remove_half_files(directory: Path) -> None:
    """Remove what killed processes were writing. Only in a survey: files elsewhere are none of our business."""
    if (directory / REQUEST_FILE).exists():
        for path in directory.rglob(".*"):
            if _TEMPORARY.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)
