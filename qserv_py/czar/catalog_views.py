"""The databases as each identity sees them, kept until the registry's version grows.

For example, after ``qserv revoke dr1 --from public`` the next query of somebody without a name is resolved against a
catalogue in which there is no ``dr1``.

Whoever asks looks at the version, a cheap query. When it has grown, one thread reads what has changed (of most
databases nothing but their versions and grants) and puts the new state in the place of the old one; a query that has
the old one goes on with it, as it is frozen. Chunks are no part of it: ``chunk_loader`` has them.
"""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import pyarrow as pa

from qserv_py.catalog.pieces import Description
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.kept_plans import KeptPlans
from qserv_py.czar.obscore.brought import ShownTable
from qserv_py.czar.tables.czar_tables import CzarTables
from qserv_py.czar.tables.service_tables import ServiceTables
from qserv_py.czar.tables.tap_schema import tap_schema_of
from qserv_py.registry.connection import Registry


@dataclass(frozen=True, eq=False)
class View:
    """What an identity may read, as of one version of the registry."""

    catalog: Catalog
    """Without chunks."""

    rows: Mapping[str, pa.Table]
    """Of the tables that the czar holds, by their names."""

    plans: KeptPlans = field(default_factory=KeptPlans)
    """Of queries that read nothing but these tables."""


class CatalogViews:
    """The catalogue of each identity; thread-safe.

    Parameters
    ----------
    directory
        The cluster's directory, where its settings are.
    changed
        Called after something has changed.
    """

    def __init__(self, registry: Registry, directory: Path, *, changed: Callable[[], None]) -> None:
        self._registry = registry
        self._directory = directory
        self._changed = changed
        self._reading = threading.Lock()
        self._state: _State | None = None

    def whole(self) -> Catalog:
        """Return all databases of the registry, without chunks."""
        return self._now().catalog

    def view(self, identity: Identity) -> View:
        """Return what an identity may read, without chunks; the same object as long as nothing changes."""
        return self._now().view(identity)

    def _now(self) -> _State:
        version = self._registry.catalog_version()
        seen = self._state
        if seen is not None and seen.description.version == version:
            return seen
        with self._reading:
            state = self._state
            if state is None or (state.description.version < version or state is seen):
                known = {} if state is None else {piece.database.name: piece for piece in state.description.pieces}
                description = self._registry.describe(known)
                state = self._state = _State(description, ServiceTables(self._registry, self._directory))
                self._changed()
            return state


class _State:
    """The databases as the registry had them at one version."""

    def __init__(self, description: Description, service_tables: ServiceTables) -> None:
        self.description = description
        self.catalog = description.catalog()
        self._service_tables = service_tables
        self._views: dict[frozenset[str], View] = {}
        self._lock = threading.Lock()

    def view(self, identity: Identity) -> View:
        names = frozenset(database.name for database in self.catalog.databases if identity.may_read(database))
        with self._lock:
            if names not in self._views:
                self._views[names] = self._view_of(names)
            return self._views[names]

    def _view_of(self, names: frozenset[str]) -> View:
        catalog = self.catalog.restricted_to(names)
        shown: list[CzarTables | ShownTable] = list(self._service_tables.visible(catalog))
        catalog = reduce(with_tables, shown, catalog)
        shown.append(tap_schema_of(catalog))
        return View(with_tables(catalog, shown[-1]), rows_of(shown))


def with_tables(catalog: Catalog, tables: CzarTables | ShownTable) -> Catalog:
    """Return a catalogue with further tables."""
    return tables.added_to(catalog)


def rows_of(brought: Sequence[CzarTables | ShownTable], *others: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
    """Return the rows of tables by their names, none of them read yet; the first of a name counts."""
    return ChainMap(*(tables.rows for tables in brought), *others)  # type: ignore[arg-type]
