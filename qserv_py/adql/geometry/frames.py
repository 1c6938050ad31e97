"""Reference frames that are a rotation away from ICRS.

FK4 (B1950) is none of them: its positions hold terms of aberration and turn against ICRS with time.
"""

from __future__ import annotations

ROTATIONS = {
    "FK5": (
        0.9999999999999929, -1.1102233297408352e-07, -4.4118044980967814e-08,
        1.1102233723050047e-07, 0.999999999999989, 9.647792241685733e-08,
        4.411803426976331e-08, -9.647792749907272e-08, 0.9999999999999943,
    ),
    "GALACTIC": (
        -0.05487565771259173, -0.8734370519556163, -0.48383507361671546,
        0.4941094371927275, -0.44482972122329517, 0.7469821839866674,
        -0.8676661375596587, -0.19807633727300056, 0.45598381368730173,
    ),
    "SUPER_GALACTIC": (
        0.3750155557030317, 0.34135887185624764, 0.8618801851683191,
        -0.8983204377276139, -0.09572710024885128, 0.4287851600030191,
        0.2288749093754375, -0.9350456902649069, 0.2707504994924461,
    ),
    "ECLIPTIC": (
        0.9999999999999942, -7.078368960971561e-08, 8.056213977613187e-08,
        3.2897004077419646e-08, 0.9174821299149586, 0.397776999444048,
        -1.0207044725484357e-07, -0.3977769994440432, 0.9174821299149555,
    ),
}  # fmt: skip
"""The matrix from ICRS to each frame, row by row; equinox J2000, the mean ecliptic of that date."""

_ALIASES = {"J2000": "FK5", "EQ_FK5": "FK5", "GALACTIC_II": "GALACTIC", "SUPERGALACTIC": "SUPER_GALACTIC"}
_UNTURNED = {"ICRS", "UNKNOWNFRAME", ""}


def frame_named(name: str) -> str | None:
    """Return the frame that a name, in any case, means: "ICRS" or one of ``ROTATIONS``; None when it is not known."""
    upper = name.strip().upper()
    if upper in _UNTURNED:
        return "ICRS"
    upper = _ALIASES.get(upper, upper)
    return upper if upper in ROTATIONS else None


def from_icrs(frame: str) -> tuple[float, ...]:
    """Return the matrix from ICRS to a frame."""
    return ROTATIONS.get(frame, _IDENTITY)


def to_icrs(frame: str) -> tuple[float, ...]:
    """Return the matrix from a frame to ICRS."""
    matrix = from_icrs(frame)
    return tuple(matrix[3 * k + row] for row in range(3) for k in range(3))


def between(source: str, target: str) -> tuple[float, ...]:
    """Return the matrix from one frame to another."""
    first, second = to_icrs(source), from_icrs(target)
    return tuple(
        sum(second[3 * row + k] * first[3 * k + column] for k in range(3)) for row in range(3) for column in range(3)
    )


_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
