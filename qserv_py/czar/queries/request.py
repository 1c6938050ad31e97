"""The parameters of a query, by the rules of TAP 1.1 section 2.7; synchronous queries and jobs share them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from qserv_py.czar.formats.known import FORMATS, Format, find_format
from qserv_py.errors import UserError
from qserv_py.registry.jobs import Parameters

_LANGUAGES = re.compile(r"ADQL(-2\.[01])?", re.IGNORECASE)
MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    """A query as a service was asked for it."""

    adql: str
    format: Format

    maxrec: int
    """Rows at the most."""

    ucds: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """UCDs that columns have in the result, by name, where the catalogue's are too weak for the protocol."""


def query_request(parameters: Parameters, *, most_rows: int) -> QueryRequest:
    """Return what parameters ask for; those that are not known are not looked at.

    Parameters
    ----------
    parameters
        By upper-case name.
    most_rows
        Rows that the service allows.

    Raises
    ------
    UserError
        If a parameter is missing or wrong.
    """
    request = _text(parameters, "REQUEST")
    if request and request.lower() != "doquery":
        raise UserError(f'REQUEST is "{_short(request)}", this service knows doQuery')
    language = _text(parameters, "LANG")
    if language and not _LANGUAGES.fullmatch(language):
        raise UserError(
            f'LANG is "{_short(language)}", this service knows ADQL', hint="Write ADQL, ADQL-2.0 or ADQL-2.1."
        )
    adql = parameters.get("QUERY", "")
    if not isinstance(adql, str) or not adql.strip():
        raise UserError("parameter QUERY is missing or empty", hint="Give the ADQL text as QUERY.")
    chosen = _text(parameters, "RESPONSEFORMAT") or _text(parameters, "FORMAT") or FORMATS[0].name
    return QueryRequest(adql=adql, format=find_format(chosen), maxrec=_maxrec(parameters, most_rows))


def _maxrec(parameters: Parameters, most: int) -> int:
    text = _text(parameters, "MAXREC")
    if not text:
        return most
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise UserError(f'MAXREC is "{_short(text)}", it must be a whole number, 0 or more')
    return most if len(text) > MOST_DIGITS else min(int(text), most)


def _text(parameters: Parameters, name: str) -> str:
    value = parameters.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _short(text: str) -> str:
    """Return the beginning of a text for a message."""
    return text if len(text) <= 60 else text[:57] + "..."
