"""How far long work is: bars on a terminal; elsewhere a line from time to time, but nothing for a query."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qserv_py.cli.options import say, verbosity
from qserv_py.counts import counted

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from qserv_py.executor.runner import Progress
    from qserv_py.remote.jobs import JobView

FEW_CHUNKS = 8
"""Chunks below which a query is over before anybody looks."""


SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def stage_progress(unit: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield what shows how many rows, images ... of a stage are done: its name, done, all or None where not known."""
    if verbosity() < 0:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _stage_bars(unit) as show:
            yield show
    else:
        yield _stage_lines(unit)


@contextmanager
def _stage_bars(unit: str) -> Iterator[Callable[[str, int, int | None], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:>13}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


def _stage_lines(unit: str) -> Callable[[str, int, int | None], None]:
    lock = threading.Lock()
    last = time.monotonic()
    said: dict[str, tuple[int, int | None]] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        nonlocal last
        with lock:
            now = time.monotonic()
            if now - last < SECONDS_BETWEEN_LINES or said.get(stage) == (done, total):
                return
            last, said[stage] = now, (done, total)
        of = f" of {total}" if total is not None else ""
        say(f"{stage}: {done}{of} {unit}")

    return show


@contextmanager
def query_progress() -> Iterator[Callable[[Progress], None] | None]:
    """Yield what shows the chunks done of a query here; None where nobody looks."""
    with _bar() as bar:
        if bar is None:
            yield None
            return
        tasks: dict[str, object] = {}

        def show(progress: Progress) -> None:
            if progress.chunks < FEW_CHUNKS:
                return
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=progress.chunks, rows="")
            bar.update(tasks[progress.stage], completed=progress.chunks_done)  # type: ignore[arg-type]

        yield show


@contextmanager
def job_progress() -> Iterator[Callable[[JobView], None]]:
    """Yield what shows a job of a service: its phase, chunks done, rows, time left."""
    with _bar() as bar:
        task = bar.add_task("waiting", total=None, rows="") if bar is not None else None

        def show(view: JobView) -> None:
            if bar is None or task is None:
                return
            place = f"{view.queue_place} in the queue" if view.queue_place else view.phase.value.lower()
            rows = counted(view.rows, "row") if view.rows else ""
            bar.update(task, description=place, completed=view.chunks_done, total=view.chunks or None, rows=rows)

        yield show


@contextmanager
def _bar() -> Iterator[Bar | None]:
    if not sys.stderr.isatty() or verbosity() < 0:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("chunks {task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar
