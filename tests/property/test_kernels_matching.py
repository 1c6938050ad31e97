"""Matching: the k-d tree finds what comparing everything finds, at the poles and across right ascension 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.catalogues.matching import mutual_pairs, nearest_within

RA = st.one_of(st.floats(-400, 800), st.floats(-1e-3, 1e-3), st.sampled_from([0.0, 360.0, 180.0, np.nan, np.inf]))
DEC = st.one_of(st.floats(-90, 90), st.floats(89.999, 90), st.sampled_from([90.0, -90.0, 0.0, 91.0, np.nan]))
SKY = st.lists(st.tuples(RA, DEC), max_size=60)


def columns(sky: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(sky, float).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        good = np.isfinite(ra) & (np.abs(dec) <= 90)
        lon, lat = np.radians(ra), np.radians(dec)
        unit = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return np.where(good[:, None], unit, np.nan)


@given(SKY, SKY, st.sampled_from([1e-3, 1.0, 3600.0, 36000.0, 324000.0]), st.integers(0, 2**32), st.booleans())
def test_it_finds_what_comparing_everything_finds(
    sky: list[tuple[float, float]],
    references: list[tuple[float, float]],
    radius: float,
    seed: int,
    crowded: bool,
) -> None:
    ra, dec = columns(sky)
    reference_ra, reference_dec = columns(references)
    if crowded:
        random = np.random.default_rng(seed)
        reference_ra = np.concatenate([reference_ra, random.uniform(0, 0.5, 200)])
        reference_dec = np.concatenate([reference_dec, random.uniform(89.5, 90, 200)])
    found = nearest_within(ra, dec, reference_ra, reference_dec, radius_arcsec=radius)
    chord = np.linalg.norm(vectors(ra, dec)[:, None] - vectors(reference_ra, reference_dec), axis=2)
    limit = 2 * np.sin(np.radians(radius / 3600) / 2)
    sure, possible = chord < limit * (1 - 1e-9) - 1e-15, chord <= limit * (1 + 1e-9) + 1e-15
    assert (found.count >= sure.sum(axis=1)).all()
    assert (found.count <= possible.sum(axis=1)).all()
    for row, index in enumerate(found.index):
        if index < 0:
            assert not sure[row].any()
            assert np.isnan(found.separation_arcsec[row])
            continue
        least = np.nanmin(chord[row])
        assert chord[row, index] <= least * (1 + 1e-12) + 1e-15
        assert found.separation_arcsec[row] == pytest.approx(3600 * np.degrees(2 * np.arcsin(least / 2)), abs=1e-9)


def test_equals_go_to_the_first() -> None:
    found = nearest_within([10.0], [5.0], [10.0] * 50, [5.0] * 50, radius_arcsec=1.0)
    assert (found.index[0], found.count[0], found.separation_arcsec[0]) == (0, 50, 0.0)


def test_mutual_pairs_are_one_to_one() -> None:
    rows, references = mutual_pairs([0.0, 1e-4, 50.0], [0.0, 0.0, 0.0], [359.99999, 100.0], [0.0, 0.0], radius_arcsec=2)
    assert (rows.tolist(), references.tolist()) == ([0], [0])


@pytest.mark.parametrize("radius", [0.0, -1.0, 1e6, float("nan")])
def test_a_wrong_radius_is_refused(radius: float) -> None:
    with pytest.raises(KernelArgumentError, match="0 to 90 are possible"):
        nearest_within([1.0], [1.0], [1.0], [1.0], radius_arcsec=radius)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(KernelArgumentError, match="ra, dec have the lengths 2, 1"):
        nearest_within([1.0, 2.0], [1.0], [1.0], [1.0], radius_arcsec=1.0)
