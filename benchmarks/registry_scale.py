"""What a registry of many chunks costs those who do not ask for them: queries of another table, publishing a few rows.

The registry of an embedded cluster gets a database "big" of made-up chunks, chunk tables and parts, without relations
on the shards, beside a database "tiny" of one table of two rows. Measured are, before and after that: ``qserv query``
of the two rows; how long a running session stalls when something else changes; what ingesting and publishing a
thousand rows into one more chunk of "big" takes, lists and keeps in memory (twice: the shards follow the made-up chunks
at the first); and the first query of "big". The same change to a small cluster, in turns with that to the large one,
tells a stall from the work of a second process on the same cores. Prints one JSON document.

    python benchmarks/registry_scale.py [--chunks 100000] [--tables 10] [--repeat 5]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cdshealpix import nested

from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.czar.cluster import Cluster, open_cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import grant
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.registry.snapshots import publish_snapshot

TINY = "SELECT * FROM tiny.Ref"
ASKING = 4
"""Threads that ask the running session."""

STALLS = 5
"""Publishings during which a session asks."""

CHUNK_ORDER = 8
EMPTY_PIXEL = 300_000
"""A chunk that has no made-up rows: the thousand real ones go there."""

FILL = """
WITH family AS (SELECT family_id FROM family WHERE name = 'big'), added AS (
    INSERT INTO chunk (family_id, healpix_order, pixel)
    SELECT family_id, {order}, n FROM family, generate_series(0, {chunks} - 1) AS n
    UNION ALL SELECT family_id, {order}, {empty} FROM family
    RETURNING chunk_id)
INSERT INTO placement (chunk_id, worker_id)
SELECT chunk_id, (SELECT min(worker_id) FROM worker) + chunk_id % (SELECT count(*) FROM worker) FROM added;

WITH made AS (
    INSERT INTO super_transaction (database_id, state, context)
    SELECT database_id, 'LOADED', '{{}}' FROM catalog_database WHERE name = 'big'
    RETURNING transaction_id, database_id)
INSERT INTO part (table_id, transaction_id, role, chunk_id, worker_id, path, rows, bytes, sha256)
SELECT t.table_id, m.transaction_id, r.role, c.chunk_id, p.worker_id,
       'big/' || t.name || '/' || c.pixel || r.role, 1000, 100000, repeat('a', 64)
  FROM made m
  JOIN catalog_table t USING (database_id)
  JOIN (VALUES ('chunk', NULL), ('overlap', 'director')) AS r (role, kind) ON coalesce(r.kind, t.kind) = t.kind
  JOIN chunk c ON c.family_id = (SELECT family_id FROM family WHERE name = 'big') AND c.pixel <> {empty}
  JOIN placement p USING (chunk_id);

INSERT INTO segment (table_id, chunk_id, generation)
SELECT DISTINCT table_id, chunk_id, 1 FROM part WHERE chunk_id IS NOT NULL;

UPDATE part p SET segment_id = s.segment_id FROM segment s WHERE (s.table_id, s.chunk_id) = (p.table_id, p.chunk_id);
"""


def felis(name: str, tables: list[str]) -> str:
    """Return a schema whose tables have an id and a place."""
    columns = "".join(
        f"  - {{name: {column}, datatype: {kind}, nullable: false}}\n"
        for column, kind in (("id", "long"), ("ra", "double"), ("dec", "double"))
    )
    return f"name: {name}\ntables:\n" + "".join(f"- name: {table}\n  columns:\n{columns}" for table in tables)


def prepare(cluster: Cluster, scratch: Path, tables: int) -> None:
    """Make both databases, and publish the two rows of "tiny"."""
    names = [f"T{number}" for number in range(tables)]
    (scratch / "tiny.yaml").write_text(felis("tiny", ["Ref"]))
    (scratch / "tiny-p.yaml").write_text("database: tiny\nfamily: {name: tiny}\ntables:\n  Ref: {kind: ref}\n")
    children = "".join(f"  {name}: {{kind: child, director: T0, key: id}}\n" for name in names[1:])
    (scratch / "big.yaml").write_text(felis("big", names))
    (scratch / "big-p.yaml").write_text(
        f"database: big\nfamily: {{name: big, min_order: 0, max_order: {CHUNK_ORDER}, overlap_arcsec: 1}}\ntables:\n"
        "  T0: {kind: director, id: id, ra: ra, dec: dec}\n" + children
    )
    (scratch / "two.csv").write_text("id,ra,dec\n1,1,1\n2,2,2\n")
    with cluster.registry() as registry:
        for name in ("tiny", "big"):
            registry.add_database(read_schema(scratch / f"{name}.yaml", scratch / f"{name}-p.yaml"))
    with open_destination(cluster, sync=False) as destination:
        run_ingest(destination, database="tiny", table="Ref", files=[scratch / "two.csv"])
        publish_database(destination, "tiny")


def fill(cluster: Cluster, chunks: int) -> float:
    """Make up the chunks of "big" and publish them; return the seconds of publishing."""
    with cluster.registry() as registry:
        with registry.connection() as connection:
            connection.execute(FILL.format(chunks=chunks, order=CHUNK_ORDER, empty=EMPTY_PIXEL).encode())
            connection.execute("VACUUM ANALYZE")
        started = time.perf_counter()
        publish_snapshot(registry, "big")
        return time.perf_counter() - started


def command(cluster: Cluster, *arguments: str) -> float:
    """Return the seconds of a command."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "qserv_py.cli.main", *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "QSERV_CLUSTER": str(cluster.config.directory)},
    )
    return time.perf_counter() - started


def query_command(cluster: Cluster, repeat: int) -> float:
    """Return the seconds of ``qserv query`` on the two rows, median."""
    return statistics.median(command(cluster, "query", TINY) for _ in range(repeat))


def query_in_process(cluster: Cluster, repeat: int) -> float:
    """Return the seconds of the same without starting Python: from opening a session to the rows, median."""
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        with Session(cluster) as session:
            rows_of(session, TINY)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def rows_of(session: Session, query: str) -> list[dict[str, object]]:
    """Return the rows of a query."""
    answer = session.answer(query)
    return pa.Table.from_batches(list(answer.batches()), schema=answer.schema).to_pylist()


def stall(
    cluster: Cluster,
    change: Callable[[], object],
    alike: Callable[[], object],
    *,
    times: int,
    asked_before: str = TINY,
) -> dict[str, object]:
    """Return how long queries of the two rows take while something else changes.

    Windows with a change are in turns with windows in which ``alike`` does the same to another cluster; of each the
    longest query counts, in milliseconds, ascending: what both have in common is the machine's.
    """
    taken: list[float] = []
    done = threading.Event()
    elsewhere: list[float] = []
    changed: list[float] = []
    with Session(cluster, connections=ASKING) as session:
        rows_of(session, asked_before)

        def ask() -> None:
            while not done.is_set():
                started = time.perf_counter()
                assert len(rows_of(session, TINY)) == 2
                taken.append(time.perf_counter() - started)

        threads = [threading.Thread(target=ask) for _ in range(ASKING)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        for _ in range(times):
            for longest, act in ((changed, change), (elsewhere, alike)):
                taken.clear()
                act()
                time.sleep(0.5)
                longest.append(round(1000 * max([0.0, *taken]), 1))
        median = statistics.median(taken)
        done.set()
        for thread in threads:
            thread.join()
    return {"median_ms": round(1000 * median, 1), "elsewhere_ms": sorted(elsewhere), "changed_ms": sorted(changed)}


def write_rows(path: Path, seed: int) -> None:
    """Write a thousand rows in the middle of the chunk without made-up ones."""
    lon, lat = nested.healpix_to_lonlat(np.array([EMPTY_PIXEL], dtype=np.uint64), CHUNK_ORDER)
    rng = np.random.default_rng(seed)
    places = {
        "ra": lon.to_value("deg") + rng.uniform(0, 0.01, 1000),
        "dec": lat.to_value("deg") + rng.uniform(0, 0.01, 1000),
    }
    pq.write_table(pa.table({"id": np.arange(1000) + 1000 * seed, **places}), path)


def publishing(directory: Path, file: Path) -> dict[str, float]:
    """Ingest a file into "big" and publish it; in a process of its own, whose memory is looked at."""
    import resource

    from qserv_py.registry import snapshots

    listed = 0

    def counting(made: Callable[..., object]) -> Callable[..., object]:
        def count(*values: object) -> object:
            nonlocal listed
            listed += 1
            return made(*values)

        return count

    for name in ("part_of", "segment_of"):
        setattr(snapshots, name, counting(getattr(snapshots, name)))
    with open_destination(open_cluster(directory), sync=False) as destination:
        started = time.perf_counter()
        run_ingest(destination, database="big", table="T0", files=[file])
        ingested, of_ingest = time.perf_counter(), listed
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        publish_database(destination, "big")
        ended = time.perf_counter()
    return {
        "ingest_s": round(ingested - started, 2),
        "ingest_listed": of_ingest,
        "publish_s": round(ended - ingested, 2),
        "publish_listed": listed - of_ingest,
        "publish_grew_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def publish_apart(cluster: Cluster, file: Path) -> dict[str, float]:
    """Run ``publishing`` in a process of its own."""
    arguments = [sys.executable, __file__, "--publish", str(cluster.config.directory), str(file)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def first_query(cluster: Cluster) -> dict[str, float]:
    """Return what the first and the next query of "big" take, and the memory that the first one needs."""
    import resource

    with Session(cluster) as session:
        rows_of(session, TINY)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        assert len(rows_of(session, "SELECT id FROM big.T0 WHERE id = 1000")) == 1
        first = time.perf_counter()
        rows_of(session, "SELECT id FROM big.T0 WHERE id = 1001")
        return {
            "first_s": round(first - started, 3),
            "next_s": round(time.perf_counter() - first, 3),
            "grew_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
        }


def measure(chunks: int, tables: int, repeat: int) -> dict[str, object]:
    """Return all figures."""
    found: dict[str, object] = {"chunks": chunks, "tables": tables, "load_average": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="qb") as name:
        scratch = Path(name)
        scratch.chmod(0o711)  # the servers' account must reach its directory
        cluster, small = (init_cluster(scratch / part, workers=2, sync=False) for part in "cs")
        try:
            for one in (cluster, small):
                prepare(one, scratch, tables)
            found["query_small_s"] = round(query_command(small, repeat), 2)
            found["query_small_in_process_s"] = round(query_in_process(small, repeat), 3)
            found["first_publishing_s"] = round(fill(cluster, chunks), 1)
            found["query_s"] = round(query_command(cluster, repeat), 2)
            found["query_in_process_s"] = round(query_in_process(cluster, repeat), 3)
            files = [scratch / f"{number}.parquet" for number in range(1, 2 + STALLS)]
            for number, file in enumerate(files, 1):
                write_rows(file, number)
            found["publishing_that_shards_follow_first"] = publish_apart(cluster, files[0])
            publish_apart(small, files[0])
            found["first_query"] = first_query(cluster)
            with cluster.registry() as registry, small.registry() as other:
                readers = (Grantee(GranteeKind.USER, f"reader{number}") for number in itertools.count())
                found["stall_of_a_grant"] = stall(
                    cluster,
                    lambda: grant(registry, "big", next(readers)),
                    lambda: grant(other, "big", next(readers)),
                    times=9,
                )
            ours, others = iter(files[1:]), iter(files[1:])
            found["stall_of_publishing"] = stall(
                cluster,
                lambda: found.update(publishing=publish_apart(cluster, next(ours))),
                lambda: publish_apart(small, next(others)),
                times=STALLS,
                asked_before="SELECT id FROM big.T0 WHERE id = 1000",
            )
        finally:
            for one in (cluster, small):
                stop_cluster(one.config.directory)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--tables", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--publish", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        print(json.dumps(publishing(*options.publish)))
    else:
        print(json.dumps(measure(options.chunks, options.tables, options.repeat), indent=2))


if __name__ == "__main__":
    main()
