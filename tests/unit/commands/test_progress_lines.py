"""Progress where there is no terminal: a line from time to time, none that says what was said before."""

from __future__ import annotations

import pytest

from qserv_py.cli import progress


def test_a_line_is_not_repeated(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    show = progress._stage_lines("quanta")
    for stage, done in (("a", 0), ("a", 0), ("b", 0), ("a", 0), ("a", 1), ("b", 0), ("b", 2)):
        show(stage, done, 2)
    assert capsys.readouterr().err.splitlines() == [
        f"{stage}: {done} of 2 quanta" for stage, done in (("a", 0), ("b", 0), ("a", 1), ("b", 2))
    ]
