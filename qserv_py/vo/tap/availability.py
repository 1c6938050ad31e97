"""``/availability``, by VOSI 1.1."""

from __future__ import annotations

from datetime import datetime
from xml.etree.ElementTree import Element

from qserv_py.vo.http.xml import element, iso_time


def availability_document(*, up_since: datetime, problem: str = "") -> Element:
    """Return whether the service answers queries, and why not."""
    return element(
        "vosi:availability",
        element("vosi:available", "false" if problem else "true"),
        element("vosi:upSince", iso_time(up_since)),
        element("vosi:note", problem) if problem else None,
        attributes={"xmlns:vosi": "http://www.ivoa.net/xml/VOSIAvailability/v1.0"},
    )
