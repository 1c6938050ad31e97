"""Our pipelines killed in the middle and restarted: the same images and the same rows, bit for bit, none twice."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.workflows import kill_runner, over, wait_for

from qserv_py.pipelines.repository.calibrations import certify_run
from qserv_py.pipelines.repository.certification import validity
from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.repository.whole import Place, init_repository
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.run import simulate_survey
from qserv_py.pipelines.workflow.attempts import Attempt
from qserv_py.pipelines.workflow.control import launch, look_at
from qserv_py.pipelines.workflow.processes import LockFile
from qserv_py.pipelines.workflow.runner import LOCK_FILE
from qserv_py.pipelines.workflow.state import JobState
from qserv_py.pipelines.workflow.submission import Submission, submit

pytestmark = pytest.mark.long

SURVEY = SurveyRequest(visits=2, detectors=2, size=512, bands="gr", stars_per_deg2=200_000, biases=3, darks=3, flats=3)
COMPARED = (
    "preliminary_visit_image",
    "single_visit_star_unstandardized",
    "visit_summary",
    "recalibrated_star",
    "visit_table",
)
KILLS = 3


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small repository with calibrations."""
    directory = tmp_path_factory.mktemp("killed")
    simulate_survey(SURVEY, directory / "survey")
    root = directory / "repo"
    list(init_repository(Place(root=str(root)), survey=directory / "survey"))
    assert over(submit(submission(root, "cp", "u/cp"))).state == "SUCCEEDED"
    with opened(str(root), writeable=True) as butler:
        certify_run(butler, "u/cp", validity(None, None))
    return root


@pytest.fixture(autouse=True, scope="module")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def submission(root: Path, pipeline: str, output: str) -> Submission:
    return Submission(
        repository=str(root),
        pipeline=pipeline,
        inputs=("QCam/defaults",),
        output=output,
        cores=2,
        submit_directory=root.parent / "submit",
    )


def kill_everything(run: Path) -> list[str]:
    """Kill the runner, then whatever job it had started; return the jobs."""
    kill_runner(run)
    view = look_at(run)
    killed = []
    for job in view.plan.jobs:
        record = view.record.jobs[job.name]
        leader = Attempt(run / job.directory, record.attempt).lock.holder()
        if record.state is JobState.RUNNING and leader is not None:
            os.killpg(leader, signal.SIGKILL)
            killed.append(job.name)
    return killed


def contents(root: Path, output: str) -> dict[tuple[str, str], Any]:
    """Return what a run left, by dataset type and data id; each is there once."""
    with opened(str(root)) as butler:
        [run] = butler.collections.query(f"{output}/*")
        refs = [ref for kind in COMPARED for ref in butler.query_datasets(kind, collections=run)]
        found = {(ref.datasetType.name, str(ref.dataId)): butler.get(ref) for ref in refs}
        assert len(found) == len(refs)
        return found


def assert_equal(one: Any, other: Any) -> None:
    if hasattr(one, "colnames"):
        assert one.colnames == other.colnames
        for name in one.colnames:
            np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]), err_msg=name)
    else:
        for plane in ("image", "variance", "mask"):
            np.testing.assert_array_equal(getattr(one, plane), getattr(other, plane), err_msg=plane)


def test_killed_at_random_moments(repository: Path) -> None:
    plain = submit(submission(repository, "drp-single-frame", "u/plain"))
    assert over(plain).state == "SUCCEEDED"
    seconds = look_at(plain).record.ended - look_at(plain).plan.created
    run = submit(submission(repository, "drp-single-frame", "u/killed"))
    chooser = random.Random(5)
    kills: list[str] = []
    for _ in range(KILLS):
        time.sleep(chooser.uniform(0.1, 0.5) * seconds)
        if LockFile(run / LOCK_FILE).holder() is None:
            break  # it was over before
        kills += kill_everything(run)
        wait_for(lambda: look_at(run).state == "FAILED", "the end of the jobs")
        launch(run, restart=True)
    assert kills, "something was killed"
    assert over(run).state == "SUCCEEDED"
    want, have = contents(repository, "u/plain"), contents(repository, "u/killed")
    assert want.keys() == have.keys()
    assert {kind for kind, _ in want} == {*COMPARED}
    for key, value in want.items():
        assert_equal(value, have[key])
