"""The table "What becomes of a value" of the documentation: each cell is written, and read by us and by others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.answer_cases import CASES, answer_of, documented, samples_of
from support.answer_readers import READERS, FileReader, differences

from qserv_py.czar.formats import FORMATS, find_format
from qserv_py.errors import EvaluationError

FOR_PEOPLE = {"html", "table"}
TEXT_FORMATS = ("votable/td", "csv", "tsv", "json")


def test_the_table_has_every_format_and_every_case() -> None:
    table = documented()
    assert set(table) == {known.name for known in FORMATS if not known.name.endswith("-no-header")} - FOR_PEOPLE
    assert all(list(cells) == list(CASES) for cells in table.values())


@pytest.mark.parametrize(
    ("name", "reader"),
    [pytest.param(name, reader, id=f"{name}-{reader.name}") for reader in READERS for name in reader.formats],
)
def test_what_a_reader_gets_back(name: str, reader: FileReader, tmp_path: Path) -> None:
    assert differences(name, reader, tmp_path / f"x{find_format(name).suffix}") == []


@pytest.mark.parametrize(
    ("name", "heading"),
    [(name, heading) for name, cells in documented().items() for heading in cells if cells[heading].word == "refused"],
)
def test_what_is_refused(name: str, heading: str) -> None:
    for sample in CASES[heading]:
        with pytest.raises(EvaluationError, match=r'^column "x" holds .+') as raised:
            answer_of(name, {"x": sample})
        (instead,) = re.findall("Ask for another format, such as ([a-z]+)", raised.value.hint)
        assert documented()[instead][heading].word != "refused"


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_how_it_is_written(name: str) -> None:
    for heading, cell in documented()[name].items():
        if samples := samples_of(name, [heading]):
            text = "".join(answer_of(name, {label: one}).decode() for label, one in samples.items())
            assert [literal for literal in cell.literals if literal not in text] == [], heading
