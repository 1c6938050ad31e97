"""pyarrow for commands that have no use for pandas."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does at its first array and which takes as long as a query.

    It looks for pandas once, to know data frames when it is given some; whoever asks for one (``to_pandas``) still gets
    it. Called by commands before they load what works with arrays.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _WithoutPandas())
    try:
        pa.scalar(0)
    finally:
        del sys.meta_path[0]


class _WithoutPandas:
    """A finder of modules that says there is no pandas."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        """Return None, as for a module that others may find; ModuleNotFoundError for pandas."""
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
