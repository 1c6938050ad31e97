"""Constants that the rows of a catalogue suggest, so that few of the answers are empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from support.catalogues import made_catalogue
from support.uploads import made_upload

_MANY = 40
"""Constants of one column."""


@dataclass(frozen=True)
class Constants:
    """What the conditions of one catalogue are drawn from."""

    values: Mapping[str, tuple[str, ...]]
    """Literals by the column's name, which several tables may have."""

    places: tuple[tuple[float, float], ...]
    """Positions near objects, degrees."""

    sizes: tuple[float, ...]
    """Radii in degrees around such a place within which there are few objects, some, and many."""


@cache
def constants_of(catalogue: str) -> Constants:
    """Return the constants of a catalogue and its upload."""
    tables = {**made_catalogue(catalogue), "upload": made_upload(catalogue)}
    values: dict[str, tuple[str, ...]] = {}
    for rows in tables.values():
        for name, column in zip(rows.column_names, rows.columns, strict=True):
            values.setdefault(name, _literals(column))
    ra, dec = (np.asarray(tables["Object"][name]) for name in ("coord_ra", "coord_dec"))
    chosen = np.linspace(0, len(ra) - 1, _MANY).astype(int)
    places = tuple((round(float(ra[one]), 3), round(float(dec[one]), 3)) for one in chosen)
    return Constants(values, places, _sizes(ra, dec, chosen))


def _literals(column: pa.ChunkedArray) -> tuple[str, ...]:
    known = sorted(value for value in set(column.to_pylist()) if value is not None and value == value)
    picked = [known[one] for one in sorted(set(np.linspace(0, len(known) - 1, _MANY).astype(int).tolist()))]
    if pa.types.is_floating(column.type):
        return tuple(repr(float(f"{value:.4g}")) for value in picked if abs(value) != float("inf"))
    if pa.types.is_integer(column.type):
        return tuple(str(value) for value in picked)
    if pa.types.is_string(column.type):
        return tuple("'" + value.replace("'", "''") + "'" for value in picked)
    return ()


def _sizes(ra: np.ndarray, dec: np.ndarray, chosen: np.ndarray) -> tuple[float, ...]:
    """Return the median distances to the nearest object but so many."""
    lon, lat = np.radians(ra), np.radians(dec)
    unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    away = np.degrees(np.arccos(np.clip(unit[:, chosen].T @ unit, -1, 1)))
    ranks = [max(1, len(ra) // 3), 100, 30, 8, 2]
    return tuple(float(f"{np.median(np.sort(away, axis=1)[:, min(rank, len(ra) - 1)]):.2g}") for rank in ranks)
