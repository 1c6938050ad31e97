"""The partition file: which table is a director, a child, a match or a ref table, and how a family is cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from qserv_py.catalog.model import Family, Orphans, Position, PositionFormat, TableKind
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.yaml_file import Problems, YamlFile, mapping_at

MAX_ORDER = 20
"""Finest order of a chunk: cells of 0.2 arc seconds."""

MAX_OVERLAP_ARCSEC = 18000.0

MAX_ROWS_PER_OBJECT = 1e9

_LIMITS = {
    "target_rows": (1, 1_000_000_000),
    "target_bytes": (1000, 10**15),
    "min_order": (0, MAX_ORDER),
    "max_order": (0, MAX_ORDER),
    "overlap_arcsec": (0, MAX_OVERLAP_ARCSEC),
}
"""Least and greatest value of each setting of a family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRole:
    """What the partition file says of one table; names are not checked against the schema yet."""

    kind: TableKind
    id: str = ""
    ra: Position | None = None
    dec: Position | None = None
    unique: bool = True
    director: str = ""
    key: str = ""
    orphans: Orphans = Orphans.NONE
    directors: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    rows_per_object: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFile:
    """A partition file, read."""

    file: YamlFile
    database: str
    """Name of the database; empty when the file names none, and the database is called like the schema."""

    family: Family | None
    roles: Mapping[str, TableRole] = field(default_factory=dict)

    def at(self, table: str, key: str = "") -> str:
        """Return file and line of a table's entry, or of a key in it."""
        return self.file.at("tables", table, key) if key else self.file.at("tables", table)


_KEYS = {
    TableKind.DIRECTOR: ("id", "ra", "dec"),
    TableKind.CHILD: ("director", "key"),
    TableKind.MATCH: ("directors", "keys"),
    TableKind.REF: (),
}

_FURTHER_KEYS = {
    TableKind.DIRECTOR: ("unique",),
    TableKind.CHILD: ("ra", "dec", "orphans", "rows_per_object"),
    TableKind.MATCH: ("rows_per_object",),
}
"""Keys that a table may have besides."""


def parse_partition(file: YamlFile, problems: Problems) -> PartitionFile:
    """Return what a partition file says; what is wrong with it goes into ``problems``."""
    top = mapping_at(file, (), ("database", "family", "tables"), problems)
    name = top.get("database", "")
    if not isinstance(name, str):
        problems.add(file.at("database"), f"database is a name, not {name!r}")
        name = ""
    family = _family(file, name, problems) if "family" in top else None
    roles = {}
    if "tables" not in top:
        problems.add(file.at(), '"tables" is missing: one entry for each table of the schema')
    names: list[object] = list(mapping_at(file, ("tables",), None, problems)) if "tables" in top else []
    for table in names:
        if not isinstance(table, str):
            problems.add(file.at("tables"), f"the name of a table is a text, not {table!r}; put it in quotes")
            continue
        role = _role(file, table, problems)
        if role is not None:
            roles[table] = role
    return PartitionFile(file=file, database=name, family=family, roles=roles)


def _family(file: YamlFile, database: str, problems: Problems) -> Family | None:
    written = mapping_at(file, ("family",), [entry.name for entry in fields(Family)], problems)
    name = written.pop("name", database)
    good = True
    if not isinstance(name, str) or not name:
        problems.add(file.at("family"), "the family needs a name")
        good = False
    for key, value in written.items():
        low, high = _LIMITS[key]
        kinds = (int, float) if key == "overlap_arcsec" else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            noun = "number" if key == "overlap_arcsec" else "whole number"
            example = ", such as 268_435_456 for 256 MiB" if key == "target_bytes" else ""
            problems.add(file.at("family", key), f"{key} is a {noun} from {low:g} to {high:g}{example}, not {value!r}")
            good = False
    if "target_rows" in written and "target_bytes" in written:
        where = file.at("family", "target_bytes")
        problems.add(where, "target_rows and target_bytes both say how large a chunk is; leave one of them out")
        good = False
    if not good:
        return None
    if "overlap_arcsec" in written:
        written["overlap_arcsec"] = float(written["overlap_arcsec"])
    family = Family(name=name, **written)
    if family.min_order > family.max_order:
        problems.add(file.at("family"), f"min_order {family.min_order} is greater than max_order {family.max_order}")
    return family


def _role(file: YamlFile, table: str, problems: Problems) -> TableRole | None:
    known = [*_KEYS.values(), *_FURTHER_KEYS.values()]
    every = ("kind", *dict.fromkeys(key for keys in known for key in keys))
    written = mapping_at(file, ("tables", table), every, problems)
    kinds = [kind.value for kind in TableKind]
    kind_text = written.pop("kind", None)
    if kind_text not in kinds:
        said = f'kind "{kind_text}" is not known{or_did_you_mean(kind_text, kinds)}' if kind_text else "kind is missing"
        problems.add(file.at("tables", table, "kind"), f'table "{table}": {said}; it is one of {", ".join(kinds)}')
        return None
    kind = TableKind(kind_text)
    before = len(problems.found)
    for key in written:
        if key not in _KEYS[kind] + _FURTHER_KEYS.get(kind, ()):
            problems.add(file.at("tables", table, key), f'table "{table}": a {kind} table has no "{key}"')
    missing = [key for key in _KEYS[kind] if key not in written]
    if missing:
        names = " and ".join(f'"{key}"' for key in missing)
        problems.add(file.at("tables", table), f'table "{table}": a {kind} table needs {names}')
    values = {key: _value(file, table, key, value, problems) for key, value in written.items()}
    if kind is TableKind.CHILD:
        _check_orphans(file, table, values, problems)
    return TableRole(kind=kind, **values) if len(problems.found) == before else None


def _value(file: YamlFile, table: str, key: str, value: object, problems: Problems) -> Any:
    where = file.at("tables", table, key)
    if key in {"ra", "dec"}:
        return _position(file, table, key, value, problems)
    if key == "orphans":
        return _orphans(file, table, value, problems)
    if key == "unique":
        if not isinstance(value, bool):
            problems.add(where, f'table "{table}": "unique" is true or false, not {value!r}')
        return value
    if key == "rows_per_object":
        return _rows_per_object(file, table, value, problems)
    if key in {"directors", "keys"}:
        if isinstance(value, list) and len(value) == 2 and all(isinstance(entry, str) and entry for entry in value):
            return tuple(value)
        problems.add(where, f'table "{table}": "{key}" is a list of two names, not {value!r}')
        return None
    if not isinstance(value, str) or not value:
        problems.add(where, f'table "{table}": "{key}" is a name, not {value!r}')
    return value


def _rows_per_object(file: YamlFile, table: str, value: object, problems: Problems) -> float | None:
    if not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= MAX_ROWS_PER_OBJECT:
        return float(value)
    where = file.at("tables", table, "rows_per_object")
    text = f"rows_per_object is a number above 0, at most {MAX_ROWS_PER_OBJECT:g}, not {value!r}"
    problems.add(where, f'table "{table}": {text}')
    return None


def _orphans(file: YamlFile, table: str, value: object, problems: Problems) -> Orphans:
    known = [Orphans.KEYLESS.value, Orphans.ANY.value]
    if value is None:  # a key without a value counts as a key that is missing
        return Orphans.KEYLESS
    if value in known:
        return Orphans(value)
    said = f'"{value}"{or_did_you_mean(value, known)}' if isinstance(value, str) else repr(value)
    text = f'table "{table}": orphans is one of {", ".join(known)}, not {said}'
    problems.add(file.at("tables", table, "orphans"), text)
    return Orphans.NONE


def _check_orphans(file: YamlFile, table: str, values: dict[str, Any], problems: Problems) -> None:
    """Check that a child table with orphans has a position; with a position alone, rows without a key are orphans."""
    place = [key for key in ("ra", "dec") if key in values]
    if len(place) == 1 or (not place and "orphans" in values):
        missing = " and ".join(f'"{key}"' for key in ("ra", "dec") if key not in place)
        text = f'table "{table}": rows without a director stand at their own position, which needs {missing}'
        problems.add(file.at("tables", table, place[0] if place else "orphans"), text)
    for key in place:
        if values[key] is not None and values[key].format is not PositionFormat.DEGREES:
            text = f'table "{table}": {key} of a child table is in degrees, not in the format "{values[key].format}"'
            problems.add(file.at("tables", table, key), text)
    if place:
        values.setdefault("orphans", Orphans.KEYLESS)


def _position(file: YamlFile, table: str, key: str, value: object, problems: Problems) -> Position | None:
    if isinstance(value, str) and value:
        return Position(column=value)
    written = mapping_at(file, ("tables", table, key), ("column", "format"), problems)
    formats = [entry.value for entry in PositionFormat if not (key == "dec" and entry is PositionFormat.HMS)]
    column, form = written.get("column"), written.get("format", "deg")
    if not isinstance(column, str) or not column:
        problems.add(file.at("tables", table, key), f'table "{table}": "{key}" needs the name of a column')
        return None
    if form not in formats:
        problems.add(
            file.at("tables", table, key, "format"),
            f'table "{table}": format "{form}" of {key} is not one of {", ".join(formats)}',
        )
        return None
    return Position(column=column, format=PositionFormat(form))
