"""Raw files: their names, their headers, and writing one; ``images.fits_file`` reads them.

One file has one detector: a primary image of 16 bits with all amplifiers and their overscans. The layout is that of
RTN-101: a directory for each day and exposure, with the Butler's records of the exposure beside its files.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from astropy.io import fits

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.cards import header_of
from qserv_py.pipelines.images.exposure import HeaderValue, RawImage
from qserv_py.pipelines.instrument.camera import Camera, Detector
from qserv_py.pipelines.instrument.exposures import EXPOSURES_A_DAY, ExposureInfo, dimension_records
from qserv_py.whole_file import whole_file

_CHECKSUM_NOTE = "of the raw file as it was written"
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
    ImageFileError
        If FITS cannot hold the header, or the pixels are not those of a raw.
    ConfigError
        If the file cannot be written.
    """
    if raw.pixels.dtype != np.uint16 or raw.pixels.ndim != 2:
        raise ImageFileError(f"a raw image has uint16 pixels in rows, not {raw.pixels.dtype} of {raw.pixels.ndim} axes")
    image = fits.PrimaryHDU(raw.pixels.copy(), header_of(raw.header))
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
