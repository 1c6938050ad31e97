"""Configurations of tasks are made from the options of the algorithms: the same settings, defaults and bounds."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from lsst.pex.config import Config, FieldValidationError

from qserv_py.pipelines.calibration import astrometry, photometry
from qserv_py.pipelines.calibration.stars import Options as StarOptions
from qserv_py.pipelines.options import option
from qserv_py.pipelines.single_frame.calibrate_image import Options
from qserv_py.pipelines.tasks.calibrate_image import CalibrateImageConfig
from qserv_py.pipelines.tasks.options import config_class, options_of
from qserv_py.pipelines.tasks.survey_calibration import AstrometricFitConfig, PhotometricFitConfig


@dataclass(frozen=True, kw_only=True)
class Made:
    """One of each kind."""

    number: float = option(1.5, "A number", least=1.0, most=2.0)
    odd: int = option(3, "An odd number", least=1, check=lambda value: value % 2 == 1)
    yes: bool = option(True, "Whether")
    word: str = option("a", "A word", check=lambda value: value in ("a", "b"))
    several: tuple[float, ...] = option((1.0, 2.0), "Numbers", least=0.5)
    by_band: Mapping[str, float] = option({}, "By band")


MadeConfig = config_class("MadeConfig", Made, module=__name__, doc="Of Made.", prefix="my_")


def test_every_option_is_a_setting_and_comes_back() -> None:
    config = MadeConfig()
    assert options_of(config, Made, prefix="my_") == Made()
    config.my_number, config.my_odd, config.my_yes, config.my_word = 2.0, 5, False, "b"
    config.my_several, config.my_by_band["r"] = [0.5, 9.0], 1.0
    expected = Made(number=2.0, odd=5, yes=False, word="b", several=(0.5, 9.0), by_band={"r": 1.0})
    assert options_of(config, Made, prefix="my_") == expected
    assert Made().by_band == {}, "no instance shares another's"
    assert next(iter(MadeConfig._fields.values())).doc == "A number"


@pytest.mark.parametrize(
    ("name", "value"),
    [("number", 2.1), ("number", 0.9), ("odd", 4), ("odd", -1), ("word", "c"), ("several", [0.4]), ("yes", 2)],
)
def test_what_an_option_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(FieldValidationError):
        setattr(MadeConfig(), f"my_{name}", value)


@pytest.mark.parametrize("kind", [CalibrateImageConfig, PhotometricFitConfig, AstrometricFitConfig])
def test_configurations_are_stored_and_read_back(kind: type[Config]) -> None:
    """As the Butler does it, by the name of the class, and as processes do."""
    config = kind()
    config.connections.update(**{next(iter(config.connections.toDict())): "another"})
    text = io.StringIO()
    config.saveToStream(text)
    other = kind()
    other.loadFromString(text.getvalue())
    assert other == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_defaults_of_a_task_are_those_of_its_algorithm() -> None:
    assert CalibrateImageConfig().options() == Options()
    for kind, options in (
        (PhotometricFitConfig, photometry.Options),
        (AstrometricFitConfig, astrometry.Options),
        (PhotometricFitConfig, StarOptions),
        (AstrometricFitConfig, StarOptions),
    ):
        assert options_of(kind(), options) == options()
