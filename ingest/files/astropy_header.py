"""The YAML in which astropy describes the columns of a table: the header of ECSV, ``table_meta_yaml`` of Parquet.

It is read without types: whatever a tag says, a value is a mapping, a list or a text, so no file makes an object. An
alias stands for the same value and is never written out, so no file makes much of little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from qserv_py.errors import ContributionError

_LONGEST = 1 << 22
"""Characters of the longest text that is read; a table of 1300 columns takes 130,000 and a tenth of a second."""

_TOLD = ("unit", "description", "datatype", "subtype", "ucd")
_NOTHING = frozenset({"", "~", "null"})
_BASE_LOADER: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def described_by(text: str, what: str) -> dict[str, dict[str, str]]:
    """Return what a header says of each column: ``unit``, ``description``, ``ucd``, ``subtype`` (of arrays).

    Parameters
    ----------
    what
        What messages call the text, as the subject of a sentence.

    Raises
    ------
    ContributionError
        If the text is no YAML, or too long.

    References
    ----------
    ECSV 1.0, section 3 (astropy's APE 6).
    """
    if len(text) > _LONGEST:
        raise ContributionError(f"{what} has {len(text)} characters; at most {_LONGEST} are read")
    try:
        told = yaml.load(text, Loader=_BASE_LOADER)  # noqa: S506
    except (yaml.YAMLError, RecursionError, UnicodeEncodeError) as error:
        raise ContributionError(f"{what} is not YAML", detail=" ".join(str(error).split())) from error
    columns = told.get("datatype") if isinstance(told, Mapping) else None
    found = {}
    for column in columns if isinstance(columns, list) else ():
        if isinstance(column, Mapping) and isinstance(column.get("name"), str):
            found[column["name"]] = _about(column)
    return found


def _about(column: Mapping[str, object]) -> dict[str, str]:
    """Return what is said of one column; astropy writes the UCD of a VOTable into the column's ``meta``."""
    said = {**_mapping(column.get("meta")), **column}
    unit = said.get("unit")
    if isinstance(unit, Mapping):  # !astropy.units.Unit {unit: rad}
        said["unit"] = unit.get("unit")
    texts = {key: value for key in _TOLD if isinstance(value := said.get(key), str)}
    return {key: text for key, text in texts.items() if text.strip().lower() not in _NOTHING}


def _mapping(value: object) -> dict[str, object]:
    """Return a mapping, which an ordered one writes as a list of mappings."""
    if isinstance(value, Mapping):
        return dict(value)
    entries = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return {key: of for entry in entries if isinstance(entry, Mapping) for key, of in entry.items()}
