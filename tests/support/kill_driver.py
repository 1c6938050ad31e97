"""The other end of the programs that run ingests and kill them (``killed_ingest``, ``killed_butler_ingest``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.processes import python_path

_SUPPORT = Path(__file__).parent


class KillDriver:
    """A program that runs ingests, each in a process that is killed when asked.

    Parameters
    ----------
    program
        Name of its file in this folder.
    """

    def __init__(self, program: str) -> None:
        environment = {**os.environ, "PYTHONPATH": python_path(_SUPPORT.parent)}
        command = [sys.executable, str(_SUPPORT / program)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, *words: object, point: int = 0, delay_ms: int = 0) -> tuple[str, int]:
        """Run an ingest; return how it ended and how many moments it passed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, (*words, point, delay_ms))) + "\n")
        self._process.stdin.flush()
        ended, passed = self._process.stdout.readline().split()
        return ended, int(passed)

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)
