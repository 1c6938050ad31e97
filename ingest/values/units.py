"""Compares the units that a file declares with those of the table."""

from __future__ import annotations

from collections.abc import Mapping

from qserv_py.catalog.model import Table


def unit_notes(table: Table, told: Mapping[str, Mapping[str, str]], *, except_for: frozenset[str]) -> list[str]:
    """Return a sentence for each column that the file has in another unit than the table; no value is converted.

    Parameters
    ----------
    told
        What the file says of its columns, by the column of the table.
    except_for
        Columns whose units are looked after elsewhere: positions.
    """
    notes = []
    for name, about in told.items():
        unit, own = about.get("unit", ""), table.column(name).unit
        if name not in except_for and unit and own and unit != own and _differ(unit, own):
            notes.append(
                f'column "{name}" is in "{unit}" in the file and in "{own}" in the table; no value is converted'
            )
    return notes


def _differ(one: str, other: str) -> bool:
    """Tell whether two texts are different units; what is no unit to astropy says nothing."""
    from astropy.units import Unit, UnitConversionError

    found = [Unit(text, parse_strict="silent") for text in (one, other)]
    if any(unit.to_string() == text and not unit.bases for unit, text in zip(found, (one, other), strict=True)):
        return False
    try:
        return bool(abs(found[0].to(found[1]) - 1.0) > 1e-9)
    except UnitConversionError:
        return True
    except (TypeError, ValueError, AttributeError):
        return False
