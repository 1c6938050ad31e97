"""Converts positions of input files to degrees, ICRS: frames are checked, and odd positions are reported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.angles import ANGLE_UNITS, angle_unit, in_degrees
from qserv_py.catalog.model import Column, Position, PositionFormat
from qserv_py.catalog.positions import Coordinate, Said, problem_of
from qserv_py.catalog.snapshot import FloatArray
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.values.conversion import convert_column
from qserv_py.ingest.values.converted import ConvertedColumn, ValueRules, as_texts, found, is_text
from qserv_py.ingest.values.sexagesimal import degrees_of
from qserv_py.partitioner.healpix import positions_out_of_range

_SAID = tuple(entry.name for entry in fields(Said))
_NAMES = {Coordinate.RA: "a right ascension", Coordinate.DEC: "a declination"}
_LOOKED_AT = 20
"""Rows from which on a file's positions are judged as odd: fewer rows may look odd by chance."""

_FARTHEST_DEG = 1e7
"""Degrees up to which a right ascension may be one with whole turns too many; a larger angle is an error."""

_ROUNDING_DEG = 1e-13
"""Degrees that rounding can add to 90 at the most: some units in the last place."""

_HOURS_SPAN_DEG = 60.0
"""A catalogue that covers so much in declination should have right ascensions beyond 24 degrees."""


class FilePositions:
    """The positions of one file.

    Parameters
    ----------
    path
        The file, for messages.
    ra, dec
        The coordinates, as the schema describes them.
    told
        What the file says of their columns, by the column of the table.
    needed
        Whether every row needs its position, as a director's; a child's row usually has the place of its director's.
    wrap_ra
        Wrap right ascensions into [0, 360) instead of rejecting them.

    Raises
    ------
    ContributionError
        If what the file says of a coordinate contradicts its use (``catalog.positions``): its unit, UCD or frame.
    """

    def __init__(
        self,
        path: object,
        ra: Position,
        dec: Position,
        told: Mapping[str, Mapping[str, str]],
        *,
        needed: bool,
        wrap_ra: bool,
    ) -> None:
        self._path = path
        self._needed = needed
        self._ra, self._dec = ra, dec
        self._wrap_ra = wrap_ra
        self._units = {}
        for coordinate, position in ((Coordinate.RA, ra), (Coordinate.DEC, dec)):
            self._units[position.column] = self._unit(coordinate, position, told.get(position.column, {}))
        self._wrapped = 0
        self._rows = 0
        self._most_ra, self._least_ra = -math.inf, math.inf
        self._most_dec, self._least_dec = -math.inf, math.inf
        self._unit_is_told = any(told.get(position.column, {}).get("unit") for position in (ra, dec))

    def column(self, name: str) -> Position | None:
        """Return the coordinate that a column of the table is; None if it is none."""
        return next((position for position in (self._ra, self._dec) if position.column == name), None)

    def degrees(self, values: pa.Array, column: Column, position: Position, rules: ValueRules) -> ConvertedColumn:
        """Return a coordinate in degrees, in the type of its column; NULL is not yet a misfit where it is needed."""
        if self._needed:
            column = replace(column, nullable=True)  # a missing position is reported as missing
        if position.format is not PositionFormat.DEGREES:
            return self._sexagesimal(values, column, position, rules)
        unit = self._units[column.name]
        if unit == "deg":
            return convert_column(values, column, rules)
        numbers = convert_column(values, replace(column, datatype=DataType.DOUBLE), rules)
        degrees = pa.array(in_degrees(coordinates(numbers.values), unit), from_pandas=True)
        if position is self._dec:
            degrees = _at_most_a_pole(degrees)
        return ConvertedColumn(convert_column(degrees, column, rules).values, numbers.misfits)

    def check(self, columns: dict[str, pa.Array]) -> list[Rejected]:
        """Return the rows without a position that they need; right ascensions are wrapped where that is asked for."""
        ra, dec = (coordinates(columns[position.column]) for position in (self._ra, self._dec))
        if self._wrap_ra:
            ra = self._wrap(columns, ra)
        self._look(ra, dec)
        rejected: list[Rejected] = []
        if not self._needed:
            return rejected
        zero = np.zeros(1)
        for position, values, outside, what in (
            (self._ra, ra, positions_out_of_range(ra, zero), "right ascension is not in [0, 360) degrees"),
            (self._dec, dec, positions_out_of_range(zero, dec), "declination is not in [-90, 90]"),
        ):
            missing = np.isnan(values)
            for where, reason in ((missing, "position is missing"), (outside & ~missing, what)):
                if where.any():
                    rejected.append(Rejected(np.flatnonzero(where), position.column, reason))
        return rejected

    def notes(self) -> list[str]:
        """Return what was done to the positions and what looks odd about them."""
        said = [
            f'column "{name}" was converted from {unit} to degrees'
            for name, unit in self._units.items()
            if unit != "deg" and self._rows
        ]
        if self._wrapped:
            noun = "right ascension" if self._wrapped == 1 else "right ascensions"
            said.append(f"{self._wrapped} {noun} wrapped into [0, 360) degrees")
        if self._rows >= _LOOKED_AT and not self._unit_is_told:
            said += self._odd()
        return said

    def _odd(self) -> list[str]:
        names = f'"{self._ra.column}" and "{self._dec.column}"'
        turn, quarter = 2 * math.pi, math.pi / 2
        if self._least_ra >= 0 and self._most_ra <= turn and max(self._most_dec, -self._least_dec) <= quarter:
            return [f"{names} look like radians: no right ascension is above 2 pi, no declination beyond pi/2"]
        if self._least_ra >= 0 and self._most_ra <= 24 and self._most_dec - self._least_dec > _HOURS_SPAN_DEG:
            return [f'"{self._ra.column}" looks like hours: no right ascension is above 24']
        return []

    def _unit(self, coordinate: Coordinate, position: Position, about: Mapping[str, str]) -> str:
        """Return the unit of a coordinate in the file: the one that the file states, or else the schema's."""
        said = Said(**{key: about[key] for key in _SAID if key in about})
        if problem := problem_of(coordinate, said, form=position.format, is_served=False):
            raise ContributionError(
                f'column "{position.column}" of {self._path} {problem}',
                hint=f"The table takes it as {_NAMES[coordinate]}, ICRS; {', '.join(ANGLE_UNITS)} become degrees.",
            )
        if position.format is not PositionFormat.DEGREES:
            return "deg"  # a text such as 00:08:27 is converted without a unit
        return angle_unit(said.unit) or position.unit

    def _sexagesimal(self, values: pa.Array, column: Column, position: Position, rules: ValueRules) -> ConvertedColumn:
        if not is_text(values.type):
            raise ContributionError(
                f'column "{column.name}" of {self._path} holds {values.type}, '
                f"the partition file says that it is text in the format {position.format}"
            )
        texts, garbled = as_texts(values)
        degrees, bad = degrees_of(texts, position.format)
        converted = convert_column(pa.array(degrees, mask=np.isnan(degrees)), column, rules)
        unread = f"no angle of the format {position.format}"
        return ConvertedColumn(converted.values, (*found(garbled, "not UTF-8 text"), *found(bad, unread)))

    def _wrap(self, columns: dict[str, pa.Array], ra: FloatArray) -> FloatArray:
        outside = (np.abs(ra) < _FARTHEST_DEG) & ~((ra >= 0) & (ra < 360))
        if not outside.any():
            return ra
        wrapped = ra.copy()
        wrapped[outside] = np.mod(ra[outside], 360.0) % 360.0  # a value just below 0 becomes 360 by rounding
        kind = columns[self._ra.column].type
        columns[self._ra.column] = pa.array(wrapped, mask=np.isnan(wrapped)).cast(kind)
        self._wrapped += int(outside.sum())
        return coordinates(columns[self._ra.column])

    def _look(self, ra: FloatArray, dec: FloatArray) -> None:
        good = np.isfinite(ra) & np.isfinite(dec)
        if not good.any():
            return
        self._rows += int(good.sum())
        self._least_ra, self._most_ra = min(self._least_ra, ra[good].min()), max(self._most_ra, ra[good].max())
        self._least_dec, self._most_dec = min(self._least_dec, dec[good].min()), max(self._most_dec, dec[good].max())


def _at_most_a_pole(degrees: pa.Array) -> pa.Array:
    """Return declinations of which none lies beyond a pole only because its conversion was rounded."""
    beyond = pc.and_(pc.greater(pc.abs(degrees), 90.0), pc.less(pc.abs(degrees), 90.0 + _ROUNDING_DEG))
    return pc.if_else(beyond, pc.multiply(pc.sign(degrees), 90.0), degrees)


def coordinates(values: pa.Array) -> FloatArray:
    """Return a column of positions as doubles, NaN where it is NULL."""
    numbers: FloatArray = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return numbers
