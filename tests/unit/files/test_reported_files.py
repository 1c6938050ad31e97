"""Files of kinds that public bug reports tell of: each row arrives, or is rejected, or the file is refused."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from qserv_py.catalog.model import Table
from qserv_py.czar.queries.checked_uploads import read_uploads
from qserv_py.errors import ContributionError, UserError
from qserv_py.ingest.files.masks import without_masks
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.requests import InputOptions, format_of
from qserv_py.ingest.values.row_converter import RowConverter
from qserv_py.registry.schema_files.felis_schema import read_schema

DATA = Path(__file__).parents[2] / "data" / "reported"


@pytest.fixture(scope="module")
def table() -> Table:
    return read_schema(DATA / "t.yaml", DATA / "tp.yaml").table("Obj")


def ingested(table: Table, name: str, **options: object) -> tuple[dict[int, dict[str, object]], dict[int, str]]:
    """Return the rows by id without what is NULL, and the reasons of rejected rows by number."""
    chosen = InputOptions(ignore_extra=True, **options)  # type: ignore[arg-type]
    path = DATA / name
    reader = without_masks(open_reader(path, format_of(path, chosen), chosen))
    converter = RowConverter(path, reader.names, table, chosen, told=reader.described)
    rows: dict[int, dict[str, object]] = {}
    reasons: dict[int, str] = {}
    for batch in reader.batches(list(converter.sources.values())):
        converted = converter.convert(batch.rows)
        away = {}
        for entry in (*batch.rejected, *converted.rejected):
            for place in entry.places.tolist():
                away.setdefault(place, f"{entry.column}: {entry.reason}")
        reasons |= {int(batch.numbers[place]): reason for place, reason in away.items()}
        columns = {name: values.to_pylist() for name, values in converted.columns.items()}
        for place in sorted(set(range(len(batch.numbers))) - set(away)):
            row = {name: values[place] for name, values in columns.items() if values[place] is not None}
            rows[int(str(row["id"]))] = {key: value for key, value in row.items() if key not in {"id", "ra", "dec"}}
    reasons |= {row.number: row.reason for row in reader.malformed.rows}
    return rows, reasons


IDS = 4611686018427387905
"""More than a double holds exactly."""

READ: dict[str, tuple[dict[int, dict[str, object]], dict[int, str]]] = {
    "f_tscal.fits": ({3030: {"f32": 1.0}, 3031: {}, 3032: {"f32": 2.0}}, {}),
    "f_vlaA.fits": ({3120: {"txt": "abc"}, 3121: {"txt": "de"}, 3122: {"txt": ""}}, {}),
    "f_lat.fits": ({3140: {"txt": "plain"}, 3142: {"txt": "z"}}, {2: "txt: a text that is not utf-8; --encoding"}),
    "f_bit1.fits": ({3070: {"flag": True}, 3071: {"flag": False}, 3072: {"flag": True}}, {}),
    "f_vec1.fits": ({3090: {"f32": 1.0, "f64": 1.0}, 3091: {"f32": 2.0, "f64": 2.0}, 3092: {"f32": 3.0}}, {}),
    "v_long.vot": ({4190: {"i64": 2**63 - 1}, 4191: {"i64": -(2**63)}}, {3: "i64: outside -9223372036854775808 to"}),
    "v_ts.vot": (
        {
            4150: {"ts": datetime(2024, 1, 1)},
            4151: {"ts": datetime(2024, 1, 1)},
            4152: {},
            4153: {},
            4154: {"ts": datetime(2024, 1, 1, 0, 0, 0, 123457)},
        },
        {},
    ),
    "w_b2.vot": ({6030: {"i64": IDS, "f64": 1.0, "flag": True, "txt": "aa"}, 6031: {},
                  6032: {"i64": 3, "f64": 3.0, "flag": True, "txt": "cc"}}, {}),
    "w_param.vot": ({6000: {}}, {}),
    "inf309.csv": ({1998: {"f64": 5.0}}, {1: "f64: outside the range", 2: "f64: outside the range"}),
    "ecsv.csv": ({1017: {"txt": "x"}}, {}),
    "latin1.csv": ({1007: {"uni": "ok"}}, {2: "uni: not UTF-8 text; --encoding"}),
    "tsc.csv": (
        {
            1960: {"ts": datetime(2024, 2, 29)},
            1961: {"ts": datetime(2024, 1, 1)},
            1962: {"ts": datetime(2024, 1, 1, 0, 0, 0, 123457)},
            1963: {"ts": datetime(2023, 12, 31, 22)},
        },
        {5: "ts: a leap second", **dict.fromkeys(range(6, 11), "ts: not a time in ISO 8601")},
    ),
    "fsb.parquet": ({2150: {"txt": "ab", "bin": b"ab"}, 2152: {}}, {2: "txt: not UTF-8 text"}),
    "w_astropy.parquet": ({6040: {"i64": IDS, "f64": 1.0, "flag": True, "txt": "aa"}, 6041: {},
                           6042: {"i64": 3, "f64": 3.0, "flag": True, "txt": "cc"}}, {}),
    "w_duckinf.parquet": ({}, {1: "ts: a time outside of the years 1 to 9999"}),
}  # fmt: skip
"""Rows by their id, and the reasons of rejected rows by their number."""

REFUSED = {
    "f_ldac.fits": 'holds 2 tables\nDETAIL: 1: "LDAC_IMHEAD", 1 row; 2: without a name, 3 rows\nHINT: .*--hdu 2',
    "v_dupname.vot": 'names column "txt" more than once',
    "dupname.parquet": 'names column "txt" more than once',
    "openq.csv": "row 2: a quote opens a field and does not close",
    "u_err.vot": "is the answer to a query that failed\nDETAIL: cut off",
}


@pytest.mark.parametrize("name", READ)
def test_files_that_are_read(table: Table, name: str) -> None:
    rows, reasons = ingested(table, name)
    expected, why = READ[name]
    assert rows == expected
    assert reasons.keys() == why.keys()
    for number, reason in why.items():
        assert reasons[number].startswith(reason)


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_are_refused(table: Table, name: str) -> None:
    with pytest.raises(ContributionError) as caught:
        ingested(table, name)
    assert re.search(REFUSED[name], caught.value.render())


def test_files_that_an_option_reads(table: Table) -> None:
    assert ingested(table, "f_ldac.fits", hdu=2)[0].keys() == {3160, 3161, 3162}
    assert ingested(table, "f_lat.fits", encoding="latin-1")[0][3141] == {"txt": "\u00e9toile"}
    assert ingested(table, "latin1.csv", encoding="latin-1")[0][1008] == {"uni": "\u00e9toile"}
    assert ingested(table, "tsc.csv", exact_times=True)[1][3] == "ts: a time finer than a microsecond"


def test_uploads() -> None:
    rows = read_uploads({"u": DATA / "u_idsnull.csv"}, hold=lambda size: None)["u"]
    assert rows.to_pydict() == {"oid": [IDS, None, None], "v": [1, 2, 3]}
    with pytest.raises(UserError, match="is the answer to a query that failed"):
        read_uploads({"u": DATA / "u_err.vot"}, hold=lambda size: None)


def test_every_file_is_told_of() -> None:
    files = {path.name for path in DATA.iterdir() if path.suffix not in {".md", ".yaml"}}
    assert files == {*READ, *REFUSED, "u_idsnull.csv"}
