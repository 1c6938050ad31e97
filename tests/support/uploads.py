"""Tables to upload that go with the made-up catalogues: near objects and far away, with hard positions and keys."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from support.catalogues import ALL, made_catalogue

MANY = 260
"""Rows of an upload."""


def upload_name(catalogue: str) -> str:
    """Return the name of a catalogue's upload."""
    return f"{catalogue}_u"


def made_upload(catalogue: str) -> pa.Table:
    """Return a catalogue's upload."""
    return upload_for(made_catalogue(catalogue), seed=100 + ALL.index(catalogue))


def upload_for(tables: dict[str, pa.Table], *, seed: int) -> pa.Table:
    """Return an upload for a catalogue: some rows twice, some without a position, a radius or a key."""
    rng = np.random.default_rng(seed)
    objects = tables["Object"]
    chosen = rng.integers(0, objects.num_rows, MANY)
    chosen[-20:] = chosen[:20]
    away = rng.choice([0.0, 0.0005, 0.005, 0.05], MANY)
    turn = rng.uniform(0, 2 * np.pi, MANY)
    dec = np.clip(np.asarray(objects["coord_dec"])[chosen] + away * np.sin(turn), -90, 90)
    east = away * np.cos(turn) / np.maximum(np.cos(np.radians(dec)), 1e-3)
    ra = np.asarray(objects["coord_ra"])[chosen] + east
    far = rng.random(MANY) < 0.2
    ra, dec = np.where(far, rng.uniform(0, 360, MANY), ra), np.where(far, rng.uniform(-90, 90, MANY), dec)
    ra[:8] = [0.0, 360.0, -7.0, 725.5, 10.0, 200.0, 359.9999999, np.nan]
    dec[:8] = [90.0, -90.0, 0.0, 1.0, 90.0, -89.9999, 0.0, 3.0]
    keys = np.where(rng.random(MANY) < 0.8, np.asarray(objects["objectId"])[chosen], rng.integers(0, 99, MANY))
    known = tables["Source"]["objectId"]
    if known.null_count:  # some sources have no object
        chosen = rng.choice(known.drop_null().to_numpy(), MANY)
        keys = np.where(rng.random(MANY) < 0.3, chosen, keys)
    return pa.table(
        {
            "uid": pa.array(np.arange(MANY) // 2, pa.int32()),
            "u_ra": pa.array(ra, mask=rng.random(MANY) < 0.03),
            "u_dec": pa.array(dec, mask=rng.random(MANY) < 0.03),
            "radius": pa.array(rng.exponential(10.0, MANY) - 1.0, mask=rng.random(MANY) < 0.05),
            "target": pa.array(keys, mask=rng.random(MANY) < 0.05),
            "w": pa.array(np.round(rng.normal(10, 30, MANY), 3), mask=rng.random(MANY) < 0.1),
            "tag": pa.array(rng.choice(["star", "b%eta", "", "o'Hara"], MANY), mask=rng.random(MANY) < 0.1),
        }
    )
