"""Readers of every format, ours and those of others: each gives the values of a file by columns, as Python has them."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table
from support.answer_cases import CASES, Sample, answer_of, found_as, samples_of, wanted_as

from qserv_py.catalog.types import DataType
from qserv_py.czar.user_tables.file_to_arrow import read_upload
from qserv_py.executor.arrow import arrow_type
from qserv_py.ingest.requests import InputFormat

Columns = dict[str, list[Any]]
VOTABLES = ("votable", "votable/b", "votable/td")
REALS = {DataType.FLOAT, DataType.DOUBLE}


@dataclass(frozen=True)
class FileReader:
    """Somebody's way to read some formats."""

    name: str
    formats: tuple[str, ...]
    read: Callable[[Path, dict[str, Sample]], Columns]
    confuses: Callable[[Any, Sample], Any] = lambda value, _: value
    """Makes values equal that the reader itself cannot tell from each other."""

    takes: Callable[[Sample], bool] = lambda _: True
    """Whether it can read columns like this one at all."""


def plain(value: Any) -> Any:
    """Return a value as Python has it; masked is None, nothing at all is ``()``."""
    if value is None or value is np.ma.masked or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.ma.MaskedArray):
        return [plain(element) for element in value] or ()
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(element) for element in value] or ()
    if isinstance(value, pd.Timestamp | pa.Scalar):
        return value.to_pydatetime(warn=False) if isinstance(value, pd.Timestamp) else plain(value.as_py())
    if isinstance(value, np.generic):
        value = value.item()
    return () if isinstance(value, str | bytes) and not value else value


def typed(text: str | None, sample: Sample) -> Any:
    """Return what a cell of a text format says, by the type of its column."""
    if text is None:
        return None
    if text == "":
        return () if sample.array or sample.type.is_text or sample.type is DataType.BINARY else None
    if sample.array is not None:
        return [number(element) for element in text.split()] or ()
    if sample.type is DataType.BOOLEAN:
        return {"true": True, "false": False}[text]
    if sample.type.is_integer:
        return int(text)
    return real(text, sample) if sample.type in REALS else text or ()


def real(text: str, sample: Sample) -> float:
    """Return the nearest number of a column's type."""
    return float(np.float32(text)) if sample.type is DataType.FLOAT else float(text)


def number(text: str) -> Any:
    """Return an element of an array; what is no finite number stays text."""
    if not text.lstrip("+-")[:1].isdigit():
        return text
    return float(text) if any(letter in text for letter in ".e") or text == "-0" else int(text)


def rows_as_columns(names: Sequence[str], rows: Sequence[Sequence[str | None]], samples: dict[str, Sample]) -> Columns:
    """Return the columns of rows of texts."""
    return {
        name: [typed(value, samples[name]) for value in values]
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def delimiter_of(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def by_csv(path: Path, samples: dict[str, Sample]) -> Columns:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file, delimiter=delimiter_of(path), strict=True)
    return rows_as_columns(header, rows, samples)


def by_pyarrow_csv(path: Path, samples: dict[str, Sample]) -> Columns:
    table = pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=delimiter_of(path), newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            column_types={name: in_csv(sample) for name, sample in samples.items()},
        ),
    )
    return from_arrow(table, samples)


def in_csv(sample: Sample) -> pa.DataType:
    """Return the Arrow type that a column of a CSV file can be asked for."""
    is_text = sample.array is not None or sample.type in {DataType.BINARY, DataType.TIMESTAMP}
    return pa.string() if is_text else arrow_type(sample.type)


def from_arrow(table: pa.Table, samples: dict[str, Sample]) -> Columns:
    """Return the values of an Arrow table; arrays in texts are taken apart."""
    return {
        name: [
            typed(value, samples[name]) if isinstance(value, str) and samples[name].array else plain(value)
            for value in table[name].to_pylist()
        ]
        for name in table.column_names
    }


def by_pandas_csv(path: Path, samples: dict[str, Sample]) -> Columns:
    frame = pd.read_csv(path, delimiter=delimiter_of(path), dtype=str, keep_default_na=False, na_values=[""])
    return {
        name: [typed(None if value is pd.NA or value != value else value, samples[name]) for value in frame[name]]
        for name in frame.columns
    }


def by_polars_csv(path: Path, samples: dict[str, Sample]) -> Columns:
    frame = pl.read_csv(path, separator=delimiter_of(path), infer_schema=False)
    return {name: [typed(value, samples[name]) for value in frame[name].to_list()] for name in frame.columns}


def by_duckdb_csv(path: Path, samples: dict[str, Sample]) -> Columns:
    with duckdb.connect() as db:
        rows = db.read_csv(
            str(path), sep=delimiter_of(path), quotechar='"', escapechar='"', header=True, all_varchar=True,
        )  # fmt: skip
        return rows_as_columns(rows.columns, rows.fetchall(), samples)


def by_json(path: Path, _: dict[str, Sample]) -> Columns:
    document = json.loads(path.read_text(), parse_constant=None)
    columns = zip(*document["data"], strict=True)
    return {
        about["name"]: [plain(value) for value in values]
        for about, values in zip(document["metadata"], columns, strict=True)
    }


def by_pyarrow(path: Path, samples: dict[str, Sample]) -> Columns:
    table = pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_stream(path.read_bytes()).read_all()
    return from_arrow(table, samples)


def by_polars(path: Path, _: dict[str, Sample]) -> Columns:
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ipc_stream(path)
    return {name: [plain(value) for value in frame[name].to_list()] for name in frame.columns}


def by_pandas(path: Path, _: dict[str, Sample]) -> Columns:
    frame = pd.read_parquet(path, dtype_backend="pyarrow")
    return {name: [plain(value) for value in frame[name]] for name in frame.columns}


def by_duckdb(path: Path, _: dict[str, Sample]) -> Columns:
    with duckdb.connect() as db:
        rows = db.read_parquet(str(path))
        return {
            name: [plain(value) for value in values]
            for name, values in zip(rows.columns, zip(*rows.fetchall(), strict=True), strict=True)
        }


def by_astropy_votable(path: Path, samples: dict[str, Sample]) -> Columns:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(path, format="votable")
    return of_astropy(table, samples)


def of_astropy(table: Table, samples: dict[str, Sample]) -> Columns:
    return {name: [from_numpy(value, samples[name]) for value in table[name]] for name in table.colnames}


def from_numpy(value: Any, sample: Sample) -> Any:
    """Return a value of astropy's: bytes are arrays of numbers there."""
    made = plain(value)
    if sample.type is DataType.BINARY and isinstance(made, list):
        return bytes(made) or ()
    return made


def by_astropy_fits(path: Path, samples: dict[str, Sample]) -> Columns:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column '.*' contains NULL")
        return of_astropy(Table.read(path, format="fits", character_as_bytes=False), samples)


def by_fits_open(path: Path, samples: dict[str, Sample]) -> Columns:
    """Read the bytes of truth values, and say by TNULL what is NULL."""
    with fits.open(path, logical_as_bytes=True) as opened:
        table = opened[1]
        nulls = {about.name: about.null for about in table.columns}
        return {name: [from_fits(value, samples[name], nulls[name]) for value in table.data[name]] for name in nulls}


def from_fits(value: Any, sample: Sample, null: int | None) -> Any:
    if sample.type is DataType.BOOLEAN:
        return {b"T": True, b"F": False, b"": None}[bytes(value)]
    made = from_numpy(value, sample)
    if isinstance(made, list):
        return [None if null is not None and element == null else element for element in made]
    return None if null is not None and made == null else made


def by_the_standard(path: Path, samples: dict[str, Sample]) -> Columns:
    """Read VOTable 1.4 as its text says (sections 5.1 to 5.4, 6); astropy does not tell NULL from an empty text."""
    root = ElementTree.parse(path).getroot()
    fields = root.findall(".//{*}FIELD")
    names = [field.get("name", "") for field in fields]
    if (cells := root.findall(".//{*}TD")) and root.find(".//{*}TABLEDATA") is not None:
        texts = [cell.text or "" for cell in cells]
        rows = [texts[start : start + len(names)] for start in range(0, len(texts), len(names))]
        nulls = [None if (one := field.find("{*}VALUES")) is None else one.get("null") for field in fields]
        return {
            name: [from_tabledata(text, samples[name], null) for text in column]
            for name, column, null in zip(names, zip(*rows, strict=True), nulls, strict=True)
        }
    stream = io.BytesIO(base64.b64decode(root.findtext(".//{*}STREAM") or ""))
    has_bits = root.find(".//{*}BINARY2") is not None
    found: Columns = {name: [] for name in names}
    while stream.tell() < len(stream.getbuffer()):
        bits = stream.read((len(fields) + 7) // 8) if has_bits else b""
        for place, field in enumerate(fields):
            value = from_binary(stream, field)
            is_null = has_bits and bits[place // 8] & (128 >> place % 8)
            found[names[place]].append(None if is_null else value)
    return found


def from_tabledata(text: str, sample: Sample, null: str | None) -> Any:
    if sample.type is DataType.BINARY:
        return bytes(map(int, text.split())) or ()
    text = text if sample.type.is_text else text.replace("Inf", "Infinity")
    made = typed(text, sample)
    if not isinstance(made, list):
        return () if text == "" and sample.type is DataType.TIMESTAMP else made
    if sample.type in REALS:
        return [float(element) for element in made]
    return [math.nan if element == "NaN" else None if str(element) == null else element for element in made]


_LETTERS = {"boolean": "c", "unsignedByte": "B", "char": "c", "unicodeChar": "H", "short": "h", "int": "i", "long": "q"}
_LETTERS |= {"float": "f", "double": "d"}


def from_binary(stream: io.BytesIO, field: Element) -> Any:
    datatype, size = field.get("datatype", ""), field.get("arraysize", "")
    count = struct.unpack(">i", stream.read(4))[0] if size == "*" else int(size or 1)
    layout = f">{count}{_LETTERS[datatype]}"
    values = struct.unpack(layout, stream.read(struct.calcsize(layout)))
    if datatype == "char":
        return b"".join(values).decode("ascii") or ()
    if datatype == "unicodeChar":
        return struct.pack(f">{count}H", *values).decode("utf-16-be") or ()
    if datatype == "unsignedByte":
        return bytes(values) or ()
    if datatype == "boolean":
        return {b"T": True, b"F": False, b"?": None}[values[0]]
    null = None if (told := field.find("{*}VALUES")) is None else int(told.get("null", ""))
    made = [None if null is not None and value == null else value for value in values]
    return (made or ()) if size else made[0]


def by_us(path: Path, samples: dict[str, Sample]) -> Columns:
    """Read a file as an upload; its columns have the types of what was written, as far as the format tells them."""
    is_csv = path.suffix in {".csv", ".tsv"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = read_upload(path, format=InputFormat.CSV if is_csv else None)
    types = [told_type(samples[name], path.suffix, is_csv=is_csv) for name in table.column_names]
    wrong = [
        name for name, one, other in zip(table.column_names, types, table.schema.types, strict=True) if one != other
    ]
    assert not wrong, [f"{samples[name].heading}, {samples[name].type}: {table[name].type}" for name in wrong]
    found = {name: table[name].to_pylist() for name in table.column_names}
    if path.suffix == ".parquet":
        return {name: [plain(value) for value in values] for name, values in found.items()}
    return {name: [in_words(value, samples[name], is_csv=is_csv) for value in values] for name, values in found.items()}


def told_type(sample: Sample, suffix: str, *, is_csv: bool) -> pa.DataType:
    """Return the type of a column in a file: FITS and CSV have times as texts, CSV does not tell sizes of numbers."""
    if sample.type is DataType.TIMESTAMP and (is_csv or suffix == ".fits"):
        return pa.string()
    if is_csv and (sample.type.is_integer or sample.type in REALS):
        return pa.int64() if sample.type.is_integer else pa.float64()
    return arrow_type(sample.type)


def in_words(value: Any, sample: Sample, *, is_csv: bool) -> Any:
    """Return a value of a format that has times as texts, and no types if it is CSV."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return typed(value, sample) if is_csv and isinstance(value, str) else plain(value)


def masked(value: Any, _: Sample) -> Any:
    """Take NaN for NULL, an array of NULLs and nothing at all, too."""
    if isinstance(value, list):
        elements = [masked(element, _) for element in value]
        return None if all(element is None for element in elements) else elements
    return None if value == () or (isinstance(value, float) and math.isnan(value)) else value


def masked_or_stripped(value: Any, sample: Sample) -> Any:
    return masked(value.strip() or () if isinstance(value, str) else value, sample)


def masked_or_false(value: Any, sample: Sample) -> Any:
    made = masked(without_end(value, sample), sample)
    return False if made is None and sample.type is DataType.BOOLEAN else made


def nan_is_null(value: Any, _: Sample) -> Any:
    """Take NaN for NULL, as docs/reference/input-files.md says of uploads."""
    return None if isinstance(value, float) and math.isnan(value) else value


def no_text_is_null(value: Any, sample: Sample) -> Any:
    """Take nothing for NULL, too, as uploads do where a format writes both alike."""
    return None if value == () else nan_is_null(value, sample)


def no_time_is_null(value: Any, sample: Sample) -> Any:
    """Take nothing for NULL where it is to be a time."""
    return no_text_is_null(value, sample) if sample.type is DataType.TIMESTAMP else nan_is_null(value, sample)


def without_end(value: Any, _: Sample) -> Any:
    """Leave out the blanks at the end of a text, as FITS readers do."""
    return value.rstrip(" ") or () if isinstance(value, str) else value


def without_null(value: Any, sample: Sample) -> Any:
    """Take NULL for an empty text, too."""
    is_text = sample.type.is_text or sample.type is DataType.TIMESTAMP
    return () if value is None and is_text else without_end(value, sample)


def empty_is_null(value: Any, _: Sample) -> Any:
    return None if value == () else value


def is_no_array(sample: Sample) -> bool:
    return sample.array is None


def is_single(sample: Sample) -> bool:
    return is_no_array(sample) and sample.type is not DataType.BINARY


READERS = (
    FileReader("the standard", VOTABLES, by_the_standard),
    FileReader("astropy", VOTABLES[:2], by_astropy_votable, masked),
    FileReader("astropy", VOTABLES[2:], by_astropy_votable, masked_or_stripped),
    FileReader("us", ("votable",), by_us, nan_is_null, is_no_array),
    FileReader("us", ("votable/b",), by_us, no_time_is_null, is_no_array),
    FileReader("us", ("votable/td",), by_us, no_text_is_null, is_no_array),
    FileReader("fits.open", ("fits",), by_fits_open, without_null),
    FileReader("astropy", ("fits",), by_astropy_fits, masked_or_false),
    FileReader("us", ("fits",), by_us, nan_is_null, is_single),
    FileReader("csv", ("csv", "tsv"), by_csv, empty_is_null),
    FileReader("pyarrow", ("csv", "tsv"), by_pyarrow_csv),
    FileReader("pandas", ("csv", "tsv"), by_pandas_csv, empty_is_null),
    FileReader("polars", ("csv", "tsv"), by_polars_csv),
    FileReader("DuckDB", ("csv", "tsv"), by_duckdb_csv, empty_is_null),
    FileReader("us", ("csv", "tsv"), by_us, nan_is_null, is_single),
    FileReader("json", ("json",), by_json),
    FileReader("pyarrow", ("parquet", "arrow"), by_pyarrow),
    FileReader("polars", ("parquet", "arrow"), by_polars),
    FileReader("pandas", ("parquet",), by_pandas),
    FileReader("DuckDB", ("parquet",), by_duckdb),
    FileReader("us", ("parquet",), by_us, nan_is_null, is_no_array),
)
"""Who reads which formats, and what each cannot tell from something else."""


@cache
def everything(name: str, takes: Callable[[Sample], bool]) -> tuple[dict[str, Sample], bytes]:
    """Return an answer of all values that a format and a reader take."""
    samples = {label: one for label, one in samples_of(name, list(CASES)).items() if takes(one)}
    return samples, answer_of(name, samples)


def differences(name: str, reader: FileReader, path: Path) -> list[str]:
    """Write all values to a file, and return where a reader finds something else than the documentation says."""
    samples, document = everything(name, reader.takes)
    path.write_bytes(document)
    found = reader.read(path, samples)
    if list(found) != list(samples):
        return [f"names {list(found)}"]
    wrong = []
    for label, sample in samples.items():
        wanted = [reader.confuses(wanted_as(name, value, sample), sample) for value in sample.values]
        got = [reader.confuses(found_as(value, sample), sample) for value in found[label][: len(wanted)]]
        if repr(got) != repr(wanted):
            wrong.append(f"{sample.heading}, {sample.type}: {got}, not {wanted}")
    return wrong
