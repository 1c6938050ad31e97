"""ADQL and the plan expected of it, in text files: one file for each subject, cases between lines of ``====``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.catalogs import plan

from qserv_py.errors import QservError, UnknownColumnError
from qserv_py.planner.explain import explain

_HERE = Path(__file__).parent
_BETWEEN = "\n" + "=" * 100 + "\n"
_BELOW = "\n" + "-" * 100 + "\n"


def _cases(path: Path) -> list[str]:
    """Return the queries of a file, each with the comments above it, and their plans."""
    return [case for case in path.read_text(encoding="utf-8").strip("\n").split(_BETWEEN) if case.strip()]


def _answer(query: str) -> str:
    """Return the plan of a query, or the error in its place; without spaces at the ends of lines."""
    text = "\n".join(line for line in query.splitlines() if not line.startswith("--"))
    try:
        shown = explain(plan(text))
    except QservError as error:
        shown = f"{type(error).__name__}\n{error.render()}"
    return "\n".join(line.rstrip() for line in shown.splitlines())


@pytest.mark.parametrize("path", sorted(_HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_plans(path: Path, request: pytest.FixtureRequest) -> None:
    cases = [case.split(_BELOW)[0].strip("\n") for case in _cases(path)]
    answers = [f"{query}{_BELOW}{_answer(query)}" for query in cases]
    text = _BETWEEN.join(answers) + "\n"
    if request.config.getoption("--update-plans", default=False):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, "if the new plans are right: pytest tests/plans --update-plans"


def test_there_are_plans() -> None:
    assert len(list(_HERE.glob("*.txt"))) >= 9


def _refusals() -> Iterator[QservError]:
    """Yield the errors of the cases; names that nothing is close to have no hint."""
    for case in _cases(_HERE / "errors.txt"):
        lines = case.split(_BELOW)[0].strip("\n").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("--"))
        try:
            plan(text)
        except UnknownColumnError:
            continue
        except QservError as error:
            yield error


def test_refusals_say_what_to_write() -> None:
    refused = list(_refusals())
    assert len(refused) > 100
    assert [error.render() for error in refused if not error.hint] == []
