"""Options of an algorithm: a dataclass whose fields say what they mean and which values they may have.

The tasks' configurations are made from them, so a setting, its default and its bounds stand once, with the algorithm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

META = "option"
"""Key of an ``Option`` in a field's metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What is to be known of a field of options."""

    doc: str
    """What it means, in a line."""

    least: float | None = None
    """Bound of its values, or of those in it."""

    most: float | None = None
    """Bound of its values, or of those in it."""

    check: Callable[[Any], bool] | None = None
    """Further condition on its value."""


def option(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    check: Callable[[Any], bool] | None = None,
) -> Any:
    """Return a field of a dataclass of options.

    Parameters
    ----------
    default
        Its value when nobody says another; a mapping is copied for each instance.
    doc
        What it means.
    least, most
        Between which its values are, both included.
    check
        Whether a value is one.
    """
    about = {META: Option(doc=doc, least=least, most=most, check=check)}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=about)
    return field(default=default, metadata=about)
