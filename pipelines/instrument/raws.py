"""Raw files: their names, their headers, writing and reading one.

One file has one detector: a primary image of 16 bits with all amplifiers and their overscans. The layout is that of
RTN-101: a directory for each day and exposure, with the Butler's records of the exposure beside its files.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import HeaderValue, RawImage
from qserv_py.pipelines.instrument.camera import Camera, Detector
from qserv_py.pipelines.instrument.exposures import EXPOSURES_A_DAY, ExposureInfo, dimension_records
from qserv_py.whole_file import whole_file

_CHECKSUM_NOTE = "of the raw file as it was written"
_STRUCTURE = {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "BZERO", "BSCALE", "CHECKSUM", "DATASUM"}
_NAME = re.compile(r"(?P<instrument>\w+)_(?P<exposure>\d{13})_(?P<detector>\d{3})\.fits")


def exposure_directory(root: Path, instrument: str, exposure: int) -> Path:
    """Return where the files of an exposure are, below ``raw`` or ``calib``."""
    return root / instrument / str(exposure // EXPOSURES_A_DAY) / str(exposure)


def raw_path(root: Path, instrument: str, exposure: int, detector: int) -> Path:
    """Return the path of a raw file, below ``raw`` or ``calib``."""
    return exposure_directory(root, instrument, exposure) / f"{instrument}_{exposure}_{detector:03d}.fits"


def dimensions_path(root: Path, instrument: str, exposure: int) -> Path:
    """Return the path of the Butler's records of an exposure, below ``raw`` or ``calib``."""
    return exposure_directory(root, instrument, exposure) / f"{exposure}_dimensions.yaml"


def parse_raw_name(path: Path) -> tuple[str, int, int]:
    """Return the instrument, the exposure and the detector that a raw file's name says.

    Raises
    ------
    ImageFileError
        If it is no such name.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ImageFileError(
            f"{path} is not named as a raw file", hint="Raw files are named as QCam_2026112000001_000.fits is."
        )
    return match["instrument"], int(match["exposure"]), int(match["detector"])


def raw_header(camera: Camera, detector: Detector, info: ExposureInfo) -> dict[str, HeaderValue]:
    """Return the cards of a raw file.

    The coordinates are the telescope's guess, by its pointing, and for science exposures only. They are those of the
    detector without overscans.
    """
    cards = info.cards()
    cards |= {"DETECTOR": detector.id, "DETNAME": detector.name, "SERIAL": detector.serial}
    cards |= {"DETSIZE": f"[1:{detector.width},1:{detector.height}]", "NAMPS": len(detector.amplifiers)}
    for number, amplifier in enumerate(detector.amplifiers, start=1):
        one = amplifier.readout
        y = f"{one.raw_y + 1}:{one.raw_y + one.height}"
        cards |= {
            f"AMP{number:02d}": amplifier.name,
            f"DSEC{number:02d}": f"[{one.raw_x + 1}:{one.raw_x + one.width},{y}]",
            f"BSEC{number:02d}": f"[{one.overscan_x + 1}:{one.overscan_x + one.overscan_width},{y}]",
            f"GAIN{number:02d}": one.gain,
            f"RDNS{number:02d}": one.read_noise,
        }
    if info.kind == "science":
        cards |= camera.wcs(detector, info.pointing).header()
    return cards


def write_raw(path: Path, raw: RawImage) -> None:
    """Write a raw file; it is there whole or not at all, and the same raw gives the same bytes.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    header = fits.Header()
    for keyword, value in raw.header.items():
        header[keyword] = value
    image = fits.PrimaryHDU(raw.pixels, header)
    image.add_checksum(when=_CHECKSUM_NOTE)
    written = io.BytesIO()
    image.writeto(written)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(written.getbuffer())


def write_dimensions(root: Path, info: ExposureInfo) -> None:
    """Write the Butler's records of an exposure beside its files, below ``raw`` or ``calib``."""
    path = dimensions_path(root, info.instrument, info.exposure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(dimension_records(info).encode())


def read_raw(path: Path) -> RawImage:
    """Read a raw file.

    Raises
    ------
    ImageFileError
        If it is not there, damaged, or no image of 16 bits.
    """
    image = _first_image(path)
    pixels = image.data
    if pixels is None or pixels.ndim != 2 or pixels.dtype != np.uint16:
        found = "no pixels" if pixels is None else f"{pixels.dtype} of shape {pixels.shape}"
        raise ImageFileError(f"{path}: {found}", hint="A raw file has unsigned pixels of 16 bits, in two dimensions.")
    return RawImage(pixels=pixels, header=_cards(image.header))


def read_raw_header(path: Path) -> Mapping[str, HeaderValue]:
    """Read the cards of a raw file, not its pixels.

    Raises
    ------
    ImageFileError
        If it is not there, or no FITS file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            with path.open("rb") as handle:  # astropy leaves files open that it cannot read
                return _cards(fits.getheader(handle))
    except (OSError, ValueError, KeyError, TypeError, IndexError, fits.VerifyError) as error:
        raise _unreadable(path, error) from error


def _first_image(path: Path) -> fits.PrimaryHDU:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # they are about what is checked here
            with path.open("rb") as handle, fits.open(handle, memmap=False, checksum=False) as file:
                image = file[0]
                if not isinstance(image, fits.PrimaryHDU):  # astropy's guess of what it may have been
                    raise ValueError("its header is damaged")
                sound = image.verify_checksum() and image.verify_datasum()
                _ = image.data  # reads it while the file is open
    except (OSError, ValueError, KeyError, TypeError, IndexError, fits.VerifyError) as error:
        raise _unreadable(path, error) from error
    if not sound:
        raise ImageFileError(f"{path} is damaged: its checksum is not that of its bytes")
    return image


def _unreadable(path: Path, error: Exception) -> ImageFileError:
    if isinstance(error, FileNotFoundError):
        return ImageFileError(f"{path} is not there")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
    return ImageFileError(f"{path} cannot be read as FITS: {reason}")


def _cards(header: fits.Header) -> dict[str, HeaderValue]:
    return {
        card.keyword: card.value
        for card in header.cards
        if card.keyword not in _STRUCTURE and isinstance(card.value, str | int | float | bool)
    }
