"""Reference stars of a detector: from shards of the reference catalogue to positions at the time of the visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import NoFitError, PipelineError
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.wcs import Wcs

_DAYS_PER_YEAR = 365.25
_NJY_ZERO_POINT = 31.4
_MAG_PER_RATIO = 2.5 / np.log(10)
_POSITION = ("ra", "dec", "ra_error_mas", "dec_error_mas", "pm_ra_masyr", "pm_dec_masyr", "epoch_mjd")


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Reference stars at one time in one band, the brightest first."""

    id: npt.NDArray[np.int64]
    """Of the catalogue."""

    ra: FloatArray
    """ICRS degrees at the time asked for."""

    dec: FloatArray
    """ICRS degrees."""

    error_mas: FloatArray
    """Of the position, the larger axis."""

    magnitude: FloatArray
    """AB, of the band; NaN where the catalogue has no flux."""

    magnitude_error: FloatArray
    """NaN likewise."""


def references_at(shards: Sequence[Any], *, band: str | None, mjd: float) -> References:
    """Return reference stars as they are at some time.

    Parameters
    ----------
    shards
        Tables of the catalogue; a star in several counts once.
    band
        Whose flux is wanted; None for positions alone, in any order.
    mjd
        TAI.

    Raises
    ------
    NoFitError
        If no shard has a star.
    PipelineError
        If a column is missing.
    """
    shards = [shard for shard in shards if len(shard)]
    if not shards:
        raise NoFitError(
            "no reference star covers this image", hint="Is the reference catalogue loaded for this part of the sky?"
        )
    fluxes = () if band is None else (f"{band}_flux", f"{band}_flux_error")
    wanted = ("id", *_POSITION, *fluxes)
    for name in wanted:
        if any(name not in shard.colnames for shard in shards):
            raise PipelineError(f'the reference catalogue has no column "{name}"')
    columns = {name: np.concatenate([np.asarray(shard[name]) for shard in shards]) for name in wanted}
    _, first = np.unique(columns["id"], return_index=True)
    columns = {name: values[first] for name, values in columns.items()}
    ra, dec = _moved(columns, mjd)
    magnitude, magnitude_error = _magnitudes(*(columns[name].astype(float) for name in fluxes), count=len(ra))
    order = np.argsort(magnitude)  # NaN last
    return References(
        id=columns["id"][order].astype(np.int64),
        ra=ra[order],
        dec=dec[order],
        error_mas=np.fmax(columns["ra_error_mas"], columns["dec_error_mas"])[order].astype(float),
        magnitude=magnitude[order],
        magnitude_error=magnitude_error[order],
    )


def no_references() -> References:
    """Return no star at all."""
    none = np.zeros(0)
    return References(id=np.zeros(0, np.int64), ra=none, dec=none, error_mas=none, magnitude=none, magnitude_error=none)


def proper_motions(shards: Sequence[Any], references: References) -> FloatArray:
    """Return the proper motions of references, mas per year east and north, shape (2, n); 0 where there is none."""
    motions = np.zeros((2, len(references.id)))
    for shard in shards:
        order = np.argsort(np.asarray(shard["id"]))
        place = np.searchsorted(np.asarray(shard["id"])[order], references.id)
        place = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, int)
        mine = np.asarray(shard["id"])[place] == references.id if len(order) else np.zeros(len(references.id), bool)
        for axis, name in enumerate(("pm_ra_masyr", "pm_dec_masyr")):
            if mine.any():
                motions[axis, mine] = np.nan_to_num(np.asarray(shard[name], float)[place[mine]])
    return motions


def within(references: References, wcs: Wcs, shape: tuple[int, int], *, margin_pixels: float) -> References:
    """Return the stars on an image and around it."""
    straight = replace(wcs, order=1, a=None, b=None)
    with np.errstate(invalid="ignore"):
        # First without the distortion: far from the image its polynomial has no inverse.
        far = _on(straight.to_pixel(references.ra, references.dec), shape, margin_pixels + max(shape) / 4)
    rows = np.nonzero(far)[0]
    near = rows[_on(wcs.to_pixel(references.ra[rows], references.dec[rows]), shape, margin_pixels)]
    return References(**{name: getattr(references, name)[near] for name in References.__slots__})


def _on(at: tuple[FloatArray, FloatArray], shape: tuple[int, int], margin: float) -> npt.NDArray[np.bool_]:
    x, y = at
    return (x > -margin) & (x < shape[1] + margin) & (y > -margin) & (y < shape[0] + margin)


def _magnitudes(
    flux: FloatArray | None = None, error: FloatArray | None = None, *, count: int
) -> tuple[FloatArray, FloatArray]:
    """Return AB magnitudes and errors of fluxes in nJy, NaN without."""
    if flux is None or error is None:
        return np.full(count, np.nan), np.full(count, np.nan)
    with np.errstate(all="ignore"):
        magnitude = np.where(flux > 0, _NJY_ZERO_POINT - 2.5 * np.log10(flux), np.nan)
        return magnitude, np.where(flux > 0, _MAG_PER_RATIO * error / flux, np.nan)


def _moved(columns: dict[str, Any], mjd: float) -> tuple[FloatArray, FloatArray]:
    """Return positions after some years of proper motion; pm_ra is on the sky, its cosine in it."""
    years = (mjd - columns["epoch_mjd"].astype(float)) / _DAYS_PER_YEAR
    motion = [np.nan_to_num(columns[f"pm_{axis}_masyr"].astype(float)) * years / 3.6e6 for axis in ("ra", "dec")]
    dec = columns["dec"].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(np.abs(dec) < 90, motion[0] / np.cos(np.radians(dec)), 0.0)
    return np.mod(columns["ra"].astype(float) + along, 360.0), np.clip(dec + motion[1], -90.0, 90.0)
