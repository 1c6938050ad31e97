"""``qserv`` as a process of its own, or within the tests' where nothing depends on the process.

Both give the same exit code and texts; a process takes as long to load its modules as most commands to do their work.
"""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from unittest.mock import patch

from qserv_py.cli import main
from qserv_py.czar.cluster import Cluster

Done = tuple[int, str, str]
"""Exit code, what came to standard output, and to standard error."""


def in_a_process(*arguments: str, cluster: Cluster | None = None, text: bytes = b"") -> Done:
    """Run ``qserv`` with arguments on a cluster, or with none named; ``text`` is its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "qserv_py.cli.main", *arguments],
        input=text,
        capture_output=True,
        env=_environment(cluster),
        timeout=120,
    )
    return _checked(done.returncode, done.stdout, done.stderr)


def in_this_process(*arguments: str, cluster: Cluster | None = None, text: bytes = b"") -> Done:
    """Do the same without a process."""
    streams = {"stdin": BytesIO(text), "stdout": BytesIO(), "stderr": BytesIO()}
    with (
        patch.dict(os.environ, _environment(cluster), clear=True),
        patch.multiple(sys, **{name: _text_stream(stream) for name, stream in streams.items()}),
    ):
        code = main.run(list(arguments))
    return _checked(code, streams["stdout"].getvalue(), streams["stderr"].getvalue())


def _text_stream(stream: BytesIO) -> TextIOWrapper:
    """Return a standard stream that closes nothing when it goes."""
    stream.close = lambda: None  # type: ignore[method-assign]
    return TextIOWrapper(stream, encoding="utf-8", write_through=True)


def _environment(cluster: Cluster | None) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "QSERV_CLUSTER"}
    return environment | {"NO_COLOR": "1"} | ({"QSERV_CLUSTER": str(cluster.config.directory)} if cluster else {})


def _checked(code: int, shown: bytes, remark: bytes) -> Done:
    assert b"Traceback" not in remark
    return code, shown.decode(), remark.decode()
