"""STILTS, the other great reader of astronomers' tables, takes our documents without a complaint."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from support.answers import column, written

from qserv_py.catalog.types import DataType

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed: make test-clients installs it"),
]

COLUMNS = (
    column("id", DataType.LONG, ucd="meta.id;meta.main", description='An "id" < & >'),
    column("ra", DataType.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
    column("mag", DataType.FLOAT, unit="mag"),
    column("n", DataType.SHORT),
    column("count", DataType.INT),
    column("good", DataType.BOOLEAN),
    column("name", DataType.STRING, length=8),
    column("remark", DataType.UNICODE),
    column("at", DataType.TIMESTAMP),
    column("stamp", DataType.BINARY),
    column("place", DataType.DOUBLE, xtype="point", unit="deg"),
    column("outline", DataType.DOUBLE, xtype="polygon", unit="deg"),
    column("ids", DataType.LONG),
)
ARRAYS = {"place": pa.list_(pa.float64()), "outline": pa.list_(pa.float64()), "ids": pa.list_(pa.int64())}
ROWS = [
    (
        2**62,
        0.1,
        1.5,
        -7,
        1,
        True,
        "abc",
        "é λ <&>",
        datetime(2020, 1, 2),
        b"\x00\xff",
        [1, 2],
        [0, 0, 1, 0, 1, 1],
        [1],
    ),
    (None,) * 13,
    (-1, -0.5, float("nan"), 0, 2**31 - 1, False, "", "", datetime(1, 1, 1), b"", [3, 4], [], [2, None]),
]


def stilts(*arguments: str) -> str:
    done = subprocess.run(["stilts", *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td"])
@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
def test_votlint(name: str, rows: list[tuple[object, ...]], tmp_path: Path) -> None:
    path = tmp_path / "x.vot"
    infos = (("QUERY", "SELECT '<&>\"' FROM t\n-- é"),)
    # votlint of stilts 3.4.7 counts the elements of a polygon that varies and then reads none of them.
    columns = [replace(about, xtype="") if about.xtype == "polygon" else about for about in COLUMNS]
    path.write_bytes(written(name, columns, rows, arrays=ARRAYS, infos=infos, is_cut=True))
    found = stilts("votlint", f"votable={path}", "ucd=true", "unit=true")
    assert [line for line in found.splitlines() if line.startswith(("ERROR", "WARNING"))] == []


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td", "fits", "csv"])
def test_values(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{name.replace('/', '_')}"
    path.write_bytes(written(name, COLUMNS, ROWS, arrays=ARRAYS))
    reader = "votable" if name.startswith("votable") else name
    text = stilts("tpipe", f"in={path}", f"ifmt={reader}", "ofmt=csv", "cmd=keepcols 'id ra mag n count good name at'")
    header, first, null, last = csv.reader(io.StringIO(text))
    assert header == ["id", "ra", "mag", "n", "count", "good", "name", "at"]
    assert first[:7] == [str(2**62), "0.1", "1.5", "-7", "1", "true", "abc"]
    assert first[7].startswith("2020-01-02T00:00:00")
    assert null == [""] * 8
    assert last[:7] == ["-1", "-0.5", "", "0", str(2**31 - 1), "false", ""]


def test_fits_metadata(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(written("fits", COLUMNS, ROWS, arrays=ARRAYS))
    text = stilts("tpipe", f"in={path}", "ifmt=fits", "cmd=meta Name Units UCD Description", "ofmt=csv")
    described = {row[0]: row[1:] for row in csv.reader(io.StringIO(text))}
    assert described["id"] == ["", "meta.id;meta.main", 'An "id" < & >']
    assert described["ra"][:2] == ["deg", "pos.eq.ra;meta.main"]
