r"""Ingest of 1 M rows x 40 columns against psql's \copy of the same rows, in the same run. Prints JSON.

Ours: Parquet file -> committed, loaded on three shards, published. Theirs: CSV file -> one plain table (healpix29 among
its columns, for nothing), then the same indexes. Both servers are the cluster's own, with its settings.

    python benchmarks/ingest.py [--rows 1000000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from qserv_py.catalog.model import Column, Database, DirectorTable, Family, Position
from qserv_py.catalog.types import DataType
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_init import init_cluster
from qserv_py.czar.cluster_servers import stop_cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import IngestProgress
from qserv_py.ingest.run import run_ingest
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.workers import chunk_tables
from qserv_py.workers.server_programs import default_bin_dir


def make_table(name: str) -> DirectorTable:
    """Return a director of 40 columns and healpix29."""
    kinds = [("objectId", DataType.LONG), ("coord_ra", DataType.DOUBLE), ("coord_dec", DataType.DOUBLE)]
    kinds += [(f"l{number}", DataType.LONG) for number in range(6)]
    kinds += [(f"d{number}", DataType.DOUBLE) for number in range(8)]
    kinds += [(f"f{number}", DataType.FLOAT) for number in range(18)]
    kinds += [(f"b{number}", DataType.BOOLEAN) for number in range(4)]
    kinds += [("name", DataType.STRING)]
    columns = [
        Column(name=name, physical=name.lower(), datatype=datatype, nullable=name != "objectId")
        for name, datatype in kinds
    ]
    columns.append(Column(name="healpix29", physical="healpix29", datatype=DataType.LONG, nullable=False, hidden=True))
    return DirectorTable(
        database=name,
        name="Object",
        physical="object",
        columns=tuple(columns),
        id="objectId",
        ra=Position(column="coord_ra"),
        dec=Position(column="coord_dec"),
    )


def make_rows(table: DirectorTable, count: int, nulls: float) -> pa.Table:
    """Return random rows; a share of the float columns is NULL."""
    random = np.random.default_rng(3)
    arrays: dict[str, pa.Array] = {}
    for column in table.columns:
        if column.hidden:
            continue
        match column.datatype:
            case DataType.LONG:
                values = random.integers(0, 1 << 50, count)
            case DataType.BOOLEAN:
                values = random.random(count) < 0.5
            case DataType.STRING:
                values = np.array(["star", "galaxy", "quasar"])[random.integers(0, 3, count)]
            case DataType.FLOAT:
                values = random.normal(size=count).astype(np.float32)
            case _:
                values = random.normal(size=count)
        mask = random.random(count) < nulls if column.datatype is DataType.FLOAT and nulls else None
        arrays[column.name] = pa.array(values, mask=mask)
    arrays["objectId"] = pa.array(random.permutation(count) * 7)
    arrays["coord_ra"] = pa.array(random.uniform(0, 360, count))
    arrays["coord_dec"] = pa.array(np.degrees(np.arcsin(random.uniform(-1, 1, count))))
    return pa.table(arrays)


def ours(cluster: Cluster, file: Path, number: int) -> dict[str, float]:
    """Ingest the file; return the seconds of each stage and of all."""
    name = f"bench{number}"
    family = Family(name=name, target_rows=500_000, overlap_arcsec=60.0)
    database = Database(name=name, physical=name, family=family, tables=(make_table(name),))
    stages: dict[str, float] = {}
    with open_destination(cluster) as destination:
        destination.registry.add_database(database)
        started = time.perf_counter()

        def listen(progress: IngestProgress) -> None:
            stages.setdefault(progress.stage.value, time.perf_counter() - started)

        run_ingest(destination, database=name, table="Object", files=[file], progress=listen)
        loaded = time.perf_counter() - started
        publish_database(destination, name)
        published = time.perf_counter() - started
    begins = {f"{stage}_begins_s": at for stage, at in stages.items()}
    return {"seconds": loaded, "with_publish_s": published, **begins}


def theirs(cluster: Cluster, file: Path) -> dict[str, float]:
    r"""Run psql \copy into a plain table; return the seconds."""
    table = make_table("plain")
    conninfo = make_conninfo(cluster.admin["w1"], dbname="postgres")
    plain = chunk_tables.create_chunk_table("public", "plain", table, chunk=None)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS plain")
        connection.execute(plain)
        names = ", ".join(column.physical for column in table.columns)
        address = conninfo_to_dict(conninfo)
        psql = Path(cluster.config.postgres_bin or default_bin_dir()) / "psql"
        started = time.perf_counter()
        subprocess.run(
            [str(psql), "-q", conninfo, "-c", rf"\copy plain ({names}) FROM '{file}' (FORMAT csv, HEADER true)"],
            check=True,
            env={"PGPASSFILE": str(address["passfile"])},
        )
        copied = time.perf_counter() - started
        for statement in chunk_tables.create_indexes("public", "plain", table):
            connection.execute(statement)
        indexed = time.perf_counter() - started
        connection.execute("ANALYZE plain")
        analyzed = time.perf_counter() - started
        connection.execute("DROP TABLE plain")
    return {"seconds": indexed, "copy_s": copied, "with_analyze_s": analyzed}


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the run whose time is the median."""
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--nulls", type=float, default=0.0, help="Share of NULLs in the float columns.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qbench", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        rows = make_rows(make_table("plain"), options.rows, options.nulls)
        pq.write_table(rows, directory / "rows.parquet")
        cells = healpix29_of(rows.column("coord_ra").to_numpy(), rows.column("coord_dec").to_numpy())
        rows = rows.append_column("healpix29", pa.array(cells))
        pyarrow.csv.write_csv(rows, directory / "rows.csv")
        del rows
        cluster = init_cluster(directory / "c", workers=3)
        try:
            mine, peer = [], []
            for number in range(options.repeat):  # in turns, so that both see the same machine
                mine.append(ours(cluster, directory / "rows.parquet", number))
                peer.append(theirs(cluster, directory / "rows.csv"))
        finally:
            stop_cluster(cluster.config.directory)
    ours_s, theirs_s = (statistics.median(run["seconds"] for run in runs) for runs in (mine, peer))
    result = {
        "benchmark": "ingest",
        "rows": options.rows,
        "columns": 40,
        "null_share_of_floats": options.nulls,
        "ours_rows_per_s": round(options.rows / ours_s),
        "psql_copy_and_index_rows_per_s": round(options.rows / theirs_s),
        "ratio": round(theirs_s / ours_s, 2),
        "ours": {key: round(value, 2) for key, value in median(mine).items()},
        "psql": {key: round(value, 2) for key, value in median(peer).items()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
