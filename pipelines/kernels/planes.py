"""Planes of a mask, with the numbers that Rubin's images use."""

from __future__ import annotations

from enum import IntFlag

from qserv_py.pipelines.kernels._library import lib


class Plane(IntFlag):
    """A bit of a mask."""

    BAD = lib.QK_BAD
    """Unusable: a defect, or a calibration that says nothing."""

    SAT = lib.QK_SAT
    """Saturated."""

    INTRP = lib.QK_INTRP
    """Interpolated from its neighbours."""

    CR = lib.QK_CR
    """Hit by a cosmic ray."""

    EDGE = lib.QK_EDGE
    """Too near to the border to be measured."""

    DETECTED = lib.QK_DETECTED
    """In the footprint of a source."""

    DETECTED_NEGATIVE = lib.QK_DETECTED_NEGATIVE
    """In a footprint below the background."""

    SUSPECT = lib.QK_SUSPECT
    """Near saturation, where linearity is doubtful."""

    NO_DATA = lib.QK_NO_DATA
    """No pixel of any amplifier."""
