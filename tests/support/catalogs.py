"""A made-up catalogue for tests of ADQL and of the planner: no server, no files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import parse
from qserv_py.adql.tree import ResolvedQuery
from qserv_py.catalog.model import (
    HEALPIX_COLUMN,
    ChildTable,
    Column,
    Database,
    DatabaseState,
    DirectorTable,
    Family,
    MatchTable,
    Position,
    RefTable,
    Table,
    physical_name,
)
from qserv_py.catalog.snapshot import Catalog, FamilyState, IntArray, Segments, Snapshot, TableSnapshot, Worker
from qserv_py.catalog.types import DataType
from qserv_py.czar.tables.czar_tables import uploaded_tables
from qserv_py.czar.tables.tap_schema import tap_schema_of
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.planner.build import plan_query
from qserv_py.planner.plan.query_plan import KeyCells, KeyLookup, QueryPlan
from qserv_py.planner.sky.keys import wanted_keys

NAMES = ("w1", "w2", "w3")
WORKERS = len(NAMES)


def column(name: str, datatype: DataType, **details: object) -> Column:
    """Return a column whose physical name follows from its name."""
    return Column(name=name, physical=physical_name(name), datatype=datatype, **details)  # type: ignore[arg-type]


_HIDDEN = column(HEALPIX_COLUMN, DataType.LONG, hidden=True)


def _director(database: str, name: str, key: str, *columns: Column) -> DirectorTable:
    position = (column("ra", DataType.DOUBLE, unit="deg"), column("dec", DataType.DOUBLE, unit="deg"))
    return DirectorTable(
        database=database,
        name=name,
        physical=physical_name(name),
        id=key,
        ra=Position(column="ra"),
        dec=Position(column="dec"),
        columns=(column(key, DataType.LONG, nullable=False, ucd="meta.id"), *position, *columns, _HIDDEN),
    )


OBJECT = _director(
    "dr1",
    "Object",
    "objectId",
    column("gFlux", DataType.FLOAT, unit="nJy", ucd="phot.flux", description="Flux in g."),
    column("rFlux", DataType.DOUBLE, unit="nJy"),
    column("nObs", DataType.INT),
    column("extended", DataType.BOOLEAN),
    column("label", DataType.STRING, length=12),
)
SOURCE = ChildTable(
    database="dr1",
    name="Source",
    physical="source",
    director="Object",
    key="objectId",
    columns=(
        column("sourceId", DataType.LONG),
        column("objectId", DataType.LONG, nullable=False),
        column("visit", DataType.LONG),
        column("band", DataType.CHAR, length=1),
        column("flux", DataType.DOUBLE, unit="nJy"),
        column("obsTime", DataType.TIMESTAMP, xtype="timestamp"),
        column("stamp", DataType.BINARY),
        column("ccd", DataType.SHORT),
        column("quality", DataType.BYTE),
        _HIDDEN,
    ),
)
TRUTH = _director("dr1", "Truth", "truthId", column("kind", DataType.UNICODE))
OBJECT_MATCH = MatchTable(
    database="dr1",
    name="ObjectMatch",
    physical="objectmatch",
    directors=("Object", "Truth"),
    keys=("objectId", "truthId"),
    columns=(
        column("objectId", DataType.LONG, nullable=False),
        column("truthId", DataType.LONG, nullable=False),
        _HIDDEN,
    ),
)
LOOSE_MATCH = MatchTable(
    database="dr1",
    name="LooseMatch",
    physical="loosematch",
    directors=("Object", "Truth"),
    keys=("objectId", "truthId"),
    columns=(column("objectId", DataType.LONG), column("truthId", DataType.LONG), _HIDDEN),
)
VISIT = RefTable(
    database="dr1",
    name="Visit",
    physical="visit",
    columns=(column("visit", DataType.LONG), column("seeing", DataType.DOUBLE), column("band", DataType.CHAR)),
)
FOOTPRINT = RefTable(
    database="dr1",
    name="Footprint",
    physical="footprint",
    columns=(
        column("s_region", DataType.STRING, xtype="adql:REGION"),
        column("middle", DataType.STRING, xtype="point"),
        column("note", DataType.STRING),
        column("ra", DataType.DOUBLE),
        column("dec", DataType.DOUBLE),
        column("size", DataType.DOUBLE),
    ),
)
MIXED = RefTable(
    database="dr1",
    name="Mixed",
    physical="mixed",
    columns=(
        Column(name="flux", physical="flux", datatype=DataType.DOUBLE),
        Column(name="Flux", physical="flux_2", datatype=DataType.INT),
        Column(name='odd "name"', physical="odd", datatype=DataType.TEXT),
        Column(name="select", physical="select", datatype=DataType.INT),
    ),
)
SHARED = RefTable(database="dr1", name="Shared", physical="shared", columns=(column("a", DataType.INT),))
OTHER_SHARED = RefTable(database="dr2", name="Shared", physical="shared", columns=(column("a", DataType.INT),))
STAR = _director("dr2", "Star", "starId", column("mag", DataType.FLOAT))
DRAFT = RefTable(database="draft", name="Draft", physical="draft", columns=(column("a", DataType.INT),))


@cache
def catalog() -> Catalog:
    """Return the catalogue: ``dr1`` with every kind of table, ``dr2`` of another family, ``draft`` not published.

    The chunks of ``dr1`` are 24 cells of order 1 and 96 of order 2, on the workers w1, w2, w3 in turn. ``Object`` has
    rows in every chunk, ``Source`` in every second, ``Truth`` in every third. Chunk table 80 of ``Object`` is of
    generation 2.
    """
    orders = np.concatenate([np.full(24, 1), np.full(96, 2)])
    pixels = np.concatenate([np.arange(24), np.arange(96, 192)])
    chunks = np.arange(len(orders))
    generations = np.ones(len(chunks), dtype=np.int64)
    generations[80] = 2
    dr1 = {
        "Object": _rows_in(chunks, generations),
        "Source": _rows_in(chunks[::2]),
        "Truth": _rows_in(chunks[::3]),
        "ObjectMatch": replace(_rows_in(chunks[::3]), farthest_pair_deg=0.003),
        "LooseMatch": replace(_rows_in(chunks[::3]), farthest_pair_deg=0.003),
        "Visit": _ref(3),
        "Footprint": _ref(1),
        "Mixed": _ref(1),
        "Shared": _ref(),
    }
    dr2 = {"Star": _rows_in(np.arange(12)), "Shared": _ref(1)}
    return Catalog(
        version=1,
        databases=(
            _database("dr1", (OBJECT, SOURCE, TRUTH, OBJECT_MATCH, LOOSE_MATCH, VISIT, FOOTPRINT, MIXED, SHARED)),
            _database("dr2", (STAR, OTHER_SHARED)),
            _database("draft", (DRAFT,), state=DatabaseState.LOADING),
        ),
        families=MappingProxyType(
            {
                "dr1": FamilyState(orders=orders, pixels=pixels, workers=chunks % WORKERS, worker_names=NAMES),
                "dr2": FamilyState(
                    orders=np.zeros(12, dtype=np.int64),
                    pixels=np.arange(12),
                    workers=np.arange(12) % WORKERS,
                    worker_names=NAMES,
                ),
            }
        ),
        snapshots=MappingProxyType({"dr1": Snapshot(number=4, tables=dr1), "dr2": Snapshot(number=1, tables=dr2)}),
        workers=tuple(Worker(name=name, conninfo="", parts_dir="") for name in NAMES),
    )


def _database(name: str, tables: tuple[Table, ...], *, state: DatabaseState = DatabaseState.PUBLISHED) -> Database:
    return Database(name=name, physical=name, family=Family(name=name), tables=tables, state=state)


def _rows_in(chunks: IntArray, generations: IntArray | None = None) -> TableSnapshot:
    generations = np.ones(len(chunks), dtype=np.int64) if generations is None else generations
    return TableSnapshot(
        chunks=chunks,
        rows=np.full(len(chunks), 10),
        own=Segments(np.arange(len(chunks)), generations),
        total_rows=10 * len(chunks),
    )


def _ref(*generations: int) -> TableSnapshot:
    empty = np.empty(0, dtype=np.int64)
    none = Segments(empty, empty)
    return TableSnapshot(chunks=empty, rows=empty, own=none, total_rows=5, ref_generations=generations)


def resolved(text: str) -> ResolvedQuery:
    """Return a query, resolved against the catalogue."""
    return resolve(parse(text), catalog())


@cache
def with_tap_schema() -> Catalog:
    """Return the catalogue with TAP_SCHEMA, which describes it."""
    return tap_schema_of(catalog()).added_to(catalog())


@cache
def with_upload() -> Catalog:
    """Return the catalogue with an upload, ``TAP_UPLOAD.mine``."""
    kinds = {"id": pa.int64(), "ra": pa.float64(), "dec": pa.float64(), "err": pa.float32(), "tag": pa.string()}
    mine = pa.table({name: pa.nulls(7, kind) for name, kind in kinds.items()})
    return uploaded_tables({"mine": mine}).added_to(catalog())


def plan(text: str) -> QueryPlan:
    """Return the plan of a query, with the made-up director index; TAP_UPLOAD is there when the query names it.

    For SHOW and DESCRIBE, TAP_SCHEMA is there.
    """
    known = with_upload() if "TAP_UPLOAD" in text else catalog()
    known = with_tap_schema() if text.startswith(("SHOW", "DESCRIBE")) else known
    query = resolve(parse(text), known)
    cells: KeyCells = {lookup: cells_of(lookup) for lookup in wanted_keys(query)}
    return plan_query(query, known, cells)


def cells_of(lookup: KeyLookup) -> IntArray:
    """Return what the made-up director index knows: the id n, a number from 0 to 359, stands at ra n, dec 0."""
    wanted = [value for value in lookup.values if isinstance(value, int) and 0 <= value < 360]
    if lookup.is_range:
        low = 0 if lookup.low is None else max(0, lookup.low)
        wanted = list(range(low, 360 if lookup.high is None else min(360, lookup.high + 1)))
    ids = np.array(wanted, dtype=np.float64)
    return healpix29_of(ids, np.zeros(len(ids)))
