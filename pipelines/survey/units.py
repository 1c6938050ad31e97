"""One image of a survey: which one it is, how it is made, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.instrument.raws import raw_path, write_raw
from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.tables import write_image_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One image to make."""

    exposure: int
    """Index in the plan's visits or calibrations."""

    science: bool
    """Whether it is of a visit."""

    detector: int
    """Id of the detector."""


def make_image(simulator: Simulator, directory: Path, unit: Unit) -> None:
    """Make one image with its truth."""
    info = info_of(simulator, unit)
    if unit.science:
        exposed = simulator.science(simulator.plan.visits[unit.exposure], unit.detector)
    else:
        exposed = simulator.calibration(info, unit.detector)
    write_image_tables(exposed, directory, info.exposure, unit.detector)
    write_raw(raw_path(root_of(directory, info), info.instrument, info.exposure, unit.detector), exposed.raw)


def info_of(simulator: Simulator, unit: Unit) -> ExposureInfo:
    """Return what the telescope writes down of a unit's exposure."""
    plan = simulator.plan
    return plan.visits[unit.exposure].info if unit.science else plan.calibrations[unit.exposure]


def root_of(directory: Path, info: ExposureInfo) -> Path:
    """Return below what an exposure's files are."""
    return directory / ("raw" if info.kind == "science" else "calib")
