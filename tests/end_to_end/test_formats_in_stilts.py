"""STILTS, the other great reader of astronomers' tables, takes our documents without a complaint."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.answer_cases import Sample
from support.answer_readers import REALS, Columns, FileReader, differences, masked, typed, without_end
from support.answers import column, written

from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import find_format

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
    command = ["stilts", "-Dfile.encoding=UTF-8", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return (done.stdout + done.stderr).decode()


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


def by_stilts(path: Path, samples: dict[str, Sample]) -> Columns:
    """Let stilts write CSV of what it reads, with a column beside each that says where it is NULL."""
    kind = "votable" if path.suffix == ".vot" else path.suffix[1:]
    flags = "; ".join(f"addcol null_{label} NULL_{label}" for label in samples)
    text = stilts("tpipe", f"in={path}", f"ifmt={kind}", f"cmd={flags}", "ofmt=csv")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [*samples, *(f"null_{label}" for label in samples)]
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    return {
        label: [
            None if is_null == "true" else from_stilts(value, sample)
            for value, is_null in zip(columns[label], columns[f"null_{label}"], strict=True)
        ]
        for label, sample in samples.items()
    }


def from_stilts(text: str, sample: Sample) -> Any:
    """Return a value as stilts writes it, such as ``(1, 2)`` for an array, or bytes, and 1.0E-5 for a number."""
    if not text.startswith("(") or (sample.array is None and sample.type is not DataType.BINARY):
        return typed(text, sample)
    elements = [float(part) if sample.type in REALS else int(part) for part in text.strip("()").split(",")]
    return bytes(elements) if sample.type is DataType.BINARY else elements  # type: ignore[arg-type]


def told(value: Any, sample: Sample) -> Any:
    """Take for the same what stilts does not part, or its CSV: NULL, NaN and nothing; the two ways to end a line."""
    return masked(value.replace("\r\n", "\n") if isinstance(value, str) else value, sample)


def told_without_end(value: Any, sample: Sample) -> Any:
    return told(without_end(value, sample), sample)


def is_told(sample: Sample) -> bool:
    """Whether stilts looks at it; a NULL inside an array is a number to it."""
    return sample.heading != "NULL in an array of whole numbers"


def is_told_in_csv(sample: Sample) -> bool:
    """Whether stilts 3.4.7 can read it in CSV: not with its encoding, which is that of Java."""
    return is_told(sample) and sample.heading not in {
        "character beyond ASCII",
        "other control character in a text",
    }


STILTS = (
    FileReader("stilts", ("votable", "votable/b", "votable/td"), by_stilts, told, is_told),
    FileReader("stilts", ("fits",), by_stilts, told_without_end, is_told),
    FileReader("stilts", ("csv",), by_stilts, told, is_told_in_csv),
)


@pytest.mark.parametrize(("name", "reader"), [(name, reader) for reader in STILTS for name in reader.formats])
def test_what_stilts_gets_back(name: str, reader: FileReader, tmp_path: Path) -> None:
    """As the table of the documentation says; tests/unit/formats/test_formats_as_documented.py asks other readers."""
    assert differences(name, reader, tmp_path / f"x{find_format(name).suffix}") == []


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td", "fits", "csv"])
def test_names(name: str, tmp_path: Path) -> None:
    names = ["B-V", "1st", "_1st", "RA (deg)", "gaia.phot_g", "Flux [mJy]", 'quote"d', "it's", "a b", "a_b", "select"]
    names += [] if name in {"fits", "csv"} else ["\u03bb_err", "\u00e9"]
    path = tmp_path / f"x{find_format(name).suffix}"
    path.write_bytes(written(name, [column(one, DataType.INT) for one in names], [[1] * len(names)]))
    kind = "votable" if name.startswith("votable") else name
    text = stilts("tpipe", f"in={path}", f"ifmt={kind}", "ofmt=csv")
    assert next(csv.reader(io.StringIO(text))) == names
    if kind == "votable":
        assert [line for line in stilts("votlint", f"votable={path}").splitlines() if "ERROR" in line] == []


def test_fits_metadata(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    path.write_bytes(written("fits", COLUMNS, [[None] * len(COLUMNS)], arrays=ARRAYS))
    text = stilts("tpipe", f"in={path}", "ifmt=fits", "cmd=meta Name Units UCD Description", "ofmt=csv")
    described = {row[0]: row[1:] for row in csv.reader(io.StringIO(text))}
    assert described["id"] == ["", "meta.id;meta.main", 'An "id" < & >']
    assert described["ra"][:2] == ["deg", "pos.eq.ra;meta.main"]
