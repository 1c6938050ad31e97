"""Felis files that take columns from other files, as Rubin writes them: ``resources`` and ``columnRefs``.

The columns are put into the file that refers to them before Felis judges it: so each problem has its line, names and
keys are checked with all columns there, and the text that the registry keeps says everything by itself. Files are
found as Felis finds them: relative to the file that refers to them, ``file:``, or ``resource://PACKAGE/FILE`` of an
installed package. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from qserv_py.catalog.types import DataType
from qserv_py.errors import NotFoundError, SchemaError
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.yaml_file import Place, Problems, YamlFile, read_yaml

_OF_A_REFERENCE = ("ref_name", "overrides")

OVERRIDES = ("datatype", "length", "description", "nullable", "tap:principal", "tap:column_index")
"""What a reference may change of a column, as Felis has it."""

_WITHOUT_LENGTH = frozenset(
    entry.value for entry in DataType if (not entry.is_list and entry.names.width >= 0) or entry is DataType.TEXT
)


def read_felis(path: Path, problems: Problems) -> YamlFile:
    """Read a Felis file; the columns that it takes from other files stand in it as its own do, behind them.

    Parameters
    ----------
    problems
        Gets what is wrong with the references; whether the rest is a Felis schema is not looked at.

    Raises
    ------
    NotFoundError
        If there is no such file.
    SchemaError
        If it is not YAML.
    """
    return _completed(read_yaml(path), path, (), problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    """Another schema file: the columns that may be taken from it."""

    name: str
    tables: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """The columns as they are written, by table and name."""


def _completed(file: YamlFile, path: Path, within: tuple[Path, ...], problems: Problems) -> YamlFile:
    """Return the file with the columns it refers to; ``within`` are the files whose resource it is."""
    data = file.data
    if not isinstance(data, dict) or not isinstance(data.get("tables"), list):
        return file
    referring = [
        number for number, table in enumerate(data["tables"]) if isinstance(table, dict) and "columnRefs" in table
    ]
    if not referring and "resources" not in data:
        return file
    resources = dict(_resources(file, path, within, problems))
    lines, tables = dict(file.lines), list(data["tables"])
    for number in referring:
        table = tables[number]
        own = table.get("columns") or []
        taken = list(_taken(file, number, table, resources, problems))
        if isinstance(own, list):
            rest = {key: value for key, value in table.items() if key != "columnRefs"}
            tables[number] = {**rest, "columns": [*own, *(column for _, column in taken)]}
            for index, (place, _) in enumerate(taken, len(own)):
                lines[("tables", number, "columns", index)] = file.lines.get(place, file.lines[()])
    data = {key: value for key, value in data.items() if key != "resources"} | {"tables": tables}
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return replace(file, text=text, data=data, lines=lines)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes no anchors: a column that two tables take stands in both."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _resources(
    file: YamlFile, path: Path, within: tuple[Path, ...], problems: Problems
) -> Iterator[tuple[str, _Resource]]:
    """Yield the other files by the names that the file gives them."""
    written = file.data.get("resources") or {}
    if not isinstance(written, dict):
        problems.add(file.at("resources"), 'resources is a mapping, such as {base: {uri: "base.yaml"}}')
        return
    for name, entry in written.items():
        where, what = file.at("resources", str(name)), f'resource "{name}"'
        if not isinstance(entry, dict) or set(entry) != {"uri"} or not isinstance(entry["uri"], str):
            problems.add(where, f'{what} is a mapping with a text, {{uri: "base.yaml"}}')
            continue
        try:
            found = _located(entry["uri"], path)
            if found.resolve() in {known.resolve() for known in (*within, path)}:
                raise SchemaError(f"{found} refers to itself")
            read = _completed(read_yaml(found), found, (*within, path), problems)
        except (NotFoundError, SchemaError) as error:
            problems.add(where, f"{what}: {error.message}{f'; {error.hint}' if error.hint else ''}")
            continue
        yield str(name), _Resource(name=found.name, tables=dict(_columns_of(read.data)))


def _located(uri: str, path: Path) -> Path:
    """Return where the file of a URI is that stands in the file of a path."""
    parts = urlsplit(uri)
    match parts.scheme:
        case "":
            return path.parent / uri
        case "file":
            return Path(url2pathname(parts.path))
        case "resource":
            try:
                return Path(str(files(parts.netloc) / parts.path.lstrip("/")))
            except (ImportError, ValueError, TypeError):
                raise NotFoundError(f'there is no Python package "{parts.netloc}" for {uri}') from None
        case _:
            raise SchemaError(f"{uri} is not fetched", hint="copy it beside the file and write its name as uri")


def _columns_of(data: Any) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    """Yield the tables of a schema with their columns by name; what is no table or no column is left out."""
    tables = data.get("tables") if isinstance(data, dict) else None
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, dict) and isinstance(table.get("columns"), list):
            columns = [column for column in table["columns"] if isinstance(column, dict)]
            yield str(table.get("name")), {str(column.get("name")): column for column in columns}


def _taken(
    file: YamlFile, number: int, table: dict[str, Any], resources: Mapping[str, _Resource], problems: Problems
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the columns that a table takes from other files, each with the place of its reference."""
    name = table.get("name")
    place: Place = ("tables", number, "columnRefs")
    for resource, tables in _entries(file, place, table["columnRefs"], problems):
        if resource not in resources:
            written = file.data.get("resources") or {}
            if isinstance(written, dict) and resource not in written:  # else it is told there what is wrong
                meant = or_did_you_mean(resource, list(resources))
                problems.add(file.at(*place, resource), f'table "{name}": "{resource}" is not among resources{meant}')
            continue
        held = resources[resource]
        for source, columns in _entries(file, (*place, resource), tables, problems):
            if source not in held.tables:
                where, meant = file.at(*place, resource, source), or_did_you_mean(source, list(held.tables))
                problems.add(where, f'table "{name}": {held.name} has no table "{source}"{meant}')
                continue
            for column, reference in _entries(file, (*place, resource, source), columns, problems):
                way: Place = (*place, resource, source, column)
                what = f'table "{name}", column "{column}"'
                wanted, overrides = _reference(file, way, what, column, reference, problems)
                if wanted not in held.tables[source]:
                    meant = or_did_you_mean(wanted, list(held.tables[source]))
                    problems.add(
                        file.at(*way), f'{what}: table "{source}" of {held.name} has no column "{wanted}"{meant}'
                    )
                    continue
                identifier = f"{table.get('@id', f'#{name}')}.{column}"
                yield way, {**held.tables[source][wanted], **overrides, "name": column, "@id": identifier}


def _reference(
    file: YamlFile, place: Place, what: str, column: str, reference: object, problems: Problems
) -> tuple[str, dict[str, Any]]:
    """Return the name of a column in the other file, and what the reference changes of it."""
    chosen = dict(_entries(file, place, reference or {}, problems))
    overrides = dict(_entries(file, (*place, "overrides"), chosen.get("overrides") or {}, problems))
    for key, known, at in (
        *((key, _OF_A_REFERENCE, place) for key in chosen),
        *((key, OVERRIDES, (*place, "overrides")) for key in overrides),
    ):
        if key not in known:
            meant = or_did_you_mean(key, known) or f"; known are {', '.join(known)}"
            problems.add(file.at(*at, key), f'{what}: "{key}" cannot be said of a column of another file{meant}')
    if str(overrides.get("datatype")) in _WITHOUT_LENGTH and "length" not in overrides:
        overrides["length"] = None
    return str(chosen.get("ref_name") or column), {key: overrides[key] for key in overrides if key in OVERRIDES}


def _entries(file: YamlFile, place: Place, value: object, problems: Problems) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a mapping; that it is none is a problem."""
    if not isinstance(value, dict):
        problems.add(file.at(*place), f'"{place[-1]}" must be a mapping (key: value)')
        return
    for key, entry in value.items():
        yield str(key), entry
