"""Run many random queries against one plain PostgreSQL.

Each process has a cluster and a plain server of its own, and takes every n-th number. A number is one draw: the same
query whenever it is drawn with the same seed and code. What became of it is in the log, so that a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.catalogues import ALL
from support.cluster import running_cluster
from support.postgres import running_server
from support.random_queries.comparing import Comparison, compare, report
from support.random_queries.drawing import Drawing, Numbers, RandomQuery, Replayed
from support.random_queries.log import Entry, append_entry, mend_log, read_log, summary
from support.random_queries.shapes import queries
from support.random_queries.shrinking import shrink
from support.servers import Servers, both_servers

_MOST_DIFFERENCES = 50
"""A process that has found so many stops: something is broken."""

Ask = Callable[[RandomQuery], Comparison]


@dataclass(frozen=True)
class Run:
    """One run of numbers below ``count``."""

    seed: str
    count: int
    log: Path
    processes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the command line says; 1 when something differs."""
    parser = argparse.ArgumentParser(prog="random_queries", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", default="1", help="what the draws are made from")
    parser.add_argument("--count", type=int, default=1000, help="how many draws")
    parser.add_argument(
        "--log", type=Path, default=Path("random_queries.jsonl"), help="where results go; read at start"
    )
    parser.add_argument("--processes", type=int, default=2, help="each with servers of its own")
    parser.add_argument("--only", metavar="SEED:NUMBER", help="run one draw, show its texts, log nothing")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    if given.only:
        return _run_only(given.only)
    run = Run(given.seed, given.count, given.log, given.processes)
    print(f"seed {run.seed}, log {run.log}", file=sys.stderr)
    mend_log(run.log)
    _run_all(run)
    found = read_log(run.log, run.seed)
    print(summary(found, processes=run.processes))
    return int(any(entry.end == "differs" for entry in found))


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def draw(seed: str) -> tuple[RandomQuery, str, Numbers]:
    """Return the query of a draw, its catalogue, and the numbers that made it."""
    below = Numbers(seed)
    database = ALL[below(len(ALL))]
    below.drawn.clear()
    return queries(Drawing(below, database)), database, below


def run_numbers(run: Run, part: int, ask: Ask) -> None:
    """Run the draws of one process that the log does not have."""
    entries = read_log(run.log, run.seed)
    done, seen = {entry.number for entry in entries}, {entry.text for entry in entries}
    differences = 0
    for number in range(part, run.count, run.processes):
        if number in done:
            continue
        entry = run_one(f"{run.seed}:{number}", ask, seen)
        seen.add(entry.text)
        append_entry(run.log, entry)
        differences += entry.end == "differs"
        if differences >= _MOST_DIFFERENCES:
            return


def run_one(seed: str, ask: Ask, seen: set[str]) -> Entry:
    """Run one draw, and make it shorter if the answers differ."""
    begun = time.perf_counter()
    query, database, numbers = draw(seed)
    text = hashlib.blake2b(query.adql.encode(), digest_size=8).hexdigest()
    if text in seen:
        return Entry(seed=seed, text=text, end="repeated", seconds=time.perf_counter() - begun)
    result = _asked(ask, query)
    seconds = time.perf_counter() - begun
    return Entry(
        seed=seed,
        text=text,
        end="differs" if result.found else "fails" if result.failure else "rows" if result.rows else "empty",
        seconds=round(seconds, 4),
        ours_s=round(result.ours_s, 4),
        theirs_s=round(result.theirs_s, 4),
        failure=result.failure,
        difference=report(query, result.found) if result.found else "",
        shrunk=_shrunk(ask, database, numbers.drawn) if result.found else "",
    )


def _asked(ask: Ask, query: RandomQuery) -> Comparison:
    try:
        return ask(query)
    except Exception as error:  # whatever goes wrong is something found
        return Comparison(f"{type(error).__name__}: {error}")


def _shrunk(ask: Ask, database: str, numbers: Sequence[int]) -> str:
    def again(candidate: Sequence[int]) -> tuple[RandomQuery, Replayed]:
        below = Replayed(candidate)
        return queries(Drawing(below, database)), below

    def still(candidate: Sequence[int]) -> Sequence[int] | None:
        query, below = again(candidate)
        return below.drawn if _asked(ask, query).found else None

    query, _ = again(shrink(numbers, still))
    return report(query, _asked(ask, query).found)


def _run_all(run: Run) -> None:
    context = multiprocessing.get_context("spawn")
    parts = [context.Process(target=_run_part, args=(run, part)) for part in range(run.processes)]
    for part in parts:
        part.start()
    try:
        for part in parts:
            part.join()
    except KeyboardInterrupt:
        print("stopping; the same command goes on from here", file=sys.stderr)
        for part in parts:
            part.terminate()
        for part in parts:
            part.join()


def _run_part(run: Run, part: int) -> None:
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process tells the others
    try:
        with _servers(part) as servers:
            run_numbers(run, part, lambda query: compare(servers, query))
    except KeyboardInterrupt:
        return


def _run_only(seed: str) -> int:
    query, _, _ = draw(seed)
    with _servers(0) as servers:
        entry = run_one(seed, lambda query: compare(servers, query), set())
    print(report(query, f"{entry.seed} {entry.end} {entry.failure}"))
    print(f"ours {entry.ours_s:.3f} s, plain {entry.theirs_s:.3f} s")
    if entry.difference:
        print(f"{entry.difference}\nshrunk:\n{entry.shrunk}")
    return int(bool(entry.difference))


@contextmanager
def _servers(turn: int) -> Iterator[Servers]:
    with (
        tempfile.TemporaryDirectory() as scratch,
        running_cluster() as cluster,
        running_server() as plain,
        both_servers(cluster, plain, Path(scratch), turn=turn) as both,
    ):
        yield both
