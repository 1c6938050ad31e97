"""Reading a Felis file: the shape is checked with line numbers first, then ``lsst-felis`` judges the contents.

Felis validates UCDs and units (through astropy); it takes a second to import, so nothing here is imported before a
schema is really read, and what queries need is in the registry afterwards.
"""

from __future__ import annotations

import logging
import re
import warnings
from copy import deepcopy
from typing import Any

from qserv_py.catalog.types import DataType
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.yaml_file import Place, Problems, YamlFile

_TYPES = tuple(entry.value for entry in DataType if not entry.is_list)
"""Types that a column of a Felis file may have."""


def parse_felis(file: YamlFile, problems: Problems) -> Any | None:
    """Return the ``felis.Schema`` of a file, or None after noting what is wrong with it."""
    _check_shape(file, problems)
    if problems.found:
        return None
    from felis import Schema
    from pydantic import ValidationError

    logging.getLogger("felis").addHandler(logging.NullHandler())  # else its remarks go to the terminal
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Schema.model_validate(deepcopy(file.data), context={"id_generation": True})
    except ValidationError as error:
        for entry in error.errors():
            problems.add(*_explained(file, entry))
    except (TypeError, ValueError, KeyError) as error:  # Felis's own checks may fail on odd values
        problems.add(file.at(), f"Felis cannot read this schema: {error}")
    return None


def _check_shape(file: YamlFile, problems: Problems) -> None:
    """Check what Felis takes for granted: mappings, lists, names and known types."""
    top = file.data
    if not isinstance(top, dict):
        problems.add(file.at(), "a Felis schema is a mapping with name and tables")
        return
    if not isinstance(top.get("name"), str):
        problems.add(file.at("name"), "the schema needs a name")
    tables = top.get("tables")
    if not isinstance(tables, list) or not tables:
        problems.add(file.at("tables"), "the schema needs a list of tables")
        return
    for number, table in enumerate(tables):
        place: Place = ("tables", number)
        if not isinstance(table, dict) or not isinstance(table.get("name"), str):
            problems.add(file.at(*place), "a table needs a name")
            continue
        columns = table.get("columns")
        if not isinstance(columns, list) or not columns:
            problems.add(file.at(*place, "columns"), f'table "{table["name"]}" needs a list of columns')
            continue
        seen: set[str] = set()
        for index, column in enumerate(columns):
            where: Place = (*place, "columns", index)
            _check_column(file, table["name"], where, column, problems)
            name = str(column.get("name")) if isinstance(column, dict) else ""
            if name in seen:
                problems.add(file.at(*where), f'table "{table["name"]}" has a column "{name}" already')
            seen.add(name)


def _check_column(file: YamlFile, table: str, place: Place, column: object, problems: Problems) -> None:
    if not isinstance(column, dict) or not isinstance(column.get("name"), str):
        problems.add(file.at(*place), f'a column of table "{table}" needs a name')
        return
    written = column.get("datatype")
    if written not in _TYPES:
        said = (
            f'type "{written}" is not known{or_did_you_mean(written, _TYPES)}' if written else "the datatype is missing"
        )
        problems.add(file.at(*place, "datatype"), f'table "{table}", column "{column["name"]}": {said}')


_INVALID_UNIT = re.compile(r"Invalid unit: '(.*?)' did not parse as unit: (.*?)( If this is meant .*)?", re.DOTALL)
"""Matches astropy's message about a unit, without the advice to programmers behind it."""

_UNITS_IN_WORDS = {
    "degree": "deg", "radian": "rad", "arcminute": "arcmin", "arcsecond": "arcsec", "milliarcsecond": "mas",
    "second": "s", "sec": "s", "minute": "min", "hour": "h", "day": "d", "year": "yr", "magnitude": "mag", "mag": "mag",
    "meter": "m", "metre": "m", "micron": "um", "angstrom": "Angstrom", "kelvin": "K", "jansky": "Jy", "pixel": "pixel",
    "pix": "pix", "count": "count", "photon": "photon", "electron": "electron",
}  # fmt: skip
_NO_UNITS = frozenset({"none", "null", "n/a", "-", "dimensionless", "unitless", "adimensional"})


def _about_unit(said: re.Match[str]) -> str:
    """Return a message about a unit: which one may be meant, or else astropy's reason."""
    word = said[1].strip().lower()
    if word in _NO_UNITS:
        return f'Invalid unit "{said[1]}"; a column without a unit has no ivoa:unit'
    meant = _UNITS_IN_WORDS.get(word) or _UNITS_IN_WORDS.get(word.removesuffix("s"))
    return (
        f'Invalid unit "{said[1]}"; did you mean "{meant}"?'
        if meant
        else f'Invalid unit "{said[1]}": {said[2].strip()}'
    )


def _explained(file: YamlFile, entry: Any) -> tuple[str, str]:
    """Return the place and the text of one of pydantic's complaints."""
    place: Place = tuple(entry["loc"])
    names, value = [], file.data
    for depth, step in enumerate(place):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(step, int) and isinstance(value, dict) and "name" in value:
            kind = {"tables": "table", "columns": "column"}.get(str(place[depth - 1]), "")
            names.append(f'{kind} "{value["name"]}"'.strip())
    text = str(entry["msg"]).removeprefix("Value error, ")
    about_unit = _INVALID_UNIT.fullmatch(text)
    if about_unit is not None:
        text = _about_unit(about_unit)
    if entry["type"] == "extra_forbidden":
        text = f'key "{place[-1]}" is not known to Felis'
    return file.at(*place), f"{', '.join(names)}: {text}" if names else text
