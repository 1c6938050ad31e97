"""Matching of catalogues by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import FloatArray, check, lib, pointer, vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The nearest reference of every position."""

    index: npt.NDArray[np.int64]
    """Of the reference, -1 for none within the radius; the first of equals."""

    separation_arcsec: FloatArray
    """NaN for none."""

    count: npt.NDArray[np.int32]
    """References within the radius."""


def nearest_within(
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    reference_ra: npt.ArrayLike,
    reference_dec: npt.ArrayLike,
    *,
    radius_arcsec: float,
) -> Nearest:
    """Return the nearest reference of every position.

    Parameters
    ----------
    ra, dec
        ICRS, degrees, shape (n,). A position that is not finite matches nothing.
    reference_ra, reference_dec
        ICRS, degrees, shape (m,).
    radius_arcsec
        Above 0, up to a quarter of a great circle.

    Raises
    ------
    KernelArgumentError
        If the vectors' lengths differ or the radius is out of range.
    """
    at = vectors(ra=ra, dec=dec)
    reference = vectors(reference_ra=reference_ra, reference_dec=reference_dec)
    size = at[0].size
    index, separation, count = np.empty(size, np.int64), np.empty(size), np.empty(size, np.int32)
    check(
        lib.qk_match(
            *map(pointer, at),
            size,
            *map(pointer, reference),
            reference[0].size,
            radius_arcsec / 3600.0,
            pointer(index),
            pointer(separation),
            pointer(count),
        )
    )
    return Nearest(index=index, separation_arcsec=3600.0 * separation, count=count)


def mutual_pairs(
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    reference_ra: npt.ArrayLike,
    reference_dec: npt.ArrayLike,
    *,
    radius_arcsec: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs in which each is the other's nearest, as indices of positions and of references.

    Parameters
    ----------
    ra, dec, reference_ra, reference_dec, radius_arcsec
        As of ``nearest_within``.
    """
    there = nearest_within(ra, dec, reference_ra, reference_dec, radius_arcsec=radius_arcsec).index
    back = nearest_within(reference_ra, reference_dec, ra, dec, radius_arcsec=radius_arcsec).index
    rows = np.nonzero(there >= 0)[0]
    rows = rows[back[there[rows]] == rows]
    return rows, there[rows]
