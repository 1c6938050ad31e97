"""A small simulated survey, and directories of files as bytes."""

from __future__ import annotations

from pathlib import Path

from qserv_py.pipelines.survey.request import SurveyRequest

SMALL = SurveyRequest(visits=3, detectors=2, size=256, bands="gr", biases=2, darks=1, flats=2)
"""3 visits and 7 calibration exposures of 2 detectors: 20 images."""


def files_of(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory, hidden ones too, by its path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


if __name__ == "__main__":  # a process that a test kills
    import sys

    from qserv_py.pipelines.survey.run import simulate_survey

    simulate_survey(SMALL, Path(sys.argv[1]), processes=2, progress=lambda one: print(one.done, flush=True))
