"""A WCS out of FITS cards: TAN and TAN-SIP, as ``Wcs.header`` writes them and as most telescopes do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.exposure import HeaderValue
from qserv_py.pipelines.kernels._library import FloatArray
from qserv_py.pipelines.kernels.wcs import Wcs

_MAX_ORDER = 9  # of SIP
_FRAMES = ("ICRS", "FK5")
_FIRST_FK5 = 1984.0  # equinox; an earlier one is FK4 where nothing else is said
_DEGREES = ("", "deg", "degree", "degrees")
_PARAMETER = re.compile(r"PV[12]_\d+$")
_TABLE = re.compile(r"(CPDIS|CQDIS|DQ|DP|D2IMDIS)[12](\.|$)")


def wcs_cards(wcs: Wcs) -> dict[str, HeaderValue]:
    """Return the FITS cards of a WCS.

    Raises
    ------
    ImageFileError
        If it has distortion that SIP does not: constant or linear terms, terms above the order, numbers not finite.
    """
    for name, terms in (("a", wcs.a), ("b", wcs.b)):
        if terms is not None and wcs.order > 1:
            powers = np.add.outer(np.arange(terms.shape[0]), np.arange(terms.shape[1]))
            if np.any(terms[(powers < 2) | (powers > wcs.order)]):
                raise ImageFileError(
                    f"the distortion {name} of the WCS has terms outside the powers 2 to {wcs.order}, which SIP lacks",
                    hint="Put constant and linear terms into the tangent point and the matrix.",
                )
    cards = dict(wcs.header())
    for key, value in cards.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ImageFileError(f"{key} of the WCS is {value}", hint="A fit without a solution leaves the WCS None.")
    return cards


def wcs_of(cards: Mapping[str, HeaderValue], *, name: str) -> Wcs | None:
    """Return the WCS of FITS cards, None where they have none; ``name`` is what messages call the file.

    Raises
    ------
    ImageFileError
        If the cards are of another projection or frame, incomplete or not numbers.
    """
    if "CTYPE1" not in cards:
        return None
    kinds = tuple(str(cards.get(key, "")).strip() for key in ("CTYPE1", "CTYPE2"))
    if kinds not in (("RA---TAN", "DEC--TAN"), ("RA---TAN-SIP", "DEC--TAN-SIP")):
        raise ImageFileError(f"{name} has the projection {kinds[0]}, {kinds[1]}; TAN and TAN-SIP are understood")
    _check_frame(cards, name)
    _check_rest(cards, name)
    matrix = _matrix(cards, name)
    wcs = Wcs(
        ra0=_number(cards, "CRVAL1", name),
        dec0=_number(cards, "CRVAL2", name),
        x0=_number(cards, "CRPIX1", name) - 1,
        y0=_number(cards, "CRPIX2", name) - 1,
        cd=matrix,
    )
    if not kinds[0].endswith("SIP") and not {"A_ORDER", "B_ORDER"} <= set(cards):
        return wcs
    orders = [_order(cards, letter, name) for letter in "AB"]
    order = max(orders)
    a, b = (_terms(cards, letter, own, order, name) for letter, own in zip("AB", orders, strict=True))
    return Wcs(ra0=wcs.ra0, dec0=wcs.dec0, x0=wcs.x0, y0=wcs.y0, cd=matrix, order=order, a=a, b=b)


def _check_frame(cards: Mapping[str, HeaderValue], name: str) -> None:
    """Refuse positions in another frame than ICRS, or FK5 of 2000, which is the same to 0.03 arc seconds."""
    frame = str(cards.get("RADESYS", cards.get("RADECSYS", ""))).strip()
    equinox = _number(cards, "EQUINOX", name, 2000.0)
    if not frame:  # the standard's default
        frame = "ICRS" if "EQUINOX" not in cards else "FK4" if equinox < _FIRST_FK5 else "FK5"
    if frame not in _FRAMES:
        raise ImageFileError(f"{name} has positions in {frame}; {' and '.join(_FRAMES)} are understood")
    if frame == "FK5" and equinox != 2000:
        raise ImageFileError(f"{name} has positions of the equinox {equinox:g}; that of 2000 is understood")


def _check_rest(cards: Mapping[str, HeaderValue], name: str) -> None:
    """Refuse what would change positions and is not read."""
    for key in ("CUNIT1", "CUNIT2"):
        if str(cards.get(key, "deg")).strip() not in _DEGREES:
            raise ImageFileError(f"{name}: {key} of the WCS is {cards[key]!r}; degrees are understood")
    if _number(cards, "LONPOLE", name, 180.0) != 180:
        raise ImageFileError(f"{name}: LONPOLE of the WCS is {cards['LONPOLE']}; 180 is understood")
    for key, value in cards.items():
        if (_PARAMETER.match(key) and value) or _TABLE.match(key):
            raise ImageFileError(f"{name} has a distortion by {key}, which is not understood; SIP is")


def _number(cards: Mapping[str, HeaderValue], key: str, name: str, default: float | None = None) -> float:
    value = cards.get(key, default)
    if value is None:
        raise ImageFileError(f"{name} has a WCS without {key}")
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ImageFileError(f"{name}: {key} of the WCS is {value!r}, not a number")
    return float(value)


def _matrix(cards: Mapping[str, HeaderValue], name: str) -> FloatArray:
    places = [(i, j) for i in (1, 2) for j in (1, 2)]
    if any(f"CD{i}_{j}" in cards for i, j in places):
        values = [_number(cards, f"CD{i}_{j}", name, 0.0) for i, j in places]
    else:
        parts = _turn(cards, name)
        values = [_number(cards, f"CDELT{i}", name) * parts[i, j] for i, j in places]
    matrix = np.array(values).reshape(2, 2)
    if np.linalg.det(matrix) == 0:
        raise ImageFileError(f"{name} has a WCS whose matrix {values} maps the image to a line")
    return matrix


def _turn(cards: Mapping[str, HeaderValue], name: str) -> dict[tuple[int, int], float]:
    """Return the PC matrix: its own cards, or the older angle CROTA2."""
    places = [(i, j) for i in (1, 2) for j in (1, 2)]
    turn = math.radians(_number(cards, "CROTA2", name, 0.0))
    if turn == 0 or any(f"PC{i}_{j}" in cards for i, j in places):
        return {(i, j): _number(cards, f"PC{i}_{j}", name, float(i == j)) for i, j in places}
    ratio = _number(cards, "CDELT2", name) / _number(cards, "CDELT1", name)
    return {
        (1, 1): math.cos(turn), (1, 2): -ratio * math.sin(turn),
        (2, 1): math.sin(turn) / ratio, (2, 2): math.cos(turn),
    }  # fmt: skip


def _order(cards: Mapping[str, HeaderValue], letter: str, name: str) -> int:
    order = _number(cards, f"{letter}_ORDER", name)
    if order != int(order) or not 2 <= order <= _MAX_ORDER:
        raise ImageFileError(f"{name}: {letter}_ORDER of the WCS is {order}; 2 to {_MAX_ORDER} are possible")
    return int(order)


def _terms(cards: Mapping[str, HeaderValue], letter: str, own: int, order: int, name: str) -> FloatArray:
    terms = np.zeros((order + 1, order + 1))
    for i in range(own + 1):
        for j in range(own + 1 - i):
            terms[i, j] = _number(cards, f"{letter}_{i}_{j}", name, 0.0)
    return terms
