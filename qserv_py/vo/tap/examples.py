"""``/examples``: queries to begin with, by DALI 1.1 section 2.3, made for the tables that are there.

The positions are those of chunks that hold rows, so that no example is empty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from qserv_py.adql.words import written_name
from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import ChildTable, Database, DatabaseState, DirectorTable, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.partitioner.healpix import centre
from qserv_py.vo.http.xml import document, element

MOST_DATABASES = 5

WANTED_ROWS = 100
"""Rows that the example of a cone should about have."""


@dataclass(frozen=True, slots=True)
class Example:
    """One query of the page of examples, with what it shows."""

    id: str
    title: str
    text: str
    adql: str
    table: str


def examples_of(catalog: Catalog) -> list[str]:
    """Return the names of the databases that examples are for."""
    published = [database.name for database in catalog.databases if database.state is DatabaseState.PUBLISHED]
    return published[:MOST_DATABASES]


def examples(catalog: Catalog) -> list[Example]:
    """Return the examples for a catalogue with the chunks of ``examples_of``."""
    names = examples_of(catalog)
    shown = [database for database in catalog.databases if database.name in names]
    return [example for database in shown for example in _of_database(database, catalog)]


def examples_document(catalog: Catalog, _base: str) -> bytes:
    """Return the page of examples: XHTML with RDFa, for people and for clients."""
    style = "body{font-family:sans-serif;max-width:60em;margin:2em auto}pre{background:#eee;padding:1em;overflow:auto}"
    page = element(
        "html",
        element("head", element("title", "Examples"), element("style", style)),
        element(
            "body",
            element("h1", "Examples"),
            element("p", "Queries to begin with, for the tables of this service."),
            *map(_shown, examples(catalog)),
            attributes={"vocab": "http://www.ivoa.net/rdf/examples#"},
        ),
        attributes={"xmlns": "http://www.w3.org/1999/xhtml", "lang": "en"},
    )
    return document(page)


def _shown(example: Example) -> Element:
    return element(
        "div",
        element("h2", example.title, attributes={"property": "name"}),
        element("p", example.text),
        element("p", element("em", "Table: "), element("code", example.table, attributes={"property": "table"})),
        element("pre", example.adql, attributes={"property": "query"}),
        attributes={"typeof": "example", "id": example.id, "resource": f"#{example.id}"},
    )


def _of_database(database: Database, catalog: Catalog) -> Iterator[Example]:
    for table in database.tables:
        place = place_with_rows(database, table, catalog)
        name = f"{written_name(database.name)}.{written_name(table.name)}"
        key = f"{database.name}-{table.name}"
        if isinstance(table, DirectorTable) and place is not None:
            yield from _of_director(table, name, key, place)
        elif isinstance(table, ChildTable):
            yield _of_child(database, table, name, key)


def _of_director(table: DirectorTable, name: str, key: str, place: Place) -> Iterator[Example]:
    ra, dec, identifier = (written_name(column) for column in (table.ra.column, table.dec.column, table.id))
    # With 'ICRS', which ADQL 2.1 no longer wants, the query is right in ADQL 2.0, too.
    where = (
        f"CONTAINS(POINT('ICRS', {ra}, {dec}), CIRCLE('ICRS', {place.ra:.4f}, {place.dec:.4f}, {place.radius:.2g})) = 1"
    )
    yield Example(
        f"cone-{key}",
        f"{table.name}: a cone",
        f"All rows within {place.radius:.2g} degrees of a position. Only the chunks that the circle touches are read.",
        f"SELECT {identifier}, {ra}, {dec}\nFROM {name}\nWHERE {where}",
        table.qualified,
    )
    yield Example(
        f"first-{key}",
        f"{table.name}: some rows",
        "A few rows with all their columns, to see what there is.",
        f"SELECT TOP 10 *\nFROM {name}",
        table.qualified,
    )
    yield Example(
        f"count-{key}",
        f"{table.name}: how many rows",
        "The number of rows, which is known without reading them.",
        f"SELECT COUNT(*) AS n\nFROM {name}",
        table.qualified,
    )


def _of_child(database: Database, table: ChildTable, name: str, key: str) -> Example:
    director = database.table(table.director)
    assert isinstance(director, DirectorTable)
    whole, own = f"{written_name(database.name)}.{written_name(director.name)}", written_name(table.key)
    identifier = written_name(director.id)
    return Example(
        f"join-{key}",
        f"{director.name} with its {table.name}",
        "A join by the director's key, which each chunk answers alone.",
        f"SELECT TOP 10 b.*\nFROM {whole} AS a\nJOIN {name} AS b ON b.{own} = a.{identifier}",
        table.qualified,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A circle in the middle of a chunk with some rows, ICRS degrees."""

    ra: float
    dec: float
    radius: float


def place_with_rows(database: Database, table: Table, catalog: Catalog) -> Place | None:
    """Return a place in the smallest chunk of a table that holds rows."""
    found = catalog.snapshot_of(database.name, table.name)
    if found is None or not len(found.chunks):
        return None
    family = catalog.families[database.family.name]
    orders = family.orders[found.chunks]
    chosen = int(np.lexsort((-found.rows, -orders))[0])
    order, pixel = int(orders[chosen]), int(family.pixels[found.chunks[chosen]])
    ra, dec = centre(ChunkId(order, pixel))
    area = 41253 / (12 * 4**order)
    radius = math.sqrt(WANTED_ROWS / max(1, int(found.rows[chosen])) * area / math.pi)
    most = math.sqrt(area) / 2
    return Place(ra, dec, min(radius, most))
