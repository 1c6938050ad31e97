"""Reject files: what is mended and read again is what the input held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.rejects import Rejected, RejectLog
from qserv_py.ingest.requests import InputFormat, InputOptions

ROWS = [
    {"id": "1", "s": "", "t": None},
    {"id": "2", "s": "NA", "t": 'say "a,b"'},
    {"id": "3", "s": " x ", "t": "two\nlines"},
]


def written(path: Path, rows: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
    """Reject rows, and return them as they are read from their file."""
    batch = pa.RecordBatch.from_pylist(rows)
    log = RejectLog(path, batch.schema.names)
    log.add(np.arange(1, len(rows) + 1), batch, [Rejected(np.arange(len(rows)), "id", "why, so")])
    log.close()
    reader = open_reader(path, InputFormat.CSV, InputOptions())
    return [row for batch in reader.batches(reader.names) for row in batch.rows.to_pylist()]


def test_null_and_empty_texts_stay_apart(tmp_path: Path) -> None:
    found = written(tmp_path / "a.csv", ROWS)
    told = [{key: row.pop(key) for key in ("reject_row", "reject_column", "reject_reason")} for row in found]
    assert found == ROWS
    assert told[1] == {"reject_row": "2", "reject_column": "id", "reject_reason": "why, so"}


def test_rows_that_are_rejected_again(tmp_path: Path) -> None:
    once = written(tmp_path / "a.csv", ROWS)
    again = written(tmp_path / "b.csv", once)
    assert [row.keys() for row in again] == [row.keys() for row in once]
    assert [row["s"] for row in again] == ["", "NA", " x "]
