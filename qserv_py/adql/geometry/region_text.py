"""Regions written as text: STC-S, as columns like ObsCore's ``s_region`` hold it, and the numbers of DALI.

    Circle ICRS 10 20 0.5        POLYGON 10 20 11 20 11 21        10 20 0.5

The word says the shape; without one the count of the numbers does. Frames that are a rotation away from ICRS are turned
into it. The same rules stand in ``qserv.region`` of sql/worker/shape_functions.sql.
"""

from __future__ import annotations

import re

from qserv_py.adql.geometry.frames import ROTATIONS, frame_named, to_icrs
from qserv_py.adql.geometry.sphere import corners_of_box, is_shape, rotated

_HEAD = re.compile(r"(?:[a-z][a-z0-9_]* +)*")
_NUMBERS = re.compile(r"(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9][0-9]?)? +)+")
_TOO_LONG = re.compile(r"[0-9.]{31}")
_BLANKS = str.maketrans("\t\n\r", "   ")
_ORDER = (
    {"position", "point", "circle", "box", "polygon"},
    {"icrs", "unknownframe", "fk5", "j2000", "galactic", "galactic_ii", "super_galactic", "ecliptic"},
    {"geocenter", "barycenter", "heliocenter", "topocenter", "unknownrefpos"},
    {"spherical2"},
)
"""The words before the numbers; each may be left out."""

_COUNTS = {"position": 2, "point": 2, "circle": 3, "box": 4}
_COMPOUND = {"union", "intersection", "not", "difference", "ellipse", "allsky", "convex", "positioninterval"}


def numbers_of(text: str) -> tuple[float, ...] | None:
    """Return the shape that a text writes, in ICRS; None when it is none that is understood."""
    words, tail = _split(text)
    found = []
    for known in _ORDER:
        found.append(words.pop(0) if words and words[0] in known else "")
    if words or not _NUMBERS.fullmatch(tail) or _TOO_LONG.search(tail):
        return None
    word, frame = found[0], frame_named(found[1] or "ICRS")
    numbers = tuple(float(number) for number in tail.split())
    wanted = _COUNTS.get(word, len(numbers))
    if frame is None or len(numbers) != wanted or (word == "polygon" and len(numbers) < 6):
        return None
    if word == "box":
        if not is_shape(numbers[:2]) or not all(0 <= size < 180 for size in numbers[2:]):
            return None
        numbers = corners_of_box(*numbers)
    if not is_shape(numbers):
        return None
    return numbers if frame == "ICRS" else rotated(numbers, to_icrs(frame))


def _split(text: str) -> tuple[list[str], str]:
    """Return the words that a text begins with, and the rest; letters of ASCII folded."""
    plain = text.translate(_BLANKS).strip(" ").translate(_LOWER) + " "
    head = _HEAD.match(plain)
    end = head.end() if head is not None else 0
    return plain[:end].split(), plain[end:]


_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def reason(text: str) -> tuple[str, str]:
    """Return why a text is no region that is understood, and a hint."""
    words, _ = _split(text)
    if words and words[0] in _COMPOUND:
        return f"{words[0].upper()} of STC-S is not answered", "Write a condition for each shape, with AND, OR and NOT."
    if len(words) > 1 and words[0] in _ORDER[0] and not any(words[1] in known for known in _ORDER):
        return f"coordinate system '{words[1]}' is not converted", f"Known: {', '.join(['ICRS', *ROTATIONS])}."
    return (
        "the text is no region",
        "Write 'Circle ICRS 10 20 0.5', 'Polygon ICRS 10 20 11 20 11 21' or 'Position 10 20'.",
    )
