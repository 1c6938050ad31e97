"""Packages that only some commands need: imported there, with a message that says how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType

from qserv_py.errors import ConfigError


def import_extra(module: str, *, extra: str = "pipelines") -> ModuleType:
    """Import a module of an optional extra of qserv_py.

    Raises
    ------
    ConfigError
        If it is not installed; the hint is the command that does.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something else is missing: that is a defect, not a choice
        raise ConfigError(
            f'this needs the package of "{module}", which is not installed',
            hint=f"pip install 'qserv-py[{extra}]' brings it.",
        ) from error
