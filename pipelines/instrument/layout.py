"""QCam as it is built: how many detectors, of what size; all else follows from the numbers of the devices."""

from __future__ import annotations

import math

import numpy as np

from qserv_py.errors import ConfigError
from qserv_py.pipelines.instrument.camera import Camera, Detector, Filter, NamedAmplifier
from qserv_py.pipelines.kernels.isr import Amplifier

INSTRUMENT = "QCam"
MOST_DETECTORS = 189
FILTERS = tuple(
    Filter(physical_filter=f"q_{band}", band=band, wavelength_nm=wavelength)
    for band, wavelength in (("u", 368.0), ("g", 478.0), ("r", 622.0), ("i", 754.0), ("z", 869.0), ("y", 971.0))
)

_GAP = 25
"""Pixels between neighbours, each side of a detector."""

_FULL_WELL = 95_000.0  # electrons
_BIAS_ROOM = 1500.0  # ADU that bias level and structure may take
_DISTORTION = (0.01,)


def make_camera(
    *, detectors: int = 4, size: int = 2048, amplifiers: int = 2, overscan: int = 32, crosstalk: float = 0.0
) -> Camera:
    """Return QCam with some detectors around the optical axis.

    Parameters
    ----------
    detectors
        1 to 189.
    size
        Columns and rows of each.
    amplifiers
        Of each; four and more that are even stand in two rows, read out towards the upper and the lower side.
    overscan
        Columns that each amplifier reads after its own.
    crosstalk
        Share of the signal of a neighbouring amplifier that appears in another; it falls with the distance.

    Raises
    ------
    ConfigError
        If a number is out of its range.
    """
    for name, value, low, high in (
        ("detectors", detectors, 1, MOST_DETECTORS),
        ("size", size, 16, 16384),
        ("amplifiers", amplifiers, 1, min(64, size // 8)),
        ("overscan", overscan, 1, 1024),
        ("crosstalk", crosstalk, 0, 0.01),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{INSTRUMENT} with {name} {value}: it can be {low} to {high}")
    return Camera(
        name=INSTRUMENT,
        pixel_scale_arcsec=0.2,
        distortion=_DISTORTION,
        filters=FILTERS,
        detectors=tuple(
            _detector(number, cell, size=size, amplifiers=amplifiers, overscan=overscan, crosstalk=crosstalk)
            for number, cell in enumerate(_cells(detectors))
        ),
    )


def _cells(count: int) -> list[tuple[float, float]]:
    """Return columns and rows of a square grid around the axis, without its farthest cells, row by row."""
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = [(column - (columns - 1) / 2, row - (rows - 1) / 2) for row in range(rows) for column in range(columns)]
    nearest = sorted(grid, key=lambda cell: (math.hypot(*cell), cell))[:count]
    return sorted(nearest, key=lambda cell: (cell[1], cell[0]))


def _detector(
    number: int, cell: tuple[float, float], *, size: int, amplifiers: int, overscan: int, crosstalk: float
) -> Detector:
    device = np.random.default_rng((number, amplifiers))
    rows = 2 if amplifiers >= 4 and amplifiers % 2 == 0 else 1
    columns = amplifiers // rows
    off_x, off_y, turn = device.normal(0, (3.0, 3.0, 0.02))  # as well as a detector can be mounted
    return Detector(
        id=number,
        name=f"S{number:03d}",
        serial=f"QC-{device.integers(1000, 10000)}-{number:03d}",
        width=size,
        height=size,
        raw_width=size + columns * overscan,
        raw_height=size,
        focal_x=round(cell[0] * (size + 2 * _GAP) + float(off_x), 4),
        focal_y=round(cell[1] * (size + 2 * _GAP) + float(off_y), 4),
        rotation_deg=round(float(turn), 6),
        amplifiers=tuple(
            NamedAmplifier(
                name=f"A{row * columns + column:02d}",
                readout=_readout(device, size, overscan, row=row, rows=rows, column=column, columns=columns),
            )
            for row in range(rows)
            for column in range(columns)
        ),
        crosstalk=_crosstalk(device, amplifiers, crosstalk),
    )


def _readout(
    device: np.random.Generator, size: int, overscan: int, *, row: int, rows: int, column: int, columns: int
) -> Amplifier:
    x, end_x = column * size // columns, (column + 1) * size // columns
    y, end_y = row * size // rows, (row + 1) * size // rows
    gain = round(float(device.normal(1.8, 0.05)), 4)
    saturation = round(_FULL_WELL * float(device.normal(1, 0.02)) / gain + _BIAS_ROOM)
    return Amplifier(
        raw_x=x + column * overscan,
        raw_y=y,
        width=end_x - x,
        height=end_y - y,
        out_x=x,
        out_y=y,
        flip_x=column % 2 == 1,  # neighbours are read towards different sides
        flip_y=row == 1,
        overscan_x=end_x + column * overscan,
        overscan_width=overscan,
        gain=gain,
        read_noise=round(float(device.uniform(5.0, 8.0)), 3),
        saturation=float(saturation),
        suspect=float(round(0.9 * saturation)),
        linearity=(round(float(device.normal(2e-7, 5e-8)), 12),),
    )


def _crosstalk(device: np.random.Generator, amplifiers: int, strength: float) -> tuple[tuple[float, ...], ...]:
    if not strength:
        return ()
    away = np.abs(np.subtract.outer(np.arange(amplifiers), np.arange(amplifiers)))
    shares = strength * device.uniform(0.5, 1.0, away.shape) / np.maximum(away, 1) ** 2
    return tuple(tuple(round(float(share), 9) for share in line) for line in np.where(away == 0, 0.0, shares))
