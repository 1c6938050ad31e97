"""The VOTable reader: values and NULLs of each type, structure of documents, and what is refused with which words."""

from __future__ import annotations

import base64
import gzip
import struct
from pathlib import Path

import pyarrow as pa
import pytest
from support.answers import column, written
from support.votables import document, read_votable

from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.files import reader as readers
from qserv_py.ingest.files.votable import document as votable_document
from qserv_py.ingest.files.votable import elements as votable_elements
from qserv_py.ingest.files.votable import rows as votable_rows


def read(tmp_path: Path, text: str | bytes, **options: object):  # type: ignore[no-untyped-def]
    path = tmp_path / "a.vot"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_votable(path, **options)


def refused(tmp_path: Path, text: str | bytes, **options: object) -> str:
    with pytest.raises(ContributionError) as caught:
        read(tmp_path, text, **options)
    message = caught.value.render()
    assert str(tmp_path / "a.vot") in message
    return message.replace(str(tmp_path / "a.vot"), "FILE")


def cells(*texts: str) -> str:
    return "".join(f"<TR><TD>{text}</TD></TR>" for text in texts)


def one(tmp_path: Path, field: str, *texts: str):  # type: ignore[no-untyped-def]
    found = read(tmp_path, document(f'<FIELD name="x" {field}/>', cells(*texts)))
    return found.column("x"), {number: reason for (number, _), reason in found.rejected.items()}


RANGES = {"unsignedByte": (0, 255), "short": (-(2**15), 2**15 - 1)}
RANGES |= {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


@pytest.mark.parametrize("datatype", RANGES)
def test_whole_numbers_and_what_is_none(tmp_path: Path, datatype: str) -> None:
    least, most = RANGES[datatype]
    texts = [str(least), str(most), str(least - 1), str(most + 1), "", " 7\n", "+7", "007", "0x1f", "0X1F"]
    wrong = ["1.5", "1e2", "1_0", "٣", "0x", "0xg", "+0x1", "--1", "NaN", "true", "9" * 5000, "1 2"]
    values, reasons = one(tmp_path, f'datatype="{datatype}"', *texts, *wrong)
    assert values == [least, most, None, None, None, 7, 7, 7, 31, 31] + [None] * len(wrong)
    assert reasons == {3: f"outside {least} to {most}", 4: f"outside {least} to {most}"} | {
        11 + place: "not a whole number" for place in range(len(wrong))
    }


def test_a_hexadecimal_number_is_no_bit_pattern(tmp_path: Path) -> None:
    """Nothing says whether 0xFFFF of a short is -1, so it is neither -1 nor 65535 nor 32767."""
    assert one(tmp_path, 'datatype="short"', "0x7FFF", "0xFFFF") == ([32767, None], {2: "outside -32768 to 32767"})


@pytest.mark.parametrize(("datatype", "beyond"), [("float", "3.5e38"), ("double", "1e309")])
def test_real_numbers_and_what_is_none(tmp_path: Path, datatype: str, beyond: str) -> None:
    texts = ["1.5", "-1e3", "+2.", ".5", "1E-2", "", " 4\t", "Inf", "+Inf", "-Inf", "Infinity", "-INFINITY", "1e-400"]
    wrong = ["1,5", "0x1p3", "1d5", "nan(1)", "1 2", "null", "--", "1_0"]
    values, reasons = one(tmp_path, f'datatype="{datatype}"', *texts, beyond, f"-{beyond}", *wrong)
    inf = float("inf")
    expected = [1.5, -1000, 2, 0.5, pytest.approx(0.01), None, 4, inf, inf, -inf, inf, -inf, 0]
    assert values == expected + [None] * (2 + len(wrong))
    width = {"float": 4, "double": 8}[datatype]
    assert (
        reasons.pop(14)
        == reasons.pop(15)
        == f"outside the range of {'an 8' if width == 8 else 'a 4'}-byte floating point number"
    )
    assert reasons == {16 + place: "not a number" for place in range(len(wrong))}


def test_nan_is_nan_and_no_null(tmp_path: Path) -> None:
    values, reasons = one(tmp_path, 'datatype="double"', "NaN", "nan", "", "1")
    assert [value is not None and value != value for value in values] == [True, True, False, False]
    assert not reasons


def test_a_float_is_rounded_once(tmp_path: Path) -> None:
    """By way of a double this decimal would become the float beside it."""
    text = "1.00000017881393432617187499"
    assert one(tmp_path, 'datatype="float"', text)[0] == [struct.unpack(">f", bytes.fromhex("3f800001"))[0]]


def test_truth_values(tmp_path: Path) -> None:
    values, reasons = one(
        tmp_path, 'datatype="boolean"', "T", "t", "1", "tRUe", "F", "f", "0", "False", "?", " ", "", "2"
    )
    assert values == [True] * 4 + [False] * 4 + [None] * 4
    assert reasons == {12: "neither true nor false"}
    assert one(tmp_path, 'datatype="bit"', "1", " 0", "", "T") == ([True, False, None, None], {4: "neither 0 nor 1"})


def test_texts_stay_as_they_are(tmp_path: Path) -> None:
    texts = [" a ", "é λ 🔭", "a&amp;b&lt;&#233;&#x1F52D;&gt;&quot;&apos;", "", "two\nlines", "]] &gt;", "NULL"]
    for field in ('datatype="char" arraysize="*"', 'datatype="unicodeChar" arraysize="3*"', 'datatype="char"'):
        values, reasons = one(tmp_path, field, *texts)
        assert values == [" a ", "é λ 🔭", "a&b<é🔭>\"'", None, "two\nlines", "]] >", "NULL"]
        assert not reasons


@pytest.mark.parametrize(
    ("datatype", "null", "texts", "values"),
    [
        ("int", "-99", ["-99", " -99 ", "-099", "99", "0x63"], [None, None, None, 99, 99]),
        ("short", "-32769", ["-32769", "5"], [None, 5]),
        ("int", "--", ["--", "5"], [None, 5]),
        ("double", "-1", ["-1", "-1.0", "1"], [None, None, 1]),
        ("float", "9.9", ["9.90", "9.8"], [None, pytest.approx(9.8)]),
        ("char", "N/A", ["N/A", "NA"], [None, "NA"]),
        ("boolean", "-", ["-", "T"], [None, True]),
    ],
)
def test_null_marks(tmp_path: Path, datatype: str, null: str, texts: list[str], values: list[object]) -> None:
    field = f'<FIELD name="x" datatype="{datatype}"><VALUES null="{null}"/></FIELD>'
    found = read(tmp_path, document(field, cells(*texts)))
    assert (found.column("x"), found.rejected) == (values, {})
    referred = f'<FIELD name="y" datatype="int"><VALUES ID="v" null="{null}"/></FIELD><FIELD name="x" '
    referred += f'datatype="{datatype}"><VALUES ref="v"/></FIELD>'
    rows = "".join(f"<TR><TD/><TD>{text}</TD></TR>" for text in texts)
    assert read(tmp_path, document(referred, rows)).column("x") == values


ODD_ROWS = [
    "<TR><TD>1</TD><TD>a</TD></TR><TR><TD>2</TD><TD>b</TD></TR>",
    "<TR>\n  <TD>1</TD>\n\t<TD>a</TD>\n</TR>\r\n<TR> <TD>2</TD><TD>b</TD></TR>\n",
    '<TR ID="r"><TD>1</TD><TD ref="r">a</TD></TR><TR><TD>2</TD><TD>b</TD></TR>',
    "<TR><TD>1</TD><!-- </TR></TABLEDATA> --><TD>a</TD></TR><TR><TD>2</TD><TD>b</TD></TR>",
    "<TR><TD>1</TD><TD><![CDATA[a]]></TD></TR><TR><TD >2</TD><TD>b</TD ></TR>",
    "<TR><TD>1</TD><TD>a<?pi x?></TD></TR><TR><TD>2</TD><TD>b</TD></TR>",
    "<TR><TD>1</TD><TD>a</TD><other><TD>9</TD></other></TR><NOTE>x</NOTE><TR><TD>2</TD><TD>b</TD></TR>",
]
FIELDS = '<FIELD name="n" datatype="int"/><FIELD name="t" datatype="char" arraysize="*"/>'


@pytest.mark.parametrize("rows", ODD_ROWS)
@pytest.mark.parametrize("chunk", [1, 7, 50, 1 << 20])
def test_rows_however_they_are_written(tmp_path: Path, rows: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_document, "_CHUNK", chunk)
    after = '<TABLE><DATA/></TABLE><INFO name="x" value="y">&lt;TABLEDATA></INFO>'
    text = document(FIELDS, rows, after=after)
    for begin in ("<TABLEDATA>", "<TABLEDATA\n>", "<TABLEDATA a='>' b='TR>'>"):
        found = read(tmp_path, text.replace("<TABLEDATA>", begin, 1))
        assert found.rows() == [(1, "a"), (2, "b")]
        assert found.numbers == [1, 2]


def test_cells_that_are_too_few_or_too_many(tmp_path: Path) -> None:
    rows = "<TR><TD>1</TD></TR><TR><TD>2</TD><TD>b</TD></TR><TR/><TR></TR><TR><TD>3</TD><TD/><TD>c</TD></TR>"
    for text in (rows, rows.replace("<TR/>", "<TR></TR>"), f"<!-- -->{rows}"):
        found = read(tmp_path, document(FIELDS, text))
        assert (found.rows(), found.numbers) == ([(2, "b")], [2])
        assert [(row.number, row.reason, row.text) for row in found.malformed] == [
            (1, "the row has 1 cell, the table 2 columns", "1"),
            (3, "the row has 0 cells, the table 2 columns", ""),
            (4, "the row has 0 cells, the table 2 columns", ""),
            (5, "the row has 3 cells, the table 2 columns", "3, , c"),
        ]


def test_too_many_malformed_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept in memory, and a file of a stranger may hold nothing else."""
    monkeypatch.setattr(readers, "MOST_MALFORMED", 10)
    assert len(read(tmp_path, document(FIELDS, "<TR></TR>" * 10)).malformed) == 10
    for row in ("<TR></TR>", "<TR/>"):
        message = refused(tmp_path, document(FIELDS, row * 11))
        assert "FILE has more than 10 rows of another width than its columns" in message
        assert "row 11: the row has 0 cells, the table 2 columns" in message


def test_a_head_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands outside of rows is kept in memory, or looked at one by one."""
    monkeypatch.setattr(votable_elements, "_MOST_FIELDS", 10)
    fields = "".join(f'<FIELD name="f{n}" datatype="int"/>' for n in range(11))
    assert "FILE holds more than 10 FIELDs: line 1" in refused(tmp_path, document(fields, ""))
    monkeypatch.setattr(votable_elements, "_MOST_ELEMENTS", 20)
    assert len(read(tmp_path, document(FIELDS, ODD_ROWS[0] * 20)).numbers) == 40
    message = refused(tmp_path, document(FIELDS, "", after='<INFO name="a" value="b"/>' * 20))
    assert "FILE holds more than 20 elements beside its rows: line 1" in message


def test_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_rows, "ROWS_IN_BATCH", 10)
    monkeypatch.setattr(votable_document, "_CHUNK", 100)
    rows = "".join(f"<TR><TD>{n if n % 5 else 'x'}</TD><TD>t{n}</TD></TR>" if n % 7 else "<TR/>" for n in range(1, 101))
    found = read(tmp_path, document(FIELDS, rows))
    assert found.numbers == [n for n in range(1, 101) if n % 7]
    assert found.column("t") == [f"t{n}" for n in found.numbers]
    assert found.rejected == {(n, "n"): "not a whole number" for n in found.numbers if n % 5 == 0}
    assert [row.number for row in found.malformed] == list(range(7, 101, 7))


@pytest.mark.parametrize("encoding", ["utf-8", "utf8", "iso-8859-1", "utf-16", "us-ascii", "windows-1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    word = "ete" if encoding == "us-ascii" else "été"
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- ] -->'
    text = document(FIELDS, f"<TR><TD>1</TD><TD>{word}</TD></TR>", head=head)
    assert read(tmp_path, text.encode(encoding)).rows() == [(1, word)]


@pytest.mark.parametrize("compress", [gzip.compress])
def test_compressed_files(tmp_path: Path, compress) -> None:  # type: ignore[no-untyped-def]
    text = document(FIELDS, ODD_ROWS[0]).encode()
    assert read(tmp_path, compress(text)).rows() == [(1, "a"), (2, "b")]
    assert "cannot be read as votable" in refused(tmp_path, compress(text)[:-9])


NAMESPACES = [
    '<VOTABLE version="1.0">',
    '<VOTABLE version="1.1" xmlns="http://www.ivoa.net/xml/VOTable/v1.1">',
    '<?xml version="1.0"?>\n<!DOCTYPE VOTABLE SYSTEM "http://us-vo.org/xml/VOTable.dtd">\n<VOTABLE>',
    '<!DOCTYPE VOTABLE PUBLIC "-//x" "file:///etc/passwd" ><VOTABLE>',
    '<VOTABLE version="1.6" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">',
]


@pytest.mark.parametrize("start", NAMESPACES)
def test_versions(tmp_path: Path, start: str) -> None:
    text = document(FIELDS, ODD_ROWS[0]).replace('<VOTABLE version="1.4">', start)
    assert read(tmp_path, text).rows() == [(1, "a"), (2, "b")]


def test_prefixes(tmp_path: Path) -> None:
    text = document(FIELDS, ODD_ROWS[0]).replace("</", "</v:").replace("<", "<v:").replace("<v:/v:", "</v:")
    found = read(tmp_path, text.replace("<v:VOTABLE", '<v:VOTABLE xmlns:v="http://www.ivoa.net/xml/VOTable/v1.3"'))
    assert found.rows() == [(1, "a"), (2, "b")]


def test_what_stands_around_the_fields_is_passed_over(tmp_path: Path) -> None:
    around = """
      <DESCRIPTION>d</DESCRIPTION>
      <PARAM name="n" datatype="char" arraysize="31x9" value="abc"><VALUES null="1"/></PARAM>
      <GROUP ref="c"><FIELDref ref="n"/><PARAM name="p" datatype="float" arraysize="3x2*" value=""/>
        <GROUP><DESCRIPTION>no</DESCRIPTION></GROUP></GROUP><LINK href="http://x/"/><INFO name="a" value="b">c</INFO>
      <m:VODML xmlns:m="m"><m:TABLE><m:FIELD name="no"/></m:TABLE><TABLE><FIELD name="no"/></TABLE></m:VODML>"""
    found = read(tmp_path, document(f"{around}{FIELDS}{around}", ODD_ROWS[0], before=around, after=around))
    assert found.rows() == [(1, "a"), (2, "b")]


def test_what_is_said_of_columns(tmp_path: Path) -> None:
    fields = """
      <FIELD ID="a" name=" right  ascension " datatype="double" unit="deg" ucd="pos.eq.ra;meta.main" ref="c">
        <DESCRIPTION>Where\n   it is</DESCRIPTION><LINK href="x"/></FIELD>
      <FIELD ID="b" datatype="char" arraysize="*" xtype="timestamp" ref="t"/>
      <FIELD name="l" datatype="long" ref="g"/>"""
    systems = '<COOSYS ID="c" system="eq_FK5"/><COOSYS ID="g" system="galactic"/><TIMESYS ID="t" timescale="TT"/>'
    found = read(tmp_path, document(fields, "", before=systems))
    assert found.reader.names == ("right ascension", "b", "l")
    assert found.reader.described == {
        "right ascension": {
            "unit": "deg",
            "ucd": "pos.eq.ra;meta.main",
            "description": "Where it is",
            "datatype": "double",
            "frame": "FK5",
        },
        "b": {"datatype": "char", "xtype": "timestamp"},
        "l": {"datatype": "long", "frame": "GALACTIC"},
    }
    assert found.table.schema.types == [pa.float64(), pa.string(), pa.int64()]
    assert found.rows() == []


ARRAYS = [
    ("double", "2", "arrays (arraysize 2)"),
    ("double", "*", r"arrays (arraysize *)"),
    ("char", "4x10", "arrays of texts (arraysize 4x10)"),
    ("char", "4x*", r"arrays of texts (arraysize 4x*)"),
    ("floatComplex", "", "complex numbers"),
    ("bit", "8", "arrays (arraysize 8)"),
    ("bar", "", 'values of datatype "bar", which VOTable does not know'),
    ("", "", 'values of datatype "", which VOTable does not know'),
    ("int", "many", 'values of datatype "int" and arraysize "many", which VOTable does not know'),
]


@pytest.mark.parametrize(("datatype", "size", "what"), ARRAYS)
def test_columns_that_hold_no_single_values_matter_when_they_are_asked_for(
    tmp_path: Path, datatype: str, size: str, what: str
) -> None:
    fields = f'<FIELD name="n" datatype="int"/><FIELD name="x" datatype="{datatype}" arraysize="{size}"/>'
    text = document(fields, "<TR><TD>1</TD><TD>2 3</TD></TR>")
    found = read(tmp_path, text)
    assert (found.reader.names, found.rows()) == (("n", "x"), [(1,)])
    message = refused(tmp_path, text, names=["n", "x"])
    assert message.startswith(f'column "x" of FILE holds {what}, not single values')


@pytest.mark.parametrize("size", ["1", "1*", "1x1"])
def test_arrays_of_one_element_are_single(tmp_path: Path, size: str) -> None:
    assert one(tmp_path, f'datatype="int" arraysize="{size}"', "5", "") == ([5, None], {})
    assert one(tmp_path, f'datatype="char" arraysize="{size}"', "a", "") == (["a", None], {})


BYTES = '<FIELD name="v" datatype="unsignedByte" arraysize="*"/><FIELD name="f" datatype="unsignedByte" arraysize="2"/>'


def test_bytes_of_tabledata(tmp_path: Path) -> None:
    cells = ["0 255 0x41", "", "256", "1 x", "1.5", "7"], ["65 66", "1 2", "1", "", "0 0", "-1 0"]
    rows = "".join(f"<TR><TD>{first}</TD><TD>{second}</TD></TR>" for first, second in zip(*cells, strict=True))
    found = read(tmp_path, document(BYTES, rows))
    assert found.table.schema.types == [pa.binary(), pa.binary()]
    assert found.column("v") == [b"\0\xffA", None, None, None, None, b"\7"]
    assert found.column("f") == [b"AB", b"\1\2", None, None, b"\0\0", None]
    assert found.rejected == {
        (3, "v"): "outside 0 to 255",
        (4, "v"): "not whole numbers",
        (5, "v"): "not whole numbers",
        (3, "f"): "not 2 numbers",
        (6, "f"): "outside 0 to 255",
    }


def test_bytes_of_streams(tmp_path: Path) -> None:
    data = [b"\0\0\0\0\3\0\xffAAB", b"\x40\0\0\0\0\0\0", b"\x80\0\0\0\1zxy"]
    expected = [(b"\0\xffA", b"AB"), (b"", None), (None, b"xy")]
    assert read(tmp_path, stream(BYTES, b"".join(data), kind="BINARY2")).rows() == expected
    plain = [(b"\0\xffA", b"AB"), (b"", b"\0\0"), (b"z", b"xy")]
    assert read(tmp_path, stream(BYTES, b"".join(row[1:] for row in data))).rows() == plain


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td"])
def test_bytes_that_we_write(tmp_path: Path, name: str) -> None:
    values = [b"\0\xff", b"a", None, bytes(range(256))]
    text = written(name, [column("b", DataType.BINARY)], [[value] for value in values])
    found = read(tmp_path, text).column("b")
    assert [value or None for value in found] == values


SEVERAL = """<VOTABLE><RESOURCE><TABLE name="one" ID="t1"><FIELD name="a" datatype="int"/><DATA><TABLEDATA>
<TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE><RESOURCE><TABLE name="two" ID="t2" nrows="1"><FIELD name="b"
datatype="int"/><DATA><BINARY><STREAM encoding="base64">AAAAAg==</STREAM></BINARY></DATA></TABLE></RESOURCE>
<TABLE name="three" ref="t1"><DATA><TABLEDATA><TR><TD><![CDATA[3</TR></TABLEDATA>]]></TD></TR><TR><TD>33</TD></TR>
</TABLEDATA></DATA></TABLE><TABLE name="bare"><FIELD name="x" datatype="int"/></TABLE></RESOURCE></VOTABLE>"""


def test_several_tables(tmp_path: Path) -> None:
    assert refused(tmp_path, SEVERAL) == (
        'FILE holds 3 tables\nDETAIL: 1: "one"; 2: "two", 1 row; 3: "three"\nHINT: Choose one, such as --table-name two'
    )
    assert read(tmp_path, SEVERAL, table_name="T1").rows() == [(1,)]
    assert read(tmp_path, SEVERAL, hdu=2).rows() == [(2,)]
    found = read(tmp_path, SEVERAL, table_name="three")
    assert (found.reader.names, found.rows()) == (("a",), [(None,), (33,)])
    assert read(tmp_path, SEVERAL, table_name="bare").rows() == []
    assert 'FILE holds no table of --table-name "twos"' in refused(tmp_path, SEVERAL, table_name="twos")


def test_a_table_far_behind_the_rows_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_document, "_SURVEYED", 200)
    monkeypatch.setattr(votable_document, "_CHUNK", 100)
    assert "FILE holds 3 tables" in refused(tmp_path, SEVERAL)
    assert read(tmp_path, SEVERAL, table_name="one").rows() == [(1,)]


def status(value: str, text: str = "") -> str:
    return f'<INFO name="query_status" value="{value}">{text}</INFO>'


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_status_of_a_query(tmp_path: Path, place: str) -> None:
    where = {place: status("error", "out of\n time")}
    assert refused(tmp_path, document(FIELDS, ODD_ROWS[0], **where)) == (
        "FILE is the answer to a query that failed\nDETAIL: out of time\n"
        "HINT: Its rows, if there are any, are not all of the answer; ask again."
    )
    found = read(tmp_path, document(FIELDS, ODD_ROWS[0], **{place: status("OVERFLOW", "2 rows at most")}))
    assert found.rows() == [(1, "a"), (2, "b")]
    assert list(found.reader.notes) == ["the file holds only a part of its answer: 2 rows at most"]
    assert list(read(tmp_path, document(FIELDS, "", **{place: status("OK")})).reader.notes) == []


def test_an_error_far_behind_the_rows_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_document, "_CHUNK", 100)
    rows = ODD_ROWS[0] * 100
    assert "query that failed" in refused(tmp_path, document(FIELDS, rows, after=status("ERROR")))


def test_the_number_of_rows_is_held_against_what_is_said(tmp_path: Path) -> None:
    text = document(FIELDS, ODD_ROWS[0]).replace("<TABLE>", '<TABLE nrows="{}">')
    assert read(tmp_path, text.format(2)).rows() == [(1, "a"), (2, "b")]
    assert refused(tmp_path, text.format(3)).startswith("FILE has 3 rows, 2 could be read")
    for no_number in ("", "many", "-1", "9" * 5000):
        assert len(read(tmp_path, text.format(no_number)).numbers) == 2


WRONG = [
    ("", "FILE is not well-formed XML: line 1, column 1: no element found"),
    ("a,b\n1,2\n", "FILE is not well-formed XML: line 1, column 1: syntax error"),
    ("<html><body/></html>", 'FILE is XML, but no VOTable\nDETAIL: Its first element is "html"'),
    ("<VOTABLE/>", "FILE holds no table"),
    ('<VOTABLE><INFO ID="Error" value="no such place"/></VOTABLE>', "FILE holds no table\nDETAIL: no such place"),
    ('<VOTABLE><PARAM name="error" value="too large"/></VOTABLE>', "FILE holds no table\nDETAIL: too large"),
    ("<VOTABLE><RESOURCE><TABLE/></RESOURCE></VOTABLE>", "table 1 of FILE has no columns"),
    (
        '<VOTABLE><RESOURCE><TABLE nrows="9"/></RESOURCE></VOTABLE>',
        "table 1 of FILE has no DATA\nDETAIL: Its 9 rows are",
    ),
    (document('<FIELD datatype="int"/>', ""), "column 1 of FILE has neither a name nor an ID"),
    (document(FIELDS + FIELDS, ""), 'FILE names column "n" more than once\nDETAIL: columns 1 and 3 of 4'),
    (document(FIELDS, "<TR>\n<TD>1</TR>"), "FILE is not well-formed XML: line 2, column 8: mismatched tag"),
    (document(FIELDS, "<TR><TD>&nbsp;</TD></TR>"), "undefined entity"),
    (document(FIELDS, "<TR><TD>\x01</TD></TR>"), "invalid token"),
    (document(FIELDS, ODD_ROWS[0]).partition("</RESOURCE>")[0], "no element found"),
    (document(FIELDS, ODD_ROWS[0])[:200], "not well-formed XML"),
    (
        document(FIELDS, "").replace("</DATA>", "</DATA><DATA><TABLEDATA/></DATA>"),
        "rows of a TABLE in two pieces: line 1",
    ),
    (document(FIELDS, "").replace("</DATA>", f"</DATA>{FIELDS}"), "a FIELD behind the rows of its TABLE: line 1"),
    (document(FIELDS, "").replace("TABLEDATA", "PARQUET"), "FILE holds its rows as PARQUET, which is not read"),
    ('<?xml version="1.0" encoding="utf-7"?><VOTABLE/>', "FILE is in an encoding that cannot be read"),
    ('<?xml version="1.0" encoding="big5"?><VOTABLE/>', "FILE is in an encoding that cannot be read"),
    ('<?xml version="1.0" encoding="nonsense"?><VOTABLE/>', "FILE is in an encoding that cannot be read"),
    ('<!DOCTYPE v [<!ENTITY a "b">]><VOTABLE>&a;</VOTABLE>', "document type that declares something: line 1"),
    ('<!DOCTYPE VOTABLE SYSTEM "x"><VOTABLE a="&b;"/>', "undefined entity"),
    ("<VOTABLE>" + "<GROUP>" * 100000, "elements that are nested more than 256 deep: line 1"),
    (document(FIELDS, "<TR>" + "<TD>" * 100000), "elements that are nested more than 256 deep: line 1"),
    ('<VOTABLE a="' + "x" * (1 << 24), "a tag or a comment of more than 8388608 bytes: line 1"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


def test_what_is_refused_in_two_bytes_a_character(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE v []><VOTABLE/>'
    assert "document type" in refused(tmp_path, text.encode("utf-16"))
    assert "not well-formed" in refused(tmp_path, document(FIELDS, "<TR><TD>é</TD></TR>").encode("latin-1"))


def stream(fields: str, data: bytes | str, *, kind: str = "BINARY", attributes: str = 'encoding="base64"') -> str:
    text = data if isinstance(data, str) else base64.encodebytes(data).decode()
    inner = f"<{kind}><STREAM {attributes}>{text}</STREAM></{kind}>"
    return f"<VOTABLE><RESOURCE><TABLE>{fields}<DATA>{inner}</DATA></TABLE></RESOURCE></VOTABLE>"


def test_a_stream_of_each_type(tmp_path: Path) -> None:
    fields = "".join(
        f'<FIELD name="{datatype}{number}" datatype="{datatype}" {rest}/>'
        for number, (datatype, rest) in enumerate(
            [
                ("boolean", ""),
                ("bit", ""),
                ("unsignedByte", ""),
                ("short", ""),
                ("int", ""),
                ("long", ""),
                ("float", ""),
                ("double", ""),
                ("char", ""),
                ("char", 'arraysize="4"'),
                ("unicodeChar", 'arraysize="3"'),
                ("doubleComplex", ""),
                ("bit", 'arraysize="9"'),
                ("char", 'arraysize="*"'),
                ("unicodeChar", 'arraysize="9*"'),
                ("int", 'arraysize="1*"'),
                ("double", 'arraysize="*"'),
                ("bit", 'arraysize="*"'),
                ("short", ""),
            ]
        )
    )

    def row(truth: bytes, bit: int, least: bool, text: bytes, wide: str, one: list[int]) -> bytes:
        sizes = [-(2**bits) if least else 2**bits - 1 for bits in (15, 31, 63)]
        numbers = struct.pack(">Bhiqfdc", 255, *sizes, 1.5, -2.5, b"c")
        fixed = text[:4].ljust(4, b"\0") + wide.encode("utf-16-be")[:6].ljust(6, b"\0")
        wide_bytes = wide.encode("utf-16-be")
        varying = struct.pack(">i", len(text)) + text + struct.pack(">i", len(wide_bytes) // 2) + wide_bytes
        arrays = (
            struct.pack(f">i{len(one)}i", len(one), *one) + struct.pack(">i2d", 2, 1, 2) + struct.pack(">iH", 10, 0)
        )
        return truth + bytes([bit]) + numbers + fixed + bytes(16 + 2) + varying + arrays + struct.pack(">h", 7)

    data = row(b"T", 0x80, True, b"abcdef", "λ🔭x", [5]) + row(b"f", 0, False, b"", "", [])
    data += row(b"?", 8, True, "é\0zz".encode(), "a\0b", [1, 2]) + row(b"x", 2, True, b"\xff", "b", [3])
    found = read(tmp_path, stream(fields, data))
    assert found.rows() == [
        (True, True, 255, -(2**15), -(2**31), -(2**63), 1.5, -2.5, "c", "abcd", "λ🔭", "abcdef", "λ🔭x", 5, 7),
        (False, False, 255, 2**15 - 1, 2**31 - 1, 2**63 - 1, 1.5, -2.5, "c", "", "", "", "", None, 7),
        (None, True, 255, -(2**15), -(2**31), -(2**63), 1.5, -2.5, "c", "é", "a", "é", "a", None, 7),
        (None, None, 255, -(2**15), -(2**31), -(2**63), 1.5, -2.5, "c", None, "b", None, "b", 3, 7),
    ]
    assert found.rejected == {
        (3, "int15"): "an array of several values",
        (4, "boolean0"): "neither true nor false",
        (4, "bit1"): "neither 0 nor 1",
        (4, "char9"): "not a text in UTF-8",
        (4, "char13"): "not a text in UTF-8",
    }
    assert read(tmp_path, stream(fields, data), encoding="latin-1").column("char13")[3] == "ÿ"


THREE = f'{FIELDS}<FIELD name="x" datatype="double"/>'


def three(n: int, text: str, x: float, *, null: int | None = None) -> bytes:
    flags = b"" if null is None else bytes([null])
    return flags + struct.pack(f">ii{len(text)}sd", n, len(text), text.encode(), x)


def test_the_null_bits_of_binary2(tmp_path: Path) -> None:
    data = b"".join(three(5, "text", 2.5, null=null << 5) for null in range(8))
    values = [(5, "text", 2.5), (5, "text", None), (5, None, 2.5), (5, None, None)]
    values += [(None, *row[1:]) for row in values]
    assert read(tmp_path, stream(THREE, data, kind="BINARY2")).rows() == values
    nine = "".join(f'<FIELD name="b{n}" datatype="boolean"><VALUES null="T"/></FIELD>' for n in range(9))
    data = b"\x80\x80" + b"TFTFTFTFT" + b"\x01\x00" + b"xFTFTFTxT"
    found = read(tmp_path, stream(nine, data, kind="BINARY2"))
    assert found.rows() == [
        (None, False, True, False, True, False, True, False, None),
        (None, False, True, False, True, False, True, None, True),
    ]
    assert found.rejected == {(2, "b0"): "neither true nor false"}, "a value that is NULL by its bit is not looked at"


def test_null_marks_in_a_stream(tmp_path: Path) -> None:
    fields = "".join(
        f'<FIELD name="{datatype}" datatype="{datatype}"><VALUES null="{null}"/></FIELD>'
        for datatype, null in [
            ("short", "-1"),
            ("double", "9.5"),
            ("float", "0.1"),
            ("char", "N"),
            ("long", str(2**63)),
        ]
    )
    rows = [struct.pack(">hdfcq", -1, 9.5, 0.1, b"N", -1), struct.pack(">hdfcq", 1, 9.25, 0.2, b"M", -(2**63))]
    found = read(tmp_path, stream(fields, b"".join(rows))).rows()
    assert found == [(None, None, None, None, -1), (1, 9.25, pytest.approx(0.2), "M", -(2**63))]


@pytest.mark.parametrize("chunk", [1, 5, 1000])
@pytest.mark.parametrize("attributes", ['encoding="base64"', "", 'encoding="gzip"'])
def test_streams_in_small_pieces(tmp_path: Path, chunk: int, attributes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_document, "_CHUNK", chunk)
    monkeypatch.setattr(votable_rows, "_STREAM_BYTES_IN_BATCH", 16)
    monkeypatch.setattr(votable_rows, "ROWS_IN_BATCH", 3)
    data = b"".join(three(n, "y" * (n % 40), n / 2) for n in range(50))
    if "gzip" in attributes:
        data = gzip.compress(data[:100]) + gzip.compress(data[100:])
    found = read(tmp_path, stream(THREE, data, attributes=attributes))
    assert found.rows() == [(n, "y" * (n % 40), n / 2) for n in range(50)]
    assert found.numbers == list(range(1, 51))


ROW = three(1, "ab", 2.5)
DAMAGED = [
    (stream(THREE, ROW + ROW[:-1]), "the STREAM of FILE ends in the middle of row 2\nDETAIL: It leaves 17 bytes,"),
    (stream(THREE, ROW + b"\0"), "the STREAM of FILE ends in the middle of row 2\nDETAIL: It leaves 1 byte,"),
    (stream(THREE, three(1, "", 0)[:4] + b"\xff" * 12), "row 1 of FILE has a value of -1 items"),
    (stream(THREE, three(1, "", 0)[:4] + b"\x7f" * 12), "row 1 of FILE has a value of 2139062143 items"),
    (stream(THREE, "AAAA!AAA"), "the STREAM of FILE is no base64"),
    (stream(THREE, "AAAAé"), "the STREAM of FILE is no base64"),
    (stream(THREE, "AAAAA"), "the STREAM of FILE is no base64\nDETAIL: It leaves 1 character at"),
    (stream(THREE, "AA==" + "AAAA" * 10), "the STREAM of FILE is no base64"),
    (stream(THREE, ROW, attributes='encoding="gzip"'), "the STREAM of FILE is not compressed as it says"),
    (stream(THREE, gzip.compress(ROW)[:-5], attributes='encoding="gzip"'), "the STREAM of FILE ends too early"),
    (stream(THREE, ROW, attributes='encoding="rot13"'), 'FILE has a STREAM in the encoding "rot13", which is not read'),
    (stream(THREE, "", attributes='href="file:///etc/passwd"'), 'the rows of FILE lie elsewhere: "file:///etc/passwd"'),
    (stream(THREE, b"", kind="FITS"), "FILE holds its rows as FITS, which is not read"),
    (stream(THREE.replace("double", "bar"), ROW), 'column "x" of FILE holds values of datatype "bar"'),
    (stream('<FIELD name="x" datatype="char" arraysize="0"/>', b"a"), "rows of FILE have 0 bytes"),
    (
        stream(THREE + '<FIELD name="y" datatype="int" arraysize="9999999999"/>', ROW),
        "rows of FILE have 40000000012 bytes",
    ),
    (stream(THREE, ROW).replace("</STREAM>", ""), "not well-formed XML"),
    (stream(THREE, ROW).replace("</BINARY>", "<STREAM/></BINARY>"), "FILE holds the rows of a TABLE in two pieces"),
]


@pytest.mark.parametrize(("text", "message"), DAMAGED, ids=[message[:50] for _, message in DAMAGED])
@pytest.mark.parametrize("chunk", [3, 1 << 20])
def test_damaged_streams(tmp_path: Path, text: str, message: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votable_document, "_CHUNK", chunk)
    assert message in refused(tmp_path, text, names=["n", "t", "x"] if text.count("FIELD") > 2 else ["x"])


def test_streams_without_rows(tmp_path: Path) -> None:
    assert read(tmp_path, stream(THREE, b"")).rows() == []
    assert read(tmp_path, stream(THREE, "", attributes="")).table.schema.types == [
        pa.int32(),
        pa.string(),
        pa.float64(),
    ]


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    for text in (document(FIELDS, ODD_ROWS[0], after=status("OK")), stream(THREE, ROW)):
        for end in range(0, len(text), 7):
            assert "cannot be read as" not in refused(tmp_path, text[:end]), "that is what only a library says"
