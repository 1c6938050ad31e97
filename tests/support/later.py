"""Run a command with the clock of its processes a year ahead; ``make test-year-ahead`` runs the tests so.

    python tests/support/later.py COMMAND ...

libfaketime answers what asks for the date, also in children: Python, the PostgreSQL servers (their ``now()`` must agree
with ours), psql. What measures how long something takes (the monotonic clock, timeouts) is left alone. Files are dated
by the kernel, so they are a year old; a test that wants a young one says so with ``os.utime``.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

DAYS = 365


@contextmanager
def later(days: int = DAYS) -> Iterator[dict[str, str]]:
    """Yield the variables under which a process lives so many days ahead."""
    package = find_spec("libfaketime")
    assert package is not None
    assert package.origin is not None
    library = Path(package.origin).with_name("vendor") / "libfaketime" / "src" / "libfaketime.so.1"
    with tempfile.TemporaryDirectory(prefix="qs-later-") as name:
        # As root the servers run under another account, which need not reach the virtual environment.
        directory = Path(name)
        directory.chmod(0o755)
        copy = Path(shutil.copy(library, directory))
        copy.chmod(0o755)
        preloaded = " ".join(filter(None, [str(copy), os.environ.get("LD_PRELOAD")]))
        yield {
            "LD_PRELOAD": preloaded,
            "FAKETIME": f"+{days}d",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # The "fix" puts the end of timed waits by the monotonic clock a year back: threads spin instead of waiting.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


def main() -> int:
    """Run the command of the command line; return its exit code."""
    with later() as variables:
        return os.spawnvpe(os.P_WAIT, sys.argv[1], sys.argv[1:], {**os.environ, **variables})


if __name__ == "__main__":
    sys.exit(main())
