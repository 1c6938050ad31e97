"""``qserv job``: the jobs of a service."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qserv_py.cli.options import format_option, say
from qserv_py.cli.progress import job_progress
from qserv_py.cli.queries.service_option import jobs_at, url_option
from qserv_py.cli.rows import print_rows

if TYPE_CHECKING:
    from qserv_py.remote.jobs import Jobs, JobView

PIECE = 1 << 20
PHASES = ("PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED")


@click.group()
def job() -> None:
    """List, watch, cancel and fetch the jobs of a service; QSERV_TOKEN holds the token that it may want."""


@job.command("list")
@url_option
@click.option("--phase", type=click.Choice(PHASES, case_sensitive=False), help="Only jobs of this phase.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the N newest.")
@format_option
def list_jobs(url: str, phase: str | None, last: int | None, row_format: str) -> None:
    """List your jobs, newest first."""
    jobs = jobs_at(url)
    from qserv_py.registry.jobs import UwsPhase

    found = jobs.list(phase=UwsPhase(phase.upper()) if phase else None, last=last)
    rows = [(view.job_id, view.phase.value, _shown(view.created_at), view.run_id) for view in found]
    print_rows(("job", "phase", "created", "run id"), rows, row_format)


@job.command()
@click.argument("job_id")
@url_option
@format_option
def show(job_id: str, url: str, row_format: str) -> None:
    """Show what is known of a job."""
    view = jobs_at(url).find(job_id)
    rows = [
        ("job", view.job_id),
        ("phase", view.phase.value),
        ("place in the queue", view.queue_place),
        ("chunks", f"{view.chunks_done} of {view.chunks}" if view.chunks else None),
        ("rows", view.rows),
        ("rows left out", "yes" if view.overflow else None),
        ("bytes", view.result_bytes),
        ("created", _shown(view.created_at)),
        ("ended", _shown(view.ended_at)),
        ("is removed", _shown(view.destruction_at)),
        ("error", view.error or None),
        ("query", view.query),
    ]
    print_rows(("what", "value"), [row for row in rows if row[1] is not None], row_format)


@job.command()
@click.argument("job_id")
@url_option
def watch(job_id: str, url: str) -> None:
    """Wait until a job has ended; fails when it has no result."""
    follow(jobs_at(url), job_id)


@job.command()
@click.argument("job_id")
@url_option
def cancel(job_id: str, url: str) -> None:
    """End a job that has not ended."""
    jobs = jobs_at(url)
    jobs.abort(job_id)
    say(f"The job is {jobs.find(job_id).phase.value}.")


@job.command()
@click.argument("job_id")
@url_option
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the result to a file.")
def result(job_id: str, url: str, output: Path | None) -> None:
    """Fetch the result of a job, in the format that the job was made with."""
    fetch(jobs_at(url), job_id, output)


@job.command()
@click.argument("job_id")
@url_option
def delete(job_id: str, url: str) -> None:
    """Remove a job and its result."""
    jobs_at(url).delete(job_id)
    say("The job is removed.")


def follow(jobs: Jobs, job_id: str) -> JobView:
    """Show how far a job is until it has ended; return it, or raise why it has no result."""
    from qserv_py.remote.jobs import failure_of

    with job_progress() as progress:
        for view in jobs.watch(job_id):
            progress(view)
    failure = failure_of(view)
    if failure is not None:
        raise failure
    return view


def fetch(jobs: Jobs, job_id: str, output: Path | None) -> None:
    """Write the result of a job to a file, or to standard output."""
    from qserv_py.whole_file import whole_file

    with ExitStack() as stack:
        reply = stack.enter_context(jobs.result(job_id))
        sink = stack.enter_context(whole_file(output)) if output else sys.stdout.buffer
        while piece := reply.read(PIECE):
            sink.write(piece)
        sink.flush()


def _shown(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else None
