"""The tree of errors: codes, the rendered text, pickling."""

from __future__ import annotations

import inspect
import pickle
import traceback

import pytest

from qserv_py import errors
from qserv_py.errors import AdqlError, QservError, UnknownColumnError, WorkerUnavailableError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, QservError)]


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_they_survive_pickle(kind: type[QservError]) -> None:
    error = kind("12 rows", detail="why", hint="what now")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.detail, again.hint, again.render()) == ("12 rows", "why", "what now", error.render())
    assert str(again) == again.render()


def test_a_place_survives_pickle() -> None:
    error = UnknownColumnError("no such column", text="SELECT x\nFROM y", offset=14)
    assert pickle.loads(pickle.dumps(error)).render() == error.render()


def test_only_a_lost_worker_is_retryable() -> None:
    assert [kind for kind in KINDS if kind.retryable] == [WorkerUnavailableError]


def test_a_traceback_shows_the_place_and_the_hint() -> None:
    error = UnknownColumnError("no such column", text="SELECT x\nFROM y", offset=14, hint="try z")
    assert traceback.format_exception_only(error) == [
        "qserv_py.errors.UnknownColumnError: ADQL line 2, column 6: no such column\n  FROM y\n       ^\nHINT: try z\n"
    ]
    assert error.message == "no such column"


def test_render() -> None:
    assert QservError("12 rows").render() == "12 rows"
    assert QservError("12 rows", detail="why", hint="now").render() == "12 rows\nDETAIL: why\nHINT: now"


@pytest.mark.parametrize(
    ("text", "offset", "line", "column", "shown"),
    [
        ("SELECT x", 7, 1, 8, ["  SELECT x", "         ^"]),
        ("SELECT\n  x\n", 9, 2, 3, ["    x", "    ^"]),
        ("SELECT\r\nx", 8, 2, 1, ["  x", "  ^"]),
        ("SELECT\n", 7, 2, 1, ["  ", "  ^"]),
        ("", 0, 1, 1, ["  ", "  ^"]),
        ("SELECT\tx", 7, 1, 8, ["  SELECT x", "         ^"]),
    ],
)
def test_the_caret(text: str, offset: int, line: int, column: int, shown: list[str]) -> None:
    error = AdqlError("wrong", text=text, offset=offset)
    assert (error.line, error.column) == (line, column)
    assert error.render().split("\n") == [f"ADQL line {line}, column {column}: wrong", *shown]


def test_a_long_message_loses_its_middle() -> None:
    error = AdqlError(f'"{"x" * 1_000_000}" is not a table')
    assert error.message == f'"{"x" * 299} ... {"x" * 284}" is not a table'
    assert len(AdqlError("x" * 600).message) == 600


def test_no_place() -> None:
    error = AdqlError("wrong", text="SELECT", hint="now")
    assert (error.line, error.column) == (None, None)
    assert error.render() == "wrong\nHINT: now"


@pytest.mark.parametrize("offset", range(0, 600, 37))
def test_a_long_line_shows_the_place(offset: int) -> None:
    text = "".join(chr(ord("a") + index % 26) for index in range(600))
    _, shown, caret = AdqlError("wrong", text=text, offset=offset).render().split("\n")
    assert len(shown) <= 102
    assert shown[caret.index("^")] == text[offset]
