"""What becomes a table that a user keeps: definitions, results of jobs, files without rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from qserv_py.czar.formats.known import FORMATS
from qserv_py.czar.jobs.result_rows import read_result
from qserv_py.czar.queries.checked_uploads import read_uploads
from qserv_py.errors import QservError, TooLargeError, UserError
from qserv_py.registry.jobs import TapJob, UwsPhase
from qserv_py.vo.tap.table_definition import table_definition

DEFINITION = """<?xml version="1.0" encoding="UTF-8"?>
<vosi:table xmlns:vosi="http://www.ivoa.net/xml/VOSITables/v1.0" xmlns:vod="http://www.ivoa.net/xml/VODataService/v1.1"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="output">
  <name>mydb.stars</name>
  <column><name>ra</name><description>where</description><unit>deg</unit><ucd>pos.eq.ra</ucd>
    <dataType xsi:type="vod:VOTableType">double</dataType></column>
  <column><name>n</name><dataType xsi:type="vod:TAPType">BIGINT</dataType></column>
  <column><name>label</name><dataType xsi:type="vod:TAPType">VARCHAR(20)</dataType></column>
  <column><name>note</name><dataType xsi:type="vod:VOTableType" arraysize="*">char</dataType></column>
  <column><name>b</name><dataType>unsignedByte</dataType></column>
  <column><name>bytes</name><dataType arraysize="*">unsignedByte</dataType></column>
  <column><name>t</name>
    <dataType xsi:type="vod:VOTableType" arraysize="*" extendedType="timestamp">char</dataType></column>
</vosi:table>"""
MOMENT = datetime(2026, 11, 20, tzinfo=UTC)
JOB = TapJob(
    job_id="j", owner="ada", identity={}, phase=UwsPhase.COMPLETED, run_id="", parameters={}, execution_s=1,
    created_at=MOMENT, started_at=MOMENT, ended_at=MOMENT, destruction_at=MOMENT, chunks_done=0, chunks=0, rows=0,
    result_file="f", result_type="text/csv", result_bytes=1, overflow=False, error_code=None, error_message=None,
)  # fmt: skip


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "definition"
    path.write_text(text)
    return path


def test_a_definition(tmp_path: Path) -> None:
    schema = table_definition(written(tmp_path, DEFINITION))
    assert schema is not None
    kinds = [pa.float64(), pa.int64(), pa.string(), pa.string(), pa.int16(), pa.binary(), pa.timestamp("us")]
    assert (schema.names, schema.types) == (["ra", "n", "label", "note", "b", "bytes", "t"], kinds)
    assert schema.field("ra").metadata == {b"unit": b"deg", b"ucd": b"pos.eq.ra", b"description": b"where"}


def test_what_is_no_definition_is_left_to_others(tmp_path: Path) -> None:
    assert table_definition(written(tmp_path, "a,b\n1,2\n")) is None
    assert table_definition(written(tmp_path, '<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"/>')) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<table><name>x</name></table>", "names no column"),
        ("<table><column><name>x</name></column></table>", 'column "x" of the definition has the type ""'),
        (
            "<table><column><name>x</name><dataType>POINT</dataType></column></table>",
            'the type "POINT", which is not known',
        ),
        (
            '<table><column><name>x</name><dataType arraysize="3">double</dataType></column></table>',
            'the type "double", which is not known',
        ),
        ('<!DOCTYPE t [<!ENTITY a "b">]><table>&a;</table>', "a document type"),
        ("<table>", "is not XML"),
    ],
)
def test_wrong_definitions(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        table_definition(written(tmp_path, text))


def test_a_file_without_rows_keeps_the_types_of_its_columns(tmp_path: Path) -> None:
    empty = pa.table({"ra": pa.array([], pa.float64()), "n": pa.array([], pa.int32())})
    pq.write_table(empty, tmp_path / "parquet")
    table = Table({"ra": [1.0][:0], "n": [1][:0]}, dtype=["f8", "i4"])
    table.write(tmp_path / "votable", format="votable")
    fits.BinTableHDU(table).writeto(tmp_path / "fits")
    for kind in ("parquet", "votable", "fits"):
        read = read_uploads({"t": tmp_path / kind}, hold=lambda size: None)["t"]
        assert (read.num_rows, dict(zip(read.schema.names, read.schema.types, strict=True))) == (
            0,
            {"ra": pa.float64(), "n": pa.int32()},
        ), kind


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        (replace(JOB, phase=UwsPhase.ERROR), UserError, "the job is ERROR, it has no result"),
        (replace(JOB, overflow=True), UserError, "cut off at a limit"),
        (replace(JOB, result_type="application/json"), UserError, "the result is json, which cannot be kept"),
        (JOB, TooLargeError, "the result has 8 bytes, one of at most 5"),
    ],
)
def test_results_that_cannot_be_kept(tmp_path: Path, job: TapJob, error: type[QservError], message: str) -> None:
    path = tmp_path / "result.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(error, match=message):
        read_result(job, path, most_bytes=5, hold=lambda size: None)


def test_a_format_says_itself_by_its_mime_type() -> None:
    """Else a result could be read as what it is not."""
    assert len({known.mime for known in FORMATS}) == len(FORMATS)
