"""The table "What becomes of a value" of the documentation: each cell is written, and read by us and by others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import pytest
from support.answer_cases import CASES, Sample, documented, found_as, wanted_as
from support.answer_readers import READERS, Columns, FileReader
from support.answers import column, written

from qserv_py.czar.formats import FORMATS, find_format
from qserv_py.errors import EvaluationError

FOR_PEOPLE = {"html", "table"}
TEXT_FORMATS = ("votable/td", "csv", "tsv", "json")


def answer_of(name: str, samples: dict[str, Sample]) -> bytes:
    """Return an answer with a column for each sample; columns with fewer values begin again."""
    columns = [column(label, sample.type, xtype=sample.xtype) for label, sample in samples.items()]
    count = max(len(sample.values) for sample in samples.values())
    rows = list(zip(*(islice(cycle(sample.values), count) for sample in samples.values()), strict=True))
    arrays = {label: sample.array for label, sample in samples.items() if sample.array is not None}
    return written(name, columns, rows, arrays=arrays)


def samples_of(name: str, headings: Sequence[str]) -> dict[str, Sample]:
    """Return what a format holds of some rows of the table, by names of columns."""
    held = [heading for heading in headings if documented()[name][heading].word != "refused"]
    return {f"c{number}": sample for number, sample in enumerate(one for held in held for one in CASES[held])}


@cache
def everything(name: str, takes: Callable[[Sample], bool]) -> tuple[dict[str, Sample], bytes]:
    """Return an answer of all values that a format and a reader take."""
    samples = {label: one for label, one in samples_of(name, list(CASES)).items() if takes(one)}
    return samples, answer_of(name, samples)


def differences(name: str, reader: FileReader, samples: dict[str, Sample], found: Columns) -> list[str]:
    """Return where a reader found something else than the documentation says."""
    wrong = []
    for label, sample in samples.items():
        wanted = [reader.confuses(wanted_as(name, value, sample), sample) for value in sample.values]
        got = [reader.confuses(found_as(value, sample), sample) for value in found[label][: len(wanted)]]
        if repr(got) != repr(wanted):
            wrong.append(f"{sample.heading}, {sample.type}: {got}, not {wanted}")
    return wrong


def test_the_table_has_every_format_and_every_case() -> None:
    table = documented()
    assert set(table) == {known.name for known in FORMATS if not known.name.endswith("-no-header")} - FOR_PEOPLE
    assert all(list(cells) == list(CASES) for cells in table.values())


@pytest.mark.parametrize(
    ("name", "reader"),
    [pytest.param(name, reader, id=f"{name}-{reader.name}") for reader in READERS for name in reader.formats],
)
def test_what_a_reader_gets_back(name: str, reader: FileReader, tmp_path: Path) -> None:
    samples, document = everything(name, reader.takes)
    path = tmp_path / f"x{find_format(name).suffix}"
    path.write_bytes(document)
    found = reader.read(path, samples)
    assert list(found) == list(samples), "the names"
    assert differences(name, reader, samples, found) == []


@pytest.mark.parametrize(
    ("name", "heading"),
    [(name, heading) for name, cells in documented().items() for heading in cells if cells[heading].word == "refused"],
)
def test_what_is_refused(name: str, heading: str) -> None:
    for sample in CASES[heading]:
        with pytest.raises(EvaluationError, match=r'^column "x" holds .+') as raised:
            answer_of(name, {"x": sample})
        assert re.search("Ask for another format, such as (votable|json)", raised.value.hint)


@pytest.mark.parametrize("name", TEXT_FORMATS)
def test_how_it_is_written(name: str) -> None:
    for heading, cell in documented()[name].items():
        if samples := samples_of(name, [heading]):
            text = "".join(answer_of(name, {label: one}).decode() for label, one in samples.items())
            assert [literal for literal in cell.literals if literal not in text] == [], heading
