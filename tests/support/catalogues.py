"""The made-up catalogues of ``support.sky``, loaded into a cluster by the product's own ingest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from support.sky import FELIS, GAPS_FELIS, GAPS_PARTITION, PARTITION, catalogue, gaps

from qserv_py.catalog.model import Database
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.felis_schema import read_schema

CATALOGUES = ("clustered", "polar", "wrap", "sparse")
"""Databases; each is the kind of its positions."""

GAPS = "gaps"
"""A database with match rows of one key, sources without an object, and a director whose ids repeat."""


@dataclass(frozen=True)
class Loaded:
    """A published database and the rows that are in it."""

    database: Database
    tables: dict[str, pa.Table]


_loaded: dict[tuple[str, str], Loaded] = {}
"""What the clusters of this process hold, by directory and database."""


def load_catalogues(cluster: Cluster, scratch: Path, *, count: int = 600, target_rows: int = 25) -> list[Loaded]:
    """Make, ingest and publish all catalogues, with chunks so small that a query meets many."""
    made = {name: catalogue(seed, name, count=count) for seed, name in enumerate(CATALOGUES)}
    return [
        *(load_catalogue(cluster, scratch, name=name, tables=made[name], target_rows=target_rows) for name in made),
        load_catalogue(
            cluster,
            scratch,
            name=GAPS,
            tables=gaps(50, count=count),
            target_rows=target_rows,
            schema=(GAPS_FELIS, GAPS_PARTITION),
        ),
    ]


def load_catalogue(
    cluster: Cluster,
    scratch: Path,
    *,
    name: str,
    tables: dict[str, pa.Table],
    target_rows: int,
    schema: tuple[str, str] = (FELIS, PARTITION),
) -> Loaded:
    """Make, ingest and publish one catalogue; a cluster that has it keeps it."""
    place = (str(cluster.config.directory), name)
    if place in _loaded:
        return _loaded[place]
    felis, partition = scratch / f"{name}.yaml", scratch / f"{name}-partition.yaml"
    felis.write_text(schema[0].format(name=name))
    partition.write_text(schema[1].format(name=name, target_rows=target_rows))
    database = read_schema(felis, partition)
    with cluster.registry() as registry:
        registry.add_database(database)
    with open_destination(cluster, sync=False) as destination:
        for table, rows in tables.items():
            path = scratch / f"{name}-{table}.parquet"
            pq.write_table(rows, path)
            run_ingest(destination, database=name, table=table, files=[path], options=InputOptions(keep_nan=True))
        publish_database(destination, name)
    _loaded[place] = Loaded(database, tables)
    return _loaded[place]


def loaded(name: str) -> Loaded:
    """Return a catalogue that a cluster of this process holds."""
    return next(found for (_, known), found in _loaded.items() if known == name)
