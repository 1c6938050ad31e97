"""Run the kernels' tests on a build with AddressSanitizer and UBSan; ``make test-sanitize`` does.

The build stands in a copy of the sources in a temporary directory, so the one in the checkout stays as it is. Leaks are
not looked for: Python itself leaves too many.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("qserv_py", "sql", "partitioner", "workers", "ingest", "pipelines", "replication", "tests")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")


def runtime(name: str) -> str:
    """Return the path of one of gcc's sanitizer libraries."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], stdout=subprocess.PIPE, text=True, check=True)
    path = found.stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f"gcc has no {name}; on Debian it comes with gcc")
    return path


def copy_to(directory: Path) -> None:
    """Copy what the kernels and their tests need, without builds."""
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / folder, directory / folder, symlinks=True, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, directory / file)


def main() -> None:
    """Build, test."""
    with tempfile.TemporaryDirectory(prefix="qserv-sanitize-") as name:
        directory = Path(name)
        copy_to(directory)
        environment = {**os.environ, "QSERV_KERNELS_SANITIZE": "1", "PYTHONPATH": str(directory)}
        build = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
        subprocess.run(build, cwd=directory, env=environment, check=True)
        environment |= {
            "LD_PRELOAD": f"{runtime('libasan.so')} {runtime('libubsan.so')}",
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        tests = sorted(str(path.relative_to(directory)) for path in (directory / "tests").rglob("test_kernels_*.py"))
        # --capture=sys: a report goes to the file descriptor, which pytest must not keep for itself.
        options = ("-q", "-n", "0", "-p", "no:cacheprovider", "--capture=sys")
        command = [sys.executable, "-m", "pytest", *options, *tests, *sys.argv[1:]]
        sys.exit(subprocess.run(command, cwd=directory, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
