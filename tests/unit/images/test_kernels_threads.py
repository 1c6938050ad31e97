"""Threads run kernels side by side: each gets its own answer and its own error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.background import background
from qserv_py.pipelines.kernels.detection import detect, gaussian_kernel


def measured(seed: int) -> np.ndarray:
    image = np.random.default_rng(seed).normal(100, 5, (300, 300))
    image[seed % 250 : seed % 250 + 5, 100:105] += 500
    sky = background(image)
    return detect(sky.subtract_from(image), noise=sky.mean_noise, kernel=gaussian_kernel(3.0)).sources


def test_answers_do_not_mix() -> None:
    seeds = range(24)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(measured, seeds))
    for seed, rows in zip(seeds, together, strict=True):
        np.testing.assert_array_equal(rows, measured(seed))


def test_errors_do_not_mix() -> None:
    def refused(number: int) -> str:
        with pytest.raises(KernelArgumentError) as caught:
            detect(np.zeros((9, 9)), noise=-float(number), kernel=np.ones((1, 1)))
        return caught.value.message

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(refused, range(200))) == [f"a noise of {-float(n):g}" for n in range(200)]
