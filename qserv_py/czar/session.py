"""The life of one query in the czar: read, resolve, plan, run; and what is kept between queries.

A session holds the catalogue as it last saw it (one cheap look at the registry's version tells when it is stale), the
director indexes as memory maps, and the engines. Threads may share one session.
"""

from __future__ import annotations

import threading
import time
from collections import ChainMap
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from weakref import WeakSet

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.adql.parse import parse
from qserv_py.adql.resolve import resolve
from qserv_py.adql.tree import OutputColumn, ResolvedQuery
from qserv_py.catalog.snapshot import BoolArray, Catalog, IntArray
from qserv_py.closing import Closing
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.czar_tables import uploaded_tables
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.identity.identity import OPERATOR, Identity
from qserv_py.czar.service_tables import ServiceTables, read_service_tables
from qserv_py.czar.tap_schema import SCHEMA_DATABASE, tap_schema_of
from qserv_py.czar.user_tables import UserTables, may_read_user_tables
from qserv_py.errors import LimitError
from qserv_py.executor.engines import Engines
from qserv_py.executor.execute import Execution
from qserv_py.executor.placed_rows import narrowed_plan
from qserv_py.executor.runner import Progress
from qserv_py.partitioner.director_index import DirectorIndex, encode_ids
from qserv_py.planner.build import plan_query
from qserv_py.planner.explain import explain
from qserv_py.planner.keys import wanted_keys
from qserv_py.planner.plan import KeyLookup, QueryPlan
from qserv_py.workers.index_files import open_director_index

MOST_IDS = 2_000_000
"""Ids of a range whose chunks are looked up; more would cost more time than they save."""


@dataclass(slots=True)
class QueryStats:
    """Figures of one query; complete when its rows have been read."""

    chunks: int
    """Chunk queries asked for."""

    chunks_total: int
    """Chunks that the query's tables have."""

    rows: int = 0
    overflow: bool = False
    """Whether rows beyond ``maxrec`` were left out."""

    planning_s: float = 0.0
    seconds: float = 0.0
    """From the start of planning to the last row."""


@dataclass(slots=True)
class Answer:
    """The rows of a query on their way. ``batches`` may be iterated once."""

    plan: QueryPlan
    stats: QueryStats
    execution: Execution
    maxrec: int | None
    started: float
    open_rows: WeakSet[Generator[pa.RecordBatch, None, None]] = field(default_factory=WeakSet, repr=False)
    """The session's rows on their way, of all answers; closing the session closes them."""

    @property
    def text(self) -> str:
        """The query."""
        return self.plan.text

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """The columns of the answer."""
        return self.plan.columns

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the answer."""
        return self.execution.schema

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows, at most ``maxrec``; leaving early stops the servers."""
        rows = self._rows()
        self.open_rows.add(rows)
        return rows

    def _rows(self) -> Generator[pa.RecordBatch, None, None]:
        rows = self.execution.batches()
        try:
            for batch in rows:
                left = None if self.maxrec is None else self.maxrec - self.stats.rows
                if left is not None and batch.num_rows > left:
                    self.stats.overflow = True
                    batch = batch.slice(0, left)
                self.stats.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
                if self.stats.overflow:
                    break
        finally:
            rows.close()  # type: ignore[attr-defined]
            self.stats.chunks = self.plan.chunks - self.execution.chunks_spared
            self.stats.seconds = time.perf_counter() - self.started

    def stream(self, *infos: tuple[str, str]) -> ResultStream:
        """Return the rows for a writer of ``czar.formats``.

        Parameters
        ----------
        *infos
            Names and values that the document says beside the rows.
        """
        return ResultStream(
            columns=self.columns,
            schema=self.schema,
            batches=self.batches(),
            infos=infos,
            is_cut=lambda: self.stats.overflow,
            spool_dir=self.execution.engines.spill_dir,
        )

    def cancel(self) -> None:
        """Stop the query; may be called from any thread."""
        self.execution.cancel()


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
        self._catalog: Catalog | None = None
        self._service_tables = ServiceTables()
        self._views: dict[frozenset[str], tuple[Catalog, Mapping[str, pa.Table]]] = {}
        self._indexes: dict[tuple[str, ...], DirectorIndex] = {}
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
            if self._catalog is None or self._catalog.version != version:
                self._catalog = self._registry.load_catalog()
                self._service_tables = read_service_tables(self._registry, self.cluster.config.directory)
                self._views.clear()
                self._indexes.clear()
            names = frozenset(database.name for database in self._catalog.databases if identity.may_read(database))
            if names not in self._views:
                catalog, rows = self._catalog.restricted_to(names), dict[str, pa.Table]()
                for tables in self._service_tables.visible(catalog):
                    catalog = tables.added_to(catalog)
                    rows |= tables.rows
                described = tap_schema_of(catalog)
                self._views[names] = described.added_to(catalog), {**rows, **described.rows}
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
        execution = Execution(plan, self._engines, on_progress, self._cells_of_ids, held)
        return Answer(plan, stats, execution, maxrec, started, self._open_rows)

    def explain(
        self, adql: str, *, uploads: Mapping[str, pa.Table] | None = None, identity: Identity = OPERATOR
    ) -> str:
        """Return how a query would be answered, as text; ``uploads`` and ``identity`` as for ``answer``."""
        plan, held = self._plan(adql, uploads, identity)
        return explain(narrowed_plan(plan, held, self._cells_of_ids))

    def _plan(
        self, adql: str, uploads: Mapping[str, pa.Table] | None, identity: Identity
    ) -> tuple[QueryPlan, Mapping[str, pa.Table]]:
        """Return the plan of a query and the rows of the tables that the czar holds."""
        catalog, described = self._view(identity)
        brought = list(self.user_tables.databases(identity)) if may_read_user_tables(adql, identity) else []
        if brought and SCHEMA_DATABASE in adql.lower():
            catalog = catalog.without(SCHEMA_DATABASE)
            described = {name: rows for name, rows in described.items() if not name.startswith(f"{SCHEMA_DATABASE}.")}
            brought.append(tap_schema_of(reduce(lambda known, tables: tables.added_to(known), brought, catalog)))
        if uploads:
            brought.append(uploaded_tables(uploads))
        held: ChainMap[str, pa.Table] = ChainMap(described)  # type: ignore[arg-type]
        for tables in brought:
            catalog, held = tables.added_to(catalog), ChainMap(*held.maps, tables.rows)  # type: ignore[arg-type]
        try:
            resolved = resolve(parse(adql), catalog)
            return plan_query(resolved, catalog, self._key_cells(resolved, catalog)), held
        except RecursionError:
            raise LimitError("the query is nested too deeply", hint="Write it with fewer nested expressions.") from None

    def _key_cells(self, resolved: ResolvedQuery, catalog: Catalog) -> dict[KeyLookup, IntArray]:
        """Ask the director indexes for the places of the ids that the query names."""
        answers = {lookup: self._cells_of(lookup, catalog) for lookup in wanted_keys(resolved)}
        return {lookup: cells for lookup, cells in answers.items() if cells is not None}

    def _cells_of(self, lookup: KeyLookup, catalog: Catalog) -> IntArray | None:
        """Return the places of the ids of a look-up; None when there are so many that they would hardly prune."""
        snapshot = catalog.snapshots.get(lookup.database)
        table = snapshot.tables.get(lookup.director) if snapshot is not None else None
        if table is None:
            return None
        index = self._index(table.index_runs)
        if lookup.is_range:
            cells = index.between(lookup.low, lookup.high, most=MOST_IDS)
        else:
            cells = index.lookup(_ids(lookup))
        return None if cells is None else np.unique(cells[cells >= 0])

    def _cells_of_ids(self, database: str, director: str, ids: pa.ChunkedArray, catalog: Catalog) -> IntArray | None:
        """Return the place of each id, -1 for one that the director does not have; None without an index."""
        snapshot = catalog.snapshots.get(database)
        table = snapshot.tables.get(director) if snapshot is not None else None
        if table is None:
            return None
        index = self._index(table.index_runs)
        if pa.types.is_string(ids.type):
            return index.lookup(encode_ids(ids.to_pylist()))
        wanted, is_id = _whole_numbers(ids)
        return np.where(is_id, index.lookup(wanted), -1)

    def _index(self, runs: tuple[str, ...]) -> DirectorIndex:
        with self._lock:
            if runs not in self._indexes:
                self._indexes[runs] = open_director_index(self.cluster.config.czar_dir, runs)
            return self._indexes[runs]


def _whole_numbers(ids: pa.ChunkedArray) -> tuple[IntArray, BoolArray]:
    """Return numbers as 64-bit ids, and which of them are."""
    present = pc.is_valid(ids).to_numpy()
    if pa.types.is_integer(ids.type):
        return pc.fill_null(ids, 0).cast(pa.int64()).to_numpy(), present
    numbers = pc.fill_null(ids.cast(pa.float64()), 0.5).to_numpy()
    is_id = present & (np.abs(numbers) < 2.0**63) & (numbers == np.floor(numbers))
    return np.where(is_id, numbers, 0).astype(np.int64), is_id


def _ids(lookup: KeyLookup) -> np.ndarray:
    """Return the ids of a look-up as the index takes them; what no 64-bit id can be is left out."""
    if all(isinstance(value, str) for value in lookup.values):
        return encode_ids([str(value) for value in lookup.values])
    return np.array([v for v in lookup.values if isinstance(v, int) and -(2**63) <= v < 2**63], dtype=np.int64)
