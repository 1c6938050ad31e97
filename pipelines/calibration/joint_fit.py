"""One linear least-squares problem for a whole survey: what objects are, and what images add to it.

Every observation is the value of its object plus terms of the image it is from: ``value = object + basis . terms``.
Objects with a reference are tied to it. Magnitudes (ubercal) and offsets on the sky are both of this kind.

References
----------
Padmanabhan et al. 2008, ApJ 674, 1217 (ubercal); Bernstein et al. 2017, PASP 129, 074503 (astrometry).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import lsmr

from qserv_py.errors import NoFitError
from qserv_py.pipelines.kernels._library import FloatArray

IntArray = npt.NDArray[np.int64]

_ROUNDS = 10
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What was measured of objects in images, arrays of one length."""

    value: FloatArray
    """In any unit."""

    error: FloatArray
    """Standard deviations, above 0."""

    object: IntArray
    """Which object, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Terms that some group of observations shares, such as those of one image."""

    group: IntArray
    """Of each observation, from 0."""

    basis: FloatArray
    """Factors of the terms, shape (observations, terms)."""

    prior: FloatArray
    """Standard deviation of each term around 0, shape (terms,); infinite for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """What references say of objects, arrays of one length."""

    object: IntArray
    """Which object."""

    value: FloatArray
    """As of the observations."""

    error: FloatArray
    """Standard deviations, above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointFit:
    """The solution."""

    terms: tuple[FloatArray, ...]
    """Of each block, shape (groups, terms)."""

    objects: FloatArray
    """Value of each object; NaN where no observation of it counts."""

    residual: FloatArray
    """Of each observation."""

    used: npt.NDArray[np.bool_]
    """Which observations were no outliers."""


def joint_fit(
    observations: Observations,
    blocks: Sequence[Block],
    *,
    anchors: Anchors | None = None,
    clip: float = 4.0,
) -> JointFit:
    """Return objects and terms, outliers left out.

    Parameters
    ----------
    observations
        Of all images.
    blocks
        Terms; a group that no observation has gets 0.
    anchors
        Without them only differences are known: the solution nearest to 0 is returned.
    clip
        Standard deviations, scaled by the observed scatter, beyond which an observation or an anchor is an outlier.

    Raises
    ------
    NoFitError
        If nothing was observed.
    """
    count = len(observations.value)
    if not count:
        raise NoFitError("no star was seen in these images", hint="Are they of one sky and one filter?")
    tied = anchors if anchors is not None else _NO_ANCHORS
    layout = _Layout.of(observations, blocks, tied)
    design = layout.design(observations, blocks, tied)
    values = np.concatenate([observations.value, tied.value])
    errors = np.concatenate([observations.error, tied.error])
    used = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    solution = np.zeros(layout.columns)
    for _ in range(_ROUNDS):
        solution = _solve(design, values, errors, used, layout.prior, solution)
        pull = np.abs(values - design @ solution) / np.where(errors > 0, errors, np.inf)
        scale = max(1.0, _MAD_TO_SIGMA * float(np.median(pull[used])))
        near = np.isfinite(pull) & (errors > 0) & (pull <= clip * scale)
        if (near == used).all() or not near[:count].any():
            break
        used = near
    objects, terms = layout.split(solution)
    seen = np.zeros(len(objects), bool)
    seen[observations.object[used[:count]]] = True
    return JointFit(
        terms=terms,
        objects=np.where(seen, objects, np.nan),
        residual=(values - design @ solution)[:count],
        used=used[:count],
    )


_NO_ANCHORS = Anchors(object=np.zeros(0, np.int64), value=np.zeros(0), error=np.zeros(0))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which column of the design is which unknown."""

    objects: int
    groups: tuple[int, ...]
    widths: tuple[int, ...]
    prior: FloatArray

    @classmethod
    def of(cls, observations: Observations, blocks: Sequence[Block], anchors: Anchors) -> _Layout:
        last = max(int(observations.object.max()), int(anchors.object.max(initial=-1)))
        groups = tuple(int(block.group.max()) + 1 for block in blocks)
        priors = [np.full(last + 1, np.inf)]
        priors += [np.tile(block.prior, number) for block, number in zip(blocks, groups, strict=True)]
        return cls(last + 1, groups, tuple(block.basis.shape[1] for block in blocks), np.concatenate(priors))

    @property
    def columns(self) -> int:
        return self.objects + sum(number * width for number, width in zip(self.groups, self.widths, strict=True))

    def design(self, observations: Observations, blocks: Sequence[Block], anchors: Anchors) -> sparse.csr_matrix:
        count, tied = len(observations.value), len(anchors.value)
        rows = [np.arange(count), count + np.arange(tied)]
        columns = [observations.object, anchors.object]
        factors = [np.ones(count), np.ones(tied)]
        first = self.objects
        for block, number, width in zip(blocks, self.groups, self.widths, strict=True):
            for term in range(width):
                rows.append(np.arange(count))
                columns.append(first + block.group * width + term)
                factors.append(block.basis[:, term])
            first += number * width
        places = (np.concatenate(rows), np.concatenate(columns))
        return sparse.csr_matrix((np.concatenate(factors), places), shape=(count + tied, self.columns))

    def split(self, solution: FloatArray) -> tuple[FloatArray, tuple[FloatArray, ...]]:
        terms, first = [], self.objects
        for number, width in zip(self.groups, self.widths, strict=True):
            terms.append(solution[first : first + number * width].reshape(number, width))
            first += number * width
        return solution[: self.objects], tuple(terms)


def _solve(
    design: sparse.csr_matrix,
    values: FloatArray,
    errors: FloatArray,
    used: npt.NDArray[np.bool_],
    prior: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Solve the weighted system; columns are scaled to one norm, which makes the iteration short."""
    weighted = sparse.diags(1 / errors[used]) @ design[used]
    limited = np.nonzero(np.isfinite(prior))[0]
    if limited.size:
        ridge = sparse.csr_matrix(
            (1 / prior[limited], (np.arange(limited.size), limited)), shape=(limited.size, len(prior))
        )
        weighted = sparse.vstack([weighted, ridge]).tocsr()
    target = np.concatenate([values[used] / errors[used], np.zeros(limited.size)])
    norm = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel())
    scale = np.where(norm > 0, 1 / np.where(norm > 0, norm, 1), 0)
    found = lsmr(
        weighted @ sparse.diags(scale),
        target,
        atol=1e-12,
        btol=1e-12,
        maxiter=20 * len(prior),
        x0=np.where(scale > 0, start * norm, 0),
    )[0]
    solution: FloatArray = found * scale
    return solution
