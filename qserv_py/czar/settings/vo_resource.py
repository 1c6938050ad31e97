"""How a service presents itself in the registry of the Virtual Observatory, as its operator says in the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_IDENTIFIER = re.compile(r"ivo://[A-Za-z0-9][A-Za-z0-9._~*'()-]{2,}(/[A-Za-z0-9._~*'()-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoResource:
    """What VOResource 1.1 wants to know of a service beside what the service knows itself."""

    identifier: str
    """``ivo://AUTHORITY/KEY``; the authority is one that the publisher has registered."""

    title: str
    publisher: str
    description: str
    contact_name: str
    contact_email: str
    reference_url: str
    """Page for people that tells of the service."""

    created: date
    """When the service was made."""

    short_name: str = ""
    """Short name of the service, at most 16 characters."""

    subjects: tuple[str, ...] = ("surveys", "catalogs")
    """Words of the Unified Astronomy Thesaurus."""

    creators: tuple[str, ...] = ()
    """Names as they stand in bibliographies; the publisher where there is none."""

    wavebands: tuple[str, ...] = ()
    """Wavebands that the data cover, from ``WAVEBANDS``."""


NEEDED = (
    "identifier",
    "title",
    "publisher",
    "description",
    "contact_name",
    "contact_email",
    "reference_url",
    "created",
)
"""Settings that have no default."""

WAVEBANDS = ("Radio", "Millimeter", "Infrared", "Optical", "UV", "EUV", "X-ray", "Gamma-ray")
"""Words of the IVOA's vocabulary of messengers that VODataService 1.1 takes."""


def identifier_problem(text: str) -> str:
    """Return what is wrong with an identifier as the end of a sentence, empty when nothing is."""
    if _IDENTIFIER.fullmatch(text):
        return ""
    return f"is of the form ivo://authority/key, such as ivo://example.org/qserv, not {text!r}"
