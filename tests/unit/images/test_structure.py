"""Light that is no source, and noise that neighbours share: rows are what stands out from both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from support.galsim_fields import draw, exposure_of, fractal, grid_of_stars, nebula, rows_near, sources, spiral

from qserv_py.pipelines.kernels.detection import detect, gaussian_kernel
from qserv_py.pipelines.single_frame.characterisation.characterise import Characterised, Options, characterise
from qserv_py.pipelines.single_frame.characterisation.structure import structure_of

SHAPE = (448, 448)


def characterised(values: np.ndarray) -> Characterised:
    """Return what is found where the noise is taken from the image, as of a file without a variance."""
    noise = 1.4826 * np.median(np.abs(values - np.median(values)))
    return characterise(exposure_of(values, np.full(values.shape, noise**2)), Options(psf_model="gaussian"))


@pytest.mark.parametrize("drawn", [nebula, spiral])
def test_structure_is_no_source(drawn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(21)
    truth = sources(random, shape=SHAPE, n_stars=100, brightest=17, faintest=23)
    values = random.poisson(draw(truth, shape=SHAPE).light + drawn(random, SHAPE) + 300.0).astype(float)
    inverted = 2 * np.median(values) - values
    rows = characterised(values).found.sources
    assert len(characterised(inverted).found.sources) <= 0.03 * len(rows)
    monkeypatch.setattr(
        "qserv_py.pipelines.single_frame.characterisation.characterise.structure_of", lambda *_, **__: None
    )
    without = characterised(values).found.sources
    assert share_found(rows, truth) >= share_found(without, truth) - 0.02
    assert len(characterised(inverted).found.sources) > 0.3 * len(without)  # or there was nothing to be told


def share_found(rows: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(near) > 0 for near in rows_near(rows, truth, within=2)]))


def test_noise_that_neighbours_share_is_no_source() -> None:
    random = np.random.default_rng(22)
    truth = sources(random, shape=SHAPE, n_stars=60, brightest=17, faintest=20)
    values = 20 * random.normal(0, 1, SHAPE) + 0.1 * draw(truth, shape=SHAPE).light
    rows = characterised(gaussian_filter(values, 1.0)).found.sources
    stars = np.rec.fromarrays([rows["x"], rows["y"]], names="x,y")
    assert sum(len(near) == 0 for near in rows_near(truth, stars, within=5)) <= 2
    assert np.mean([len(near) > 0 for near in rows_near(rows, truth, within=3)]) > 0.9


def test_plain_noise_and_crowds_have_no_structure() -> None:
    random = np.random.default_rng(23)
    kernel, mask = gaussian_kernel(3.75), np.zeros(SHAPE, np.int32)
    noise = random.normal(0, 30, SHAPE)
    assert structure_of(detect(noise, noise=30.0, kernel=kernel), mask, side=64) is None
    crowd = draw(sources(random, shape=(192, 192), n_stars=800, brightest=17, faintest=24), shape=(192, 192)).light
    found = detect(random.poisson(crowd + 1000.0) - 1000.0, noise=32.0, kernel=kernel)
    scatter = structure_of(found, mask[:192, :192], side=64)
    assert scatter is None or np.median(scatter) == 1


def test_structure_is_as_large_as_it_is() -> None:
    random = np.random.default_rng(24)
    swings = 4 * fractal(random, SHAPE, slope=0.0)
    swings[:, : SHAPE[1] // 2] /= 4
    found = detect(swings, noise=1.0, kernel=gaussian_kernel(3.75))
    scatter = structure_of(found, np.zeros(SHAPE, np.int32), side=64)
    assert scatter is not None
    np.testing.assert_allclose(scatter[:, -96:], 4, rtol=0.2)
    np.testing.assert_array_equal(scatter[:, :96], 1)


def test_stars_beside_an_overscan_are_found() -> None:
    random = np.random.default_rng(25)
    truth = grid_of_stars(random, shape=SHAPE, step=32, bright=20.0, faint=21.0)
    values = random.poisson(draw(truth, shape=SHAPE).light + 1000.0).astype(float)
    values[:10] = random.normal(500, 5, (10, SHAPE[1]))
    values[:, -12:] = random.normal(500, 5, (SHAPE[0], 12))
    rows = characterised(values).found.sources
    assert share_found(rows, truth[(truth["y"] > 14) & (truth["x"] < SHAPE[1] - 16)]) > 0.98
    stars = np.rec.fromarrays([rows["x"], rows["y"]], names="x,y")
    beside = (rows["y"] > 16) & (rows["x"] < SHAPE[1] - 18)
    assert sum(len(near) == 0 for near in rows_near(truth, stars[beside], within=5)) <= 2
