"""Cosmic rays as detectors see them, on stars of GalSim: charge diffuses, so tracks are two or three pixels wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from support.galsim_fields import draw, exposed, grid_of_stars, sources, tracks

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.cosmic_rays import MOST_CONTRAST, contrast_for
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.characterisation.characterise import Options, characterise

SHAPE = (320, 320)


@pytest.mark.parametrize(("fwhm", "least"), [(1.7, 0.96), (2.4, 0.96), (3.75, 0.95)])
def test_wide_tracks_are_found_and_stars_are_left(fwhm: float, least: float) -> None:
    random = np.random.default_rng(31)
    truth = grid_of_stars(random, shape=SHAPE, step=32, bright=16, faint=23)
    field = draw(truth, shape=SHAPE, fwhm=fwhm)
    charge, exposure = tracks(random, SHAPE, 40), exposed(field, random)
    electrons = random.poisson(charge).astype(np.float32)
    exposure = replace(exposure, image=exposure.image + electrons, variance=exposure.variance + electrons)
    image = characterise(exposure, Options())
    hit, noise = (image.mask & int(Plane.CR)) != 0, np.sqrt(field.light + 1064)
    assert hit[charge > 5 * noise].mean() > least
    beside = binary_dilation(charge > 0.3 * noise, iterations=2)
    assert (hit & ~beside).sum() <= 6  # of 102,400 pixels
    assert not (hit & ~beside & (field.light > 3 * noise)).any()


def test_faint_sources_are_no_rays_though_noise_makes_them_thin() -> None:
    random = np.random.default_rng(12)
    truth = sources(random, shape=(400, 400), n_stars=40, n_galaxies=160, brightest=18)
    charge, exposure = tracks(random, (400, 400), 20), exposed(draw(truth, shape=(400, 400)), random)
    electrons = random.poisson(charge).astype(np.float32)
    exposure = replace(exposure, image=exposure.image + electrons, variance=exposure.variance + electrons)
    image = characterise(exposure, Options())
    hit, ray = (image.mask & int(Plane.CR)) != 0, binary_dilation(charge > 10, iterations=4)
    assert hit[charge > 200].mean() > 0.9
    assert (hit & ~ray).sum() <= 3


def test_the_contrast_falls_as_stars_are_wider() -> None:
    widths = np.array([0.5, 1.0, 1.72, 2.0, 2.5, 4.0, 20.0])
    contrasts = np.array([contrast_for(width) for width in widths])
    assert (contrasts[:3] == MOST_CONTRAST).all()
    assert (np.diff(contrasts) <= 0).all()
    assert contrasts[-1] == contrasts[-2] == 1.5
    for width in (0.0, -1.0, np.nan):
        with pytest.raises(KernelArgumentError):
            contrast_for(width)
