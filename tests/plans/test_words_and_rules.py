"""What the pages of docs/explanation say of plans: each query in a table is planned as the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.catalogs import plan

from qserv_py.adql.parse import Mode, parse
from qserv_py.catalog.snapshot import Catalog, Segments
from qserv_py.errors import AdqlSyntaxError
from qserv_py.planner import build
from qserv_py.planner.explain import explain
from qserv_py.planner.plan.query_plan import QueryPlan, ShardStage
from qserv_py.planner.stages.planning import Block, Planned, Rule
from qserv_py.planner.writing.fill import chunk_queries

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation"


def tables(page: str) -> Iterator[list[list[str]]]:
    """Yield the tables of a page, head first: the cells of each row, without backquotes."""
    text = (EXPLANATION / page).read_text(encoding="utf-8")
    for lines in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = lines.splitlines()
        yield [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in (head, *rows)]


def table(head: str) -> list[list[str]]:
    """Return the rows of the table of planning.md whose first column has this head."""
    [found] = [rows for rows in tables("planning.md") if rows[0][0] == head]
    return found[1:]


WORDS, RULES, MODES = table("word"), table("rule"), table("text")
EXAMPLES = [
    (row[0], *row[-2:])
    for page in ("planning.md", "qserv.md")
    for head, *rows in tables(page)
    if head[-2:] == ["for example", "its plan says"]
    for row in rows
]


@pytest.mark.parametrize(("query", "says"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES])
def test_an_example_is_planned_as_the_page_says(query: str, says: str) -> None:
    assert says in explain(plan(query))


def test_all_tables_of_examples_are_found() -> None:
    assert len(EXAMPLES) > 3 * len(WORDS)


def test_there_are_twelve_words_at_the_most() -> None:
    assert 1 < len(WORDS) <= 12


def example_of(word: str) -> QueryPlan:
    [row] = [row for row in WORDS if row[0] == word]
    return plan(row[2])


def statements(planned: QueryPlan, catalog: Catalog | None = None) -> list[str]:
    """Return the text of each chunk query of a plan that is one stage of them."""
    [stage] = planned.stages
    assert isinstance(stage, ShardStage)
    return [query.sql for query in chunk_queries(stage, catalog or planned.catalog)]


def test_every_chunk_reads_a_whole_table_whole() -> None:
    """Each chunk reads a relation of its own of the chunked table, and all the same one of the whole table."""
    texts = statements(example_of("whole"))
    relations = [re.findall(r'"dr1"\."(\w+)" AS "[ov]"', text) for text in texts]
    assert len(relations) == 120
    assert len({chunked for chunked, _ in relations}) == 120
    assert {whole for _, whole in relations} == {"visit_ref_g3"}


def test_every_chunk_reads_its_own_overlap() -> None:
    planned = example_of("overlap")
    snapshot = planned.catalog.snapshots["dr1"]
    chunks = snapshot.tables["Object"].chunks
    beside = replace(
        snapshot.tables["Object"], overlap_chunks=chunks, overlap=Segments(np.arange(len(chunks)), np.ones_like(chunks))
    )
    known = replace(planned.catalog, snapshots={"dr1": replace(snapshot, tables={**snapshot.tables, "Object": beside})})
    for text in statements(planned, known):
        read = re.findall(r'"dr1"\."object_(overlap_)?(\d+_\d+)', text)
        assert len({chunk for _, chunk in read}) == 1
        assert sorted({overlap for overlap, _ in read}) == ["", "overlap_"]


@pytest.mark.parametrize(("text", "says"), [(row[0], row[2]) for row in MODES])
def test_the_two_grammars_take_what_the_page_says(text: str, says: str) -> None:
    parse(text)
    if says == "takes it":
        parse(text, mode=Mode.STRICT)
        return
    with pytest.raises(AdqlSyntaxError) as caught:
        parse(text, mode=Mode.STRICT)
    assert says in caught.value.message


def test_the_page_has_the_rules_in_their_order() -> None:
    assert [row[0] for row in RULES] == [rule.__name__ for rule in build.RULES]


@pytest.mark.parametrize(("name", "query"), [(row[0], row[2]) for row in RULES], ids=[row[0] for row in RULES])
def test_a_rule_plans_its_example(name: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of the outermost block is done last."""
    done: list[str] = []

    def noting(rule: Rule) -> Rule:
        def asked(block: Block) -> Planned | None:
            planned = rule(block)
            if planned is not None:
                done.append(rule.__name__)
            return planned

        return asked

    monkeypatch.setattr(build, "RULES", tuple(map(noting, build.RULES)))
    plan(query)
    assert done[-1] == name
