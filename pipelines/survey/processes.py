"""The processes that make images side by side.

They are started anew instead of forked, because the parent may have threads. Each draws the sky for itself, from the
seed. An interrupt of the keyboard reaches the parent alone; the images in work are finished, the others are not begun.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from qserv_py.errors import PipelineError
from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.units import Unit, make_image

_own: tuple[Simulator, Path]
"""What this process works with, when it is one of the pool's."""


def run_units(simulator: Simulator, directory: Path, units: Sequence[Unit], processes: int) -> Iterator[Unit]:
    """Make images; yield each when it is there.

    Raises
    ------
    PipelineError
        If a process ends before its work does.
    """
    processes = min(processes, len(units))
    if processes <= 1:
        for unit in units:
            make_image(simulator, directory, unit)
            yield unit
        return
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(simulator.request, directory),
    )
    try:
        with _keyboard_ignored():  # the processes, which the first unit starts, inherit that
            waiting = {pool.submit(_make, unit): unit for unit in units}
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]
    except BrokenProcessPool as error:
        raise PipelineError(
            "a process that made images was killed",
            hint="Perhaps memory ran out: --processes 1 needs least. The same command goes on where it stopped.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(request: SurveyRequest, directory: Path) -> None:
    global _own
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _own = Simulator(request), directory


def _make(unit: Unit) -> None:
    make_image(*_own, unit)


def _end_with_parent() -> None:
    """End this process when its parent has been killed: nobody would give it work or take its result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _keyboard_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
