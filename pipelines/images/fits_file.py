"""Images as FITS files.

An exposure is a primary HDU with the header's cards and no data, then IMAGE, VARIANCE and MASK with the real WCS in
each, then the PSF as a table. Pixels are kept bit for bit. Only the mask is compressed (Rice's way, as fpack does): it
shrinks a hundred times in 0.03 s, while noise in floats shrinks by a quarter in 0.3 s. A component or a box is read
without the rest of the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from qserv_py.errors import ImageFileError, QservError
from qserv_py.pipelines.images.cards import cards_of, header_of
from qserv_py.pipelines.images.cutout import bbox_within, move_psf, move_wcs
from qserv_py.pipelines.images.exposure import Exposure, HeaderValue, RawImage
from qserv_py.pipelines.images.psf_table import psf_of, psf_table
from qserv_py.pipelines.images.wcs_cards import wcs_cards, wcs_of
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.kernels.wcs import Wcs

Source = Path | IO[bytes]
"""A file, or a stream that can seek."""

_TYPES = {"IMAGE": np.dtype(np.float32), "VARIANCE": np.dtype(np.float32), "MASK": np.dtype(np.int32)}
_SCALE = "NJYUNIT"


def write_exposure(exposure: Exposure, path: Path) -> None:
    """Write an exposure to a file.

    Parameters
    ----------
    exposure
        What to write.
    path
        Overwritten.

    Raises
    ------
    ImageFileError
        If header, WCS or PSF are such that FITS cannot give them back.
    """
    planes = {"IMAGE": exposure.image, "VARIANCE": exposure.variance, "MASK": exposure.mask}
    unit = str(exposure.header.get("BUNIT", "electron")) if exposure.njy_per_unit != 1 else "nJy"
    cards = {} if exposure.wcs is None else wcs_cards(exposure.wcs)
    if exposure.njy_per_unit is not None:
        cards |= {_SCALE: float(exposure.njy_per_unit)}
    squared = f"({unit})**2" if set(unit) & set(" */^.") else f"{unit}**2"
    headers = {
        "IMAGE": header_of(cards | {"BUNIT": unit}),
        "VARIANCE": header_of(cards | {"BUNIT": squared}),
        "MASK": header_of(cards | {f"MP_{plane.name}": int(plane).bit_length() - 1 for plane in Plane}),
    }
    hdus: list[Any] = [fits.PrimaryHDU(header=header_of(exposure.header))]
    hdus += [
        # A copy in FITS's order of bytes: astropy would turn the caller's own array around and back.
        fits.ImageHDU(planes[name].astype(">f4"), header=headers[name], name=name)
        for name in ("IMAGE", "VARIANCE")
    ]
    mask = np.ascontiguousarray(exposure.mask)
    hdus.append(fits.CompImageHDU(mask, header=headers["MASK"], name="MASK", compression_type="RICE_1"))
    if exposure.psf is not None:
        hdus.append(psf_table(exposure.psf))
    fits.HDUList(hdus).writeto(path, overwrite=True)


def read_exposure(source: Source, *, name: str, bbox: object = None) -> Exposure:
    """Read an exposure, or a box of it; ``name`` is what messages call the file.

    Raises
    ------
    ImageFileError
        If the file is damaged or no exposure, or the box is not within the image.
    """
    with _opened(source, name) as hdus:
        planes = {key: _plane(hdus, key, name, bbox) for key in _TYPES}
        for key, plane in planes.items():
            if plane.shape != planes["IMAGE"].shape:
                raise ImageFileError(f"{key} of {name} has the shape {plane.shape}, IMAGE {planes['IMAGE'].shape}")
        return Exposure(
            image=planes["IMAGE"],
            variance=planes["VARIANCE"],
            mask=planes["MASK"],
            header=cards_of(hdus[0].header),
            wcs=_wcs(hdus, name, bbox),
            psf=_psf(hdus, name, bbox),
            njy_per_unit=_scale(hdus, name, bbox),
        )


def read_component(source: Source, component: str, *, name: str, bbox: object = None) -> object:
    """Read one of ``EXPOSURE_COMPONENTS`` of an exposure's file and nothing else; None where it has none."""
    with _opened(source, name) as hdus:
        return EXPOSURE_COMPONENTS[component](hdus, name, bbox)


def read_raw(source: Source, *, name: str) -> RawImage:
    """Read a raw image: the first HDU with rows of pixels, its cards and the primary's.

    Raises
    ------
    ImageFileError
        If the file is damaged (a checksum that it has is not that of its bytes) or has no such image.
    """
    with _opened(source, name) as hdus:
        return RawImage(pixels=_raw_pixels(hdus, name), header=_raw_header(hdus, name))


def read_raw_component(source: Source, component: str, *, name: str) -> object:
    """Read one of ``RAW_COMPONENTS`` of a raw image's file and nothing else."""
    with _opened(source, name) as hdus:
        return RAW_COMPONENTS[component](hdus, name)


def raw_frame(path: Path) -> tuple[dict[str, HeaderValue], tuple[int, int], int]:
    """Return the cards of a raw image's file, its rows and columns, and how many bytes the file must have."""
    with _opened(path, str(path)) as hdus:
        hdu = _raw_hdu(hdus, str(path))
        place = hdu.fileinfo()
        return _raw_header(hdus, str(path)), tuple(hdu.shape), place["datLoc"] + place["datSpan"]


@contextmanager
def _opened(source: Source, name: str) -> Iterator[fits.HDUList]:
    """Open a file; whatever astropy says of a damaged one becomes an ImageFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd cards are no damage
            warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
            with (
                source.open("rb") if isinstance(source, Path) else nullcontext(source) as stream,
                fits.open(stream, mode="readonly", memmap=False) as hdus,
            ):
                if not isinstance(hdus[0], fits.PrimaryHDU):  # astropy's guess of what it may have been
                    raise ImageFileError(f"{name} is not a whole FITS image: its first header is damaged")
                yield hdus
    except QservError:
        raise
    except FileNotFoundError:
        raise ImageFileError(f"there is no file {name}") from None
    except Exception as error:  # astropy raises all kinds of things at bytes that it does not expect
        reason = str(error).strip().splitlines()
        raise ImageFileError(
            f"{name} is not a whole FITS image",
            detail=f"{type(error).__name__}: {reason[0] if reason else 'no reason given'}",
            hint="The file is damaged or of another kind; fetch or make it again.",
        ) from error


def _hdu(hdus: fits.HDUList, key: str, name: str) -> Any:
    if key not in hdus:
        raise ImageFileError(f"{name} has no HDU {key}, which an exposure has")
    return hdus[key]


def _plane(hdus: fits.HDUList, key: str, name: str, bbox: object) -> npt.NDArray[Any]:
    hdu = _hdu(hdus, key, name)
    if not hdu.is_image or len(hdu.shape) != 2:
        raise ImageFileError(f"{key} of {name} is not rows of pixels")
    if bbox is None:
        plane = hdu.data
    else:
        x0, y0, x1, y1 = bbox_within(bbox, hdu.shape)
        plane = hdu.section[y0:y1, :][:, x0:x1]  # whole rows: one read instead of one for each
    return _native(key, plane, name)


def _native(key: str, plane: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if plane.dtype.newbyteorder("=") != _TYPES[key]:
        raise ImageFileError(f"{key} of {name} has pixels of type {plane.dtype.name}, not {_TYPES[key].name}")
    return np.ascontiguousarray(plane, dtype=_TYPES[key])


def _header(hdus: fits.HDUList, _name: str, _bbox: object) -> dict[str, HeaderValue]:
    return cards_of(hdus[0].header)


def _wcs(hdus: fits.HDUList, name: str, bbox: object) -> Wcs | None:
    hdu = _hdu(hdus, "IMAGE", name)
    wcs = wcs_of(cards_of(hdu.header), name=name)
    if wcs is None or bbox is None:
        return wcs
    return move_wcs(wcs, *bbox_within(bbox, hdu.shape)[:2])


def _psf(hdus: fits.HDUList, name: str, bbox: object) -> Psf | None:
    if "PSF" not in hdus:
        return None
    psf = psf_of(hdus["PSF"], name=name)
    return psf if bbox is None else move_psf(psf, *bbox_within(bbox, _hdu(hdus, "IMAGE", name).shape)[:2])


def _scale(hdus: fits.HDUList, name: str, _bbox: object) -> float | None:
    value = cards_of(_hdu(hdus, "IMAGE", name).header).get(_SCALE)
    if value is None or isinstance(value, int | float):
        return None if value is None else float(value)
    raise ImageFileError(f"{_SCALE} of {name} is {value!r}, not a number")


def _raw_hdu(hdus: fits.HDUList, name: str) -> Any:
    for hdu in hdus:
        if hdu.is_image and len(hdu.shape) == 2:
            return hdu
    raise ImageFileError(f"{name} has no HDU with rows of pixels, which a raw image has")


def _raw_pixels(hdus: fits.HDUList, name: str) -> npt.NDArray[np.uint16]:
    hdu = _raw_hdu(hdus, name)
    packed = isinstance(hdu, fits.CompImageHDU)
    if not packed and not (hdu.verify_checksum() and hdu.verify_datasum()):  # both are true where there is none
        raise ImageFileError(f"{name} is damaged: its checksum is not that of its bytes")
    pixels = hdu.data
    if pixels.dtype.kind not in "iu" or (pixels.size and (pixels.min() < 0 or pixels.max() > 0xFFFF)):
        raise ImageFileError(f"{name} has pixels of type {pixels.dtype.name} that are not counts from 0 to 65535")
    return np.ascontiguousarray(pixels, dtype=np.uint16)


def _raw_header(hdus: fits.HDUList, name: str) -> dict[str, HeaderValue]:
    hdu = _raw_hdu(hdus, name)
    return cards_of(hdu.header) if hdu is hdus[0] else cards_of(hdus[0].header, hdu.header)


EXPOSURE_COMPONENTS: Mapping[str, Callable[[fits.HDUList, str, object], object]] = {
    "image": lambda hdus, name, bbox: _plane(hdus, "IMAGE", name, bbox),
    "mask": lambda hdus, name, bbox: _plane(hdus, "MASK", name, bbox),
    "variance": lambda hdus, name, bbox: _plane(hdus, "VARIANCE", name, bbox),
    "header": _header,
    "wcs": _wcs,
    "psf": _psf,
    "njy_per_unit": _scale,
}
"""What can be read of an exposure alone."""

RAW_COMPONENTS: Mapping[str, Callable[[fits.HDUList, str], object]] = {"pixels": _raw_pixels, "header": _raw_header}
"""What can be read of a raw image alone."""
