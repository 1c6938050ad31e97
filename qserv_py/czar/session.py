"""The life of one query in the czar: read, resolve, plan, run; and what is kept between queries.

A session holds the catalogue as it last saw it (one cheap look at the registry's version tells when it is stale), the
director indexes as memory maps, and the engines. Threads may share one session.
"""

from __future__ import annotations

import threading
import time
from collections import ChainMap
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from weakref import WeakSet

import pyarrow as pa

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import parse
from qserv_py.catalog.snapshot import Catalog
from qserv_py.closing import Closing
from qserv_py.czar.answer import Answer, QueryStats
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.director_indexes import DirectorIndexes
from qserv_py.czar.identity.identity import OPERATOR, Identity
from qserv_py.czar.obscore.brought import ShownTable
from qserv_py.czar.tables.czar_tables import CzarTables, uploaded_tables
from qserv_py.czar.tables.service_tables import ServiceTables, check_obscore
from qserv_py.czar.tables.tap_schema import SCHEMA_DATABASE, tap_schema_of
from qserv_py.czar.user_tables.user_tables import UserTables, may_read_user_tables
from qserv_py.errors import LimitError
from qserv_py.executor.engines import Engines
from qserv_py.executor.execute import Execution
from qserv_py.executor.placed_rows import narrowed_plan
from qserv_py.executor.runner import Progress
from qserv_py.planner.build import plan_query
from qserv_py.planner.explain import explain
from qserv_py.planner.plan.query_plan import QueryPlan


class Session(Closing):
    """Answers queries of one cluster.

    Parameters
    ----------
    cluster
        The cluster; it must run.
    slots
        Statements that one worker runs at a time for one query.
    connections
        Statements that one worker runs at a time for all queries of the session; None for ``slots``. More let short
        queries pass long ones.
    """

    def __init__(self, cluster: Cluster, *, slots: int = 2, connections: int | None = None) -> None:
        self.cluster = cluster
        self._registry = cluster.registry()
        self.user_tables = UserTables(self._registry, cluster.config.czar_dir)
        self._lock = threading.Lock()
        self._loaded: tuple[Catalog, ServiceTables] | None = None
        self._views: dict[frozenset[str], tuple[Catalog, Mapping[str, pa.Table]]] = {}
        self._indexes = DirectorIndexes(cluster.config.czar_dir)
        self._open_rows: WeakSet[Generator[pa.RecordBatch, None, None]] = WeakSet()
        self._engines = Engines(
            cluster.workers,
            admin=cluster.admin,
            spill_dir=cluster.config.czar_dir / "spill",
            slots=slots,
            connections=connections,
            scratch_bytes=cluster.config.scratch_bytes,
            kept_bytes=cluster.config.move_bytes,
        )

    def close(self) -> None:
        """Close every connection; queries whose rows were left half read are stopped."""
        for rows in list(self._open_rows):
            with suppress(ValueError):  # another thread reads them, and is waited for
                rows.close()
        self._engines.close()
        self._registry.close()

    def check_settings(self) -> None:
        """Raise ConfigError if the settings name a table as ``ivoa.ObsCore`` that cannot be it; queries go on then."""
        with self._lock:
            check_obscore(self._registry.load_catalog(), self.cluster.config.directory)

    def catalog(self, identity: Identity = OPERATOR) -> Catalog:
        """Return the catalogue as it is now, with the databases that an identity may read and no trace of others.

        TAP_SCHEMA, which describes them, is among them. As long as nothing changes, identities that may read the same
        databases get the same object.
        """
        return self._view(identity)[0]

    def _view(self, identity: Identity) -> tuple[Catalog, Mapping[str, pa.Table]]:
        """Return the catalogue of an identity and the rows of the tables in it that the czar holds."""
        with self._lock:
            version = self._registry.catalog_version()
            if self._loaded is None or self._loaded[0].version != version:
                directory = self.cluster.config.directory
                self._loaded = self._registry.load_catalog(), ServiceTables(self._registry, directory)
                self._views.clear()
                self._indexes.forget()
            known, service_tables = self._loaded
            names = frozenset(database.name for database in known.databases if identity.may_read(database))
            if names not in self._views:
                catalog = known.restricted_to(names)
                shown: list[CzarTables | ShownTable] = list(service_tables.visible(catalog))
                catalog = reduce(_with_tables, shown, catalog)
                shown.append(tap_schema_of(catalog))
                self._views[names] = _with_tables(catalog, shown[-1]), _rows_of(shown)
            return self._views[names]

    def plan(
        self, adql: str, *, uploads: Mapping[str, pa.Table] | None = None, identity: Identity = OPERATOR
    ) -> QueryPlan:
        """Return the plan of a query; ``uploads`` and ``identity`` as for ``answer``.

        Raises
        ------
        UserError
            If the text is not a query that the tables can answer; with the place in the text.
        """
        return self._plan(adql, uploads, identity)[0]

    def answer(
        self,
        adql: str,
        *,
        maxrec: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        identity: Identity = OPERATOR,
    ) -> Answer:
        """Plan a query and return its answer; nothing runs until its rows are read.

        Parameters
        ----------
        adql
            The query.
        maxrec
            Rows at the most; more set ``stats.overflow``.
        on_progress
            Called in the reader's thread, or the merge's, whenever chunks are done.
        uploads
            Tables that the query reads as ``TAP_UPLOAD.name``, by name. The metadata of a field may say ``unit``,
            ``ucd``, ``description`` and ``xtype``.
        identity
            Who asks; a table that it may not read does not exist.
        """
        started = time.perf_counter()
        if maxrec is not None and maxrec < 0:
            raise LimitError(f"maxrec is {maxrec}, it must be 0 or more")
        plan, held = self._plan(adql, uploads, identity)
        stats = QueryStats(chunks=plan.chunks, chunks_total=plan.chunks_known)
        stats.planning_s = time.perf_counter() - started
        execution = Execution(plan, self._engines, on_progress, self._indexes.cells_of_ids, held)
        return Answer(plan, stats, execution, maxrec, started, self._open_rows)

    def explain(
        self, adql: str, *, uploads: Mapping[str, pa.Table] | None = None, identity: Identity = OPERATOR
    ) -> str:
        """Return how a query would be answered, as text; ``uploads`` and ``identity`` as for ``answer``."""
        plan, held = self._plan(adql, uploads, identity)
        return explain(narrowed_plan(plan, held, self._indexes.cells_of_ids))

    def _plan(
        self, adql: str, uploads: Mapping[str, pa.Table] | None, identity: Identity
    ) -> tuple[QueryPlan, Mapping[str, pa.Table]]:
        """Return the plan of a query and the rows of the tables that the czar holds."""
        parsed = parse(adql)
        catalog, described = self._view(identity)
        brought = list(self.user_tables.databases(identity)) if may_read_user_tables(parsed, identity) else []
        if brought and parsed.may_name(SCHEMA_DATABASE):
            catalog = catalog.without(SCHEMA_DATABASE)
            brought.append(tap_schema_of(reduce(_with_tables, brought, catalog)))
        if uploads:
            brought.append(uploaded_tables(uploads))
        catalog, held = reduce(_with_tables, brought, catalog), _rows_of(brought, described)
        try:
            resolved = resolve(parsed, catalog)
            return plan_query(resolved, catalog, self._indexes.key_cells(resolved, catalog)), held
        except RecursionError:
            raise LimitError("the query is nested too deeply", hint="Write it with fewer nested expressions.") from None


def _with_tables(catalog: Catalog, tables: CzarTables | ShownTable) -> Catalog:
    return tables.added_to(catalog)


def _rows_of(brought: Sequence[CzarTables | ShownTable], *others: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
    """Return the rows of tables by their names, none of them read yet; the first of a name counts."""
    return ChainMap(*(tables.rows for tables in brought), *others)  # type: ignore[arg-type]
