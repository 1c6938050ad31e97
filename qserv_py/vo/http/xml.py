"""Building XML documents. Names are written with their prefixes; the root declares the namespaces.

ElementTree escapes text and attributes. Characters that XML 1.0 cannot hold are replaced, as one of them would make a
document unreadable as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, indent, tostring

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
XSI = {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"}

__all__ = ["Element", "XSI", "clean", "document", "element", "iso_time"]


def clean(text: str) -> str:
    """Return a text that XML can hold."""
    return _FORBIDDEN.sub("\ufffd", text)


def element(name: str, *content: Element | str | None, attributes: Mapping[str, str] | None = None) -> Element:
    """Return an element with a text or with children; None among them is left out."""
    made = Element(name, {key: clean(value) for key, value in (attributes or {}).items()})
    for part in content:
        if isinstance(part, str):
            made.text = clean(part)
        elif part is not None:
            made.append(part)
    return made


def document(root: Element) -> bytes:
    """Return a document as it goes over the network."""
    indent(root, space=" ")
    text: bytes = tostring(root, encoding="utf-8")
    return text + b"\n"


def iso_time(moment: datetime) -> str:
    """Return a moment as DALI writes it: UTC, with its microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
