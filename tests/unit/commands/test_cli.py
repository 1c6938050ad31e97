"""The command line itself: quick to say what it can do, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from support.schemas import write_schema

from qserv_py import errors
from qserv_py.cli import main
from qserv_py.cli.rows import print_rows

HEAVY = ("astropy", "pyarrow", "sqlglot", "duckdb", "psycopg", "numpy", "felis", "rich", "yaml", "mocpy", "cdshealpix")


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from qserv_py.cli.main import run; code = run(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    for name in main.COMMANDS:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize(
    "name", [name for name in main.COMMANDS if name in {"cluster", "schema", "list", "grant", "revoke", "token"}]
)
def test_each_command_is_where_the_table_says(name: str) -> None:
    context = click.Context(main.cli)
    command = main.cli.get_command(context, name)
    assert command is not None
    assert command.name == name


CODES = [
    (errors.NotFoundError("no such thing"), 3),
    (errors.UnknownTableError("no such table"), 3),
    (errors.ConfigError("no cluster"), 2),
    (errors.AuthenticationError("who?"), 4),
    (errors.LimitError("too much"), 5),
    (errors.QueryCancelledError("cancelled"), 8),
    (errors.ClusterError("down"), 1),
    (errors.InternalError("ours"), 1),
    (KeyError("x"), 1),
    (KeyboardInterrupt(), 130),
    (click.UsageError("wrong"), 2),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
def test_errors_become_texts_and_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(main.cli, "main", _raiser(error))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("QSERV_DEBUG", raising=False)
    assert main.run([]) == code
    text = capsys.readouterr().err
    assert text
    assert "Traceback" not in text


def test_a_defect_is_one_line_and_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(main.cli, "main", _raiser(ZeroDivisionError("division by zero")))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("QSERV_DEBUG", raising=False)
    assert main.run([]) == 1
    text = capsys.readouterr().err
    assert text.startswith("INTERNAL ERROR: ZeroDivisionError: division by zero\nHINT: This is a defect of qserv_py")
    log = tmp_path / "qserv" / "error.log"
    assert str(log) in text
    assert "Traceback" in log.read_text()
    monkeypatch.setenv("QSERV_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main.run([])


def _raiser(error: BaseException) -> Callable[..., None]:
    def fail(*_args: object, **_named: object) -> None:
        raise error

    return fail


def test_detail_and_hint_are_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.ClusterError("it is down", detail="It was stopped.", hint="Start it.")
    monkeypatch.setattr(main.cli, "main", _raiser(error))
    main.run([])
    assert capsys.readouterr().err == "ERROR: it is down\nDETAIL: It was stopped.\nHINT: Start it.\n"


def test_an_unknown_command_names_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lst"]) == 2
    assert 'There is no command "lst". Did you mean "list"?' in capsys.readouterr().err


def test_a_command_needs_a_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("QSERV_CLUSTER", raising=False)
    assert main.run(["list", "tables"]) == 2
    assert "ERROR: no cluster was named\nHINT: Give --cluster DIR or set QSERV_CLUSTER" in capsys.readouterr().err


WAYS = [
    ["--cluster", "{}", "list", "tables"],
    ["list", "tables", "--cluster", "{}"],
    ["cluster", "stop", "{}"],
    ["cluster", "status", "--cluster", "{}"],
    ["--cluster", "{}", "cluster", "start"],
]


@pytest.mark.parametrize("arguments", WAYS)
def test_the_cluster_may_be_named_in_several_places(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([argument.format(tmp_path) for argument in arguments]) == 3
    assert f"ERROR: there is no cluster in {tmp_path}" in capsys.readouterr().err


def test_validate_lists_problems_and_returns_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    felis, partition = write_schema(tmp_path)
    assert main.run(["schema", "validate", str(felis), "--partition", str(partition)]) == 0
    assert "are valid" in capsys.readouterr().err
    felis.write_text(felis.read_text().replace("nJy", "nJoy"))
    assert main.run(["schema", "validate", str(felis)]) == 7
    said = capsys.readouterr()
    assert 'Invalid unit "nJoy": At col 0, nJoy is not a valid unit. Did you mean nJy?' in said.out
    assert "1 problem found." in said.err
    assert main.run(["-q", "schema", "validate", str(felis)]) == 7
    assert capsys.readouterr().err == ""


NAMES = ("name", "rows", "kind")
ROWS = [("Object", 1234567, None), ('a,"b', 5, "ref")]


def test_rows_are_printed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, ROWS, "table")
    assert capsys.readouterr().out == 'name         rows  kind\nObject  1,234,567\na,"b            5  ref\n'


def test_rows_are_printed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(NAMES, ROWS, "csv")
    assert capsys.readouterr().out == 'name,rows,kind\nObject,1234567,\n"a,""b",5,ref\n'
    print_rows(NAMES, ROWS, "json")
    expected = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    assert json.loads(capsys.readouterr().out) == expected
