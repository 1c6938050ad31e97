"""Starting commands as a terminal would."""

from __future__ import annotations

import signal


def hear_interrupts() -> None:
    """Undo an inherited "ignore Ctrl-C", which a shell sets for its background jobs; for ``preexec_fn``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
