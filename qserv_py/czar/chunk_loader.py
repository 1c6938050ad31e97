"""Loads the chunks of a database when a query first names it, and again when it was published anew.

One thread loads at a time, over a connection of its own. Queries that name other databases do not wait for it, and
those that began before go on with what they have.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from qserv_py.adql.tree import ResolvedQuery, Select, TableSource
from qserv_py.adql.walks import blocks
from qserv_py.catalog.model import Database
from qserv_py.catalog.pieces import FamilyPiece
from qserv_py.catalog.snapshot import Catalog, DatabaseVersion, Snapshot
from qserv_py.closing import Closing
from qserv_py.czar.obscore.brought import shown_snapshot
from qserv_py.registry.connection import Registry


def databases_of(resolved: ResolvedQuery) -> frozenset[str]:
    """Return the names of the databases whose tables a query reads."""
    found = (block.sources for block in blocks(resolved.query) if isinstance(block, Select))
    return frozenset(source.database.name for sources in found for source in sources if isinstance(source, TableSource))


@dataclass(frozen=True, slots=True)
class _Loaded:
    version: tuple[int, int]
    """Version of the database that the chunks were loaded for (``DatabaseVersion.number``)."""

    family: FamilyPiece
    """The chunk map that the snapshot's chunk indices count in."""

    snapshot: Snapshot


class ChunkLoader(Closing):
    """The chunks that were loaded; thread-safe.

    Parameters
    ----------
    registry
        A registry of its own; it is closed with this.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._families: dict[str, FamilyPiece] = {}
        self._loaded: dict[str, _Loaded] = {}

    def close(self) -> None:
        """Close the connection."""
        self._registry.close()

    def put_into(self, catalog: Catalog, names: Collection[str]) -> Catalog | None:
        """Return a catalogue with the chunks of some of its databases, or None if one was published anew meanwhile.

        Databases that the czar holds, such as TAP_SCHEMA, and those of which nothing is published, get no chunks.
        """
        published = catalog.published
        wanted = [one for one in catalog.databases if one.name in names and one.name in published]
        if not wanted:
            return catalog
        sources = {database.shown_from or database.name for database in wanted}
        known = {database.name: database for database in catalog.databases if database.name in sources}
        loaded = self._all(known, catalog)
        if loaded is None:
            return None
        snapshots = {database.name: _snapshot_of(database, known, loaded) for database in wanted}
        families = {known[name].family.name: one.family.state for name, one in loaded.items()}
        return replace(
            catalog,
            snapshots=MappingProxyType({**catalog.snapshots, **snapshots}),
            families=MappingProxyType({**catalog.families, **families}),
        )

    def _all(self, databases: Mapping[str, Database], catalog: Catalog) -> Mapping[str, _Loaded] | None:
        """Return the chunks of databases, those of one family with the same chunk map."""
        if found := self._present(databases, catalog):
            return found
        with self._lock:
            for name, database in databases.items():
                self._load_family(database.family.name, catalog.versions[name])
            for name, database in databases.items():
                if not self._is_present(database, catalog.versions[name]) and not self._load(
                    database, catalog.versions[name]
                ):
                    return None
            return {name: self._loaded[name] for name in databases}

    def _present(self, databases: Mapping[str, Database], catalog: Catalog) -> Mapping[str, _Loaded] | None:
        """Return what is loaded of some databases, if it is there for all of them and has the wanted versions."""
        found = {name: self._loaded.get(name) for name in databases}
        if all(self._is_present(database, catalog.versions[name]) for name, database in databases.items()):
            return {name: one for name, one in found.items() if one is not None}
        return None

    def _is_present(self, database: Database, version: DatabaseVersion) -> bool:
        one, family = self._loaded.get(database.name), self._families.get(database.family.name)
        return one is not None and one.version == version.number and one.family is family and family.has(version)

    def _load_family(self, name: str, version: DatabaseVersion) -> None:
        if name not in self._families or not self._families[name].has(version):
            self._families[name] = self._registry.family(name)

    def _load(self, database: Database, version: DatabaseVersion) -> bool:
        """Load the chunks of a database; False if it has been published anew since its version was read."""
        rows = self._registry.table_rows(version)
        if rows is None:
            return False
        family = self._families[database.family.name]
        tables = {table: found.placed_in(family.state) for table, found in rows.items()}
        snapshot = Snapshot(number=version.snapshot or 0, tables=MappingProxyType(tables))
        self._loaded[database.name] = _Loaded(version.number, family, snapshot)
        return True


def _snapshot_of(database: Database, known: Mapping[str, Database], loaded: Mapping[str, _Loaded]) -> Snapshot:
    if not database.shown_from:
        return loaded[database.name].snapshot
    return shown_snapshot(database, known[database.shown_from], loaded[database.shown_from].snapshot)
