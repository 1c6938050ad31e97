"""What a step did: how many things are new, how many were there, and what was wrong with the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qserv_py.errors import QservError

Progress = Callable[[str, int, int], None]
"""Is told the name of a stage, how many of its things are done, and how many there are."""


def unseen(_stage: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that was left out."""

    place: str
    """File, exposure or dataset."""

    message: str
    """What is wrong with it, and what to do."""


@dataclass(kw_only=True)
class StepReport:
    """What came of one step."""

    what: str
    """What the step counts, in the plural."""

    new: int = 0
    """Made or ingested now."""

    kept: int = 0
    """There already, and the same."""

    problems: list[Problem] = field(default_factory=list)
    """What was left out."""

    def leave_out(self, place: object, error: QservError | str) -> None:
        """Note something that was left out."""
        self.problems.append(Problem(place=str(place), message=error if isinstance(error, str) else error.render()))

    def summary(self) -> str:
        """Return one line."""
        parts = [f"{self.new:,} new"]
        if self.kept:
            parts.append(f"{self.kept:,} there already")
        if self.problems:
            parts.append(f"{len(self.problems):,} left out")
        return f"{self.what}: {', '.join(parts)}"
