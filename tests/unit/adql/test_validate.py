"""Queries checked without answering them, one by one and as a collection; and how the command tells what it found."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from support.catalogs import catalog

from qserv_py import errors
from qserv_py.adql.parse import Mode
from qserv_py.adql.validate import MAX_LINE, check_collection, find_problem
from qserv_py.cli.main import run
from qserv_py.cli.queries.validate_command import MODES

LIMIT = "SELECT objectId FROM Object LIMIT 5"


def checked(collection: bytes, *, mode: Mode = Mode.LENIENT) -> list[dict[str, object]]:
    verdicts = check_collection(io.BytesIO(collection), mode=mode, catalog=catalog())
    return [json.loads(verdict.as_json()) for verdict in verdicts]


def error_of(line: bytes) -> tuple[object, str, str]:
    (record,) = checked(line)
    error = record["error"]
    assert record["ok"] is False
    assert isinstance(error, dict)
    return record["id"], error["code"], error["message"]


def test_the_modes_are_those_of_the_parser() -> None:
    assert set(MODES) == {mode.value for mode in Mode}


def test_names_are_looked_up_only_in_a_catalogue() -> None:
    assert find_problem("SELECT nothing FROM Nowhere") is None
    assert isinstance(find_problem("SELECT nothing FROM Nowhere", catalog=catalog()), errors.UnknownTableError)
    assert find_problem("SELECT objectId FROM Object", catalog=catalog()) is None


def test_a_mode_decides_what_is_adql() -> None:
    assert find_problem(LIMIT, mode=Mode.LENIENT, catalog=catalog()) is None
    assert isinstance(find_problem(LIMIT, mode=Mode.STRICT, catalog=catalog()), errors.AdqlSyntaxError)


UDFS = "SELECT ivo_new(a), Cds_one(a, 'x'), other(1) FROM t"


@pytest.mark.parametrize(
    ("named", "unknown"),
    [([], "Cds_one"), (["cds_one"], "other"), (["CDS_*"], "other"), (["c*", "OTHER"], ""), (["cds"], "Cds_one")],
)
def test_functions_of_others_are_named(named: list[str], unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [word for name in named for word in ("--udf", name)]
    code = run(["validate", "--mode", "strict", "--syntax-only", *options, UDFS])
    shown = capsys.readouterr()
    assert code == (7 if unknown else 0)
    assert (f'function "{unknown.lower()}" is neither' in shown.out.lower()) is bool(unknown)


def test_where_names_are_looked_up_functions_are_those_of_the_service() -> None:
    error = find_problem("SELECT ivo_new(objectId) FROM Object", mode=Mode.STRICT, catalog=catalog())
    assert isinstance(error, errors.UnknownFunctionError)
    for mode in Mode:
        error = find_problem("SELECT o.objectId FROM Object o LEFT JOIN Visit v", mode=mode, catalog=catalog())
        assert error is not None
        assert error.message == "LEFT JOIN needs ON, USING or NATURAL"
        for joined in ("USING (objectId)", "ON o.objectId = s.objectId"):
            error = find_problem(f"SELECT flux FROM Object o NATURAL JOIN Source s {joined}", catalog=catalog())
            assert error is not None
            assert (
                error.message == f"{joined[: joined.index(' ')]} belongs to no JOIN, or to one that is NATURAL or CROSS"
            )
            tables = "Visit v JOIN Object o NATURAL JOIN Source s"
            error = find_problem(f"SELECT flux FROM {tables} {joined}", catalog=catalog())
            assert error is not None
            assert error.message == "NATURAL JOIN has neither ON nor USING"


def test_a_limit_is_a_problem_without_a_place() -> None:
    query = "SELECT a FROM t WHERE " + " AND ".join(["a = 1"] * 9000)
    (record,) = checked(json.dumps({"id": "long", "adql": query}).encode())
    error = record["error"]
    assert isinstance(error, dict)
    assert (error["code"], error["line"], error["column"]) == ("limit", None, None)
    assert error["message"].startswith("the query has ")
    assert error["hint"].startswith("Write a list of values with IN")


def test_a_collection() -> None:
    lines = [
        {"id": "right", "adql": "SELECT objectId FROM Object"},
        {"id": 2, "adql": "SELECT objectId,\n  nothing FROM Object"},
        {"id": 3.5, "adql": "SELECT objectId FROM", "remark": "further keys are not looked at"},
        {"id": "é", "adql": "SELECT 'é' FROM Object"},
    ]
    records = checked("\n\n".join(json.dumps(line) for line in lines).encode())
    assert records == [
        {"id": "right", "ok": True},
        {
            "id": 2,
            "ok": False,
            "error": {
                "code": "unknown_column",
                "line": 2,
                "column": 3,
                "message": '"Object" has no column "nothing"',
                "hint": "DESCRIBE dr1.Object lists its columns, as TAP_SCHEMA.columns does.",
            },
        },
        {
            "id": 3.5,
            "ok": False,
            "error": {
                "code": "adql_syntax",
                "line": 1,
                "column": 21,
                "message": "expected a table, found the end",
                "hint": "Write the name of a table, or (SELECT ...) AS t.",
            },
        },
        {"id": "é", "ok": True},
    ]


@pytest.mark.parametrize(
    ("line", "identifier", "message"),
    [
        (b'{"id": 1', None, "line 1, column 9 is not JSON: expecting ',' delimiter"),
        (b"SELECT 1", None, "line 1, column 1 is not JSON: expecting value"),
        (b'{"id": NaN, "adql": "x"}', None, "line 1 is not JSON: NaN is no number of JSON"),
        (b'{"id": 1, "adql": "\xff"}', None, "line 1 is not UTF-8: byte 20"),
        (b"[" * 100_000, None, "line 1 is nested too deeply"),
        (b"[1, 2]", None, "line 1 is not a JSON object"),
        (b'{"adql": "SELECT 1"}', None, 'line 1 has no "id" that is a text or a number'),
        (b'{"id": [1], "adql": "x"}', None, 'line 1 has no "id" that is a text or a number'),
        (b'{"id": true, "adql": "x"}', None, 'line 1 has no "id" that is a text or a number'),
        (b'{"id": 1e999, "adql": "x"}', None, 'line 1 has no "id" that is a text or a number'),
        (b'{"id": ' + b"9" * 5000 + b', "adql": "x"}', None, 'line 1 has no "id" that is a text or a number'),
        (b'{"id": 7, "id": 8, "adql": "x"}', None, 'line 1 is not JSON: "id" stands twice'),
        (b'{"id": 7, "adql": "x", "adql": "y"}', None, 'line 1 is not JSON: "adql" stands twice'),
        (b'{"id": "\\ud800", "adql": "x"}', None, 'line 1 has an "id" with half a character'),
        (b"\x00\x00", None, "line 1, column 1 is not JSON: expecting value"),
        (b'{"id": 7}', 7, 'line 1 has no "adql" that is a text'),
        (b'{"id": 7, "adql": null}', 7, 'line 1 has no "adql" that is a text'),
        (b'{"id": 7, "adql": "' + b"x" * MAX_LINE + b'"}', None, "line 1 has more than 8000000 bytes"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_line_that_is_no_statement(line: bytes, identifier: object, message: str) -> None:
    assert error_of(line) == (identifier, "bad_statement", message)


def test_a_bad_line_is_a_problem_of_that_line_alone() -> None:
    right = b'{"id": 1, "adql": "SELECT objectId FROM Object"}'
    collection = b"\n".join([right, b"{", b"", b"x" * (MAX_LINE + 5), right.replace(b"1", b"2", 1)])
    records = checked(collection)
    assert [record["id"] for record in records] == [1, None, None, 2]
    assert [record["ok"] for record in records] == [True, False, False, True]
    messages = [record["error"]["message"] for record in records if not record["ok"]]  # type: ignore[index]
    assert messages[0].startswith("line 2, column 2 is not JSON")
    assert messages[1] == f"line 4 has more than {MAX_LINE} bytes"


def test_a_byte_order_mark_and_windows_line_ends() -> None:
    line = b'{"id": 1, "adql": "SELECT objectId FROM Object"}\r\n'
    assert [
        record["ok"] for record in checked(b"\xef\xbb\xbf" + line + b"\xef\xbb\xbf" + line.replace(b"1", b"2"))
    ] == [True, True]


@pytest.mark.parametrize("literal", ["SELECT \\ud800 FROM Object", "SELECT 'a\\udfffb' FROM Object"])
def test_a_surrogate_without_its_half(literal: str) -> None:
    (record,) = checked(b'{"id": 1, "adql": "' + literal.encode() + b'"}')
    error = record["error"]
    assert isinstance(error, dict)
    assert error["message"].startswith("the text holds half a character, the surrogate U+D")
    assert error["column"] == literal.index("\\") + 1


def test_an_id_that_stands_twice() -> None:
    right = b'{"id": "a", "adql": "SELECT objectId FROM Object"}'
    records = checked(b"\n".join([right, b"", right, right.replace(b'"a"', b"1"), right.replace(b'"a"', b"1.0")]))
    assert [record["ok"] for record in records] == [True, False, True, False]
    assert [record["error"]["message"] for record in records if not record["ok"]] == [  # type: ignore[index]
        "line 3 has the id of line 1",
        "line 5 has the id of line 4",
    ]


def test_a_defect_does_not_end_a_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str, **_: object) -> None:
        if "broken" in text:
            raise ZeroDivisionError

    monkeypatch.setattr("qserv_py.adql.validate.find_problem", broken)
    records = checked(b'{"id": 1, "adql": "broken"}\n{"id": 2, "adql": "right"}')
    assert [record["ok"] for record in records] == [False, True]
    assert records[0]["error"]["code"] == "internal_error"  # type: ignore[index]


def test_further_keys_are_not_looked_at() -> None:
    line = b'{"id": 1, "adql": "SELECT objectId FROM Object", "more": ' + b"1" * 6000 + b"}"
    assert [record["ok"] for record in checked(line)] == [True]


# the command


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QSERV_CLUSTER", raising=False)


@pytest.mark.usefixtures("no_cluster")
def test_one_query(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--syntax-only", LIMIT]) == 0
    assert capsys.readouterr() == ("", "The query is valid.\n")
    assert run(["validate", "--syntax-only", "--mode", "strict", LIMIT]) == 7
    shown = capsys.readouterr()
    assert shown.err == "1 problem found.\n"
    assert shown.out.splitlines() == [
        "ADQL line 1, column 29: LIMIT is not ADQL 2.1",
        f"  {LIMIT}",
        "                              ^",
        "HINT: Write TOP n after SELECT; lenient mode takes LIMIT n.",
    ]


@pytest.mark.usefixtures("no_cluster")
def test_a_file_and_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "q.adql").write_text("SELECT a\nFROM t\nWHERE")
    assert run(["validate", "--syntax-only", "-f", str(tmp_path / "q.adql")]) == 7
    assert "ADQL line 3, column 6: expected an expression, found the end" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"SELECT a FROM t")))
    assert run(["-q", "validate", "--syntax-only", "-"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("no_cluster")
def test_a_collection_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = b'{"id": "a", "adql": "SELECT a FROM t"}\n{"id": "b", "adql": "SELECT a FROM t LIMIT 3"}\n'
    (tmp_path / "q.jsonl").write_bytes(lines)
    assert run(["validate", "--syntax-only", "--jsonl", str(tmp_path / "q.jsonl")]) == 0
    shown = capsys.readouterr()
    assert shown.err == "2 statements, none with problems.\n"
    assert [json.loads(line)["ok"] for line in shown.out.splitlines()] == [True, True]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert run(["validate", "--syntax-only", "--mode", "strict", "--jsonl", "-"]) == 7
    shown = capsys.readouterr()
    assert shown.err == "2 statements, 1 with problems.\n"
    assert [json.loads(line)["ok"] for line in shown.out.splitlines()] == [True, False]


@pytest.mark.usefixtures("no_cluster")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give the query as an argument, or -f FILE, or - for standard input, or --jsonl FILE."),
        (["SELECT 1 FROM t", "--jsonl", "x"], "Give a query or --jsonl FILE, not both."),
        (["--syntax-only", "--jsonl", "nowhere.jsonl"], "nowhere.jsonl cannot be read: No such file or directory"),
        (["--syntax-only", "--jsonl", "."], ". cannot be read: Is a directory"),
        (["SELECT 1 FROM t"], "no cluster was named"),
        (["--udf", "f", "SELECT 1 FROM t"], "--udf goes with --syntax-only"),
        (["--syntax-only", "--udf", "a-b", "SELECT 1 FROM t"], '"a-b" is no name of a function'),
        (["--mode", "loose", "SELECT 1 FROM t"], "'loose' is not one of 'lenient', 'strict'"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", *arguments]) == 2
    assert message in capsys.readouterr().err
