"""``qserv demo --from-pixels``: raw images to a catalogue that agrees with the truth; broken off, it leaves nothing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import private_directory
from support.processes import hear_interrupts
from support.workflows import wait_for

QSERV = Path(sys.executable).with_name("qserv")
SMALL = ("--visits", "2", "--detectors", "2", "--size", "1024", "--workers", "2")


@pytest.fixture
def place() -> Iterator[Path]:
    directory = private_directory()
    yield directory
    for cluster in directory.glob("*/cluster.json"):
        subprocess.run([QSERV, "cluster", "stop", "--cluster", str(cluster.parent)], check=False)
    shutil.rmtree(directory)


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of the processes that name a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(directory) in command and "pytest" not in command:
            found.append(command)
    return found


def test_options_of_the_other_demo_are_refused() -> None:
    for options, message in (
        (("--size", "512"), "--size goes only with --from-pixels"),
        (("--from-pixels", "--objects", "5000"), "--objects does not go with --from-pixels"),
    ):
        done = subprocess.run([QSERV, "demo", *options], capture_output=True, text=True)
        assert done.returncode == 2
        assert message in done.stderr


@pytest.mark.long
def test_from_raw_images_to_a_queried_catalogue(place: Path) -> None:
    cluster, figure = place / "demo", place / "picture.png"
    done = subprocess.run(
        [QSERV, "demo", "--from-pixels", "--keep", *SMALL, "--dir", str(cluster), "--figure", str(figure)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(place / "state")},
    )
    assert done.returncode == 0, done.stderr
    assert "8 of 8 quanta" in done.stdout
    titles = re.findall(r"^\d\. (.+)$", done.stdout, re.MULTILINE)
    assert len(titles) == 5
    [said] = re.findall(r"(\d+) bright stars: ([\d.]+) and ([\d.]+) mas, ([\d.]+) mmag", done.stdout)
    stars, ra_mas, dec_mas, mmag = map(float, said)
    assert stars > 30
    assert max(ra_mas, dec_mas) < 5
    assert mmag < 15
    assert figure.read_bytes().startswith(b"\x89PNG")
    counted = subprocess.run(
        [QSERV, "query", "--cluster", str(cluster), "--format", "csv", "SELECT COUNT(*) AS n FROM prompt.Source"],
        capture_output=True,
        text=True,
    )
    assert int(counted.stdout.split()[1]) > 300


@pytest.mark.long
def test_ctrl_c_in_a_pipeline_leaves_nothing(place: Path) -> None:
    cluster = place / "demo"
    with open(place / "log", "w") as log:
        demo = subprocess.Popen(
            [QSERV, "demo", "--from-pixels", *SMALL, "--dir", str(cluster)],
            stdout=log,
            stderr=log,
            preexec_fn=hear_interrupts,
            env={**os.environ, "XDG_STATE_HOME": str(place / "state")},
        )
        started = '"event":"JobStarted","job":"cp'
        wait_for(
            lambda: any(started in path.read_text() for path in cluster.glob("submit/**/journal.jsonl")),
            "a job of the calibrations",
            seconds=300,
        )
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=120) == 130
    assert not cluster.exists()
    assert processes_of(cluster) == []
