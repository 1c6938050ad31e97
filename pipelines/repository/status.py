"""What is in a repository: collections, how many datasets of which type, and the runs that were written last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lsst.daf.butler import Butler, CollectionType


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStatus:
    """One collection."""

    name: str
    """Of the collection."""

    kind: str
    """RUN, CHAINED, CALIBRATION or TAGGED."""

    children: tuple[str, ...]
    """Of a chain, in the order in which they are searched."""

    datasets: dict[str, int]
    """How many there are, by dataset type; empty for a chain."""

    written: datetime | None
    """When the last dataset of a run came, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryStatus:
    """A repository."""

    collections: tuple[CollectionStatus, ...]
    """By name."""

    exposures: int
    """Known to the registry."""

    visits: int
    """Defined."""

    @property
    def last_runs(self) -> list[CollectionStatus]:
        """Runs with datasets, the one that was written last first."""
        runs = [one for one in self.collections if one.written is not None]
        return sorted(runs, key=lambda one: str(one.written), reverse=True)


def repository_status(butler: Butler) -> RepositoryStatus:
    """Return what is in a repository."""
    found = butler.collections.query_info("*", include_chains=True, include_summary=True)
    return RepositoryStatus(
        collections=tuple(sorted((_collection(butler, info) for info in found), key=lambda one: one.name)),
        exposures=_count(butler, "exposure"),
        visits=_count(butler, "visit"),
    )


def _collection(butler: Butler, info: Any) -> CollectionStatus:
    chain = info.type is CollectionType.CHAINED
    types = () if chain else sorted(info.dataset_types or ())
    counts, written = {}, None
    for name in types:
        counts[name], last = _datasets(butler, name, info.name, dated=info.type is CollectionType.RUN)
        written = max(filter(None, (written, last)), default=None)
    return CollectionStatus(
        name=info.name,
        kind=info.type.name,
        children=tuple(info.children) if chain else (),
        datasets={name: count for name, count in counts.items() if count},
        written=written,
    )


def _datasets(butler: Butler, name: str, collection: str, *, dated: bool) -> tuple[int, datetime | None]:
    kind = butler.get_dataset_type(name)
    with butler.query() as query:
        if not dated:
            found = query.datasets(kind, collections=collection, find_first=False)
            return found.count(exact=False), None
        searched = query.join_dataset_search(kind, collections=collection)
        rows = searched.general(kind.dimensions, dataset_fields={name: {"ingest_date"}}, find_first=False)
        count = rows.count(exact=False)
        if not count:
            return 0, None
        for row in rows.order_by(f"-{name}.ingest_date").limit(1):
            return count, _utc(row[f"{name}.ingest_date"])
    return count, None


def _utc(time: Any) -> datetime | None:
    if time is None:
        return None
    if isinstance(time, datetime):
        return time.replace(tzinfo=UTC)
    plain: datetime = time.utc.to_datetime()
    return plain.replace(tzinfo=UTC)


def _count(butler: Butler, element: str) -> int:
    with butler.query() as query:
        return int(query.dimension_records(element).count())
