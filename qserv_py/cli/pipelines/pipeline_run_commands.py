"""``qserv pipeline run|submit|report|status|cancel|restart|environment``: runs of pipelines."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qserv_py.cli.errors import PARTIAL
from qserv_py.cli.options import format_option, say
from qserv_py.cli.progress import stage_progress

if TYPE_CHECKING:
    from qserv_py.pipelines.workflow.control import RunView
    from qserv_py.pipelines.workflow.submission import Submission

Function = TypeVar("Function", bound=Callable[..., Any])

SITES = ("local", "parsl", "slurm", "htcondor", "panda")
SHOWN_FAILURES = 5

_BY_PARSL = "The run is over. Parsl does not tell what failed; the logs of the jobs are in {directory}/logs."
_ELSEWHERE = "bps report --id {directory} shows how far it is."
AFTER_SUBMIT = {
    "local": "qserv pipeline report {directory} shows how far it is.",
    "parsl": _BY_PARSL,
    "slurm": _BY_PARSL,
    "htcondor": _ELSEWHERE,
    "panda": _ELSEWHERE,
}
"""What to do next, by site."""


def _what_to_run(function: Function) -> Function:
    """Give a command the options that say what shall run; they arrive as ``chosen``."""
    options = (
        click.argument("repository", metavar="REPO"),
        click.option("-p", "--pipeline", required=True, metavar="FILE|NAME", help="Pipeline; may end in #SUBSET."),
        click.option("-i", "--input", "inputs", required=True, metavar="COLL,...", help="Input collections."),
        click.option("-o", "--output", default="", metavar="COLL", help="Output collection; default u/YOU/PIPELINE."),
        click.option("-d", "--where", default="", metavar="EXPR", help="What to process, as Butler reads it."),
        click.option(
            "-c",
            "--config",
            "overrides",
            metavar="TASK:OPTION=VALUE",
            multiple=True,
            help="Setting of a task for this run; may be repeated.",
        ),
        click.option("-j", "--cores", metavar="N", type=click.IntRange(1), help="Cores; default all of this machine."),
        click.option("--memory", metavar="MB", type=click.IntRange(1), help="For all jobs together; default 90 %."),
        click.option("--quanta-per-job", metavar="N", type=click.IntRange(1), help="Quanta that share a job."),
        click.option(
            "--submit-dir",
            metavar="DIR",
            type=click.Path(path_type=Path),
            default=Path("submit"),
            show_default=True,
            help="Below it each run has a directory.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _submission(chosen: dict[str, Any], site: str = "local") -> Submission:
    from qserv_py.pipelines.workflow.overrides import parse_override
    from qserv_py.pipelines.workflow.submission import Submission

    return Submission(
        repository=chosen["repository"],
        pipeline=chosen["pipeline"],
        inputs=tuple(part.strip() for part in chosen["inputs"].split(",") if part.strip()),
        output=chosen["output"],
        where=chosen["where"],
        overrides=tuple(map(parse_override, chosen["overrides"])),
        site=site,
        cores=chosen["cores"],
        memory_mb=chosen["memory"],
        quanta_per_job=chosen["quanta_per_job"],
        submit_directory=chosen["submit_dir"],
    )


@click.command()
@_what_to_run
@click.option("--by-step", is_flag=True, help="Run its steps one after the other, each with all that the last made.")
def run(by_step: bool, **chosen: Any) -> int:
    """Run a pipeline on this machine and stay until it is over; Ctrl-C cancels it.

    As a whole, a task over many visits does not run when a detector of one of them failed; by steps it does.

    Example: qserv pipeline run REPO -p drp-single-frame -i QCam/defaults -o u/me/drp -d "visit > 2026112000000"
    """
    from qserv_py.pipelines.workflow.submission import submit as submit_run

    whole = _submission(chosen)
    if by_step:
        return _run_steps(whole)
    say("building the graph ...")
    return _exit_code(_stay_with(submit_run(whole)))


def _run_steps(whole: Submission) -> int:
    """Run a pipeline step by step, as long as one brings something; return the exit code."""
    from qserv_py.errors import NothingToDoError
    from qserv_py.pipelines.workflow.overrides import check_overrides, overrides_within
    from qserv_py.pipelines.workflow.submission import pipeline_uri, steps_of
    from qserv_py.pipelines.workflow.submission import submit as submit_run

    check_overrides(pipeline_uri(whole.pipeline), whole.overrides)
    failed = ""
    for step in steps_of(whole.pipeline):
        say(f"{step}: building the graph ...")
        part = f"{whole.pipeline}#{step}"
        within = overrides_within(pipeline_uri(part), whole.overrides)
        try:
            view = _stay_with(submit_run(replace(whole, pipeline=part, overrides=within)))
        except NothingToDoError:
            if not failed:
                raise
            say(f"{step} and what follows is left out: {failed} brought nothing for it.")
            return PARTIAL
        failed = step if _exit_code(view) else failed
        if not view.quanta()[0]:
            say(f"What follows {step} is left out: nothing of {step} succeeded.")
            return PARTIAL
    return PARTIAL if failed else 0


@click.command()
@_what_to_run
@click.option("--site", type=click.Choice(SITES), default="local", show_default=True, help="Where it runs.")
def submit(site: str, **chosen: Any) -> None:
    """Start a run and leave it: the command comes back, the run goes on (with parsl and slurm it stays)."""
    from qserv_py.pipelines.workflow.submission import submit as submit_run

    directory = submit_run(_submission(chosen, site))
    click.echo(directory)
    say(AFTER_SUBMIT[site].format(directory=directory))


@click.command()
@click.argument("run_name", metavar="[RUN]", required=False)
@format_option
def report(run_name: str | None, row_format: str) -> None:
    """Show how far a run is, by kind of job; without RUN, list the runs of this account.

    RUN is the run's directory, or the end of its path.
    """
    from qserv_py.cli.rows import print_rows
    from qserv_py.pipelines.workflow.control import find_run, look_at, look_at_all

    if run_name is None:
        views, errors = look_at_all()
        print_rows(("state", "quanta", "of", "output", "run"), [_summary(view) for view in views], row_format)
        for error in errors:
            say(error.render())
        return
    view = look_at(find_run(run_name))
    names = ("jobs", "waiting", "running", "succeeded", "failed", "pruned", "deleted", "quanta", "seconds")
    print_rows(names, _by_label(view), row_format)
    _say_state(view)


@click.command()
@click.argument("run_name", metavar="[RUN]", required=False)
def status(run_name: str | None) -> int:
    """Print the state of a run; the exit code is 0 when it succeeded or runs, 1 when it did not succeed.

    Without RUN, of the newest run of this account.
    """
    from qserv_py.pipelines.workflow.control import find_run, look_at

    view = look_at(find_run(run_name))
    click.echo(view.state)
    if view.message:
        say(view.message)
    return int(view.state not in ("SUCCEEDED", "RUNNING"))


@click.command()
@click.argument("run_name", metavar="RUN")
def cancel(run_name: str) -> int:
    """End a run and all its processes; what is done stays, and `restart` goes on from there."""
    from qserv_py.pipelines.workflow.control import cancel as cancel_run
    from qserv_py.pipelines.workflow.control import find_run

    remark = cancel_run(find_run(run_name))
    say(f"{remark[0].upper()}{remark[1:]}." if remark else "Cancelled.")
    return int(bool(remark))


@click.command()
@click.argument("run_name", metavar="[RUN]", required=False)
@click.option("--stay", is_flag=True, help="Stay until it is over.")
def restart(run_name: str | None, stay: bool) -> int:
    """Go on with a run: what succeeded stays, what still runs is waited for, all else is run.

    Without RUN, with the newest run of this account.
    """
    from qserv_py.pipelines.workflow.control import find_run, launch

    directory = find_run(run_name)
    launch(directory, restart=True)
    if stay:
        return _exit_code(_stay_with(directory))
    click.echo(directory)
    return 0


@click.command()
def environment() -> None:
    """Print the variables that `bps` and `pipetask` need, for a shell: eval "$(qserv pipeline environment)"."""
    from qserv_py.pipelines.workflow.bps.programs import PROGRAM_VARIABLES, program_directory

    for name in PROGRAM_VARIABLES:
        click.echo(f"export {name}={shlex.quote(str(program_directory()))}")


def _exit_code(view: RunView) -> int:
    return int(view.state != "SUCCEEDED")


def _stay_with(directory: Path) -> RunView:
    """Show a run until it is over; return how it is then."""
    from qserv_py.pipelines.workflow.control import cancel as cancel_run
    from qserv_py.pipelines.workflow.submission import follow

    try:
        with _run_progress() as show:
            view = follow(directory, show)
    except KeyboardInterrupt:
        say("ending the run ...")
        cancel_run(directory)
        say(f"Cancelled; qserv pipeline restart {directory} goes on with it.")
        raise
    _say_state(view)
    return view


def _summary(view: RunView) -> tuple[object, ...]:
    return (view.state, *view.quanta(), view.plan.output_run, str(view.directory))


def _by_label(view: RunView) -> list[tuple[object, ...]]:
    rows: dict[str, list[Any]] = {}
    places = {"UNREADY": 1, "RUNNING": 2, "SUCCEEDED": 3, "FAILED": 4, "PRUNED": 5, "DELETED": 6}
    for job in view.plan.jobs:
        if not job.command:
            continue
        row = rows.setdefault(job.label, [job.label, 0, 0, 0, 0, 0, 0, 0, 0.0])
        record = view.record.jobs[job.name]
        row[places[record.state.value]] += 1
        row[7] += view.quanta_of(job)[0]
        row[8] += (record.ended or time.time()) - record.started if record.started else 0.0
    return [(*row[:-1], round(row[-1], 1)) for row in rows.values()]


def _say_state(view: RunView) -> None:
    done, total = view.quanta()
    say(f"{view.state}: {done} of {total} quanta are done; {view.directory}")
    failed = view.failed()
    for job, _ in failed[:SHOWN_FAILURES]:
        say(f"{job.name} failed, see {view.log_of(job)}\n  {view.why(job)}")
    if len(failed) > SHOWN_FAILURES:
        say(f"... and {len(failed) - SHOWN_FAILURES} more")
    if failed:
        say(_what_next(view))
    if view.message:
        say(view.message)


def _what_next(view: RunView) -> str:
    """Say what may help: a restart has the graph, and so the calibrations, of the first time."""
    from qserv_py.pipelines.workflow.logs import NOT_IN_GRAPH

    if all(NOT_IN_GRAPH in view.why(job) for job, _ in view.failed()):
        return "qserv pipeline run with the same options begins anew; a restart would find the same as before."
    return f"qserv pipeline restart {view.directory} tries these again."


@contextmanager
def _run_progress() -> Iterator[Callable[[RunView], None]]:
    """Show how many quanta are done, for each kind of job that has begun."""
    with stage_progress("quanta") as show_stage:

        def show(view: RunView) -> None:
            for label, (done, total) in view.progress().items():
                show_stage(label, done, total)

        yield show
