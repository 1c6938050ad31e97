"""Instrument signature removal: the C kernel equals NumPy bit for bit, whatever the frame and its calibrations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels.isr import Amplifier, remove_signature
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.reference import isr as reference_isr

ODD_VALUES = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e38, 1e-42)
TWO = (
    Amplifier(raw_x=0, raw_y=0, width=3, height=4, out_x=0, out_y=0, overscan_x=3, overscan_width=2, gain=2.0),
    Amplifier(raw_x=5, raw_y=0, width=3, height=4, out_x=3, out_y=0, overscan_x=8, overscan_width=2, gain=1.5),
)


@st.composite
def frames(draw: st.DrawFn) -> tuple[np.ndarray, list[Amplifier], dict[str, Any]]:
    """A raw frame of amplifiers side by side, with calibrations that hold every odd value."""
    width, height, strip = draw(st.integers(1, 40)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    count, gap = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (height, count * (width + gap))
    amps = [
        Amplifier(
            raw_x=number * (width + strip),
            raw_y=0,
            width=width,
            height=height,
            out_x=number * (width + gap),
            out_y=0,
            flip_x=draw(st.booleans()),
            flip_y=draw(st.booleans()),
            overscan_x=number * (width + strip) + width,
            overscan_width=strip,
            gain=draw(st.floats(0.125, 16, width=32)),
            read_noise=draw(st.floats(0, 20, width=32)),
            saturation=draw(st.sampled_from([float("inf"), 60000.0, 0.0])),
            suspect=draw(st.sampled_from([float("inf"), 30000.5])),
            linearity=tuple(draw(st.lists(st.floats(-(2**-20), 2**-20, width=32), max_size=8))),
        )
        for number in range(count)
    ]
    raw = random.integers(0, 65536, (height, count * (width + strip)), dtype=np.uint16)

    def calibration(mean: float) -> np.ndarray | None:
        if draw(st.booleans()):
            return None
        values = random.normal(mean, 0.1, shape).astype(np.float32)
        odd = random.random(shape) < 0.1
        values[odd] = random.choice(ODD_VALUES, odd.sum())
        return values

    options = {
        "shape": shape,
        "bias": calibration(0.0),
        "dark": calibration(0.01),
        "flat": calibration(1.0),
        "defects": draw(st.sampled_from([None, random.integers(0, 512, shape, dtype=np.int32)])),
        "dark_s": draw(st.floats(0, 1000, width=32)),
        "overscan": draw(st.sampled_from(["none", "row_median", "amplifier_median"])),
    }
    return raw, amps, options


@given(frames())
def test_it_equals_numpy(frame: tuple[np.ndarray, list[Amplifier], dict[str, Any]]) -> None:
    raw, amps, options = frame
    ours = remove_signature(raw, amps, **options)
    theirs = reference_isr.remove_signature(raw, amps, **options)
    np.testing.assert_array_equal(ours.image, theirs.image)
    np.testing.assert_array_equal(ours.variance, theirs.variance)
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_numbers_by_hand() -> None:
    raw = np.array([[1100, 65535, 1000, 1002]], np.uint16)
    amp = Amplifier(
        raw_x=0, raw_y=0, width=2, height=1, out_x=0, out_y=0, overscan_x=2, overscan_width=2,
        gain=2.0, read_noise=3.0, saturation=65535, linearity=(1e-3,),
    )  # fmt: skip
    done = remove_signature(raw, [amp], shape=(1, 3), bias=np.full((1, 3), 8), flat=np.array([[0.5, 0.0, 1.0]]))
    level = 99 * (1 + 0.099) * 2 - 8
    np.testing.assert_allclose(done.image, [[level / 0.5, np.nan, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(done.variance, [[(level + 9) / 0.25, np.nan, np.nan]], rtol=1e-6)
    assert done.mask.tolist() == [[0, Plane.SAT | Plane.BAD, Plane.NO_DATA]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"raw_x": 8}, "data section of amplifier 1 leaves the raw frame of 4 x 10"),
        ({"raw_y": -1}, "data section of amplifier 1 leaves the raw frame"),
        ({"out_x": 4}, "amplifier 1 leaves the detector of 4 x 6"),
        ({"out_x": 2}, "amplifiers 0 and 1 overlap"),
        ({"overscan_width": 0}, "amplifier 1 has no overscan"),
        ({"overscan_x": 9}, "amplifier 1 has no overscan inside"),
        ({"width": 0}, "amplifier 1 has no pixels"),
        ({"gain": 0.0}, "amplifier 1 has gain 0"),
        ({"gain": float("nan")}, "amplifier 1 has gain nan"),
        ({"read_noise": -1.0}, "read noise -1"),
        ({"linearity": (0.0,) * 9}, "9 linearity coefficients; at most 8"),
    ],
)
def test_a_wrong_amplifier_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KernelArgumentError, match=words):
        remove_signature(np.zeros((4, 10), np.uint16), [TWO[0], replace(TWO[1], **changes)], shape=(4, 6))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"raw": np.zeros((4, 10), np.float32)}, "raw has the type float32"),
        ({"raw": np.full((4, 10), -1)}, "do not fit uint16"),
        ({"raw": np.zeros(10, np.uint16)}, r"raw has the shape \(10,\)"),
        ({"bias": np.zeros((4, 7))}, r"bias has the shape \(4, 7\), the image \(4, 6\)"),
        ({"dark_s": float("nan")}, "nan s of dark current"),
        ({"overscan": "mean"}, 'overscan method "mean" is not known'),
        ({"amplifiers": []}, "without amplifiers"),
        ({"shape": (0, 6)}, "a detector of shape"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"raw": np.zeros((4, 10), np.uint16), "amplifiers": TWO, "shape": (4, 6), **changes}
    with pytest.raises(KernelArgumentError, match=words):
        remove_signature(arguments.pop("raw"), arguments.pop("amplifiers"), **arguments)
