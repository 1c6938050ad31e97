"""Everything that is measured of the sources of one image, in electrons and pixels.

The position of a source is that of the PSF fitted to it, neighbours subtracted; where that does not settle, it is the
windowed position, and where that fails too, the mean of its footprint, with a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
from astropy.table import Table

from qserv_py.errors import ConfigError
from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.frame import Frame
from qserv_py.pipelines.kernels.measurement.apertures import aperture_fluxes, axes_of, kron_fluxes
from qserv_py.pipelines.kernels.measurement.moments import adaptive_moments, windowed_positions
from qserv_py.pipelines.kernels.measurement.psf_photometry import PsfPhotometry, psf_photometry
from qserv_py.pipelines.kernels.measurement.spread import spread_model
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import PointSpread
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.characterisation.characterise import Characterised
from qserv_py.pipelines.single_frame.interpolation import filled_light

CALIBRATION_RADIUS = 12.0
"""Pixels: fluxes mean what falls within, as DP1's calibFlux."""

_GRID = 6
_SHAPES_ORDER = 3
_FAILED = int(Flag.NO_DATA | Flag.NOT_CONVERGED)
_SPREAD_SCALE = 2 / 15  # FWHM: of the disk that galaxies are told by; those at the limit of detection are as large
_NEAR = 1  # pixels: flags of the centre look at 3 x 3 of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is measured."""

    radii_pixels: tuple[float, ...] = option(
        (3.0, 6.0, 9.0, 12.0, 17.0, 25.0, 35.0, 50.0, 70.0),
        "Of circular apertures; the one of 12 is always measured",
        least=0.5,
        most=99.4,
    )
    kron_factor: float = option(2.5, "Of Kron's radius", least=1.0, most=6.0)
    further: tuple[str, ...] = option((), "Further measurements, as package.module:function")


@dataclass(slots=True, kw_only=True)
class Sources:
    """The sources of an image while they are measured: what there is to look at, and the table to add to."""

    image: Characterised
    """With its PSF."""

    options: Options
    """Of measurements."""

    table: Table
    """A row a source; measurements add columns."""

    fitted: PsfPhotometry
    """All sources under the PSF."""

    seen: Frame
    """The image as it was fitted."""

    frame: Frame
    """The image where missing light is filled."""

    x: FloatArray
    """Best position, pixels."""

    y: FloatArray
    """Best position, pixels."""

    shapes: Array
    """Rows of adaptive moments, of the measurement ``shape``."""

    @property
    def own(self) -> Array:
        """Segment of each source."""
        return np.arange(len(self.table)) + 1

    @property
    def sigma_pixels(self) -> float:
        """Of the PSF."""
        return float(self.image.fwhm_pixels / np.sqrt(8 * np.log(2)))


Measurement = Callable[[Sources], None]
"""Adds its columns to the table."""


def measure(image: Characterised, options: Options) -> Any:
    """Return the table of all sources, one row a detection, in the order of detection.

    Its columns are named for what is measured (``psf_flux``, ``psf_flux_error``, ``psf_flags``); fluxes are electrons,
    positions and moments pixels, flags those of ``kernels.detection.Flag``.

    Raises
    ------
    ConfigError
        If a further measurement cannot be found, or does not add columns of its own.
    """
    further = [(name, _found(name)) for name in options.further]
    sources = _placed(image, options)
    for measurement in MEASUREMENTS.values():
        measurement(sources)
    for name, measurement in further:
        _run_further(sources, name, measurement)
    return sources.table


def _placed(image: Characterised, options: Options) -> Sources:
    """Return the sources with their positions."""
    rows, frame, psf = image.found.sources, image.frame, image.psf
    table = Table()
    table["number"] = np.arange(len(rows), dtype=np.int64)
    table["footprint"] = rows["footprint"].astype(np.int64)
    table["siblings"] = rows["siblings"].astype(np.int32)
    table["area"] = rows["pixels"].astype(np.int32)
    table["detect_flags"] = rows["flags"].astype(np.int32)
    table["planes"] = rows["planes"].astype(np.int32)
    table["significance"] = rows["peak"].astype(np.float32)
    fitted = psf_photometry(frame, psf, rows["x"], rows["y"])
    nowhere = np.empty(0)
    sources = Sources(
        image=image,
        options=options,
        table=table,
        fitted=fitted,
        seen=frame,
        frame=replace(frame, fill=filled_light(frame, fitted.residual)),
        x=nowhere,
        y=nowhere,
        shapes=nowhere,
    )
    window = windowed_positions(frame, rows["x"], rows["y"], sources.sigma_pixels, segment=sources.own)
    _add_alone(table, frame, psf, fitted, image.used)
    sources.x, sources.y = _add_positions(table, rows, window, fitted.fluxes)
    return sources


def _found(name: str) -> Measurement:
    """Return a measurement of somebody else's."""
    module, _, function = name.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f'there is no measurement "{name}"',
            detail=str(error),
            hint="Name it as package.module:function; the function takes Sources and adds columns to its table.",
        ) from error
    if not callable(found):
        raise ConfigError(f'"{name}" is no function')
    measurement: Measurement = found
    return measurement


def _run_further(sources: Sources, name: str, measurement: Measurement) -> None:
    """Run a measurement of somebody else's, which may add columns and nothing else."""
    before, table = sources.table, sources.table.copy()
    sources.table = table
    measurement(sources)
    changed = [one for one in before.colnames if one not in table.colnames or np.any(_differ(before[one], table[one]))]
    if changed:
        raise ConfigError(f'the measurement "{name}" changes the column "{changed[0]}"', hint="It may add columns.")


def _differ(one: Any, other: Any) -> Array:
    return np.asarray((np.asarray(one) != np.asarray(other)) & ~((one != one) & (other != other)))


def aperture_name(radius: float) -> str:
    """Return the column of a circular aperture: DP1's word for it."""
    return f"ap{round(radius):02d}"


def psf_moments(psf: PointSpread, shape: Sequence[int], x: FloatArray, y: FloatArray) -> FloatArray:
    """Return adaptive moments xx, yy, xy of the PSF at positions, shape (3, n): a cubic through a grid of them."""
    ny, nx = shape
    ends = np.linspace(0.5 / _GRID, 1 - 0.5 / _GRID, _GRID)
    at_x, at_y = (values.ravel() for values in np.meshgrid(ends * nx, ends * ny))
    middle = np.array([psf.side // 2], float)
    stamps = psf.at(at_x, at_y)
    each = np.concatenate([adaptive_moments(Frame(image=one), middle, middle, 2.0) for one in stamps])
    moments = np.stack([each[name] for name in ("xx", "yy", "xy")])
    good = np.isfinite(moments).all(axis=0)
    if good.sum() < 10:
        return np.full((3, len(x)), np.nan)
    powers = [(i, j) for i in range(_SHAPES_ORDER + 1) for j in range(_SHAPES_ORDER + 1 - i)]

    def terms(px: FloatArray, py: FloatArray) -> FloatArray:
        u, v = 2 * px / nx - 1, 2 * py / ny - 1
        return np.stack([u**i * v**j for i, j in powers], axis=1)

    fitted = np.linalg.lstsq(terms(at_x, at_y)[good], moments[:, good].T, rcond=None)[0]
    inside = [np.clip(values, 0, size) for values, size in ((x, nx), (y, ny))]
    result: FloatArray = (terms(inside[0], inside[1]) @ fitted).T
    return result


def planes_around(mask: Array, x: FloatArray, y: FloatArray) -> Array:
    """Return the planes of the nearest pixel and of those beside it; NO_DATA off the image."""
    ny, nx = mask.shape
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    on = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    planes = np.where(on, 0, int(Plane.NO_DATA)).astype(np.int32)
    for dy in range(-_NEAR, _NEAR + 1):
        for dx in range(-_NEAR, _NEAR + 1):
            planes |= np.where(on, mask[np.clip(row + dy, 0, ny - 1), np.clip(column + dx, 0, nx - 1)], 0)
    return planes


def _add_positions(table: Any, rows: Array, window: Array, fitted: Array) -> tuple[FloatArray, FloatArray]:
    """Add the best position of every source; return it."""
    fit = ((fitted["flags"] & _FAILED) == 0) & np.isfinite(fitted["x_error"]) & np.isfinite(fitted["x"])
    windowed = ((window["flags"] & _FAILED) == 0) & np.isfinite(window["x"])
    for axis in ("x", "y"):
        rest = np.where(windowed, window[axis], rows[axis])
        table[axis] = np.where(fit, fitted[axis], rest)
        error = np.where(windowed, window[f"{axis}_error"], np.nan)
        table[f"{axis}_error"] = np.where(fit, fitted[f"{axis}_error"], error)
        table[f"windowed_{axis}"] = window[axis]
        table[f"windowed_{axis}_error"] = window[f"{axis}_error"]
    table["position_failed"] = ~fit & ~windowed
    table["position_windowed"] = ~fit & windowed
    return np.asarray(table["x"]), np.asarray(table["y"])


def _add_psf(sources: Sources) -> None:
    table, fitted = sources.table, sources.fitted.fluxes
    table["psf_flux"], table["psf_flux_error"] = fitted["flux"], fitted["flux_error"]
    table["psf_chi2"] = fitted["chi2"]
    table["psf_flags"] = fitted["flags"].astype(np.int32)
    table["psf_area"] = _area_of(sources.image.psf, sources.x, sources.y)


def _area_of(psf: PointSpread, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return 1 / sum of squares of the PSF at positions: pixels whose noise its flux has."""
    area = np.full(len(x), np.nan)
    for first in range(0, len(x), 512):
        part = slice(first, first + 512)
        area[part] = 1 / np.sum(psf.at(x[part], y[part]) ** 2, axis=(1, 2))
    return area


def _add_shapes(sources: Sources) -> None:
    table, image, x, y = sources.table, sources.image, sources.x, sources.y
    shapes = adaptive_moments(sources.frame, x, y, sources.sigma_pixels, segment=sources.own)
    sources.shapes, noise = shapes, _sampled(image.sky_noise, x, y)
    gain = image.noise.gain if image.noise.gains is None else _sampled(image.noise.gains, x, y)
    of_psf = psf_moments(image.psf, image.light.shape, x, y)
    for name, psf_moment in zip(("xx", "yy", "xy"), of_psf, strict=True):
        table[f"i{name}"], table[f"i{name}_error"] = shapes[name], shapes[f"{name}_error"]
        table[f"i{name}_psf"] = psf_moment
    table["shape_flags"] = shapes["flags"].astype(np.int32)
    table["gauss_flux"] = shapes["flux"]
    with np.errstate(invalid="ignore"):
        # Whose noise a Gaussian's flux has; its free shape doubles what a fixed one would have.
        area = 8 * np.pi * np.sqrt(shapes["xx"] * shapes["yy"] - shapes["xy"] ** 2)
        of_light = np.maximum(shapes["flux"], 0) / gain if np.any(gain) else 0
        table["gauss_flux_error"] = np.sqrt(noise**2 * area + of_light)


def _add_spread(sources: Sources) -> None:
    scale = _SPREAD_SCALE * sources.image.fwhm_pixels
    spread, error = spread_model(sources.seen, sources.image.psf, sources.fitted, scale=scale)
    sources.table["spread"], sources.table["spread_error"] = spread, error


def _add_apertures(sources: Sources) -> None:
    for radius in sources.options.radii_pixels:
        name, fluxes = aperture_name(radius), aperture_fluxes(sources.frame, sources.x, sources.y, radius)
        sources.table[f"{name}_flux"], sources.table[f"{name}_flux_error"] = fluxes["flux"], fluxes["error"]
        sources.table[f"{name}_flags"] = fluxes["flags"].astype(np.int32)


def _add_alone(table: Any, frame: Frame, psf: PointSpread, fitted: PsfPhotometry, used: Array) -> None:
    """Add the flux of the PSF's stars within the calibration radius without their neighbours, which fill it in crowds.

    It is what is left of the image there, and the star's own model; NaN for all other sources.
    """
    rows, middle = fitted.fluxes[used], np.array([psf.side // 2], float)
    left = aperture_fluxes(
        replace(frame, image=fitted.residual, segments=None), rows["x"], rows["y"], CALIBRATION_RADIUS
    )
    inside = [
        aperture_fluxes(Frame(image=stamp), middle, middle, CALIBRATION_RADIUS)["flux"][0]
        for stamp in psf.at(rows["x"], rows["y"])
    ]
    (flux, error), flags = np.full((2, len(used)), np.nan), np.zeros(len(used), np.int32)
    flux[used], error[used], flags[used] = left["flux"] + rows["flux"] * inside, left["error"], left["flags"]
    table["alone_flux"], table["alone_flux_error"], table["alone_flags"] = flux, error, flags


def _axes(rows: Array, shapes: Array) -> tuple[Array, Array, Array]:
    """Return half axes and angle from adaptive moments, from the footprint's where these failed."""
    use = np.isfinite(shapes["xx"]) & np.isfinite(shapes["yy"]) & np.isfinite(shapes["xy"])
    return axes_of(*(np.where(use, shapes[name], rows[name]) for name in ("xx", "yy", "xy")))


def _add_kron(sources: Sources) -> None:
    axes = _axes(sources.image.found.sources, sources.shapes)
    fluxes, size = kron_fluxes(
        sources.frame, sources.x, sources.y, *axes, segment=sources.own, factor=sources.options.kron_factor
    )
    table = sources.table
    table["kron_flux"], table["kron_flux_error"] = fluxes["flux"], fluxes["error"]
    table["kron_radius"] = size * np.sqrt(axes[0] * axes[1])
    table["kron_flags"] = fluxes["flags"].astype(np.int32)


def _add_surroundings(sources: Sources) -> None:
    """Add what the image is where the sources are, and which of them made the PSF."""
    table, image, x, y = sources.table, sources.image, sources.x, sources.y
    table["planes"] |= aperture_fluxes(sources.frame, x, y, image.fwhm_pixels)["planes"]
    table["center_planes"] = planes_around(image.mask, x, y)
    table["sky"] = _sampled(image.sky.level_image(), x, y)
    table["variance"] = _sampled(image.variance, x, y)
    table["psf_candidate"], table["psf_used"] = image.candidate, image.used
    table["psf_modelled"] = np.full(len(table), bool(image.used.any()))


def _sampled(image: Array, x: FloatArray, y: FloatArray) -> Array:
    """Return the pixel at each position, the nearest on the image for those beside it."""
    column = np.clip(np.rint(x).astype(int), 0, image.shape[1] - 1)
    row = np.clip(np.rint(y).astype(int), 0, image.shape[0] - 1)
    values: Array = image[row, column]
    return values


MEASUREMENTS: dict[str, Measurement] = {
    "psf": _add_psf,
    "shape": _add_shapes,
    "spread": _add_spread,
    "aperture": _add_apertures,
    "kron": _add_kron,
    "surroundings": _add_surroundings,
}
"""All measurements, in their order; ``kron`` takes the axes of ``shape``."""
