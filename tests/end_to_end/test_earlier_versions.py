"""What an earlier version made opens with the same answers; that version's own code makes it here.

The code of commit 814daa1 comes out of the repository's history and runs beside this one, in the same environment.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.earlier import EARLIER, ROOT, code_of, environment_of, qserv_of
from support.postgres import private_directory
from support.waiting import wait_until

from qserv_py.czar.cluster import open_cluster

pytestmark = pytest.mark.long

FELIS = """
name: old
tables:
- name: Star
  primaryKey: '#Star.id'
  columns:
  - {name: id, datatype: long, nullable: false}
  - {name: ra, datatype: double, nullable: false, ivoa:ucd: pos.eq.ra;meta.main, ivoa:unit: deg}
  - {name: dec, datatype: double, nullable: false, ivoa:ucd: pos.eq.dec;meta.main, ivoa:unit: deg}
  - {name: mag, datatype: float, ivoa:unit: mag}
  - {name: seen, datatype: timestamp}
  - {name: note, datatype: string, length: 20}
- name: Measurement
  columns:
  - {name: star, datatype: long, nullable: false}
  - {name: flux, datatype: double}
- name: Pair
  columns:
  - {name: one, datatype: long, nullable: false}
  - {name: other, datatype: long, nullable: false}
- name: Filter
  columns:
  - {name: band, datatype: char, length: 1}
"""

PARTITION = """
database: old
family: {name: old, target_rows: 50}
tables:
  Star: {kind: director, id: id, ra: ra, dec: dec}
  Measurement: {kind: child, director: Star, key: star}
  Pair: {kind: match, directors: [Star, Star], keys: [one, other]}
  Filter: {kind: ref}
"""

QUERIES = (
    "SELECT * FROM old.Star ORDER BY id",
    "SELECT COUNT(*) AS n, COUNT(mag) AS m, MAX(mag) AS most FROM old.Star",
    "SELECT s.id, SUM(m.flux) AS f FROM old.Star s JOIN old.Measurement m ON m.star = s.id GROUP BY s.id ORDER BY s.id",
    "SELECT p.one, p.other, t.mag FROM old.Pair p JOIN old.Star t ON t.id = p.other ORDER BY p.one",
    "SELECT id FROM old.Star WHERE CONTAINS(POINT(ra, dec), CIRCLE(10, 10, 20)) = 1 ORDER BY id",
    "SELECT band FROM old.Filter ORDER BY band",
    "SELECT table_name, column_name, unit, ucd FROM TAP_SCHEMA.columns "
    "WHERE table_name LIKE 'old.%' ORDER BY table_name, column_index",
)


@dataclass(frozen=True)
class Version:
    """The commands of one version, on one cluster."""

    code: Path
    cluster: Path

    def environment(self) -> dict[str, str]:
        return environment_of(self.code, QSERV_CLUSTER=str(self.cluster))

    def run(self, *arguments: str, code: int = 0) -> str:
        return qserv_of(self.code, *arguments, exit_code=code, QSERV_CLUSTER=str(self.cluster))

    def answers(self) -> dict[str, object]:
        """Return the rows of each query, as JSON has them."""
        return {query: json.loads(self.run("-q", "query", "--format", "json", query))["data"] for query in QUERIES}

    def chunks(self) -> set[str]:
        """Return the chunks of the stars."""
        lines = self.run("-q", "list", "chunks", "--format", "csv").splitlines()
        return {line.split(",")[2] for line in lines if line.startswith("old,Star,")}

    def serve(self) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-u", "-m", "qserv_py.cli.main", "serve", "tap", "--port", "0"]
        process = subprocess.Popen(command, env=self.environment(), cwd=self.code, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "http://" in line:
                return process, line[line.index("http://") :].split()[0].rstrip(".,")
        raise AssertionError("the service did not start")

    @contextmanager
    def served(self) -> Iterator[str]:
        """Run a service of this version; its TAP address."""
        process, url = self.serve()
        try:
            yield url if url.rstrip("/").endswith("/tap") else f"{url.rstrip('/')}/tap"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def ask(url: str, token: str, **form: str) -> tuple[str, str]:
    """Return the address that an answer comes from, and the answer; with a form the request is a POST."""
    data = urlencode(form).encode() if form else None
    request = Request(url, data=data, headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=120) as answer:
        return answer.geturl(), answer.read().decode()


def finished_job(tap: str, token: str, query: str) -> tuple[str, str]:
    """Return the path of a job below the TAP address, and its result."""
    job, _ = ask(f"{tap}/async", token, LANG="ADQL", QUERY=query, FORMAT="csv", PHASE="RUN")
    assert wait_until(lambda: ask(f"{job}/phase", token)[1] == "COMPLETED", seconds=120)
    return job.removeprefix(tap), ask(f"{job}/results/result", token)[1]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    directory = private_directory()
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def storage_parameters(cluster: Path) -> list[tuple[str, ...]]:
    """Return those of each relation that holds rows of the catalogue, on all workers."""
    found: list[tuple[str, ...]] = []
    for conninfo in open_cluster(cluster).admin.values():
        with psycopg.connect(conninfo) as connection:
            rows = connection.execute(
                "SELECT coalesce(reloptions, '{}') FROM pg_class"
                " WHERE relnamespace = 'old'::regnamespace AND relkind = 'r' AND NOT relhassubclass"
            )
            found += [tuple(options) for (options,) in rows]
    return found


def write_files(directory: Path) -> None:
    (directory / "old.yaml").write_text(FELIS)
    (directory / "old-partition.yaml").write_text(PARTITION)
    chosen = np.random.default_rng(4)
    ids = np.arange(200)
    stars = {
        "id": ids,
        "ra": chosen.uniform(0, 360, 200),
        "dec": chosen.uniform(-80, 80, 200),
        "mag": pa.array(np.where(ids % 7, ids / 8, np.nan), mask=ids % 5 == 0),  # NaN, which that version kept
        "seen": pa.array(ids * 86_400_000_000 - 10**16, pa.timestamp("us")),
        "note": [f"star {number}" if number % 3 else None for number in ids],
    }
    pq.write_table(pa.table(stars), directory / "stars.parquet")
    (directory / "m.csv").write_text("star,flux\n" + "".join(f"{k % 200},{k / 4}\n" for k in range(500)))
    (directory / "pairs.csv").write_text("one,other\n" + "".join(f"{k},{k}\n" for k in range(0, 200, 9)))
    (directory / "filters.csv").write_text("band\ng\nr\n")
    (directory / "more.csv").write_text("id,ra,dec,mag\n1000,10,10,5.5\n")


def test_a_cluster_opens_with_the_same_answers(place: Path) -> None:
    write_files(place)
    cluster = place / "c"
    old = Version(code_of(EARLIER, place / "code"), cluster)
    new = Version(ROOT, cluster)
    try:
        old.run("cluster", "init", str(cluster), "--workers", "2")
        old.run("schema", "load", str(place / "old.yaml"), "--partition", str(place / "old-partition.yaml"))
        files = {"Star": "stars.parquet", "Measurement": "m.csv", "Pair": "pairs.csv", "Filter": "filters.csv"}
        for table, file in files.items():
            old.run("ingest", "run", "--database", "old", "--table", table, str(place / file))
        old.run("publish", "old")
        old.run("grant", "old", "--to", "user:alice")
        token = old.run("-q", "token", "create", "alice").strip().splitlines()[0]
        old.run("table", "put", "mine", str(place / "m.csv"), "--user", "alice")
        with old.served() as tap:
            job, kept = finished_job(tap, token, "SELECT COUNT(*) AS n, SUM(flux) AS f FROM mydb.mine")
        assert kept.splitlines() == ["n,f", f"500,{sum(k / 4 for k in range(500))}"]
        before, chunks = old.answers(), old.chunks()
        assert len(chunks) > 11
        old.run("cluster", "stop")

        new.run("cluster", "start")
        assert new.answers() == before
        assert new.chunks() == chunks
        assert set(storage_parameters(cluster)) == {("autovacuum_enabled=false",)}
        with new.served() as tap:
            assert ask(f"{tap}{job}/results/result", token)[1] == kept
            again = finished_job(tap, token, "SELECT COUNT(*) AS n, SUM(flux) AS f FROM mydb.mine")[1]
        assert again.splitlines() == kept.splitlines()
        assert "alice" in new.run("token", "list")
        # the earlier database takes new rows, and those it had stay as they are
        new.run("ingest", "run", "--database", "old", "--table", "Star", str(place / "more.csv"))
        new.run("ingest", "run", "--database", "old", "--table", "Measurement", str(place / "m.csv"))
        new.run("publish", "old")
        after = new.answers()
        assert after[QUERIES[0]] == [*before[QUERIES[0]], [1000, 10.0, 10.0, 5.5, None, None]]  # type: ignore[misc]
        assert after[QUERIES[3]] == before[QUERIES[3]]
        assert new.chunks() == chunks, "the family aims at the rows that it was made with"
    finally:
        new.run("cluster", "stop")
