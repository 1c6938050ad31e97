"""``qserv`` and ``python`` as commands of a shell, without the time that their imports take.

A command of a page takes most of its time to import what it uses, which is the same for all of them. `server.py` has
imported it once, and forks a process for each command. What such a process cannot show is that a command imports what
it needs, and that nothing goes wrong while an interpreter is taken down: so some pages are run with the commands as
they are installed, and by ``make docs`` all are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.warm.server import READY

ADDRESS = "QSERV_TEST_WARM"
"""Variable that names the socket of the server; a command without it starts as it is installed."""


@dataclass(frozen=True)
class WarmPrograms:
    """Where a shell finds the commands, and these the server."""

    folder: Path
    """For ``PATH``."""

    socket: Path
    """What the variable ``ADDRESS`` has to name."""


@contextmanager
def warm_programs() -> Iterator[WarmPrograms]:
    """Make the commands, and run a server for them."""
    with tempfile.TemporaryDirectory(prefix="qs-warm-") as directory:
        programs = WarmPrograms(folder=Path(directory) / "bin", socket=Path(directory) / "socket")
        _write_commands(programs.folder)
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(programs.socket)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == READY, "the process with the modules did not start"
                yield programs
            finally:
                server.terminate()


def _write_commands(folder: Path) -> None:
    """Write both; isolated and without site-packages, Python starts in some milliseconds."""
    folder.mkdir()
    text = Path(__file__).with_name("command.py").read_text()
    for name, script in (("python", []), ("qserv", [str(Path(sys.executable).with_name("qserv"))])):
        command = folder / name
        command.write_text(f"#!{sys.executable} -IS\nPYTHON, SCRIPT = {sys.executable!r}, {script!r}\n{text}")
        command.chmod(0o755)
