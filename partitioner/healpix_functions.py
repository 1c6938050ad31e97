"""The compiled functions of cdshealpix: ``functions.lonlat_to_healpix`` and its like, on whole arrays.

They lie inside a package that imports all of astropy before anything else, which takes longer than most commands. So
the compiled module is loaded without its package; who imports the package later gets the same module.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from types import ModuleType

_PACKAGE = "cdshealpix"
_NAME = "cdshealpix.cdshealpix"


def _load() -> ModuleType:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = importlib.util.find_spec(_PACKAGE)  # finds it, and runs nothing of it
    found = PathFinder.find_spec(_NAME, package.submodule_search_locations) if package else None
    if found is None or found.loader is None:
        raise ModuleNotFoundError(f"No module named {_NAME!r}", name=_NAME)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    sys.modules[_NAME] = module
    return module


functions = _load()
