"""The PSF by dense matrices: moving by interpolation matrices, forced fluxes of all sources in one linear system."""

from __future__ import annotations

import numpy as np

from qserv_py.pipelines.kernels._library import Array
from qserv_py.pipelines.kernels.psf import Psf

_TAPS = 8


def terms(psf: Psf, x: Array, y: Array) -> Array:
    """Return the polynomial's terms at positions, shape (n, terms)."""
    u, v = (x - psf.x0) / psf.scale_x, (y - psf.y0) / psf.scale_y
    columns = [u**i * v**j for j in range(psf.order + 1) for i in range(psf.order + 1 - j)]
    found: Array = np.stack(columns, axis=-1)
    return found


def draw(psf: Psf, x: float, y: float, dx: float, dy: float) -> Array:
    """Return the PSF at a position, its middle moved."""
    grid = np.tensordot(terms(psf, np.array(x), np.array(y)), psf.coefficients, 1)
    drawn: Array = star_pixels(psf, x, y, dx, dy) * psf.sampling**2 / grid.sum()
    return drawn


def star_pixels(psf: Psf, x: float, y: float, dx: float, dy: float) -> Array:
    """Return the same with the sum that the model has."""
    grid = np.tensordot(terms(psf, np.array(x), np.array(y)), psf.coefficients, 1)
    moved: Array = _pixels_of_samples(psf, dy) @ grid @ _pixels_of_samples(psf, dx).T
    return moved


def model_image(psf: Psf, shape: tuple[int, int], x: float, y: float) -> Array:
    """Return an image with one source of flux 1."""
    middle_x, middle_y, half = round(x), round(y), psf.side // 2
    wide = np.zeros((shape[0] + 2 * psf.side, shape[1] + 2 * psf.side))
    row, column = middle_y + psf.side - half, middle_x + psf.side - half
    wide[row : row + psf.side, column : column + psf.side] = draw(psf, x, y, x - middle_x, y - middle_y)
    return wide[psf.side : -psf.side, psf.side : -psf.side]


def forced_fluxes(psf: Psf, image: Array, counts: Array, x: Array, y: Array) -> Array:
    """Return the fluxes of all sources at fixed positions and equal noise, by one least-squares system."""
    models = [model_image(psf, image.shape, *at)[counts] for at in zip(x, y, strict=True)]
    fluxes: Array = np.linalg.lstsq(np.stack(models, axis=-1), image[counts].astype(float), rcond=None)[0]
    return fluxes


def fit_unmoved(psf: Psf, stamps: Array, weights: Array, x: Array, y: Array) -> Array:
    """Return the coefficients from stars that stand on the middle of a pixel, of flux 1, shape (n, side, side)."""
    design = terms(psf, x, y)
    found = np.zeros((design.shape[1], psf.side, psf.side))
    for row in range(psf.side):
        for column in range(psf.side):
            root = np.sqrt(weights[:, row, column])
            solved = np.linalg.lstsq(design * root[:, None], stamps[:, row, column] * root, rcond=None)
            found[:, row, column] = solved[0]
    return found


def fit_samples(psf: Psf, stamps: Array, weights: Array, x: Array, y: Array) -> Array:
    """Return the coefficients from stars of flux 1 where they are, shape (n, side, side), by one dense system.

    Fourth differences are held back as the kernel has it, for terms that are orthogonal over the stars.
    """
    design = terms(psf, x, y)
    factor = np.linalg.cholesky((design * weights.sum(axis=(1, 2))[:, None]).T @ design)
    design = np.linalg.solve(factor, design.T).T
    samples = psf.coefficients.shape[-1]
    rows = []
    for star, (at_x, at_y) in zip(design, zip(x, y, strict=True), strict=True):
        moved = np.kron(_pixels_of_samples(psf, at_y - round(at_y)), _pixels_of_samples(psf, at_x - round(at_x)))
        rows.append(np.kron(star[None], moved))
    matrix, weight = np.concatenate(rows), weights.ravel()
    normal = matrix.T @ (matrix * weight[:, None])
    offset = np.arange(samples) - samples // 2
    likely = np.minimum(1e-5 * (1 + (offset[:, None] ** 2 + offset**2) / 16) ** 4, 1)
    line = sum(d * np.eye(samples - 4, samples, k) for k, d in enumerate((1, -4, 6, -4, 1)))
    across, along = np.kron(np.eye(samples), line), np.kron(line, np.eye(samples))
    rough = across.T @ (across * likely[:, 2:-2].reshape(-1, 1)) + along.T @ (along * likely[2:-2].reshape(-1, 1))
    normal += np.diag(normal).mean() * np.kron(np.eye(design.shape[1]), rough)
    found = np.linalg.solve(normal, matrix.T @ (weight * stamps.ravel())).reshape(design.shape[1], -1)
    coefficients: Array = np.linalg.solve(factor.T, found).reshape(-1, samples, samples)
    return coefficients


def _pixels_of_samples(psf: Psf, shift: float) -> Array:
    """Return the matrix that makes moved pixels of samples: the polynomial through 8 samples."""
    samples = psf.coefficients.shape[-1]
    matrix = np.zeros((psf.side, samples + 4 * _TAPS))
    for i in range(psf.side):
        place = samples // 2 + psf.sampling * (i - psf.side // 2 - shift)
        first = int(np.floor(place)) - (_TAPS // 2 - 1)
        nodes = np.arange(first, first + _TAPS)
        for k, node in enumerate(nodes):
            others = np.delete(nodes, k)
            matrix[i, node + 2 * _TAPS] = np.prod((place - others) / (node - others))
    return matrix[:, 2 * _TAPS : -2 * _TAPS]
