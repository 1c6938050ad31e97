"""The code of an earlier version, out of the repository's history, to run beside this one in the same environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EARLIER = "814daa1"
"""A commit whose clusters and repositories still have to be read."""


def code_of(commit: str, directory: Path) -> Path:
    """Put the code of a commit into a directory and return that; without the history the test is skipped."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"commit {commit} is not in the history here")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory


def with_kernels(code: Path) -> Path:
    """Build the C kernels of a version in its directory."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return code


def environment_of(code: Path, **variables: str) -> dict[str, str]:
    """Return the environment in which Python finds the code of a version first."""
    path = [str(code), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **variables}


def qserv_of(code: Path, *arguments: str, exit_code: int = 0, **variables: str) -> str:
    """Run the command of a version; return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "qserv_py.cli.main", *arguments],
        env=environment_of(code, **variables),
        cwd=code,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr
