"""Cosmic rays by L.A.Cosmic with every median taken everywhere."""

from __future__ import annotations

import warnings

import numpy as np

from qserv_py.pipelines.kernels._library import Array

_GROWTH_SHARE = 0.4


def find(
    image: Array,
    usable: Array,
    *,
    noise: float,
    gain: float,
    variance: Array | None,
    sigma: float,
    share: float,
    contrast: float,
    rounds: int,
) -> tuple[Array, Array]:
    """Return which pixels were hit, and the cleaned image."""
    clean, hit = image.astype(np.float32), np.zeros(image.shape, bool)
    for _ in range(rounds):
        sharp, contrasts = _maps(np.where(usable, clean, np.nan).astype(float), usable, noise, gain, variance)
        with np.errstate(invalid="ignore"):
            new: Array = usable & ~hit & (sharp > sigma) & (contrasts > contrast)
            for limit in (sigma, share * sigma):
                beside = _around(new | hit) & usable & ~hit
                new = new | (beside & (sharp > limit) & (contrasts > _GROWTH_SHARE * contrast))
            if not new.any():
                break
        hit |= new
        around = _median(np.where(usable & ~hit, clean, np.nan).astype(float), 5)
        clean = np.where(new, around, clean).astype(np.float32)
    return hit, clean


def _maps(image: Array, usable: Array, noise: float, gain: float, variance: Array | None) -> tuple[Array, Array]:
    """Return the sharpness of every pixel and its ratio to the fine structure."""
    if variance is not None:
        spread = np.sqrt(_median(np.where(usable, variance, np.nan).astype(float), 5))
    else:
        light = np.fmax(_median(image, 5), 0) / gain if gain > 0 else np.zeros(image.shape)
        spread = np.sqrt(noise**2 + np.nan_to_num(light))
    with np.errstate(all="ignore"):
        edge = _laplacian(image) / (2 * spread)
        sharp = edge - _median(np.where(usable, edge, np.nan), 5)
        small = _median(image, 3)
        fine = (small - _median(np.where(usable, small, np.nan), 7)) / spread
        return sharp, sharp / np.where(fine > 0.01, fine, 0.01)


def _laplacian(image: Array) -> Array:
    padded = np.pad(image, 1, constant_values=np.nan)
    up, down, left, right = (
        np.where(np.isnan(side), image, side)
        for side in (padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    )
    corners = [np.maximum(2 * image - one - other, 0) for one in (up, down) for other in (left, right)]
    total: Array = 0.25 * (corners[0] + corners[1] + corners[2] + corners[3])
    return total


def _median(image: Array, side: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, side // 2, constant_values=np.nan), (side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where nothing is usable
        median: Array = np.nanmedian(windows.reshape(*image.shape, -1), axis=2)
    return median


def _around(marked: Array) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(marked, 1), (3, 3))
    near: Array = np.asarray(windows.any(axis=(2, 3)))
    return near
