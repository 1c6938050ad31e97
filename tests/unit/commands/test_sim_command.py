"""``qserv sim survey`` asks for what its options say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qserv_py.cli.main import run
from qserv_py.pipelines.survey import run as survey_run
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.run import SurveySummary

OTHER = SurveyRequest(
    visits=9,
    detectors=7,
    size=500,
    amplifiers=8,
    crosstalk=1e-4,
    bands="uy",
    seed=5,
    ra=1.5,
    dec=-2.5,
    first_night="2027-02-03",
    visits_a_night=3,
    nights_apart=5,
    exposure_s=15.0,
    dither_arcsec=30.0,
    stars_per_deg2=1.0,
    galaxies_per_deg2=2.0,
    transients_per_deg2=3.0,
    moving_per_deg2=4.0,
    cosmic_rays_per_cm2_s=0.5,
    biases=1,
    darks=2,
    flats=4,
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the simulator was asked for; it does nothing."""
    found: dict[str, Any] = {}

    def simulate(request: SurveyRequest, directory: Path, *, processes: int, progress: Any) -> SurveySummary:
        found.update(request=request, directory=directory, processes=processes)
        if request.seed == 666:
            raise KeyboardInterrupt
        return SurveySummary(visits=4, calibrations=23, images=108, kept=5, raw_bytes=10**9, seconds=1.5)

    monkeypatch.setattr(survey_run, "simulate_survey", simulate)
    return found


def test_without_options_it_is_the_survey_of_the_api(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "survey", "there"]) == 0
    assert (asked["request"], asked["directory"]) == (SurveyRequest(), Path("there"))
    assert asked["processes"] >= 1
    said = "there: 4 visits, 23 calibration exposures, 108 images, 5 of them from before, 1,000 MB, 1.5 s\n"
    assert capsys.readouterr() == ("", said)


def test_each_option_is_its_own_wish(asked: dict[str, Any]) -> None:
    short = {"exposure_s": "exposure", "dither_arcsec": "dither"}
    options = []
    for name, value in asdict(OTHER).items():
        assert value != getattr(SurveyRequest(), name), name
        option = short.get(name, name.removesuffix("_per_deg2").removesuffix("_per_cm2_s").replace("_", "-"))
        options += [f"--{option}", str(value)]
    assert run(["sim", "survey", "there", "--processes", "3", *options]) == 0
    assert asked["request"] == OTHER
    assert asked["processes"] == 3


def test_an_interrupt_says_how_to_go_on(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "survey", "there", "--seed", "666"]) == 130
    assert "What is whole in there stays; the same command goes on." in capsys.readouterr().err


@pytest.mark.usefixtures("asked")
def test_wrong_options_are_refused() -> None:
    assert run(["sim", "survey"]) == 2
    assert run(["sim", "survey", "there", "--visits", "many"]) == 2
    assert run(["sim", "survey", "there", "--processes", "0"]) == 2


def test_an_impossible_survey_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sim", "survey", str(tmp_path / "new"), "--visits", "-1"]) == 2
    assert "a survey with visits -1: it can be 0 to 90,000" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
