"""A PSF as a table of FITS: a row for each term of the polynomial, with its samples.

One sample a pixel are PIXELS, as in every file until there were finer ones: these are SAMPLES, PSFSAMP a pixel along an
axis, so that a reader that knows of pixels only fails and does not see stars twice as wide.
"""

from __future__ import annotations

import math

import numpy as np
from astropy.io import fits

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.cards import cards_of, header_of
from qserv_py.pipelines.images.exposure import HeaderValue
from qserv_py.pipelines.kernels.psf import Psf, powers_of_psf, terms_of

_PLACES = {"PSFX0": "x0", "PSFY0": "y0", "PSFXSCAL": "scale_x", "PSFYSCAL": "scale_y"}


def psf_table(psf: Psf) -> fits.BinTableHDU:
    """Return the HDU of a PSF, named PSF."""
    shape = psf.coefficients.shape
    if len(shape) != 3 or shape[1] != shape[2] or shape[0] != terms_of(psf.order):
        raise ImageFileError(f"a PSF of order {psf.order} has coefficients of shape {shape}")
    cards: dict[str, HeaderValue] = {"PSFORDER": psf.order}
    cards |= {key: float(getattr(psf, field)) for key, field in _PLACES.items()}
    if math.isfinite(psf.error):
        cards["PSFERR"] = float(psf.error)
    if psf.sampling > 1:
        cards["PSFSAMP"] = psf.sampling
    powers = np.array(powers_of_psf(psf.order))
    size = {"format": f"{shape[1] * shape[2]}D", "dim": f"({shape[2]},{shape[1]})"}
    columns = [
        fits.Column("I", "J", array=powers[:, 0]),
        fits.Column("J", "J", array=powers[:, 1]),
        fits.Column(_column(psf.sampling), array=psf.coefficients, **size),
    ]
    return fits.BinTableHDU.from_columns(columns, header=header_of(cards), name="PSF")


def psf_of(table: fits.BinTableHDU, *, name: str) -> Psf:
    """Return the PSF of an HDU; ``name`` is what messages call the file."""
    cards = cards_of(table.header)
    missing = [key for key in ("PSFORDER", *_PLACES) if not isinstance(cards.get(key), int | float)]
    if missing:
        raise ImageFileError(f"the PSF of {name} has no number {', '.join(missing)}")
    order, sampling = int(cards["PSFORDER"]), cards.get("PSFSAMP", 1)
    if not isinstance(sampling, int) or sampling < 1 or _column(sampling) not in table.columns.names:
        raise ImageFileError(f"the PSF of {name} has {sampling} samples a pixel and the columns {table.columns.names}")
    pixels = np.asarray(table.data[_column(sampling)], dtype=np.float64)
    if pixels.ndim != 3 or len(pixels) != terms_of(order):
        raise ImageFileError(f"the PSF of {name} has order {order} and coefficients of shape {pixels.shape}")
    places = {field: float(cards[key]) for key, field in _PLACES.items()}
    error = cards.get("PSFERR")
    known = float(error) if isinstance(error, int | float) else math.nan
    return Psf(coefficients=np.ascontiguousarray(pixels), order=order, error=known, sampling=sampling, **places)


def _column(sampling: int) -> str:
    return "PIXELS" if sampling == 1 else "SAMPLES"
