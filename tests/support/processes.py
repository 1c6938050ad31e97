"""Starting commands as a terminal would."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def hear_interrupts() -> None:
    """Undo an inherited "ignore Ctrl-C", which a shell sets for its background jobs; for ``preexec_fn``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def python_path(folder: Path) -> str:
    """Return a ``PYTHONPATH`` with a folder more; what stands there keeps children on the loopback."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
