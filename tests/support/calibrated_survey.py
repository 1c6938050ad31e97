"""A small simulated survey in a Butler repository, with calibrations made and certified: built once for many tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

from lsst.daf.butler import Butler, Timespan
from lsst.pipe.base import Pipeline, TaskFactory
from lsst.pipe.base.mp_graph_executor import MPGraphExecutor, MPGraphExecutorError
from lsst.pipe.base.separable_pipeline_executor import SeparablePipelineExecutor
from lsst.pipe.base.simple_pipeline_executor import SimplePipelineExecutor
from lsst.pipe.base.single_quantum_executor import SingleQuantumExecutor

from qserv_py.pipelines.repository.calibrations import certify_run
from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.repository.whole import Place, init_repository
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.run import simulate_survey

REQUEST = SurveyRequest(
    visits=4,
    detectors=2,
    size=512,
    bands="r",
    biases=3,
    darks=3,
    flats=3,
    dither_arcsec=8,
    stars_per_deg2=500_000,  # as many stars on a small detector as on a large one
    galaxies_per_deg2=100_000,
    crosstalk=0.0005,
    seed=7,
)
SCIENCE = "instrument='QCam' AND exposure.observation_type='science'"
_RUNS = count(10)
CALIBRATION = "instrument='QCam' AND exposure.observation_type IN ('bias', 'dark', 'flat')"


@dataclass(frozen=True)
class CalibratedSurvey:
    """A survey's directory and its repository."""

    survey: Path
    repository: str

    def raw(self, visit: int, detector: int) -> Path:
        """Return the path of a raw file, which the repository reads in place."""
        return self.survey / "raw" / "QCam" / str(visit // 100_000) / str(visit) / f"QCam_{visit}_{detector:03d}.fits"


def calibrated_survey(directory: Path, request: SurveyRequest = REQUEST) -> CalibratedSurvey:
    """Simulate a survey, put it into a repository, make its calibrations."""
    made = CalibratedSurvey(directory / "survey", str(directory / "repository"))
    simulate_survey(request, made.survey)
    for report in init_repository(Place(root=made.repository), survey=made.survey):
        assert not report.problems
    run_pipeline(made.repository, "cp.yaml", output="QCam/cp", where=CALIBRATION)
    with opened(made.repository, writeable=True) as butler:
        certify_run(butler, "QCam/cp", Timespan(None, None))
    return made


def pipeline(name: str) -> Pipeline:
    """Return one of the shipped pipelines; ``name`` may end with # and a subset."""
    return Pipeline.fromFile(str(resources.files("qserv_py.pipelines.definitions") / name))


def run_pipeline(
    repository: str, name: str, *, output: str, where: str, config: dict[str, dict[str, Any]] | None = None
) -> list[Any]:
    """Run a pipeline in this process, on top of what ``output`` has; return the quanta."""
    chosen = pipeline(name)
    for label, values in (config or {}).items():
        for field, value in values.items():
            chosen.addConfigOverride(label, field, value)
    with _quiet():
        butler = _output_butler(repository, output)
        executor = SimplePipelineExecutor.from_pipeline(chosen, where=where, butler=butler)
        return list(executor.run(register_dataset_types=True))


def run_to_the_end(repository: str, name: str, *, output: str, where: str) -> dict[tuple[str, int, int], str]:
    """Run a pipeline as ``pipetask run`` does, past failures; return the message of each quantum that failed."""
    with _quiet():
        butler = _output_butler(repository, output)
        separable = SeparablePipelineExecutor(butler)
        graph = separable.build_quantum_graph(pipeline(name), where=where)
        separable.pre_execute_qgraph(graph, register_dataset_types=True)
        single = SingleQuantumExecutor(
            butler=butler, task_factory=TaskFactory(), resources=None, raise_on_partial_outputs=True
        )
        executor = MPGraphExecutor(num_proc=1, timeout=600, quantum_executor=single)
        with suppress(MPGraphExecutorError):  # it sums up what failed
            separable.run_pipeline(graph, graph_executor=executor)
    return {
        _key(one): one.exceptionInfo.message
        for one in executor.getReport().quantaReports
        if one.exceptionInfo is not None
    }


def _key(report: Any) -> tuple[str, int, int]:
    values = dict(report.dataId)
    visit = values.get("visit", values.get("exposure", 0))
    return report.taskLabel, int(visit), int(values.get("detector", -1))


def _output_butler(repository: str, output: str) -> Butler:
    """Return a butler whose new run stands before those that ``output`` has."""
    run = f"{output}/{next(_RUNS)}"  # by default runs are named by the second, and two of ours fall into one
    with opened(repository) as butler:
        before = sorted(butler.collections.query(f"{output}/*", include_chains=False), reverse=True)
    return SimplePipelineExecutor.prep_butler(repository, [*before, "QCam/defaults"], output, output_run=run)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="lsst")
        yield
