"""The words and the rules that docs/explanation/planning.md explains: each example is planned as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.catalogs import plan

from qserv_py.planner import build
from qserv_py.planner.explain import explain
from qserv_py.planner.stages.planning import Block, Planned, Rule

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "planning.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without the table's own head."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


WORDS, RULES = rows_of("Words"), rows_of("Rules")


@pytest.mark.parametrize(("query", "says"), [row[2:] for row in WORDS], ids=[row[0] for row in WORDS])
def test_a_word_is_seen_in_the_plan_of_its_example(query: str, says: str) -> None:
    assert says.strip("`") in explain(plan(query.strip("`")))


def test_there_are_twelve_words_at_the_most() -> None:
    assert 1 < len(WORDS) <= 12


def test_the_page_has_the_rules_in_their_order() -> None:
    assert [row[0].strip("`") for row in RULES] == [rule.__name__ for rule in build.RULES]


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
    plan(query.strip("`"))
    assert f"`{done[-1]}`" == name
