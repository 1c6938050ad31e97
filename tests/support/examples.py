"""Run the examples of a Markdown page as a reader would type them, and compare what comes out.

Three kinds of fenced block are examples:

* ``console``: lines after ``$ `` are commands (the lines after an open quote or a trailing backslash belong to it, with
  or without the ``> `` that a shell shows there), the lines below are the output expected. ``...`` stands for anything,
  on its own line for any number of lines. Runs of blanks count as one, frames of tables do not count.
* ``python``: run as a script of its own. A ``text`` block straight after it is the output expected.
* any block after ``<!-- file: NAME -->`` is written to that file.

A comment straight before a block says more: ``<!-- example: exit 3 -->`` expects that exit code,
``<!-- example: skip, REASON -->`` leaves the block out. All blocks of a page share one directory and one environment.

A page names the ports of its services as a reader may type them; here each becomes one that is free, so that two runs
of the tests on one machine do not meet.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.warm.programs import ADDRESS, WarmPrograms

from qserv_py.workers.server_address import free_port
from qserv_py.workers.server_programs import wheel_bin_dir

FENCE = re.compile(
    r"(?:^<!--[ ]*(?P<comment>(?:example|file):[^\n]*?)[ ]*-->\n+)?^```(?P<kind>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=--port )\d+")
FRAME = str.maketrans("", "", "┏━┳┓┃┡╇┩│└─┴┘├┼┤┌┬┐╭╮╰╯|")
IN_THE_BACKGROUND = re.compile(r"\s&(?:\s|$)")
COMMAND_TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True)
class Example:
    """One fenced block of a page."""

    line: int
    kind: str
    body: str
    comment: str = ""

    @property
    def skipped(self) -> bool:
        """Whether the page says that the block is not run."""
        return self.comment.startswith("example: skip")

    @property
    def exit_code(self) -> int:
        """Exit code that the block's last command should have."""
        match = re.search(r"exit (\d+)", self.comment)
        return int(match[1]) if match else 0

    @property
    def file(self) -> str:
        """Name of the file that the block is the text of; empty when it is none."""
        return self.comment.removeprefix("file:").strip() if self.comment.startswith("file:") else ""


@dataclass(kw_only=True)
class Session:
    """A shell that remembers its directory and its variables from one command to the next."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    warm: WarmPrograms | None = None
    """What runs ``qserv`` and ``python``; services in the background, and None for all, start as they are installed."""

    def __post_init__(self) -> None:
        self._home = self.directory
        # Our programs first; psql of the wheel last, for machines without one.
        folders = [str(Path(sys.executable).parent), os.environ["PATH"], str(wheel_bin_dir())]
        path = os.pathsep.join([str(self.warm.folder), *folders] if self.warm else folders)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("QSERV_", "PYTEST_"))}
        self.environment = {**kept, "PATH": path, "NO_COLOR": "1", "COLUMNS": "120", **self.environment}

    def run(self, command: str) -> tuple[int, str]:
        """Run a command line with bash; return its exit code and what it printed."""
        state = self._home / ".session"
        script = f"{command}\nstatus=$?\n{{ pwd; env -0; }} > {state}\nexit $status\n"
        warm = self.warm is not None and not IN_THE_BACKGROUND.search(command)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self.environment | ({ADDRESS: str(self.warm.socket)} if warm else {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        if state.exists():
            where, _, variables = state.read_text().partition("\n")
            state.unlink()
            self.directory = Path(where)
            pairs = (entry.partition("=") for entry in variables.split("\0") if "=" in entry)
            self.environment = {name: value for name, _, value in pairs if name not in {"_", "SHLVL", ADDRESS}}
        return done.returncode, done.stdout


def examples_of(page: str) -> Iterator[Example]:
    """Yield the fenced blocks of a Markdown text, in order."""
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("kind")) + 1
        yield Example(line=line, kind=match["kind"], body=match["body"], comment=match["comment"] or "")


def with_free_ports(page: str) -> str:
    """Return a page with every port that it names replaced by a free one, the same for the same."""
    ports: dict[str, int] = {}
    for named in PORT.findall(page):
        if named not in ports:
            ports[named] = free_port(set(ports.values()))
    return PORT.sub(lambda named: str(ports[named[0]]), page)


def commands_of(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that the block shows for it."""
    for chunk in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        first, *lines = chunk.split("\n")
        command = first
        while lines and _goes_on(command):
            command += "\n" + lines.pop(0).removeprefix("> ")
        yield command, "\n".join(lines)


def _goes_on(command: str) -> bool:
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quote is open
        return True
    return False


PROGRESS = re.compile(r"[a-z ]+: [\d,]+ of [\d,]+ [a-z]+")
"""A line of what a long command says meanwhile: "loading: 953,057 of 1,005,000 rows"."""


def matches(expected: str, printed: str) -> bool:
    """Tell whether what was printed is what a page shows, apart from blanks, frames and, on slow machines, progress."""
    wanted = _normal(expected)
    if not wanted:
        return True  # a block without output shows only what to type
    pattern = []
    for line in wanted:
        pattern.append("(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + "\n")
    return re.fullmatch("".join(pattern), "".join(line + "\n" for line in _normal(printed))) is not None


def _normal(text: str) -> list[str]:
    lines = (" ".join(line.translate(FRAME).split()) for line in text.splitlines())
    return [line for line in lines if line and not re.fullmatch(r"[-+= ]+", line) and not PROGRESS.fullmatch(line)]


def run_page(
    page: Path, directory: Path, *, environment: Mapping[str, str], warm: WarmPrograms | None = None
) -> Session:
    """Run every example of a page in a directory, with ``warm`` as in `Session`.

    Raises
    ------
    AssertionError
        With the page, the line, the command and both texts, at the first example that does something else.
    """
    session = Session(directory=directory, environment=dict(environment), warm=warm)
    output = ""
    for example in examples_of(with_free_ports(page.read_text(encoding="utf-8"))):
        place = f"{page.name}:{example.line}"
        if example.skipped:
            continue
        if example.file:
            (session.directory / example.file).write_text(example.body)
        elif example.kind == "console":
            _run_console(session, example, place=place)
        elif example.kind == "python":
            script = session.directory / ".example.py"
            script.write_text(example.body)
            code, output = session.run(f"python {script}")
            assert code == example.exit_code, f"{place}: exit code {code}\n{example.body}\n--- printed\n{output}"
        elif example.kind == "text" and output:
            assert matches(example.body, output), f"{place}\n--- expected\n{example.body}\n--- printed\n{output}"
            output = ""
    return session


def _run_console(session: Session, example: Example, *, place: str) -> None:
    commands = list(commands_of(example.body))
    assert commands, f"{place}: a console block without a line that starts with '$ '"
    for number, (command, expected) in enumerate(commands):
        code, printed = session.run(command)
        wanted = example.exit_code if number == len(commands) - 1 else 0
        shown = f"{place}\n$ {command}\n--- expected\n{expected}\n--- printed\n{printed}"
        assert code == wanted, f"exit code {code}, not {wanted}: {shown}"
        assert matches(expected, printed), shown
