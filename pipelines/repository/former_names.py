"""Repositories that were made before dataset types had Rubin's names: how they are known, and how they are converted.

The Butler cannot rename a type. Here the rows of its registry that say which type a dataset is of are changed, in one
transaction: afterwards everything has its new name, or, after a kill, its former one. A dataset keeps its id, its run,
its file and what the file says of its origin, so whatever remembers an id (rows of a catalogue, inputs of other
datasets) still finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy
from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler.registry import ConflictingDefinitionError

from qserv_py.catalog.dataset import FORMER_DATASET_TYPES
from qserv_py.errors import RepositoryError
from qserv_py.pipelines.repository.opening import first_line, opened

_FORMER_TASK, _TASK = "transformSourceTable", "recalibrateSingleVisitStar"
_OF_TASKS = ("config", "log", "metadata")

FORMER_NAMES = {
    **{former: name for name, former in FORMER_DATASET_TYPES.items()},
    **{f"{_FORMER_TASK}_{kind}": f"{_TASK}_{kind}" for kind in _OF_TASKS},
}
"""Former names of dataset types, and today's."""

_MARK = "single_visit_star"
"""A type that every such repository with measured images has; Rubin's of this name is of visits, not of detectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """A dataset type that has got its new name."""

    former: str
    name: str
    datasets: int
    """How many it has."""


def has_former_names(butler: Butler) -> bool:
    """Whether a repository of ours has dataset types under their former names."""
    found = {one.name: one for one in butler.registry.queryDatasetTypes(["camera", _MARK])}
    ours = "camera" in found and found["camera"].storageClass_name == "QCamera"
    return ours and _MARK in found and "detector" in found[_MARK].dimensions


def need_present_names(repository: str) -> None:
    """Check that what pipelines find in a repository is what the names say today.

    Raises
    ------
    RepositoryError
        If it was made before, and not converted; says how.
    """
    with opened(repository) as butler:
        if has_former_names(butler):
            raise RepositoryError(
                f"the dataset types of {repository} have the names that an earlier version gave them",
                detail=f"{', '.join(f'{former} is {name} now' for name, former in FORMER_DATASET_TYPES.items())}.",
                hint=f"`qserv pipeline convert {repository}` gives them their new names; datasets and ids stay.",
            )


def convert_names(butler: Butler) -> list[Renamed]:
    """Give the dataset types of a repository their new names, all or none; return those that it had.

    Raises
    ------
    RepositoryError
        If a run has a dataset under the former and another under the new name, or the new name is that of another type;
        nothing is changed then.
    """
    if not has_former_names(butler):
        return []
    types = {one.name: one for one in butler.registry.queryDatasetTypes(list(FORMER_NAMES))}
    for former, kind in types.items():
        _register(butler, kind, FORMER_NAMES[former])
    database: Any = butler._registry._db  # the Butler has no way to rename a type
    try:
        with database._transaction() as (_, connection):
            tables = _RegistryTables(connection, database.namespace)
            renamed = [tables.rename(former, FORMER_NAMES[former]) for former in sorted(types)]
    except sqlalchemy.exc.IntegrityError as error:
        raise RepositoryError(
            "a run has datasets under a former name and, of the same data ids, under today's name",
            detail=first_line(error),
            hint="butler prune-datasets removes those that are not wanted; nothing is changed.",
        ) from error
    butler.registry.refresh()
    return renamed


def _register(butler: Butler, former: DatasetType, name: str) -> None:
    try:
        butler.registry.registerDatasetType(DatasetType(name, former.dimensions, former.storageClass_name))
    except ConflictingDefinitionError as error:
        raise RepositoryError(
            f'"{former.name}" cannot become "{name}": the repository has another type of that name',
            hint=f"butler remove-dataset-type REPO {name} makes room, where nothing is under it.",
        ) from error


class _RegistryTables:
    """The tables of a registry that say of which type datasets are, in one transaction."""

    def __init__(self, connection: sqlalchemy.Connection, schema: str | None) -> None:
        self._connection = connection
        self._schema = schema
        self._types = self._table("dataset_type", "id", "name", "tag_association_table")
        self._datasets = self._table("dataset", "dataset_type_id")
        self._summaries = self._table("collection_summary_dataset_type", "collection_id", "dataset_type_id")

    def _table(self, name: str, *columns: str) -> sqlalchemy.TableClause:
        return sqlalchemy.table(name, *map(sqlalchemy.column, columns), schema=self._schema)

    def rename(self, former: str, name: str) -> Renamed:
        """Put the datasets of a type under another of the same dimensions; the former type is no more."""
        one, tags = self._type(former)
        other, _ = self._type(name)
        self._summarise(one, other)
        self._move(self._table(tags, "dataset_type_id"), one, other)
        count = self._move(self._datasets, one, other)
        for table, column in ((self._summaries, "dataset_type_id"), (self._types, "id")):
            self._connection.execute(sqlalchemy.delete(table).where(table.c[column] == one))
        return Renamed(former=former, name=name, datasets=count)

    def _type(self, name: str) -> tuple[int, str]:
        columns = (self._types.c.id, self._types.c.tag_association_table)
        row = self._connection.execute(sqlalchemy.select(*columns).where(self._types.c.name == name)).one()
        return int(row[0]), str(row[1])

    def _summarise(self, one: int, other: int) -> None:
        """Note the other type for the collections that have the one; tags refer to these notes."""
        kind, place = self._summaries.c.dataset_type_id, self._summaries.c.collection_id
        noted = sqlalchemy.select(place).where(kind == other)
        missing = sqlalchemy.select(place, sqlalchemy.literal(other)).where(kind == one, place.not_in(noted))
        self._connection.execute(
            sqlalchemy.insert(self._summaries).from_select(["collection_id", "dataset_type_id"], missing)
        )

    def _move(self, table: sqlalchemy.TableClause, one: int, other: int) -> int:
        column = table.c.dataset_type_id
        changed = sqlalchemy.update(table).where(column == one).values(dataset_type_id=other)
        return int(self._connection.execute(changed).rowcount)
