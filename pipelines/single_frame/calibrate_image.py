"""One image from electrons to a calibrated image with its sources: the whole way, in two steps.

``measure_image`` needs pixels only. ``calibrate`` needs reference stars too; when it fails, what was measured is still
there to look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Table

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.background import Background
from qserv_py.pipelines.single_frame import calibrate as fits
from qserv_py.pipelines.single_frame import measure as measures
from qserv_py.pipelines.single_frame.aperture_correction import (
    ApertureCorrection,
    fit_aperture_correction,
    no_correction,
)
from qserv_py.pipelines.single_frame.characterisation import characterise as characters
from qserv_py.pipelines.single_frame.characterisation.characterise import Characterised
from qserv_py.pipelines.single_frame.references import References
from qserv_py.pipelines.single_frame.tables.summary import Fiducials, summarise
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns

_CORRECTED = ("psf", "gauss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an image is measured and calibrated."""

    characterise: characters.Options = field(default_factory=characters.Options)
    """Sky, sources, PSF."""

    measure: measures.Options = field(default_factory=measures.Options)
    """What is measured."""

    calibrate: fits.Options = field(default_factory=fits.Options)
    """The fits against references."""

    fiducials: Fiducials = field(default_factory=Fiducials)
    """What a good night is like, for the effective time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What pixels alone say."""

    image: Characterised
    """Sky and PSF."""

    table: Any
    """All sources, with aperture corrections; the table of ``measure``."""

    correction: ApertureCorrection
    """Of PSF fluxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What is known of an image in the end."""

    exposure: Exposure
    """nJy, without the sky, with coordinates and PSF."""

    table: Any
    """All sources, with sky positions."""

    summary: Any
    """One row: the image in numbers."""


def measure_image(exposure: Exposure, options: Options) -> Measured:
    """Return the sources of an image in electrons.

    Raises
    ------
    UnusableImageError
        If nothing of it can be used.
    NoFitError
        If none of the PSF's stars has a flux.
    """
    image = characters.characterise(exposure, options.characterise)
    radii = sorted({*options.measure.radii_pixels, measures.CALIBRATION_RADIUS})
    table = measures.measure(image, replace(options.measure, radii_pixels=tuple(radii)))
    stars = table[image.used]
    for flux in _CORRECTED:
        shape = image.light.shape
        correction = (
            fit_aperture_correction(stars, flux=flux, aperture="alone", shape=shape)
            if len(stars)
            else no_correction(shape)
        )
        ratio = correction.at(table["x"], table["y"])
        table[f"{flux}_flux"] *= ratio
        table[f"{flux}_flux_error"] *= ratio
        table[f"{flux}_correction"] = ratio
        table[f"{flux}_correction_error"] = np.full(len(table), correction.error)
        if flux == "psf":
            psf_correction = correction
    return Measured(image=image, table=table, correction=psf_correction)


def calibrate(exposure: Exposure, measured: Measured, references: References, options: Options) -> Calibrated:
    """Return an image on the sky and in nJy.

    Parameters
    ----------
    exposure
        The image as ``measure_image`` got it, with the telescope's coordinates.
    measured
        What that gave.
    references
        At the time of the exposure, the brightest first.
    options
        How.

    Raises
    ------
    NoFitError
        If the references determine no coordinates or no zero point.
    ImageFileError
        If the header has no coordinates to begin with, or not what an exposure's must have.
    """
    if exposure.wcs is None:
        raise ImageFileError("the header has no coordinates to begin with")
    info = ExposureInfo.of_cards(exposure.header)
    image, table = measured.image, measured.table.copy()
    near = fits.references_near(references, exposure.wcs, image.light.shape, options.calibrate)
    astrometry = fits.fit_astrometry(table, near, exposure.wcs, options.calibrate)
    flux = np.asarray(table["psf_flux"])
    zero_point = fits.fit_photometry(table, flux, near, astrometry.wcs, options.calibrate)
    table["astrometry_used"], table["photometry_used"] = astrometry.used, zero_point.used
    table["ra"], table["dec"] = astrometry.wcs.to_sky(table["x"], table["y"])
    summary = summarise(
        image,
        table,
        measured.correction,
        info=info,
        detector=int(exposure.header["DETECTOR"]),
        wcs=astrometry.wcs,
        zero_point=zero_point,
        offsets_arcsec=astrometry.offset_arcsec,
        fiducials=options.fiducials,
    )
    row = Table({name: [value] for name, value in (summary | wcs_columns(astrometry.wcs)).items()})
    scale = 10 ** (-0.4 * (zero_point.magnitude - fits.NJY_ZERO_POINT))
    final = replace(
        exposure,
        image=(image.light * np.float32(scale)).astype(np.float32),
        variance=(exposure.variance * np.float32(scale**2)).astype(np.float32),
        mask=image.mask,
        wcs=astrometry.wcs,
        psf=image.psf,
        njy_per_unit=1.0,
    )
    return Calibrated(exposure=final, table=table, summary=row)


def background_table(sky: Background) -> Any:
    """Return a background as a table of its mesh, electrons; ``background_of`` reads it back."""
    rows, columns = np.indices(sky.level.shape)
    return Table(
        {
            "row": rows.ravel().astype(np.int32),
            "column": columns.ravel().astype(np.int32),
            "level": sky.level.ravel(),
            "noise": sky.noise.ravel(),
            "measured": sky.measured.ravel(),
            "image_rows": np.full(rows.size, sky.shape[0], np.int32),  # the Butler drops a table's own metadata
            "image_columns": np.full(rows.size, sky.shape[1], np.int32),
        }
    )


def background_of(table: Any) -> Background:
    """Return the background that ``background_table`` made a table of."""
    mesh = (int(np.max(table["row"])) + 1, int(np.max(table["column"])) + 1)

    def grid(name: str, dtype: Any) -> FloatArray:
        values = np.empty(mesh, dtype)
        values[np.asarray(table["row"]), np.asarray(table["column"])] = table[name]
        return values

    return Background(
        level=grid("level", float),
        noise=grid("noise", float),
        measured=grid("measured", bool),  # type: ignore[arg-type]
        shape=(int(table["image_rows"][0]), int(table["image_columns"][0])),
    )
