"""FITS files that others wrote, each read as its writer (or astropy) reads it, or refused with a clear word."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import astropy
import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time
from support.fits_tables import by_astropy, opened, read, same

from qserv_py.errors import ContributionError

ASTROPY = Path(astropy.__file__).parent
DATA = Path(__file__).parents[2] / "data" / "fits"

NO_TABLE = "holds no table"
NOT_SINGLE = r'column ".*" of .* holds arrays of .* elements, not single values'
ONE_ROW = "holds one row of arrays"

READ = {
    "io/fits/tests/data/ascii.fits": 1,
    "io/fits/tests/data/ascii_i4-i20.fits": 1,
    "io/fits/tests/data/btable.fits": 1,
    "io/fits/tests/data/chandra_time.fits": 1,
    "io/fits/tests/data/checksum.fits": 1,
    "io/fits/tests/data/checksum_false.fits": 1,
    "io/fits/tests/data/logical_null.fits": 1,
    "io/fits/tests/data/memtest.fits": 1,
    "io/fits/tests/data/stddata.fits": 2,
    "io/fits/tests/data/table.fits": 1,
    "io/fits/tests/data/tb.fits": 1,
    "io/fits/tests/data/tdim.fits": 1,
    "io/fits/tests/data/theap-gap.fits": 1,
    "io/fits/tests/data/variable_length_table.fits": 1,
    "io/fits/tests/data/vla_logical_all_zero.fits": 1,
    "io/fits/tests/data/vla_logical_null.fits": 1,
    "io/fits/tests/data/vla_logical_pre_fix.fits": 1,
    "io/fits/tests/data/zerowidth.fits": 5,
    "io/votable/tests/data/tb.fits": 1,
    "wcs/tests/data/dss.14.29.56-62.41.05.fits.gz": 1,
}
"""Files of astropy with tables that are read, and how many."""

UNREAD = {
    "chandra_time.fits 1": {"status": "arrays of 32 bits"},
    "memtest.fits 1": {"QUALITY": "arrays of 69 bits"},
    "stddata.fits 2": dict.fromkeys(
        [
            "COLC",
            "FLAGS",
            "FLAGS2",
            "PSP_STATUS",
            "PSF_FWHM",
            "EXTINCTION",
            "SKYFLUX",
            "PSFFLUX",
            "PSFFLUX_IVAR",
            "FIBERFLUX",
            "FIBERFLUX_IVAR",
            "FIBER2FLUX",
            "FIBER2FLUX_IVAR",
            "MODELFLUX",
            "MODELFLUX_IVAR",
            "CALIB_STATUS",
            "NMGYPERCOUNT",
            "APERFLUX6",
        ],
        "arrays of 5 elements",
    ),
    "theap-gap.fits 1": {"arr": "arrays of 0 to 5 elements"},
    "variable_length_table.fits 1": {"var": "arrays of 2 to 3 elements", "xyz": "arrays of 2 elements"},
    "vla_logical_all_zero.fits 1": {"flag": "arrays of 2 to 3 elements"},
    "vla_logical_null.fits 1": {"flag": "arrays of 2 to 3 elements"},
    "vla_logical_pre_fix.fits 1": {"flag": "arrays of 0 to 4 elements"},
    "zerowidth.fits 2": {
        "STABXYZ": "arrays of 3 elements",
        "ORBPARM": "no values",
        "POLCALA": "arrays of 2 elements",
        "POLCALB": "arrays of 2 elements",
    },
    "zerowidth.fits 5": {"VISIBILITIES": r"arrays of shape \(2, 1, 1, 1, 1, 1\)"},
}
"""Columns of these tables that cannot be read, each with what it holds; all others can."""

NULLS = {
    "ascii.fits 1": {"a": [3], "b": [3]},
    "logical_null.fits 1": {"flag": [1]},
}
"""Rows that are NULL, of columns that are no texts."""

REFUSED = {
    "io/fits/tests/data/lzw.fits.Z": r"is compressed by compress \(\.Z\)",
    "modeling/tests/data/idcompspec.fits": "is no FITS file",
    "wcs/tests/data/header_with_time.fits": "says that it does not follow the FITS standard",
    "wcs/tests/data/header_with_time_wcslib71.fits": "says that it does not follow the FITS standard",
    "wcs/tests/data/tab-time-last-axis.fits": ONE_ROW,
    "wcs/wcsapi/tests/data/example_4d_tab.fits": ONE_ROW,
}
"""Files of astropy that are refused, beside those that hold images alone."""


def files_of_astropy() -> list[str]:
    found = [path for path in ASTROPY.rglob("*.fit*") if path.is_file() and not path.suffix.startswith(".py")]
    return sorted(str(path.relative_to(ASTROPY)) for path in found)


def test_every_table_of_astropy_has_its_outcome() -> None:
    assert {*READ, *REFUSED} <= set(files_of_astropy())


@pytest.mark.parametrize("name", [name for name in files_of_astropy() if name not in READ])
def test_files_of_astropy_without_a_table(name: str) -> None:
    with pytest.raises(ContributionError, match=REFUSED.get(name, NO_TABLE)):
        opened(ASTROPY / name)


@pytest.mark.parametrize(("name", "hdu"), [(name, 1 + hdu) for name, count in READ.items() for hdu in range(count)])
def test_tables_of_astropy(name: str, hdu: int) -> None:
    path = ASTROPY / name
    theirs = by_astropy(path, hdu)
    reader = opened(path, hdu=hdu)
    assert reader.names == tuple(theirs)
    table = f"{Path(name).name} {hdu}"
    unread = UNREAD.get(table, {})
    for column, what in unread.items():
        with pytest.raises(ContributionError, match=f'"{column}" of .* holds {what}, not single values'):
            read(path, column, hdu=hdu)
    readable = [column for column in reader.names if column not in unread]
    if not readable:
        return
    ours, rejected = read(path, *readable, hdu=hdu)
    assert not rejected
    assert [column for column in readable if not same(ours[column], theirs[column])] == []
    nulls = {column: [row for row, value in enumerate(ours[column]) if value is None] for column in readable}
    texts = {column for column, values in theirs.items() if values.dtype.kind in "SU"}
    assert {column: rows for column, rows in nulls.items() if rows and column not in texts} == NULLS.get(table, {})


NUMBERS = {
    "b": ("uint8", [0, 7, 255]),
    "sb": ("int8", [-128, 7, 127]),
    "i": ("int16", [-32768, 7, 32767]),
    "ui": ("uint16", [0, 7, 65535]),
    "j": ("int32", [-(2**31), 7, 2**31 - 1]),
    "uj": ("uint32", [0, 7, 2**32 - 1]),
    "k": ("int64", [-(2**63), 7, 2**63 - 1]),
    "uk": ("uint64", [0, 7, 2**64 - 1]),
}
"""What tests/data/fits/make_by_fitsio.py wrote: extremes of every type of whole numbers."""


def test_types_of_cfitsio() -> None:
    path = DATA / "fitsio-types.fits"
    reader = opened(path)
    assert {name: str(reader.types[name]) for name in NUMBERS} == {name: kind for name, (kind, _) in NUMBERS.items()}
    assert reader.described["b"] == {"unit": "ct"}
    ours, rejected = read(path)
    assert not rejected
    assert {name: ours[name] for name in NUMBERS} == {name: values for name, (_, values) in NUMBERS.items()}
    assert ours["e"][1:] == [float(np.float32(0.1)), np.inf]
    assert ours["d"][1:] == [0.1, -np.inf]
    assert np.isnan(ours["e"][0])
    assert np.isnan(ours["d"][0])
    assert ours["l"] == [True, False, True]
    assert ours["t"] == ["ab", None, "  x"]
    assert ours["one"] == [1, 2, 3]
    for name, what in (("many", r"arrays of shape \(3, 2\)"), ("c", "complex numbers")):
        with pytest.raises(ContributionError, match=f'column "{name}" of .* holds {what}, not single values'):
            read(path, name)


def test_nulls_of_cfitsio_are_stored_numbers() -> None:
    ours, rejected = read(DATA / "fitsio-nulls.fits")
    assert not rejected
    assert ours == {name: [values[0], None, values[2]] for name, (_, values) in NUMBERS.items()}


def test_ascii_table_of_cfitsio() -> None:
    ours, rejected = read(DATA / "fitsio-ascii.fits")
    assert not rejected
    assert ours == {
        "i": NUMBERS["i"][1],
        "j": NUMBERS["j"][1],
        "d": [-1.5e300, 0.1, 1e-300],
        "t": ["ab", "", "  x"],
    }


def test_heap_of_cfitsio() -> None:
    path = DATA / "fitsio-heap.fits"
    assert read(path, "id", "text", "ones") == (
        {"id": [1, 2, 3], "text": ["a longer text", "b", "  c"], "ones": [1.5, 2.5, -3.5]},
        [],
    )
    with pytest.raises(ContributionError, match='"several" of .* holds arrays of 1 to 3 elements'):
        read(path, "several")


def test_blanks_at_the_end_of_texts() -> None:
    """As fitsio reads them in rows; it drops them on the heap. A text as wide as its column may be filled."""
    wanted = ["a ", " b  ", None, "  ", "abc", "ab"]
    heap = ["a ", " b  ", "c", "  ", "abc  ", "ab"]
    assert read(DATA / "fitsio-texts.fits") == ({"fixed": wanted, "heap": heap}, [])
    wanted[3] = None  # STIL writes it so
    assert read(DATA / "stilts-texts.fits", "fixed") == ({"fixed": wanted}, [])


OWN_FILL = [(kind, None) for kind in ("u1", "u2", "i2", "u4", "i4", "u8", "i8")]
FILL_OF_USER = [("u1", 254), ("u2", 2**16 - 2), ("i2", 1000), ("u4", 2**32 - 2), ("i4", -1), ("i8", 2**62)]


@pytest.mark.parametrize(("kind", "fill"), OWN_FILL + FILL_OF_USER)
def test_masked_columns_of_astropy(tmp_path: Path, kind: str, fill: int | None) -> None:
    """astropy writes TNULL of unsigned columns after TZERO, with its own fill value or that of the user."""
    limits = np.iinfo(kind)
    values = np.array([limits.min, 1, 2, limits.max], dtype=kind)
    column = MaskedColumn(values, mask=[False, True, False, False])
    if fill is not None:
        column.fill_value = fill
    path = tmp_path / "a.fits"
    Table({"x": column}).write(path)
    assert read(path) == ({"x": [limits.min, None, 2, limits.max]}, [])
    notes = [note for note in opened(path).notes if "is the number after TZERO, as astropy writes it" in note]
    assert bool(notes) == (kind in ("u2", "u4", "u8"))


def test_masked_numbers_and_texts_of_astropy(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    made = {
        "f": MaskedColumn([1.5, 2.5], mask=[False, True]),
        "t": MaskedColumn(["a", "b"], mask=[False, True]),
        "at": Time(["2020-01-01", "2021-01-01"]),
        "away": [5, 6] * units.m,
    }
    Table(made).write(path)
    reader = opened(path)
    assert tuple(reader.types) == ("f", "t", "away")  # a time is two doubles
    assert reader.described["away"] == {"unit": "m"}
    ours, _ = read(path)
    assert np.isnan(ours["f"][1])
    assert (ours["f"][0], ours["t"], ours["away"]) == (1.5, ["a", None], [5.0, 6.0])


def several_tables(path: Path) -> None:
    def table(value: int, **about: object) -> fits.BinTableHDU:
        return fits.BinTableHDU.from_columns([fits.Column("x", "J", array=[value])], **about)

    lines = fits.TableHDU.from_columns([fits.Column("x", "I3", array=[5])], name="LINES")
    packed = fits.CompImageHDU(np.zeros((4, 4), dtype="i2"), name="PACKED")
    image = fits.PrimaryHDU(np.zeros((3, 3)))
    catalogues = [table(2, name="CAT", ver=1), table(3, name="CAT", ver=2)]
    fits.HDUList([image, fits.ImageHDU(np.zeros(5)), *catalogues, packed, lines, table(6)]).writeto(path)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"hdu": 2}, 2),
        ({"hdu": 6}, 6),
        ({"table_name": "CAT,2"}, 3),
        ({"table_name": "cat,1"}, 2),
        ({"table_name": "lines"}, 5),
    ],
)
def test_one_of_several_tables(tmp_path: Path, options: dict[str, object], value: int) -> None:
    path = tmp_path / "a.fits"
    several_tables(path)
    assert read(path, **options) == ({"x": [value]}, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "holds 4 tables"),
        ({"table_name": "CAT"}, "holds 2 tables of --table-name"),
        ({"table_name": "PACKED"}, "holds no table of --table-name"),
        ({"hdu": 1}, "holds no table of --hdu 1"),
    ],
)
def test_tables_are_listed(tmp_path: Path, options: dict[str, object], message: str) -> None:
    path = tmp_path / "a.fits"
    several_tables(path)
    with pytest.raises(ContributionError, match=message) as caught:
        opened(path, **options)
    listed = '2: "CAT", 1 row; 3: "CAT", 1 row; 5: "LINES", 1 row; 6: without a name, 1 row'
    assert caught.value.detail == listed


@pytest.mark.parametrize("kind", ["fits-basic", "fits-plus", "fits-var"])
def test_nulls_of_stilts(kind: str) -> None:
    path = DATA / f"stilts-{kind}.fits"
    reader = opened(path)
    assert {name: str(type) for name, type in reader.types.items()} == {
        "b": "uint8", "i": "int16", "j": "int32", "k": "int64", "e": "float", "d": "double", "l": "bool", "t": "string"
    }  # fmt: skip
    assert reader.described["j"] == {"unit": "ct"}
    assert reader.described["d"] == {"unit": "deg", "ucd": "pos.eq.ra", "description": "right ascension"}
    ours, rejected = read(path)
    assert not rejected
    assert np.isnan(ours["e"][1])
    assert np.isnan(ours["d"][1])
    assert [{name: values[row] for name, values in ours.items()} for row in (0, 2)] == [
        {"b": None, "i": -32767, "j": -(2**31) + 1, "k": 2**63 - 1, "e": float(np.float32(0.1)), "d": 0.1, "l": True,
         "t": "ab"},
        {"b": 0, "i": 32767, "j": 2**31 - 1, "k": -(2**63) + 1, "e": np.inf, "d": -np.inf, "l": False,
         "t": "  a longer text"},
    ]  # fmt: skip
    assert {name: values[1] for name, values in ours.items() if name not in "ed"} == dict.fromkeys("bijklt")


def test_tables_of_stilts_that_hold_columns_as_arrays() -> None:
    with pytest.raises(ContributionError, match=ONE_ROW) as caught:
        opened(DATA / "stilts-colfits-basic.fits")
    assert "ofmt=fits-basic" in caught.value.hint


def test_more_columns_than_fits_allows(tmp_path: Path) -> None:
    ours, rejected = read(DATA / "stilts-wide.fits.gz")
    assert not rejected
    assert list(ours) == [f"c{number}" for number in range(1100)]
    assert [ours[f"c{number}"] for number in range(1098)] == [[number, -number] for number in range(1098)]
    assert (ours["c1098"], ours["c1099"]) == (["text", None], [None, 7])


def test_arrays_of_stilts_do_not_refuse_the_rest() -> None:
    path = DATA / "stilts-arrays.fits"
    assert read(path, "l") == ({"l": [True, None, False]}, [])
    with pytest.raises(ContributionError, match='"list" of .* holds arrays of 3 elements'):
        read(path, "list")


@pytest.mark.parametrize("name", ["fitsio-nulls.fits", "fitsio-ascii.fits", "stilts-fits-var.fits"])
@pytest.mark.parametrize("suffix", [".fits", ".gz"])
def test_compressed_by_content(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress((DATA / name).read_bytes()))
    assert repr(read(path)) == repr(read(DATA / name))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ContributionError, match="cannot be unpacked"):
        opened(path)


def test_tables_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qserv_py.ingest.files.fits.reader.ROWS_IN_BATCH", 100)
    path = tmp_path / "a.fits"
    numbers = np.arange(250, dtype="i8")
    Table({"n": numbers, "t": numbers.astype(str)}).write(path)
    reader = opened(path)
    assert reader.total_rows == 250
    batches = list(reader.batches(("t", "n")))
    assert [batch.rows.num_rows for batch in batches] == [100, 100, 50]
    assert [int(number) for batch in batches for number in batch.numbers] == list(range(1, 251))
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    assert rows == [{"t": str(number), "n": number} for number in range(250)]


def test_cut_off_tables_say_how_many_rows_are_missing(tmp_path: Path) -> None:
    whole = (ASTROPY / "io/fits/tests/data/chandra_time.fits").read_bytes()
    path = tmp_path / "a.fits"
    path.write_bytes(whole.rstrip(b"\0"))
    with pytest.raises(ContributionError, match=r"HDU 1 is cut off, without 1 of 2 rows") as caught:
        opened(path)
    assert re.match("The file is [0-9]+ bytes? too short", caught.value.detail)


def test_what_fills_the_last_block_may_be_missing(tmp_path: Path) -> None:
    source = DATA / "fitsio-types.fits"
    path = tmp_path / "a.fits"
    path.write_bytes(source.read_bytes()[:-2000])
    names = ("b", "uk", "t")
    assert read(path, *names) == read(source, *names)


def test_sums_of_the_data_are_held_against_it(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    table = Table({"n": np.arange(5000, dtype="i8") ** 5, "t": ["z"] * 5000})
    fits.BinTableHDU(table).writeto(path, checksum=True)
    content = path.read_bytes()
    last = content.rindex(b"z")
    changed = content[:last] + b"y" + content[last + 1 :]
    without_filling = content[: last + 1]  # of the last block, which is summed too
    for written, is_noted in ((content, False), (changed, True), (without_filling, False)):
        path.write_bytes(written)
        reader = opened(path)
        assert len(list(reader.batches(("n",)))) == 1
        assert ["DATASUM" in note for note in reader.notes] == [True] * is_noted


def test_what_stands_behind_the_last_unit_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes((DATA / "fitsio-nulls.fits").read_bytes() + b"junk")
    reader = opened(path)
    assert [note for note in reader.notes if "4 bytes passed over behind HDU 1" in note]
