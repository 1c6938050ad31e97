"""Charged particles through a detector: straight tracks, long where they come in flat, with uneven charge."""

from __future__ import annotations

import numpy as np

from qserv_py.pipelines.kernels._library import Array, FloatArray

HIT = np.dtype([("particle", "i4"), ("x", "i4"), ("y", "i4"), ("electrons", "f4")])
"""Pixels that got charge of a particle."""

_DEPTH = 10.0  # pixels of silicon
_CHARGE = 800.0  # most probable electrons a pixel of path
_STEP = 0.2  # pixels
_LONGEST = 300.0
_LEAST = 30.0  # electrons of a pixel that count as a hit


def draw_particles(random: np.random.Generator, *, shape: tuple[int, int], mean: float) -> Array:
    """Return the pixels that particles hit, rows of ``HIT``.

    Parameters
    ----------
    random
        Of this exposure and detector.
    shape
        Rows and columns of the detector.
    mean
        Number of particles to expect.
    """
    hits = [_track(random, number, shape) for number in range(random.poisson(mean))]
    return np.concatenate(hits) if hits else np.zeros(0, HIT)


def add_particles(electrons: FloatArray, hits: Array) -> None:
    """Add the charge of particles to an image, in place."""
    np.add.at(electrons, (hits["y"], hits["x"]), hits["electrons"])


def _track(random: np.random.Generator, number: int, shape: tuple[int, int]) -> Array:
    x, y = random.uniform(-0.5, shape[1] - 0.5), random.uniform(-0.5, shape[0] - 0.5)
    towards = random.uniform(0, 2 * np.pi)
    slant = np.arccos(random.random() ** (1 / 3))  # from the normal; flux as the cosine squared, through a plane
    length = min(_DEPTH * np.tan(slant), _LONGEST)
    path = np.hypot(length, _DEPTH)
    steps = max(int(path / _STEP), 1)
    # Few large losses among many small ones: what Landau's distribution is like.
    charge = _CHARGE * path / steps * np.exp(random.normal(0, 0.3)) * random.gamma(2.0, 0.5, steps)
    along = np.linspace(0, length, steps)
    diffused = random.normal(0, 0.25, (2, steps))
    columns = np.rint(x + along * np.cos(towards) + diffused[0]).astype(int)
    lines = np.rint(y + along * np.sin(towards) + diffused[1]).astype(int)
    inside = (columns >= 0) & (columns < shape[1]) & (lines >= 0) & (lines < shape[0])
    pixels, which = np.unique(lines[inside] * shape[1] + columns[inside], return_inverse=True)
    total = np.bincount(which, charge[inside], len(pixels))
    kept = total >= _LEAST
    hits = np.zeros(int(kept.sum()), HIT)
    hits["particle"] = number
    hits["y"], hits["x"] = np.divmod(pixels[kept], shape[1])
    hits["electrons"] = total[kept]
    return hits
