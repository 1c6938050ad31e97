"""The life of one query in the czar: read, resolve, plan, run; and what is kept between queries.

A session holds the catalogue piece by piece as it last saw it (one cheap look at the registry's version tells when
something is stale), the director indexes as memory maps, and the engines. Threads may share one session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import suppress
from functools import reduce
from weakref import WeakSet

import pyarrow as pa

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import ParsedQuery, parse
from qserv_py.catalog.snapshot import Catalog
from qserv_py.closing import Closing
from qserv_py.czar.answer import Answer
from qserv_py.czar.catalog_views import CatalogViews, rows_of, with_tables
from qserv_py.czar.chunk_loader import ChunkLoader, databases_of
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.director_indexes import DirectorIndexes
from qserv_py.czar.identity.identity import OPERATOR, Identity
from qserv_py.czar.queries.queries import Queries
from qserv_py.czar.queries.running import QueryKind, RunningQuery
from qserv_py.czar.queries.shares import shares_of
from qserv_py.czar.settings.settings_file import read_settings
from qserv_py.czar.tables.czar_tables import CzarTables, uploaded_tables
from qserv_py.czar.tables.service_tables import check_obscore
from qserv_py.czar.tables.tap_schema import SCHEMA_DATABASE, tap_schema_of
from qserv_py.czar.user_tables.user_tables import UserTables, may_name_user_tables
from qserv_py.errors import ClusterError, LimitError, WorkerError
from qserv_py.executor.engines import Engines, WorkerAddress
from qserv_py.executor.execute import Execution
from qserv_py.executor.placed_rows import narrowed_plan
from qserv_py.executor.runner import Progress
from qserv_py.planner.build import plan_query
from qserv_py.planner.explain import explain
from qserv_py.planner.plan.query_plan import QueryPlan

MOST_CHANGES = 10
"""How often a database may be published anew between naming its tables and loading its chunks."""


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

    Raises
    ------
    ConfigError
        If the cluster's ``settings.yaml`` is wrong.
    """

    def __init__(self, cluster: Cluster, *, slots: int = 2, connections: int | None = None) -> None:
        self.cluster = cluster
        settings = read_settings(cluster.config.directory)
        self._registry = cluster.registry()
        self.user_tables = UserTables(self._registry, cluster.config.czar_dir)
        spill_dir = cluster.config.czar_dir / "spill"
        spill_dir.mkdir(parents=True, exist_ok=True)
        shares = shares_of(settings.memory, spill_dir)
        self.queries = Queries(cluster.registry(), shares)
        """The queries of this session that run."""

        self._indexes = DirectorIndexes(cluster.config.czar_dir)
        self._views = CatalogViews(self._registry, cluster.config.directory, changed=self._indexes.forget)
        self._chunks = ChunkLoader(cluster.registry())
        self._open_rows: WeakSet[Generator[pa.RecordBatch, None, None]] = WeakSet()
        self._engines = Engines(
            self._address_of,
            workers=len(cluster.workers),
            spill_dir=spill_dir,
            slots=slots,
            connections=connections,
            scratch_bytes=cluster.config.scratch_bytes,
            kept_bytes=cluster.config.move_bytes,
            merge_bytes=shares.merges,
            merge_spill_bytes=shares.merge_spill,
            batch_bytes=shares.batch,
        )

    def close(self) -> None:
        """Close every connection; queries whose rows were left half read are stopped."""
        for rows in list(self._open_rows):
            with suppress(ValueError):  # another thread reads them, and is waited for
                rows.close()
        self.queries.close()
        self._engines.close()
        self._chunks.close()
        self._registry.close()

    def check_settings(self) -> None:
        """Raise ConfigError if the settings name a table as ``ivoa.ObsCore`` that cannot be it; queries go on then."""
        check_obscore(self._views.whole(), self.cluster.config.directory)

    def catalog(self, identity: Identity = OPERATOR) -> Catalog:
        """Return the catalogue as it is now, with the databases that an identity may read and no trace of others.

        TAP_SCHEMA, which describes them, is among them. It is without the chunks of the databases. As long as nothing
        changes, identities that may read the same databases get the same object.
        """
        return self._views.view(identity).catalog

    def catalog_with_chunks(self, names: Collection[str], identity: Identity = OPERATOR) -> Catalog:
        """Return the catalogue of an identity with the chunks of some databases."""
        for _ in range(MOST_CHANGES):
            complete = self._chunks.put_into(self.catalog(identity), names)
            if complete is not None:
                return complete
        raise _changing()

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
        query: RunningQuery | None = None,
    ) -> Answer:
        """Plan a query and return its answer; nothing runs until its rows are read.

        Parameters
        ----------
        adql
            The query.
        maxrec
            Rows at the most; more set ``stats.overflow``. With 0 the query is planned and not run, which sets it, too.
        on_progress
            Called in the reader's thread, or the merge's, whenever chunks are done.
        uploads
            Tables that the query reads as ``TAP_UPLOAD.name``, by name. The metadata of a field may say ``unit``,
            ``ucd``, ``description`` and ``xtype``.
        identity
            Who asks; a table that it may not read does not exist.
        query
            What it is among the running queries, of ``queries.make``; without it one of this machine.
        """
        started = time.perf_counter()
        if maxrec is not None and maxrec < 0:
            raise LimitError(f"maxrec is {maxrec}, it must be 0 or more")
        query = query or self.queries.make(kind=QueryKind.LOCAL, identity=identity, text=adql)
        query.cancel.raise_if_cancelled()
        plan, held = self._plan_to_read(query, adql, uploads, identity)
        query.plan, query.stats.chunks, query.stats.chunks_total = plan, plan.chunks, plan.chunks_known
        query.stats.planning_s = time.perf_counter() - started
        on_chunks = query.noting(on_progress)
        execution = Execution(
            plan,
            self._engines,
            on_chunks,
            self._indexes.cells_of_ids,
            held,
            account=query.rows_held,
            cancel=query.cancel,
            priority=query.priority,
            who=query.id,
        )
        return Answer(plan, query, self.queries, execution, maxrec, started, self._open_rows)

    def explain(
        self, adql: str, *, uploads: Mapping[str, pa.Table] | None = None, identity: Identity = OPERATOR
    ) -> str:
        """Return how a query would be answered, as text; ``uploads`` and ``identity`` as for ``answer``."""
        plan, held = self._plan(adql, uploads, identity)
        return explain(narrowed_plan(plan, held, self._indexes.cells_of_ids))

    def _address_of(self, worker: str) -> WorkerAddress:
        known, admin = self.cluster.worker(worker)
        return WorkerAddress(worker=known, admin=admin)

    def _plan_to_read(
        self, query: RunningQuery, adql: str, uploads: Mapping[str, pa.Table] | None, identity: Identity
    ) -> tuple[QueryPlan, Mapping[str, pa.Table]]:
        """Return the plan of a query as ``_plan`` does; what it is to read stays until the query has ended."""
        for attempt in range(MOST_CHANGES):
            try:
                plan, held = self._plan(adql, uploads, identity)
            except WorkerError:  # the index of a snapshot that has been replaced may be gone
                if attempt:
                    raise
                continue
            is_new = self.queries.begin_reading(query, plan.catalog.numbers_read)
            if not is_new or self._registry.catalog_version() == plan.catalog.version:
                return plan, held
        raise _changing()

    def _plan(
        self, adql: str, uploads: Mapping[str, pa.Table] | None, identity: Identity
    ) -> tuple[QueryPlan, Mapping[str, pa.Table]]:
        """Return the plan of a query and the rows of the tables that the czar holds."""
        for _ in range(MOST_CHANGES):
            view = self._views.view(identity)
            if not uploads and (kept := view.plans.get(adql)):
                return kept, view.rows
            parsed = parse(adql)
            catalog, brought = self._names(parsed, view.catalog, uploads, identity)
            plan = self._plan_in(parsed, catalog)
            if plan is not None:
                if not uploads and not may_name_user_tables(parsed):
                    view.plans.keep(adql, plan)
                return plan, rows_of(brought, view.rows)
        raise _changing()

    def _plan_in(self, parsed: ParsedQuery, catalog: Catalog) -> QueryPlan | None:
        """Return the plan of a query, or None if a database was published anew meanwhile."""
        try:
            resolved = resolve(parsed, catalog)
            complete = self._chunks.put_into(catalog, databases_of(resolved))
            if complete is None:
                return None
            return plan_query(resolved, complete, self._indexes.key_cells(resolved, complete))
        except RecursionError:
            raise LimitError("the query is nested too deeply", hint="Write it with fewer nested expressions.") from None

    def _names(
        self, parsed: ParsedQuery, catalog: Catalog, uploads: Mapping[str, pa.Table] | None, identity: Identity
    ) -> tuple[Catalog, list[CzarTables]]:
        """Return what a query may name, and those of its tables that the user keeps or the query brings."""
        may_read = bool(identity.user) and may_name_user_tables(parsed)
        brought = list(self.user_tables.databases(identity)) if may_read else []
        if brought and parsed.may_name(SCHEMA_DATABASE):
            catalog = catalog.without(SCHEMA_DATABASE)
            brought.append(tap_schema_of(reduce(with_tables, brought, catalog)))
        if uploads:
            brought.append(uploaded_tables(uploads))
        return reduce(with_tables, brought, catalog), brought


def _changing() -> ClusterError:
    return ClusterError(
        f"the databases of the query were published {MOST_CHANGES} times while it was planned", hint="Send it again."
    )
