"""``qserv demo`` as a newcomer meets it: it answers, says how to go on, cleans up, and removes nothing but its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import private_directory
from support.processes import hear_interrupts

QSERV = Path(sys.executable).with_name("qserv")
SMALL = ("--objects", "2000", "--workers", "2")


def qserv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([QSERV, *arguments], capture_output=True, text=True)


def servers_in(directory: Path) -> list[str]:
    """Return the command lines of the PostgreSQL servers whose data are below a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(directory) in command and "postgres" in command:
            found.append(command)
    return found


@pytest.fixture
def place() -> Iterator[Path]:
    directory = private_directory()
    yield directory
    for cluster in directory.glob("*/cluster.json"):
        qserv("cluster", "stop", "--cluster", str(cluster.parent))
    shutil.rmtree(directory)


def test_a_demo_that_is_kept_goes_on(place: Path) -> None:
    cluster = place / "demo"
    done = qserv("demo", "--keep", *SMALL, "--dir", str(cluster))
    assert done.returncode == 0, done.stderr
    for title in ("One object by its id", "A cone of", "A colour cut", "The light curve", "A density map"):
        assert title in done.stdout
    kept = re.findall(r"(\d+) rows?(?: \(5 shown\))?, (\d+) of (\d+) chunks, [\d.]+ ms", done.stdout)
    assert len(kept) == 5
    by_id, _, _, light_curve, density = kept
    assert by_id[:2] == ("1", "1")
    assert int(light_curve[0]) > 5
    assert density[1] == density[2]

    # Everything that it says one can do next can be done.
    typed = done.stdout[done.stdout.index("Go on:") :]
    commands = [line.strip() for line in typed.replace("\\\n", "").splitlines()[1:] if line.strip()]
    assert len(commands) == 7
    together = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert together.returncode == 0, together.stdout
    assert re.search(r"\bcount\b", together.stdout)
    assert "Stopped w1, w2." in together.stdout
    assert not servers_in(cluster)

    again = qserv("demo", *SMALL, "--dir", str(cluster), "--seed", "2")
    assert again.returncode == 0, again.stderr
    assert "earlier demo" in again.stdout
    assert "stopped and removed" in again.stdout
    assert not cluster.exists()
    assert not servers_in(cluster)


def test_a_cluster_of_the_user_is_not_replaced(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "cluster.json").write_text(json.dumps({"mine": True}))
    done = qserv("demo", *SMALL, "--dir", str(place / "mine"))
    assert done.returncode == 2
    assert "holds a cluster that qserv demo did not make" in done.stderr
    assert (place / "mine" / "cluster.json").exists()
    (place / "mine" / "cluster.json").unlink()


def test_a_full_disk_is_noticed_before_anything_is_made(place: Path) -> None:
    done = qserv("demo", "--objects", "1000000000", "--dir", str(place / "large"))
    assert done.returncode == 2
    assert re.search(r"has [\d.]+ GB free, the demo needs about 3500\.\d GB", done.stderr)
    assert "--objects" in done.stderr
    assert not (place / "large").exists()


@pytest.mark.parametrize("after", ["servers started", "ingest Object"])
def test_ctrl_c_leaves_nothing(place: Path, after: str) -> None:
    cluster = place / "demo"
    command = [QSERV, "demo", "--objects", "100000", "--workers", "2", "--dir", str(cluster)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if after in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not cluster.exists()
    assert not servers_in(cluster)
