"""Butler datasets whose rows the tables have, and the images that rows were measured on.

A dataset is written down by the commit of the super-transaction that brings its rows, in the same PostgreSQL
transaction; its id is unique in a table. So the rows of a dataset that is written down are there exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from qserv_py.catalog.dataset import Image, NewDataset, names_of_type
from qserv_py.catalog.model import Table
from qserv_py.errors import TransactionStateError
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import Connection, run

DataIdKey = str
"""A data id as text that is the same for equal ones."""


def take_numbers(registry: Registry, count: int) -> list[int]:
    """Return numbers for new datasets; nobody else gets them."""
    return sorted(int(row[0]) for row in registry.look_up("take_dataset_numbers", count=count))


def loaded_ids(registry: Registry, table: Table, dataset_ids: Collection[UUID]) -> set[UUID]:
    """Return those of some datasets whose rows a table has."""
    rows = registry.look_up(
        "loaded_dataset_ids", database=table.database, table=table.name, dataset_ids=list(dataset_ids)
    )
    return {row[0] for row in rows}


def datasets_at(
    registry: Registry, table: Table, dataset_type: str, data_ids: Sequence[Mapping[str, object]]
) -> dict[DataIdKey, tuple[UUID, str]]:
    """Return id and run of the latest dataset that a table has the rows of, for those data ids that have one.

    A type that has got another name is looked for under both.
    """
    rows = registry.look_up(
        "datasets_at",
        database=table.database,
        table=table.name,
        dataset_types=list(names_of_type(dataset_type)),
        data_ids=Jsonb([dict(data_id) for data_id in data_ids]),
    )
    return {data_id_key(data_id): (dataset_id, name) for data_id, dataset_id, name in rows}


def data_id_key(data_id: Mapping[str, object]) -> DataIdKey:
    """Return a data id as text that is the same for equal ones."""
    return json.dumps(dict(data_id), sort_keys=True)


def add_datasets(connection: Connection, transaction_id: int, datasets: Sequence[tuple[str, NewDataset, int]]) -> None:
    """Write down table, dataset and rows of what a super-transaction brings.

    Raises
    ------
    TransactionStateError
        If a table has the rows of one of them already.
    """
    if not datasets:
        return
    made = [dataset for _, dataset, _ in datasets]
    try:
        run(
            connection,
            "insert_datasets",
            transaction_id=transaction_id,
            numbers=[dataset.number for dataset in made],
            tables=[table for table, _, _ in datasets],
            dataset_ids=[dataset.dataset_id for dataset in made],
            dataset_types=[dataset.dataset_type for dataset in made],
            runs=[dataset.run for dataset in made],
            data_ids=[data_id_key(dataset.data_id) for dataset in made],
            rows=[rows for _, _, rows in datasets],
        )
    except UniqueViolation as error:
        raise TransactionStateError(
            f"super-transaction {transaction_id} brings a dataset whose rows its table has already",
            detail=(error.diag.message_detail or str(error)).strip(),
            hint="Another ingest was quicker; run this one again.",
        ) from error


def add_images(connection: Connection, transaction_id: int, images: Sequence[Image]) -> None:
    """Write down the images that rows of a super-transaction were measured on, unless they are known."""
    for image in images:
        region = None if image.region is None else list(image.region)
        run(connection, "insert_image", transaction_id=transaction_id, **{**asdict(image), "region": region})


def count_datasets(registry: Registry) -> dict[str, tuple[int, int]]:
    """Return how many datasets and images each published database has, of those that have any."""
    return {name: (datasets, images) for name, datasets, images in registry.look_up("count_datasets")}


def dataset_rows(registry: Registry, snapshots: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """Return the datasets of some databases, as of their snapshots.

    Returns
    -------
    rows
        Number, id, type, run, data id as JSON, database, table, rows, moment of the commit in UTC.
    """
    names, numbers = list(snapshots), list(snapshots.values())
    return registry.look_up("dataset_rows", databases=names, snapshots=numbers)


def image_rows(registry: Registry, snapshots: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """Return the images of some databases, as of their snapshots.

    Returns
    -------
    rows
        Database, id, dataset type, instrument, visit, detector, name of the visit, filter, band, target, exposure in
        seconds, begin and end as MJD in UTC, ra, dec and diameter of the field in degrees, region as STC-S.
    """
    names, numbers = list(snapshots), list(snapshots.values())
    return registry.look_up("image_rows", databases=names, snapshots=numbers)
