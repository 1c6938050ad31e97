"""A cluster from its making to its end through the command line, as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.postgres import private_directory
from support.schemas import write_schema
from support.waiting import wait_until

from qserv_py import connect
from qserv_py.errors import ConfigError


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    directory = private_directory()
    yield directory
    from qserv_py.czar.cluster_init import remove_cluster

    remove_cluster(directory / "c")
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def qserv(place: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"QSERV_CLUSTER": str(place / "c"), "XDG_STATE_HOME": str(place)}
    command = [sys.executable, "-m", "qserv_py.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def states(place: Path, *, code: int) -> dict[str, str]:
    rows = json.loads(qserv(place, "cluster", "status", "--format", "json", code=code).stdout)
    return {row["worker"]: row["state"] for row in rows}


@contextmanager
def wrong_settings(place: Path) -> Iterator[None]:
    """Let the cluster have a settings.yaml with a mistake meanwhile."""
    settings = place / "c" / "settings.yaml"
    settings.write_text("limits: {}\nmemory: {process: 67_108_864}\n")
    yield
    settings.unlink()


WRONG = (
    'settings.yaml, line 2: key "process" of "memory" is not known; did you mean "process_bytes"?\n'
    "HINT: Mend the file, or move it away"
)


def check_wrong_settings(place: Path) -> None:
    """Every command that uses a setting refuses a wrong file, all others go on."""
    rows = place / "rows.csv"
    rows.write_text("a\n1\n")
    for command in (
        ("query", "SELECT 1"),
        ("explain", "SELECT 1"),
        ("validate", "SELECT 1"),
        ("serve", "all", "--port", "0"),
        ("table", "put", "mine", str(rows), "--user", "ann"),
        ("ingest", "butler", "nowhere", "--collection", "c", "--dataset-type", "t", "--database", "small"),
    ):
        refused = qserv(place, *command, code=2)
        assert WRONG in refused.stderr, command
        assert refused.stderr.count("settings.yaml") == 1, command
    with pytest.raises(ConfigError, match='key "process" of "memory" is not known'):
        connect(place / "c")
    for command in (
        ("list", "queries"),
        ("list", "tables"),
        ("schema", "show", "small"),
        ("grant", "small", "--to", "public"),
        ("cluster", "start"),
    ):
        assert "ERROR" not in qserv(place, *command).stderr, command
    status = qserv(place, "cluster", "status")
    assert WRONG in status.stderr
    assert status.stdout.count("running") == 2


def test_the_life_of_a_cluster(place: Path) -> None:
    felis, partition = write_schema(place)
    made = qserv(place, "cluster", "init", str(place / "c"), "--workers", "2")
    assert f"export QSERV_CLUSTER={place / 'c'}" in made.stderr
    assert states(place, code=0) == {"w1": "running", "w2": "running"}  # it has survived the process that made it

    qserv(place, "schema", "load", str(felis), "--partition", str(partition))
    tables = json.loads(qserv(place, "list", "tables", "--format", "json").stdout)
    assert [row["table"] for row in tables] == ["Object", "Source", "ObjectMatch", "Truth", "Visit"]
    assert "Source by" not in qserv(place, "schema", "show", "small").stdout
    assert "Object by objectId" in qserv(place, "schema", "show", "small").stdout
    assert "healpix29 (hidden)" in qserv(place, "schema", "show", "small.object").stdout
    again = qserv(place, "schema", "load", str(felis), "--partition", str(partition), code=1)
    assert 'ERROR: there is a database "small" already' in again.stderr
    missing = qserv(place, "schema", "show", "small.objetc", code=3)
    assert 'HINT: Did you mean "small.Object"?' in missing.stderr
    assert qserv(place, "list", "chunks").stdout.split()[:3] == ["database", "table", "chunk"]
    assert qserv(place, "list", "databases", "--format", "csv").stdout.splitlines()[1] == "small,loading,small,5,0,0,0"

    with wrong_settings(place):
        check_wrong_settings(place)

    (pid,) = [row["pid"] for row in json.loads(qserv(place, "cluster", "status", "--format", "json").stdout)][:1]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists())
    assert states(place, code=6) == {"w1": "stopped", "w2": "running"}
    down = qserv(place, "list", "tables", code=1)
    assert "ERROR: the registry at " in down.stderr
    assert "HINT: qserv cluster status says which servers run" in down.stderr
    qserv(place, "cluster", "start")
    assert len(json.loads(qserv(place, "list", "tables", "--format", "json").stdout)) == 5
    with wrong_settings(place):
        assert qserv(place, "cluster", "stop").stderr == "Stopped w1, w2.\n"
    assert states(place, code=1) == {"w1": "stopped", "w2": "stopped"}
    qserv(place, "cluster", "start")
    assert [row["state"] for row in json.loads(qserv(place, "list", "workers", "--format", "json").stdout)] == [
        "running",
        "running",
    ]
