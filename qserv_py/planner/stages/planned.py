"""What becomes of a block: a part of other chunk queries, or the rows of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from qserv_py.adql.tree import Select
from qserv_py.adql.walks import is_aggregated
from qserv_py.planner.plan.slots import StageColumn
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import Keys


@dataclass(frozen=True, slots=True)
class Local:
    """A block that chunk queries can hold whole."""

    select: Select
    chunks: ChunkSet
    keys: Keys
    """Labels of the items that are keys."""

    whole: bool = False
    """Whether the answer is whole only because one statement makes it: chunks of another block must not repeat it."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A block whose rows are the result of a stage."""

    stage: str
    columns: tuple[StageColumn, ...]


Planned = Local | Gathered
"""Either."""


def depends_on_all_rows(select: Select) -> bool:
    """Whether a part of the rows would give a wrong answer, not a part of the answer."""
    return is_aggregated(select) or select.distinct or select.top is not None or select.offset > 0
