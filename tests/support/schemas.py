"""Small schemas for tests: one of each kind of table."""

from __future__ import annotations

from pathlib import Path

from qserv_py.catalog.model import Database
from qserv_py.registry.schema_files.felis_schema import read_schema

FELIS = """\
name: {name}
description: A small catalogue.
tables:
- name: Object
  description: Things in the sky.
  primaryKey: '#Object.objectId'
  columns:
  - {{name: objectId, datatype: long, description: Id, ivoa:ucd: meta.id}}
  - {{name: ra, datatype: double, ivoa:unit: deg, ivoa:ucd: pos.eq.ra}}
  - {{name: dec, datatype: double, ivoa:unit: deg, ivoa:ucd: pos.eq.dec}}
  - {{name: gFlux, datatype: float, ivoa:unit: nJy}}
  - {{name: label, datatype: string, length: 12}}
- name: Source
  primaryKey: '#Source.sourceId'
  columns:
  - {{name: sourceId, datatype: long}}
  - {{name: objectId, datatype: long}}
  - {{name: mjd, datatype: double}}
  - {{name: visit, datatype: int}}
  indexes:
  - {{name: idx_Source_visit, columns: ['#Source.visit']}}
- name: ObjectMatch
  columns:
  - {{name: objectId, datatype: long}}
  - {{name: truthId, datatype: string, length: 20}}
- name: Truth
  columns:
  - {{name: truthId, datatype: string, length: 20}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Visit
  primaryKey: '#Visit.visit'
  columns:
  - {{name: visit, datatype: int}}
  - {{name: band, datatype: char, length: 1}}
"""

PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: 100, min_order: 1, max_order: 8, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: objectId, ra: ra, dec: dec}}
  Source: {{kind: child, director: Object, key: objectId}}
  ObjectMatch: {{kind: match, directors: [Object, Truth], keys: [objectId, truthId]}}
  Truth: {{kind: director, id: truthId, ra: ra, dec: dec}}
  Visit: {{kind: ref}}
"""


def write_schema(directory: Path, *, name: str = "small") -> tuple[Path, Path]:
    """Write the Felis file and the partition file of the small catalogue; return their paths."""
    felis, partition = directory / f"{name}.yaml", directory / f"{name}-partition.yaml"
    felis.write_text(FELIS.format(name=name))
    partition.write_text(PARTITION.format(name=name))
    return felis, partition


def small_database(directory: Path, *, name: str = "small") -> Database:
    """Return the small catalogue's database."""
    return read_schema(*write_schema(directory, name=name))


PLACES_FELIS = """\
name: {name}
tables:
- name: Object
  columns:
  - {{name: id, datatype: long}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Star
  columns:
  - {{name: name, datatype: string, length: 20}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Note
  columns:
  - {{name: text, datatype: string, length: 20}}
- name: Pair
  columns:
  - {{name: id, datatype: long}}
  - {{name: star, datatype: string, length: 20}}
- name: StrictPair
  columns:
  - {{name: id, datatype: long, nullable: false}}
  - {{name: star, datatype: string, length: 20}}
- name: Detection
  columns:
  - {{name: id, datatype: long}}
  - {{name: number, datatype: int}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Source
  columns:
  - {{name: id, datatype: long}}
  - {{name: number, datatype: int}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Forced
  columns:
  - {{name: id, datatype: long}}
  - {{name: number, datatype: int}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
- name: Loose
  columns:
  - {{name: id, datatype: long}}
  - {{name: number, datatype: int}}
  - {{name: ra, datatype: double}}
  - {{name: dec, datatype: double}}
"""

PLACES_PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: 2, min_order: 1, max_order: 8, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: id, ra: ra, dec: dec}}
  Star: {{kind: director, id: name, ra: ra, dec: dec}}
  Note: {{kind: ref}}
  Pair: {{kind: match, directors: [Object, Star], keys: [id, star]}}
  StrictPair: {{kind: match, directors: [Object, Star], keys: [id, star]}}
  Detection: {{kind: director, id: id, ra: ra, dec: dec, unique: false}}
  Source: {{kind: child, director: Object, key: id, ra: ra, dec: dec, orphans: any}}
  Forced: {{kind: child, director: Object, key: id, ra: ra, dec: dec, orphans: any}}
  Loose: {{kind: child, director: Object, key: id, ra: ra, dec: dec}}
"""


def places_database(directory: Path, *, name: str) -> Database:
    """Return a database with match rows of one key, a director of repeated ids, and child tables with orphans."""
    felis, partition = directory / f"{name}-places.yaml", directory / f"{name}-places-partition.yaml"
    felis.write_text(PLACES_FELIS.format(name=name))
    partition.write_text(PLACES_PARTITION.format(name=name))
    return read_schema(felis, partition)
