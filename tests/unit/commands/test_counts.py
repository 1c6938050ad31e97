"""Numbers with their nouns, and that no message writes a plural behind them by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qserv_py.counts import counted

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (12_345, ("row",), "12,345 rows"),
        (1, ("quantum", "quanta"), "1 quantum"),
        (2, ("quantum", "quanta"), "2 quanta"),
    ],
)
def test_numbers_have_their_nouns(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text


def test_no_message_chooses_the_plural_by_itself() -> None:
    by_hand = re.compile(r"""\{'s' if |\{'' if [^}]* == 1 else|else 's'\}""")
    folders = ("qserv_py", "ingest", "workers", "replication", "pipelines", "partitioner")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if not path.is_symlink()]
    assert len(files) > 300
    assert [path.name for path in files if by_hand.search(path.read_text())] == []
