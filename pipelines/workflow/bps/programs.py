"""Where Rubin's programs are, for BPS, which asks variables that only Rubin's own stack sets."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from qserv_py.errors import PipelineError

PROGRAM_VARIABLES = ("CTRL_MPEXEC_DIR", "DAF_BUTLER_DIR")
"""Directories whose ``bin`` has ``pipetask`` and ``butler``."""


def program_directory() -> Path:
    """Return the directory whose ``bin`` has them.

    Raises
    ------
    PipelineError
        If they are neither beside this Python nor on the path.
    """
    beside = Path(sys.executable).parent / "pipetask"
    found = str(beside) if beside.exists() else shutil.which("pipetask")
    if found is None:
        raise PipelineError("pipetask is not installed", hint="pip install 'qserv-py[pipelines]'")
    return Path(found).parent.parent


def program_variables() -> dict[str, str]:
    """Return the variables that are missing in this environment, with the values that they need."""
    return {name: str(program_directory()) for name in PROGRAM_VARIABLES if name not in os.environ}
