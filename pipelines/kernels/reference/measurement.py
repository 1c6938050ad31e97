"""Apertures by sub-pixels, Kron's radius and windowed moments over whole arrays."""

from __future__ import annotations

import numpy as np

from qserv_py.pipelines.kernels._library import Array


def overlap(shape: tuple[int, int], ellipse: tuple[float, float, float, float, float], *, side: int) -> Array:
    """Return the share of every pixel in an ellipse (x, y, a, b, theta), from side x side sub-pixels."""
    x, y, a, b, theta = ellipse
    offset = (np.arange(side) + 0.5) / side - 0.5
    dy = (np.arange(shape[0])[:, None] + offset - y)[:, None, :, None]
    dx = (np.arange(shape[1])[:, None] + offset - x)[None, :, None, :]
    u = (dx * np.cos(theta) + dy * np.sin(theta)) / a
    v = (dy * np.cos(theta) - dx * np.sin(theta)) / b
    share: Array = (u * u + v * v <= 1).mean(axis=(2, 3))
    return share


def ellipse_flux(
    image: Array, variance: Array, counts: Array, ellipse: tuple[float, float, float, float, float], *, side: int
) -> tuple[float, float, float]:
    """Return flux, error and area of the pixels that count, on the image."""
    share = overlap(image.shape, ellipse, side=side) * counts
    light = np.where(counts, image, 0).astype(float)
    noise = np.where(counts, variance, 0).astype(float)
    return (share * light).sum(), np.sqrt((share**2 * noise).sum()), share.sum()


def kron_radius(
    image: Array, counts: Array, ellipse: tuple[float, float, float, float, float], *, reach: float
) -> float:
    """Return the first moment of the light within some half axes."""
    x, y, a, b, theta = ellipse
    row, column = np.indices(image.shape)
    dx, dy = column - x, row - y
    u = (dx * np.cos(theta) + dy * np.sin(theta)) / a
    v = (dy * np.cos(theta) - dx * np.sin(theta)) / b
    r = np.hypot(u, v)
    inside = (r <= reach) & counts
    light = image[inside].astype(float)
    if light.sum() <= 0 or (r[inside] * light).sum() <= 0:
        return np.nan
    return float((r[inside] * light).sum() / light.sum())


def moments(
    image: Array, counts: Array, x: float, y: float, size: float, *, adaptive: bool, most: float, stray: float
) -> tuple[float, float, Array] | None:
    """Return position and second moments (a matrix), or None when the window does not settle."""
    row, column = np.indices(image.shape)
    start, at, window, fine = np.array([x, y]), np.array([x, y]), np.eye(2) * size**2, False
    for _ in range(100):
        widths = np.diag(window)
        if adaptive and ((widths > 1.2).all() if fine else (widths < 0.6).any()):
            fine = not fine
            window = window + (1 if fine else -1) * np.eye(2) / 12
        det = np.linalg.det(window)
        if min(window[0, 0], window[1, 1]) <= 0.05 or max(window[0, 0], window[1, 1]) >= most or det <= 0.0025:
            return None
        if np.hypot(*(at - start)) > stray:
            return None
        half = 4 * np.sqrt(np.diag(window))
        d = np.stack([column - at[0], row - at[1]])
        use = counts & (np.abs(d[0]) <= half[0]) & (np.abs(d[1]) <= half[1])
        d, light = d[:, use], image[use].astype(float)
        if fine:  # pixels are squares of one brightness, and cut in sixteen
            places = np.stack(np.meshgrid(*2 * [(np.arange(4) - 1.5) / 4])).reshape(2, 1, -1)
            d, light = (d[:, :, None] + places).reshape(2, -1), np.repeat(light / 16, 16)
        value = np.exp(-0.5 * np.einsum("in,ij,jn->n", d, np.linalg.inv(window), d)) * light
        if not value.sum() > 0:
            return None
        mean = (d * value).sum(axis=1) / value.sum()
        second = np.einsum("in,jn,n->ij", d, d, value) / value.sum() - np.outer(mean, mean)
        following = _unweighted(second, window) if adaptive else window
        change = np.abs(mean).sum() + np.abs(np.diag(following - window)).sum() / np.trace(window)
        at = at + 2 * mean
        if change < 1e-6:
            return at[0], at[1], following - fine * np.eye(2) / 12 if adaptive else second
        window = following
    return None


def _unweighted(second: Array, window: Array) -> Array:
    if np.linalg.det(second) > 0:
        inverse = np.linalg.inv(second) - np.linalg.inv(window)
        if np.linalg.det(inverse) > 0 and inverse[0, 0] > 0:
            found: Array = np.linalg.inv(inverse)
            return found
    return 2 * second
