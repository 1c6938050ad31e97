"""Build the sdist and the wheel, install the wheel into a clean environment, and try it there.

Run by ``make wheel-test``. The wheel is built from the sdist, so both are proven complete. Nothing of the checkout is
on the path of the clean environment: what works there works for a user of ``pip install qserv-py``.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = Path(__file__).with_name("installed_smoke.py")


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command; show its output and stop if it fails."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(map(str, command))}")


def one(directory: Path, pattern: str) -> Path:
    """Return the only file of a directory that matches."""
    (found,) = directory.glob(pattern)
    return found


def check_contents(wheel: Path, sdist: Path) -> None:
    """Stop unless the wheel holds one top-level package with all our data files, and the sdist the same files."""
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in ("qserv_py", "sql", "partitioner", "workers", "ingest", "pipelines", "replication")
        for pattern in ("*.py", "*.sql", "*.yaml", "*.h", "*.c", "py.typed")
        for path in (ROOT / folder).rglob(pattern)
        if not path.is_symlink() and not any(part.is_symlink() for part in path.relative_to(ROOT).parents[:-1])
    }
    wanted = {name if name.startswith("qserv_py/") else f"qserv_py/{name}" for name in sources}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    strangers = {name.split("/")[0] for name in names} - {"qserv_py"}
    if strangers or wanted - names:
        sys.exit(f"the wheel installs {sorted(strangers)} at top level and lacks {sorted(wanted - names)}")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    if sources - packed:
        sys.exit(f"the sdist lacks {sorted(sources - packed)}")


def main() -> None:
    """Build, install, try."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qserv-wheel-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # as root, the unprivileged account of PostgreSQL must reach the cluster in it
        run(sys.executable, "-m", "build", "--outdir", scratch / "dist", ROOT, cwd=scratch)
        wheel, sdist = one(scratch / "dist", "*.whl"), one(scratch / "dist", "*.tar.gz")
        check_contents(wheel, sdist)
        print(f"built {wheel.name} ({wheel.stat().st_size / 1e3:.0f} kB) and {sdist.name}")
        run(sys.executable, "-m", "venv", scratch / "venv", cwd=scratch)
        python = scratch / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=scratch)
        run(python, "-I", SMOKE, scratch, cwd=scratch)
    print(f"the wheel works in a clean environment ({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
