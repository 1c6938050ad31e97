"""The demo from pixels: raw images of a simulated sky to a catalogue that is queried, and held against the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qserv_py.counts import counted
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.demo import place
from qserv_py.demo.fresh_cluster import fresh_cluster
from qserv_py.demo.pixel_queries import pixel_queries
from qserv_py.demo.run import BYTES_PER_WORKER
from qserv_py.demo.steps import DemoListener, answered, timed
from qserv_py.errors import PipelineError
from qserv_py.extras import import_extra
from qserv_py.ingest.publishing import publish_database

if TYPE_CHECKING:
    from qserv_py.ingest.butler.requests import ButlerRequest, Failure
    from qserv_py.pipelines.survey.request import SurveyRequest
    from qserv_py.pipelines.workflow.control import RunView
    from qserv_py.pipelines.workflow.submission import Submission

BYTES_PER_PIXEL = 40
"""Disk that a pixel of a visit takes: raw, calibrations, images without instrument and with calibration."""

INPUT = "QCam/defaults"
CALIBRATIONS = "u/demo/calibrations"
PIPELINE = "drp-single-frame"
OUTPUT = "u/demo/drp"
_LESS = "smaller images with --size PIXELS"
TABLES = (("recalibrated_star", "Source"), ("visit_table", "Visit"), ("visit_detector_table", "VisitDetector"))
EXTRAS = ("lsst.daf.butler", "lsst.pipe.base", "lsst.ctrl.bps", "matplotlib", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsOptions:
    """What the user of the demo chose."""

    directory: Path
    figure: Path
    """File of the picture."""

    workers: int = 2
    visits: int = 4
    detectors: int = 4
    size: int = 2048
    seed: int = 1
    keep: bool = False
    """Leave the cluster running, and the images."""

    @property
    def survey(self) -> Path:
        """Directory of the raw images and the truth."""
        return self.directory / "survey"

    @property
    def repository(self) -> Path:
        """Directory of the Butler repository."""
        return self.directory / "repository"


def run_from_pixels(options: PixelsOptions, listener: DemoListener) -> Cluster | None:
    """Make a sky, its images, and a catalogue of these; query it, draw it; return the cluster if it is kept.

    Whatever breaks the demo off, Ctrl-C too, everything is stopped and removed; the picture stays.

    Raises
    ------
    ConfigError
        If the directory holds something that is not a demo's, the disk is too small, or a package is missing.
    PipelineError
        If a pipeline fails.
    """
    from qserv_py.demo.pixel_figure import draw_figure

    for module in EXTRAS:
        import_extra(module)
    request = _request(options)
    made = fresh_cluster(
        options.directory,
        workers=options.workers,
        keep=options.keep,
        check_disk=lambda: _check_disk(options),
        listener=listener,
    )
    with made as cluster:
        place.mark(options.directory, database=place.PIXELS_DATABASE, visits=options.visits, seed=options.seed)
        _observe(options, request, listener)
        _process(options, listener)
        _load(cluster, options, listener)
        with Session(cluster) as session:
            for query in pixel_queries():
                listener.answer(answered(session, query))
            timed(
                listener,
                "picture",
                lambda: draw_figure(session, options.repository, options.survey, OUTPUT, options.figure),
                lambda said: f"{said}; {options.figure}",
            )
    return cluster if options.keep else None


def _request(options: PixelsOptions) -> SurveyRequest:
    from qserv_py.pipelines.survey.request import SurveyRequest

    request = SurveyRequest(
        visits=options.visits, detectors=options.detectors, size=options.size, bands="gr", seed=options.seed
    )
    request.check()
    return request


def _observe(options: PixelsOptions, request: SurveyRequest, listener: DemoListener) -> None:
    """Simulate the raw images, and make a repository of them."""
    from qserv_py.pipelines.repository.whole import Place, init_repository
    from qserv_py.pipelines.survey.run import SurveyProgress, SurveySummary, simulate_survey

    def simulate() -> SurveySummary:
        with listener.stages("images") as show:

            def heard(progress: SurveyProgress) -> None:
                show("simulating", progress.done, progress.total)

            processes = len(os.sched_getaffinity(0))
            return simulate_survey(request, options.survey, processes=processes, progress=heard)

    def fill() -> int:
        with listener.stages("files") as show:
            reports = list(init_repository(Place(root=str(options.repository)), survey=options.survey, progress=show))
        problems = [problem for report in reports for problem in report.problems]
        if problems:
            raise PipelineError(f"{problems[0].place}: {problems[0].message}")
        return len(reports)

    timed(
        listener,
        "simulated sky",
        simulate,
        lambda made: (
            f"{counted(made.visits, 'visit')}, {counted(made.images, 'raw image')}, {made.raw_bytes / 1e6:,.0f} MB"
        ),
    )
    timed(listener, "repository", fill, lambda steps: f"a Butler repository in {counted(steps, 'step')}")


def _process(options: PixelsOptions, listener: DemoListener) -> None:
    """Run the pipelines: calibrations from their exposures, then everything from raw images to tables."""
    from qserv_py.pipelines.repository.calibrations import certify_run
    from qserv_py.pipelines.repository.certification import validity
    from qserv_py.pipelines.repository.opening import opened
    from qserv_py.pipelines.workflow.submission import Submission, steps_of, submit

    def submission(pipeline: str, output: str) -> Submission:
        return Submission(
            repository=str(options.repository),
            pipeline=pipeline,
            inputs=(INPUT,),
            output=output,
            submit_directory=options.directory / "submit",
        )

    def calibrate() -> RunView:
        view = _seen_to_its_end(submit(submission("cp", CALIBRATIONS)), listener)
        with opened(str(options.repository), writeable=True) as butler:
            certify_run(butler, CALIBRATIONS, validity(None, None))
        return view

    timed(listener, "calibrations", calibrate, _quanta)
    for step in steps_of(PIPELINE):
        run = submission(f"{PIPELINE}#{step}", OUTPUT)
        timed(listener, f"images, {step}", partial(_run_step, run, listener), _quanta)


def _run_step(submission: Submission, listener: DemoListener) -> RunView:
    from qserv_py.pipelines.workflow.submission import submit

    return _seen_to_its_end(submit(submission), listener)


def _quanta(view: RunView) -> str:
    done, total = view.quanta()
    jobs = sum(bool(job.quanta) for job in view.plan.jobs)
    return f"{done} of {counted(total, 'quantum', 'quanta')} in {counted(jobs, 'job')}"


def _seen_to_its_end(directory: Path, listener: DemoListener) -> RunView:
    """Watch a run until it is over.

    Raises
    ------
    PipelineError
        If nothing came of it. A detector that failed is left out: real surveys have some, too.
    """
    from qserv_py.pipelines.workflow.submission import follow

    with listener.stages("quanta") as show:

        def heard(view: RunView) -> None:
            for label, (done, total) in view.progress().items():
                show(label, done, total)

        view = follow(directory, heard)
    if view.state != "SUCCEEDED" and not view.quanta()[0]:
        job = next((job for job, _ in view.failed()), view.plan.jobs[0])
        raise PipelineError(f"{job.label} failed: {view.why(job)}", hint=f"{view.log_of(job)} says more.")
    return view


def ingest_request(dataset_type: str, table: str) -> ButlerRequest:
    """Return what is asked of an ingest of the pipelines' output, whose names are not all those of tables."""
    from qserv_py.ingest.butler.requests import ButlerRequest

    return ButlerRequest(collection=OUTPUT, dataset_type=dataset_type, database=place.PIXELS_DATABASE, table=table)


def _load(cluster: Cluster, options: PixelsOptions, listener: DemoListener) -> None:
    """Load what the pipelines made, and publish it."""
    from qserv_py.ingest.butler.prompt_schema import prompt_database
    from qserv_py.ingest.butler.repository import open_repository
    from qserv_py.ingest.butler.requests import Tally
    from qserv_py.ingest.butler.run import DatasetIngest

    def refuse(failure: Failure) -> None:
        raise failure.error

    def load(dataset_type: str, table: str) -> Tally:
        request = ingest_request(dataset_type, table)
        with listener.progress(dataset_type) as progress:
            ingest = DatasetIngest(destination, repository, request, failed=refuse, progress=progress)
            ingest.run()
        return ingest.tally

    def describe(tally: Tally) -> str:
        return f"{counted(tally.rows, 'row')} of {counted(tally.datasets, 'dataset')}, {counted(tally.images, 'image')}"

    with open_destination(cluster) as destination, open_repository(str(options.repository)) as repository:
        destination.registry.add_database(prompt_database(place.PIXELS_DATABASE))
        for dataset_type, table in TABLES:
            timed(listener, f"ingest {table}", partial(load, dataset_type, table), describe)
        timed(
            listener,
            "publish",
            lambda: publish_database(destination, place.PIXELS_DATABASE),
            lambda published: f"snapshot {published.snapshot}, {counted(published.chunk_tables, 'chunk table')}",
        )


def _check_disk(options: PixelsOptions) -> None:
    pixels = options.visits * options.detectors * options.size**2
    place.check_room(options.directory, pixels * BYTES_PER_PIXEL + options.workers * BYTES_PER_WORKER, _LESS)
