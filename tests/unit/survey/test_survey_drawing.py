"""Sources on pixels: the same as GalSim draws, and no light is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qserv_py.pipelines.survey.drawing import DRAWN, add_sources, reach

SHAPE = (220, 260)


def sources(count: int = 1, **values: Any) -> np.ndarray:
    rows = np.zeros(count, DRAWN)
    for name, value in {"x": 130.3, "y": 110.8, "flux": 1e5, "fwhm": 3.75, **values}.items():
        rows[name] = value
    return rows


def drawn(rows: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    image = np.zeros(SHAPE)
    add_sources(image, rows, threshold=threshold)
    return image


def by_galsim(row: np.void) -> np.ndarray:
    galsim = pytest.importorskip("galsim")
    parameters = galsim.GSParams(folding_threshold=1e-4, maxk_threshold=1e-4)
    parts = [galsim.Kolmogorov(fwhm=row["fwhm"], gsparams=parameters).shear(e1=row["psf_e1"], e2=row["psf_e2"])]
    if row["radius"]:
        galaxy = galsim.Spergel(nu=row["profile"], half_light_radius=row["radius"], gsparams=parameters)
        parts.append(galaxy.shear(e1=row["e1"], e2=row["e2"]))
    if row["trail_x"] or row["trail_y"]:
        length, angle = np.hypot(row["trail_x"], row["trail_y"]), np.arctan2(row["trail_y"], row["trail_x"])
        parts.append(galsim.Box(length, 1e-4, gsparams=parameters).rotate(angle * galsim.radians))
    light = galsim.Convolve(parts).withFlux(row["flux"])
    middle = galsim.PositionD(row["x"] - (SHAPE[1] - 1) / 2, row["y"] - (SHAPE[0] - 1) / 2)
    image: np.ndarray = light.drawImage(nx=SHAPE[1], ny=SHAPE[0], scale=1, offset=middle, dtype=float).array
    return image


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"fwhm": 2.6, "psf_e1": 0.05, "psf_e2": -0.03},
        {"radius": 2.0, "profile": 0.5, "e1": 0.3, "e2": -0.2},
        {"radius": 4.0, "profile": 0.0, "e1": -0.3, "e2": 0.4, "psf_e2": 0.05},
        {"trail_x": 3.0, "trail_y": -1.5},
    ],
    ids=["star", "sharp", "disc", "early", "moving"],
)
def test_it_draws_what_galsim_draws(values: dict[str, float]) -> None:
    rows = sources(**values)
    ours, theirs = drawn(rows), by_galsim(rows[0])
    assert np.abs(ours - theirs).max() < 2e-3 * theirs.max()


@pytest.mark.parametrize("flux", [100.0, 1e4, 1e6, 3e7])
def test_all_light_is_drawn_at_any_brightness(flux: float) -> None:
    image = drawn(sources(flux=flux))
    assert image.sum() == pytest.approx(flux, rel=1e-9)
    lines, columns = np.indices(SHAPE)
    assert (image * columns).sum() / flux == pytest.approx(
        130.3, abs=0.02
    )  # what leaves the stamp on one side comes in on the other
    assert (image * lines).sum() / flux == pytest.approx(
        110.8, abs=0.02
    )  # what leaves the stamp on one side comes in on the other


def test_what_is_cut_off_is_below_the_threshold() -> None:
    rows = sources(flux=1e7)
    near, far = drawn(rows, threshold=0.5), drawn(rows, threshold=0.005)
    assert np.abs(near - far).max() < 1.0
    assert reach(rows, 0.005)[0] > reach(rows, 0.5)[0]


def test_sources_off_the_image_shine_onto_it_or_do_no_harm() -> None:
    assert drawn(sources(x=-5.0, y=100.0, flux=1e6))[100, 0] > 100
    assert drawn(sources(x=-5000.0, y=1e4)).sum() == 0
    assert drawn(sources(0)).sum() == 0


def test_sources_add_up_whatever_their_company() -> None:
    random = np.random.default_rng(3)
    rows = sources(40, x=random.uniform(0, 259, 40), y=random.uniform(0, 219, 40), flux=10 ** random.uniform(2, 6, 40))
    together, alone = drawn(rows), sum(drawn(rows[one : one + 1]) for one in range(40))
    np.testing.assert_allclose(together, alone, atol=1e-6)
