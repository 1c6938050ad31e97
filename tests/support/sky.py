"""Small made-up catalogues with hard positions, as Arrow tables: clustered, polar, across RA 0, sparse."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

FELIS = """\
name: {name}
"@id": "#{name}"
description: Made-up catalogue of the tests.
tables:
  - name: Object
    "@id": "#{name}.Object"
    primaryKey: "#{name}.Object.objectId"
    columns:
      - {{name: objectId, "@id": "#{name}.Object.objectId", datatype: long, nullable: false, "ivoa:ucd": meta.id}}
      - {{name: coord_ra, "@id": "#{name}.Object.coord_ra", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: coord_dec, "@id": "#{name}.Object.coord_dec", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: gFlux, "@id": "#{name}.Object.gFlux", datatype: double, "ivoa:unit": nJy}}
      - {{name: rFlux, "@id": "#{name}.Object.rFlux", datatype: float, "ivoa:unit": nJy}}
      - {{name: wild, "@id": "#{name}.Object.wild", datatype: double, description: "NaN and infinities, too"}}
      - {{name: n, "@id": "#{name}.Object.n", datatype: int}}
      - {{name: k, "@id": "#{name}.Object.k", datatype: short}}
      - {{name: isPrimary, "@id": "#{name}.Object.isPrimary", datatype: boolean}}
      - {{name: label, "@id": "#{name}.Object.label", datatype: string, length: 20}}
  - name: Source
    "@id": "#{name}.Source"
    primaryKey: "#{name}.Source.sourceId"
    columns:
      - {{name: sourceId, "@id": "#{name}.Source.sourceId", datatype: long, nullable: false}}
      - {{name: objectId, "@id": "#{name}.Source.objectId", datatype: long, nullable: false}}
      - {{name: visit, "@id": "#{name}.Source.visit", datatype: long}}
      - {{name: band, "@id": "#{name}.Source.band", datatype: char, length: 1}}
      - {{name: flux, "@id": "#{name}.Source.flux", datatype: double}}
      - {{name: seenAt, "@id": "#{name}.Source.seenAt", datatype: timestamp}}
  - name: Truth
    "@id": "#{name}.Truth"
    primaryKey: "#{name}.Truth.truthId"
    columns:
      - {{name: truthId, "@id": "#{name}.Truth.truthId", datatype: long, nullable: false}}
      - {{name: t_ra, "@id": "#{name}.Truth.t_ra", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: t_dec, "@id": "#{name}.Truth.t_dec", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: mag, "@id": "#{name}.Truth.mag", datatype: double}}
      - {{name: kind, "@id": "#{name}.Truth.kind", datatype: string, length: 8}}
  - name: Pairs
    "@id": "#{name}.Pairs"
    columns:
      - {{name: objectId, "@id": "#{name}.Pairs.objectId", datatype: long, nullable: false}}
      - {{name: truthId, "@id": "#{name}.Pairs.truthId", datatype: long, nullable: false}}
      - {{name: rank, "@id": "#{name}.Pairs.rank", datatype: int}}
  - name: FarPairs
    "@id": "#{name}.FarPairs"
    columns:
      - {{name: objectId, "@id": "#{name}.FarPairs.objectId", datatype: long, nullable: false}}
      - {{name: truthId, "@id": "#{name}.FarPairs.truthId", datatype: long, nullable: false}}
      - {{name: rank, "@id": "#{name}.FarPairs.rank", datatype: int}}
  - name: Visit
    "@id": "#{name}.Visit"
    primaryKey: "#{name}.Visit.visit"
    columns:
      - {{name: visit, "@id": "#{name}.Visit.visit", datatype: long, nullable: false}}
      - {{name: seeing, "@id": "#{name}.Visit.seeing", datatype: double}}
      - {{name: site, "@id": "#{name}.Visit.site", datatype: string, length: 10}}
      - name: footprint
        "@id": "#{name}.Visit.footprint"
        datatype: string
        length: 200
        "votable:xtype": adql:REGION
"""

PARTITION = """\
database: {name}
family: {{name: {name}, target_rows: {target_rows}, min_order: 0, max_order: 12, overlap_arcsec: 60}}
tables:
  Object: {{kind: director, id: objectId, ra: coord_ra, dec: coord_dec}}
  Source: {{kind: child, director: Object, key: objectId}}
  Truth: {{kind: director, id: truthId, ra: t_ra, dec: t_dec}}
  Pairs: {{kind: match, directors: [Object, Truth], keys: [objectId, truthId]}}
  FarPairs: {{kind: match, directors: [Object, Truth], keys: [objectId, truthId]}}
  Visit: {{kind: ref}}
"""

FOOTPRINTS = [
    "Circle ICRS 45 44.9 1.5",
    "POLYGON 10 -31 12 -31 12 -28 10 -28",
    "Polygon ICRS GEOCENTER 359 -2 2 -2 1 3",
    "circle 0 90 0.7",
    None,
    "a smudge",
    "180 -70 2.5",
    "Box 90 0 1 1",
    "Circle ICRS 315 41.81 0.1",
]
"""Circles and polygons, no region, and what is none."""

_SOURCE_KEY = 'Source.objectId", datatype: long'
_KEYS_OF_PAIRS = tuple(f'Pairs.{key}", datatype: long' for key in ("objectId", "truthId"))

GAPS_FELIS = (
    FELIS.replace(f"{_KEYS_OF_PAIRS[0]}, nullable: false", _KEYS_OF_PAIRS[0])
    .replace(f"{_KEYS_OF_PAIRS[1]}, nullable: false", _KEYS_OF_PAIRS[1])
    .replace(
        f"{_SOURCE_KEY}, nullable: false}}}}",
        f"{_SOURCE_KEY}}}}}"
        + "".join(
            f'\n      - {{{{name: s_{one}, "@id": "#{{name}}.Source.s_{one}", datatype: double}}}}'
            for one in ("ra", "dec")
        ),
    )
    + """\
  - name: Detection
    "@id": "#{name}.Detection"
    columns:
      - {{name: number, "@id": "#{name}.Detection.number", datatype: long, nullable: false}}
      - {{name: detId, "@id": "#{name}.Detection.detId", datatype: long, nullable: false}}
      - {{name: d_ra, "@id": "#{name}.Detection.d_ra", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: d_dec, "@id": "#{name}.Detection.d_dec", datatype: double, nullable: false, "ivoa:unit": deg}}
      - {{name: mag, "@id": "#{name}.Detection.mag", datatype: double}}
      - {{name: kind, "@id": "#{name}.Detection.kind", datatype: string, length: 8}}
"""
)
"""The schema of a catalogue with match rows of one key, sources without an object, and a director whose ids repeat."""

GAPS_PARTITION = (
    PARTITION.replace("key: objectId}}", "key: objectId, ra: s_ra, dec: s_dec, orphans: any}}")
    + """\
  Detection: {{kind: director, id: detId, ra: d_ra, dec: d_dec, unique: false}}
"""
)

LABELS = ["alpha", "Beta", "b%eta", "o'Hara", "Ångström", "x_y", "", "Zeta"]


def positions(rng: np.random.Generator, count: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascensions in [0, 360) and declinations, degrees."""
    if kind == "polar":
        away = rng.exponential(0.5, count)
        dec = np.where(rng.random(count) < 0.5, 90 - away, -90 + away)
        dec[:2] = (90.0, -90.0)
        ra = rng.uniform(0, 360, count)
    elif kind == "wrap":
        ra, dec = rng.normal(0, 1.5, count) % 360, rng.normal(0, 1.5, count)
        ra[:3] = (0.0, 359.9999999, 0.0000001)
    elif kind == "clustered":
        centre = rng.integers(0, 6, count)
        size = np.array([0.001, 0.02, 0.1, 1.0, 3.0, 0.05])[centre]
        dec = np.array([-30.0, -29.5, 44.9, -70.0, 41.810, 0.0])[centre] + rng.normal(0, 1, count) * size
        ra = np.array([10.0, 11.0, 45.0, 180.0, 315.0, 90.0])[centre] + rng.normal(0, 1, count) * size
    else:
        ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    return ra % 360 % 360, np.clip(dec, -90, 90)


def objects(rng: np.random.Generator, count: int, kind: str) -> pa.Table:
    """Return the director's rows."""
    ra, dec = positions(rng, count, kind)
    wild = rng.normal(0, 10, count)
    wild[rng.random(count) < 0.05] = np.nan
    wild[rng.random(count) < 0.03] = np.inf
    return pa.table(
        {
            "objectId": pa.array(rng.permutation(count) * 7 + 1_000_000_000_000),
            "coord_ra": ra,
            "coord_dec": dec,
            "gFlux": pa.array(np.round(rng.exponential(100, count), 6), mask=rng.random(count) < 0.1),
            "rFlux": pa.array(rng.exponential(100, count).astype(np.float32), mask=rng.random(count) < 0.1),
            "wild": pa.array(wild, mask=rng.random(count) < 0.05),
            "n": pa.array(rng.integers(-5, 20, count).astype(np.int32), mask=rng.random(count) < 0.1),
            "k": pa.array(rng.integers(0, 4, count).astype(np.int16)),
            "isPrimary": pa.array(rng.random(count) < 0.6, mask=rng.random(count) < 0.05),
            "label": pa.array(rng.choice(LABELS, count), mask=rng.random(count) < 0.1),
        }
    )


def sources(rng: np.random.Generator, found: pa.Table, visits: int) -> pa.Table:
    """Return the child's rows: 0 to 6 for each object, none for a part of the sky."""
    ids = np.asarray(found["objectId"])
    counts = np.where(np.asarray(found["coord_dec"]) > 60, 0, rng.integers(0, 7, len(ids)))
    keys = rng.permutation(np.repeat(ids, counts))
    count = len(keys)
    times = np.datetime64("2026-01-01") + rng.integers(0, 10**12, count).astype("timedelta64[us]")
    return pa.table(
        {
            "sourceId": pa.array(np.arange(count) * 3 + 5),
            "objectId": pa.array(keys),
            "visit": pa.array(rng.integers(0, visits + 2, count), mask=rng.random(count) < 0.03),
            "band": pa.array(rng.choice(list("ugrizy"), count), mask=rng.random(count) < 0.03),
            "flux": pa.array(rng.exponential(50, count), mask=rng.random(count) < 0.1),
            "seenAt": pa.array(times.astype("datetime64[us]"), mask=rng.random(count) < 0.05),
        }
    )


def truths(rng: np.random.Generator, found: pa.Table) -> pa.Table:
    """Return the rows of a second director: one within 40 arcsec of most objects, and some anywhere else."""
    ra, dec = np.asarray(found["coord_ra"]), np.asarray(found["coord_dec"])
    count = len(ra)
    away = np.minimum(rng.exponential(10.0, count), 40.0) / 3600
    angle = rng.uniform(0, 2 * np.pi, count)
    north = np.clip(dec + away * np.sin(angle), -90, 90)
    east = away * np.cos(angle) / np.maximum(np.cos(np.radians(np.maximum(np.abs(dec), np.abs(north)))), 1e-3)
    lonely = rng.random(count) < 0.1
    east = np.where(lonely, rng.uniform(0, 360, count), east)
    kinds = rng.choice(["star", "galaxy"], count)
    return pa.table(
        {
            "truthId": pa.array(rng.permutation(count) * 11 + 5_000),
            "t_ra": (ra + east) % 360 % 360,
            "t_dec": north,
            "mag": pa.array(rng.uniform(14, 26, count), mask=rng.random(count) < 0.05),
            "kind": pa.array(kinds, mask=rng.random(count) < 0.05),
        }
    )


def pairs(rng: np.random.Generator, found: pa.Table, true: pa.Table, *, farthest_deg: float) -> pa.Table:
    """Return the rows of a match table: some of the pairs of objects and truths no further apart, and some twice."""
    one, other = (
        np.stack([np.cos(d) * np.cos(r), np.cos(d) * np.sin(r), np.sin(d)], axis=1)
        for r, d in (
            (np.radians(np.asarray(found["coord_ra"])), np.radians(np.asarray(found["coord_dec"]))),
            (np.radians(np.asarray(true["t_ra"])), np.radians(np.asarray(true["t_dec"]))),
        )
    )
    chord = np.sqrt(((one[:, np.newaxis, :] - other[np.newaxis, :, :]) ** 2).sum(axis=-1))
    rows, matches = np.nonzero(chord < 2 * np.sin(np.radians(farthest_deg) / 2))
    chosen = rng.permutation(len(rows))[: len(found)]
    chosen = np.concatenate([chosen, chosen[:3]])
    return pa.table(
        {
            "objectId": pa.array(np.asarray(found["objectId"])[rows[chosen]]),
            "truthId": pa.array(np.asarray(true["truthId"])[matches[chosen]]),
            "rank": pa.array(rng.integers(0, 4, len(chosen)).astype(np.int32), mask=rng.random(len(chosen)) < 0.05),
        }
    )


def with_gaps(rng: np.random.Generator, matches: pa.Table) -> pa.Table:
    """Return the rows of a match table, a third of them with one key only."""
    missing = rng.choice(["", "", "", "", "objectId", "truthId"], matches.num_rows)
    for name in ("objectId", "truthId"):
        kept = pa.array(np.asarray(matches[name]), mask=missing == name)
        matches = matches.set_column(matches.column_names.index(name), name, kept)
    return matches


def visit_rows(rng: np.random.Generator, visits: int) -> pa.Table:
    """Return the ref table's rows."""
    return pa.table(
        {
            "visit": pa.array(np.arange(visits)),
            "seeing": pa.array(rng.uniform(0.5, 2, visits), mask=rng.random(visits) < 0.1),
            "site": pa.array(rng.choice(["Pachon", "Palma"], visits)),
            "footprint": pa.array((FOOTPRINTS * visits)[:visits]),
        }
    )


def detections(rng: np.random.Generator, found: pa.Table) -> pa.Table:
    """Return the rows of a director whose ids, those of objects, stand up to four times anywhere on the sky."""
    ids = np.asarray(found["objectId"])
    count = len(ids)
    drawn = rng.choice(ids[: count // 2], count)
    ra, dec = positions(rng, count, "clustered")
    near = rng.random(count) < 0.4
    place = {value: number for number, value in enumerate(ids.tolist())}
    own = np.array([place[value] for value in drawn.tolist()])
    return pa.table(
        {
            "number": pa.array(rng.permutation(count)),
            "detId": pa.array(drawn),
            "d_ra": np.where(near, np.asarray(found["coord_ra"])[own], ra),
            "d_dec": np.where(near, np.asarray(found["coord_dec"])[own], dec),
            "mag": pa.array(rng.uniform(14, 26, count), mask=rng.random(count) < 0.05),
            "kind": pa.array(rng.choice(["star", "galaxy"], count), mask=rng.random(count) < 0.05),
        }
    )


def orphans(rng: np.random.Generator, found: pa.Table, rows: pa.Table) -> pa.Table:
    """Return sources with positions: near their objects, for one in six far away, and a tenth of them without a key."""
    place = {value: number for number, value in enumerate(found["objectId"].to_pylist())}
    own = np.array([place[value] for value in rows["objectId"].to_pylist()])
    ra, dec = positions(rng, rows.num_rows, "sparse")
    near = rng.random(rows.num_rows) < 5 / 6
    keys = pa.array(np.asarray(rows["objectId"]), mask=rng.random(rows.num_rows) < 0.1)
    rows = rows.set_column(1, "objectId", keys)
    rows = rows.add_column(2, "s_ra", pa.array(np.where(near, np.asarray(found["coord_ra"])[own], ra)))
    return rows.add_column(3, "s_dec", pa.array(np.where(near, np.asarray(found["coord_dec"])[own], dec)))


def gaps(seed: int, *, count: int, visits: int = 12) -> dict[str, pa.Table]:
    """Return the rows of a catalogue with match rows of one key, orphan sources, and a director whose ids repeat."""
    rng = np.random.default_rng(seed)
    everything = objects(rng, count, "clustered")
    found = everything.filter(pa.array(rng.random(count) < 0.85))  # the sources of the others have none
    true = truths(rng, found)
    return {
        "Object": found,
        "Source": orphans(rng, everything, sources(rng, everything, visits)),
        "Visit": visit_rows(rng, visits),
        "Truth": true,
        "Pairs": with_gaps(rng, pairs(rng, found, true, farthest_deg=55 / 3600)),
        "FarPairs": with_gaps(rng, pairs(rng, found, true, farthest_deg=1.5)),
        "Detection": detections(rng, everything),
    }


def catalogue(seed: int, kind: str, *, count: int, visits: int = 12) -> dict[str, pa.Table]:
    """Return the rows of a whole catalogue by table name."""
    rng = np.random.default_rng(seed)
    found = objects(rng, count, kind)
    tables = {"Object": found, "Source": sources(rng, found, visits), "Visit": visit_rows(rng, visits)}
    true = truths(rng, found)
    return {
        **tables,
        "Truth": true,
        "Pairs": pairs(rng, found, true, farthest_deg=55 / 3600),
        "FarPairs": pairs(rng, found, true, farthest_deg=1.5),
    }
