"""What the demos have in common: who shows them, how a step is timed, how a query is answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.czar.queries.running import QueryStats
from qserv_py.czar.session import Session
from qserv_py.demo.queries import DemoQuery
from qserv_py.ingest.requests import ProgressListener

Result = TypeVar("Result")

StageListener = Callable[[str, int, int | None], None]
"""Is told of a stage of long work: its name, how much of it is done, how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAnswer:
    """What came of a query."""

    query: DemoQuery
    columns: tuple[OutputColumn, ...]
    table: pa.Table
    stats: QueryStats


class DemoListener(Protocol):
    """Whoever shows a demo to people."""

    def step(self, name: str, outcome: str, seconds: float) -> None:
        """A step has ended."""

    def progress(self, name: str) -> AbstractContextManager[ProgressListener]:
        """Show how far an ingest is, while the context lasts."""

    def stages(self, unit: str) -> AbstractContextManager[StageListener]:
        """Show how far other long work is, while the context lasts."""

    def answer(self, answer: DemoAnswer) -> None:
        """A query was answered."""


def timed(listener: DemoListener, name: str, call: Callable[[], Result], describe: Callable[[Result], str]) -> Result:
    """Do a step and tell the listener what came of it; return that."""
    started = time.monotonic()
    result = call()
    listener.step(name, describe(result), time.monotonic() - started)
    return result


def answered(session: Session, query: DemoQuery) -> DemoAnswer:
    """Answer a query."""
    answer = session.answer(query.adql)
    table = pa.Table.from_batches(list(answer.batches()), schema=answer.schema)
    return DemoAnswer(query=query, columns=answer.columns, table=table, stats=answer.stats)
