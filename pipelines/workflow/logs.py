"""What the logs of jobs tell: the middleware says after each quantum how many are done, and why one failed."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 65536
"""What is read from the end of a log; the last count of quanta stands there, and most failures do."""

NOT_IN_GRAPH = "was valid when the graph of this run was built"
"""What a task says of a calibration that it lacks, and that no restart brings."""

_EXECUTED = re.compile(r"Executed (\d+) quanta successfully, (\d+) failed")
_FAILED = re.compile(r"Execution of task '([^']+)' on quantum (\{[^}]*\}) failed\. Exception (.+)")


def quanta_executed(log: Path) -> int:
    """Return how many quanta an attempt has carried out so far; 0 when its log does not say."""
    counts = _EXECUTED.findall(_tail(log))
    return int(counts[-1][0]) if counts else 0


def first_failure(log: Path) -> str:
    """Return which quantum failed first and why, in a line; empty when the log does not say."""
    match = _FAILED.search(_tail(log))
    return f"{match[1]} {match[2]}: {match[3].strip()}" if match else ""


def _tail(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
