"""``qserv pipeline``: what a user types, sees, and gets as exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.exposures import random_exposure
from support.tiny_survey import CAMERA, contents, write_survey

from qserv_py.cli.errors import NOT_FOUND, PARTIAL, USAGE
from qserv_py.cli.main import run
from qserv_py.pipelines.images.fits_file import write_exposure


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_survey(tmp_path_factory.mktemp("survey") / "survey")


def test_the_nine_steps_make_what_init_makes(survey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [
        ["create"],
        ["register-instrument", "--camera", str(survey / "survey.yaml")],
        ["ingest-raws", str(survey / "raw"), str(survey / "calib")],
        ["ingest-calibs", str(survey / "calibrations"), "--label", "survey", "--transfer", "direct"],
        ["register-skymap"],
        ["ingest-refcats", str(survey / "refcats")],
        ["ingest-ancillary", str(survey / "truth")],
        ["define-visits"],
        ["arrange-collections"],
    ]
    one_by_one, at_once = str(tmp_path / "steps"), str(tmp_path / "init")
    for command, *arguments in steps:
        assert run(["pipeline", command, one_by_one, *arguments]) == 0, command
    capsys.readouterr()
    assert run(["pipeline", "init", at_once, "--survey", str(survey)]) == 0
    said = capsys.readouterr().err
    assert "raw files: 8 new\n" in said
    assert "visits: 3 new\n" in said
    assert contents(one_by_one) == contents(at_once)

    assert run(["pipeline", "show", at_once, "--format", "json"]) == 0
    printed = capsys.readouterr()
    rows = {(row["collection"], row["type or children"]): row["datasets"] for row in json.loads(printed.out)}
    assert rows["QCam/raw/all", "raw"] == 8
    assert rows["QCam/defaults", "QCam/raw/all, QCam/calib, refcats, skymaps"] is None
    assert "4 exposures, 3 visits." in printed.err

    # Step 4: a finished calibration, and one that a run made.
    (tmp_path / "calib").mkdir()
    bias = random_exposure(1, shape=CAMERA.detectors[0].shape, whole=False)
    write_exposure(bias, tmp_path / "calib" / "bias_000.fits")
    when = ["--begin", "2026-11-20", "--end", "2026-12-20"]
    assert run(["pipeline", "ingest-calibs", at_once, str(tmp_path / "calib"), "--label", "one", *when]) == 0
    later = ["--begin", "2026-12-20"]
    assert run(["pipeline", "certify-calibs", at_once, "QCam/calib/one", "--type", "bias", *later]) == 0
    assert "certified calibrations: 1 new" in capsys.readouterr().err


def test_wrong_files_are_named_and_the_exit_code_says_so(
    survey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "survey"
    shutil.copytree(survey, mine)
    broken = next((mine / "raw").rglob("*.fits"))
    broken.write_bytes(b"no FITS")
    assert run(["pipeline", "init", str(tmp_path / "repo"), "--survey", str(mine)]) == PARTIAL
    said = capsys.readouterr().err
    assert f"{broken} is not a whole FITS image" in said
    assert "raw files: 7 new, 1 left out\n" in said
    assert "collections:" in said, "the other steps go on"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["show", "{}/none"], NOT_FOUND, "there is no Butler repository"),
        (["define-visits", "{}/none"], NOT_FOUND, "there is no Butler repository"),
        (["init", "{}/repo", "--survey", "{}/none"], NOT_FOUND, "there is no directory"),
        (["create", "{}/repo", "--registry", "postgresql://me:secret@h/d"], USAGE, "no password in it"),
        (["register-instrument", "{}/none", "--camera", "x.json"], NOT_FOUND, "there is no Butler repository"),
        (["ingest-raws", "{}/none"], USAGE, "Missing argument 'FILE|DIR...'"),
    ],
)
def test_mistakes_are_one_message(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pipeline", *(one.format(tmp_path) for one in arguments)]) == code
    said = capsys.readouterr().err
    assert message in said
    assert "secret" not in said
    assert not (tmp_path / "repo").exists()


def test_without_the_middleware_one_message_says_how_to_get_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['lsst.daf.butler'] = None; from qserv_py.cli.main import run;"
        "sys.exit(run(['pipeline', 'show', sys.argv[1]]))"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert ran.returncode == USAGE
    assert "pip install 'qserv-py[pipelines]'" in ran.stderr
    assert "Traceback" not in ran.stderr
