"""Numbers that a file for BPS gives for the site that a run is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qserv_py.errors import PipelineError

if TYPE_CHECKING:
    from lsst.ctrl.bps import BpsConfig


def site_number(config: BpsConfig, name: str, default: int) -> int:
    """Return a whole number above zero, from the site's section or from the top of the file.

    Raises
    ------
    PipelineError
        If it is something else.
    """
    site = config.get("computeSite")
    _, value = config.search(name, {"curvals": {"curr_site": site}, "default": default})
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise PipelineError(f'{name} of site "{site}" is "{value}"', hint="Give a whole number above zero.")
    return number
