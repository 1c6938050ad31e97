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
from qserv_py.registry.schema_files.felis_schema import read_schema

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


ALL = (*CATALOGUES, GAPS)

_TARGET_ROWS = (25, 150, 100, 150, 100)
"""Rows of a chunk, of one catalogue after the other: one of many chunks, and others that are faster to query."""


def made_catalogue(name: str, *, count: int = 600) -> dict[str, pa.Table]:
    """Return the rows of one of the catalogues."""
    return gaps(50, count=count) if name == GAPS else catalogue(CATALOGUES.index(name), name, count=count)


def load_catalogues(cluster: Cluster, scratch: Path, *, turn: int = 0) -> list[Loaded]:
    """Make, ingest and publish all catalogues, with chunks so small that a query meets many.

    Parameters
    ----------
    cluster
        Where they go.
    scratch
        For the files.
    turn
        Which catalogue has the smallest chunks: so many after the first.
    """
    return [
        load_catalogue(
            cluster,
            scratch,
            name=name,
            tables=made_catalogue(name),
            target_rows=_TARGET_ROWS[(place - turn) % len(ALL)],
            schema=(GAPS_FELIS, GAPS_PARTITION) if name == GAPS else (FELIS, PARTITION),
        )
        for place, name in enumerate(ALL)
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
