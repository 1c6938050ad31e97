"""Settings of one run: how they are written, and that a wrong one is refused with those that there are."""

from __future__ import annotations

import pytest

from qserv_py.errors import ConfigError
from qserv_py.pipelines.workflow.overrides import Override, check_overrides, overrides_within, parse_override
from qserv_py.pipelines.workflow.submission import pipeline_uri


def checked(*texts: str, part: str = "") -> None:
    check_overrides(pipeline_uri(f"drp-single-frame{part}"), [parse_override(text) for text in texts])


def test_a_setting_is_a_task_an_option_and_a_value() -> None:
    assert parse_override("a:b.c=1") == Override("a", "b.c", "1")
    assert parse_override("a:b={'x': 1}") == Override("a", "b", "{'x': 1}")
    assert parse_override("a:b=c=d").value == "c=d"


@pytest.mark.parametrize("text", ["a", "a:b", "a:b=", ":b=1", "a:=1", "a=1", "a:b=c:d=e"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_override(text)
    assert "-c calibrateImage:characterise.threshold=4.5" in caught.value.hint


def test_right_settings_pass() -> None:
    checked(
        "isr:do_flat=False",
        "calibrateImage:characterise.threshold=4.5",
        "calibrateImage:measure.radii_pixels=[3, 12.0]",
        "calibrateImage:fiducial_sky_per_s={'r': 3.0}",
        "calibrateImage:connections.references=gaia",
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("calibrateimage:x=1", 'has no task "calibrateimage"', 'Did you mean "calibrateImage"?'),
        ("nothing:x=1", 'has no task "nothing"', "It has astrometricFit, calibrateImage"),
        (
            "calibrateImage:characterise.treshold=4",
            'has no setting "characterise.treshold"',
            'Did you mean "characterise.threshold"?',
        ),
        ("calibrateImage:qqqqq=4", 'has no setting "qqqqq"', "measure"),
        ("isr:do_flat.x=4", "do_flat.x", ""),
        ("calibrateImage:characterise.threshold=many", 'setting "characterise.threshold" of calibrateImage', ""),
        ("calibrateImage:characterise.psf_side=24", "cannot be 24", ""),
        ("calibrateImage:characterise.threshold=0.1", "cannot be 0.1", ""),
        ("calibrateImage:characterise=1", 'setting "characterise"', ""),
    ],
)
def test_wrong_ones_are_refused_with_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "lsst." not in caught.value.render()


def test_a_part_of_a_pipeline_has_its_own_tasks() -> None:
    one, other = (parse_override(text) for text in ("isr:do_flat=False", "photometricFit:least_stars=3"))
    with pytest.raises(ConfigError, match='has no task "photometricFit"'):
        checked("photometricFit:least_stars=3", part="#step1")
    assert overrides_within(pipeline_uri("drp-single-frame#step1"), [one, other]) == (one,)
    assert overrides_within("nowhere", []) == ()
