"""The reference page of the commands says what the commands are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from qserv_py.cli import errors
from qserv_py.cli.main import COMMANDS, cli

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "commands.md"


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands(cli))


def section(title: str) -> str:
    return PAGE.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (.+?) \|(?! *-)", text.replace("\\|", "/"), re.MULTILINE)


def test_every_command_is_listed() -> None:
    head = PAGE.read_text().split("\n## ", 1)[0]
    listed = [re.match(r"`qserv((?: [a-z]+(?:-[a-z]+)*)+)", cell) for cell in first_cells(head)]
    assert {tuple(match[1].split()) for match in listed if match} == set(ALL)
    assert {path[0] for path in ALL} == set(COMMANDS)


@pytest.mark.parametrize(
    "path",
    [
        ("query",),
        ("serve",),
        ("validate",),
        ("ingest", "run"),
        ("ingest", "butler"),
        ("demo",),
        ("pipeline", "init"),
        ("grant",),
        ("token", "create"),
        ("sim", "survey"),
        ("pipeline", "submit"),
    ],
    ids=" ".join,
)
def test_every_option_is_listed(path: tuple[str, ...]) -> None:
    described = set(
        re.findall(r"`(--?[a-z-]+)", " ".join(first_cells(section(f"Options of `qserv {' '.join(path)}`"))))
    )
    options = [parameter for parameter in ALL[path].params if isinstance(parameter, click.Option)]
    known = {option for parameter in options for option in parameter.opts}
    assert described <= known
    for parameter in options:
        if parameter.name not in {"cluster_dir", "file", "database", "table"}:
            assert described & set(parameter.opts), f"{parameter.opts} is not described"


def test_every_exit_code_is_listed() -> None:
    listed = {int(cell) for cell in first_cells(section("Exit codes")) if cell.isdigit()}
    used = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert used <= listed
    assert used, "cli.errors has its exit codes under other names"
