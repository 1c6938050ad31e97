"""The table of the whole language in docs/reference/adql.md: each line says what is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.catalogs import catalog, plan

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import Mode, parse
from qserv_py.errors import QservError
from qserv_py.planner.plan.query_plan import CzarStage, QueryPlan, ShardStage
from qserv_py.planner.plan.slots import SpatialSlot, Template

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "adql.md"


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    feature: str
    example: str
    strict: str
    lenient: str
    pruned: str
    pushed: str


def lines_of_the_page() -> list[Line]:
    section = PAGE.read_text().split("## The whole language\n", 1)[1].split("\n## ", 1)[0]
    rows = [row for row in section.splitlines() if row.startswith("|")][2:]
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [Line(one[0], one[1].strip("`"), *one[2:]) for one in cells]


LINES = lines_of_the_page()


def is_taken(read: Callable[[], object]) -> str:
    try:
        read()
    except QservError:
        return "no"
    return "yes"


def text_of(template: Template) -> str:
    return "".join(
        piece if isinstance(piece, str) else piece.exact if isinstance(piece, SpatialSlot) else "..."
        for piece in template.pieces
    )


def chunk_queries(found: QueryPlan) -> str:
    return "\n".join(text_of(stage.template) for stage in found.stages if isinstance(stage, ShardStage))


def merges(found: QueryPlan) -> str:
    return "\n".join(stage.sql for stage in found.stages if not isinstance(stage, (ShardStage, CzarStage)))


@pytest.mark.parametrize("line", LINES, ids=[line.feature for line in LINES])
def test_each_line_says_what_is_so(line: Line) -> None:
    assert is_taken(lambda: resolve(parse(line.example, mode=Mode.STRICT), catalog())) == line.strict
    assert is_taken(lambda: plan(line.example)) == line.lenient
    if line.lenient == "no":
        assert (line.pruned, line.pushed) == ("", "")
        return
    found = plan(line.example)
    assert line.pruned == ("yes" if found.chunks < found.chunks_known else "no")
    match = re.fullmatch(r"(no: )?`(.+)`", line.pushed)
    assert match is not None
    in_chunks = match[2] in chunk_queries(found)
    if match[1]:
        assert match[2] in merges(found)
        assert not in_chunks
    else:
        assert in_chunks


def test_the_table_has_the_whole_language() -> None:
    assert len(LINES) > 85
    assert len({line.feature for line in LINES}) == len(LINES)
    assert {line.pruned for line in LINES} == {"yes", "no", ""}
