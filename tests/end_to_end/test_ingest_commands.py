"""``qserv ingest run`` and ``qserv publish`` as a user runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from support.ingested import Shards, add_small, check_parts, objects
from support.processes import hear_interrupts

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.recovery import recover
from qserv_py.registry.snapshots import parts_of
from qserv_py.registry.transactions import unfinished_transactions

QSERV = [sys.executable, "-m", "qserv_py.cli.main"]
OPENNGC = Path(__file__).parents[3] / "shared" / "data" / "NGC.csv"


def start(cluster: Cluster, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "QSERV_CLUSTER": str(cluster.config.directory), "NO_COLOR": "1"}
    return subprocess.Popen(
        [*QSERV, *arguments],
        cwd=directory,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,
    )


def qserv(cluster: Cluster, directory: Path, *arguments: str) -> tuple[int, str]:
    process = start(cluster, directory, *arguments)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_ingest_and_publish(cluster: Cluster, tmp_path: Path) -> None:
    database = add_small(cluster, tmp_path, "commands")
    rows = objects(500, seed=1)
    pyarrow.csv.write_csv(rows, tmp_path / "objects.csv")
    with (tmp_path / "objects.csv").open("a") as file:
        file.write("501,,1,,\n")
    run = ("ingest", "run", "--database", "commands", "--table", "object")
    code, text = qserv(cluster, tmp_path, *run, "objects.csv")
    assert code == 1
    assert text.startswith("ERROR: objects.csv: 1 of 501 rows rejected, --max-rejects allows 0; nothing was loaded\n")
    assert "DETAIL: objects.csv: 1 x ra: position is missing (row 501)\n" in text
    assert "HINT: The rows with reasons are in" in text
    code, text = qserv(cluster, tmp_path, *run, "--max-rejects", "1", "--rejects", "bad", "objects.csv")
    assert code == 0
    assert "objects.csv: 1 of 501 rows rejected, see bad/objects.csv.rejects.csv\n" in text
    assert re.search(
        r"commands\.Object: 501 rows read, 500 loaded, 1 rejected; \d+ chunks \(\d+ new\), \d+ parts, "
        r"[\d.]+ s, [\d,]+ rows/s\n",
        text,
    )
    code, text = qserv(cluster, tmp_path, "publish", "commands")
    assert code == 0
    assert re.fullmatch(r"Published commands, snapshot 1: \d+ chunk tables, [\d.]+ s\.\n", text)
    assert len(Shards(cluster, database).rows("Object", ["objectId"])) == 500


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--database", "nowhere", "--table", "t", "x.csv"], 3, 'ERROR: .*"nowhere"'),
        (["--database", "mistakes", "--table", "Objekt", "x.csv"], 3, 'no table "Objekt".*Did you mean "Object"'),
        (["--database", "mistakes", "--table", "Object", "x.csv"], 3, "ERROR: there is no file x.csv"),
        (["--database", "mistakes", "--table", "Object", "x.dat"], 1, "the format of x.dat cannot be told"),
        (["--database", "mistakes", "--table", "Object"], 2, "Missing argument 'FILE...'"),
        (["--database", "mistakes", "--table", "Object", "--max-rejects", "-1", "x.csv"], 2, "max-rejects"),
    ],
)
def test_mistakes(cluster: Cluster, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    with cluster.registry() as registry:
        known = {database.name for database in registry.databases()}
    if "mistakes" not in known:
        add_small(cluster, tmp_path, "mistakes")
    got, text = qserv(cluster, tmp_path, "ingest", "run", *arguments)
    assert got == code
    assert re.search(message, text, re.DOTALL)
    assert "Traceback" not in text


def test_interrupted(cluster: Cluster, tmp_path: Path) -> None:
    """Ctrl-C while a large file is read: exit code 130, and nothing is left."""
    database = add_small(cluster, tmp_path, "interrupted")
    rows = objects(400_000, seed=1)
    for number in range(4):
        more = rows.set_column(0, "objectId", pa.array(np.arange(400_000) + 400_000 * number))
        pyarrow.csv.write_csv(more, tmp_path / f"objects{number}.csv")
    files = [f"objects{number}.csv" for number in range(4)]
    process = start(cluster, tmp_path, "ingest", "run", "--database", "interrupted", "--table", "Object", *files)
    with open_destination(cluster, sync=False) as destination:
        while process.poll() is None and not unfinished_transactions(destination.registry, database="interrupted"):
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=120)
        assert process.returncode == 130
        assert text.split("\n")[-3:] == ["", "interrupted", ""]
        assert "Nothing was loaded.\n" in text
        assert recover(destination, database="interrupted") == ()
        assert parts_of(destination.registry, "interrupted") == ()
        check_parts(destination, database)


@pytest.mark.skipif(not OPENNGC.exists(), reason=f"the OpenNGC catalogue is not there: {OPENNGC}")
def test_a_catalogue_as_people_keep_it(cluster: Cluster, tmp_path: Path) -> None:
    """Semicolons, sexagesimal positions, texts with commas, and seven objects without a position."""
    examples = Path(__file__).parents[2] / "docs" / "examples"
    partition = str(examples / "ngc-partition.yaml")
    code, text = qserv(cluster, tmp_path, "schema", "load", str(examples / "ngc.yaml"), "--partition", partition)
    assert code == 0, text
    run = ("ingest", "run", "--database", "openngc", "--table", "NGC", str(OPENNGC))
    code, text = qserv(cluster, tmp_path, *run)
    assert code == 1
    assert "Is --delimiter ';' missing?" in text
    code, text = qserv(cluster, tmp_path, *run, "--delimiter", ";", "--max-rejects", "7")
    assert code == 0, text
    assert "13,969 rows read, 13,962 loaded, 7 rejected" in text
    assert qserv(cluster, tmp_path, "publish", "openngc")[0] == 0
    with cluster.registry() as registry:
        database = registry.database("openngc")
    shards = Shards(cluster, database)
    found = {name: (ra, dec) for name, ra, dec in shards.rows("NGC", ["Name", "RA", "Dec"])}
    assert len(found) == 13962
    assert found["IC0002"] == pytest.approx(((11 / 60 + 0.88 / 3600) * 15, -(12 + 49 / 60 + 22.3 / 3600)))
