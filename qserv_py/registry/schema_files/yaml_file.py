"""YAML files with the line of every value, so that a complaint can say where.

Only plain data are read (the safe loader), and a key that stands twice is refused: YAML would keep the last silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from qserv_py.counts import counted
from qserv_py.errors import NotFoundError, SchemaError
from qserv_py.hints import or_did_you_mean

Place = tuple[str | int, ...]
"""Way to a value: keys and list positions from the top."""


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """The data of one file and where each value stands."""

    name: str
    text: str = field(repr=False)
    data: Any
    lines: dict[Place, int] = field(repr=False)

    def at(self, *place: str | int) -> str:
        """Return ``file, line n`` of a value, or of the nearest one around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return f"{self.name}, line {self.lines[place[:length]]}"
        return self.name


@dataclass(kw_only=True)
class Problems:
    """What is wrong with a file, collected so that the reader hears of all of it at once."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, message: str) -> None:
        """Note a problem."""
        self.found.append(f"{where}: {message}")

    def raise_if_any(self) -> None:
        """Raise SchemaError with the first problem as the message and the others as the detail."""
        if not self.found:
            return
        first, *others = self.found
        shown = [f"  {text}" for text in others[:20]]
        if len(others) > 20:
            shown.append(f"  ... and {len(others) - 20} more")
        heading = f"{counted(len(others), 'further problem')}:"
        raise SchemaError(first, detail="\n".join([heading, *shown]) if others else "")


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    SchemaError
        If it is not YAML, not text, or has a key twice; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path} is not UTF-8 text: byte {error.start} is wrong") from error
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from error
    return parse_yaml(text, name=str(path))


def parse_yaml(text: str, *, name: str) -> YamlFile:
    """Read YAML text; ``name`` is what messages call it."""
    fast = getattr(yaml, "CSafeLoader", None)  # ten times as fast, but with worse messages
    try:
        if fast is not None:
            with suppress(yaml.YAMLError):
                return _loaded(text, name, fast)
        return _loaded(text, name, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise SchemaError(f"{where}: this is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise SchemaError(f"{name}: this is not YAML: {error}") from error
    except RecursionError as error:
        raise SchemaError(f"{name}: values are nested too deeply") from error


def _loaded(text: str, name: str, make_loader: Any) -> YamlFile:
    loader = make_loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Place, int] = {}
        if node is not None:
            _note_lines(node, (), lines, name)
        data = None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()
    return YamlFile(name=name, text=text, data=data, lines=lines)


def _note_lines(node: Any, place: Place, lines: dict[Place, int], name: str) -> None:
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise SchemaError(f'{name}, line {line}: "{key.value}" stands in line {seen[key.value]} already')
            if isinstance(key.value, str):
                seen[key.value] = line
                _note_lines(value, (*place, key.value), lines, name)
                lines[(*place, key.value)] = line
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note_lines(value, (*place, number), lines, name)


def mapping_at(
    file: YamlFile, place: tuple[str, ...], known: Sequence[str] | None, problems: Problems
) -> dict[str, Any]:
    """Return the mapping at a place, without keys that are not known; empty when it is no mapping."""
    value = file.data
    for key in place:
        value = value[key]
    what = f'"{place[-1]}"' if place else "the file"
    if not isinstance(value, dict):
        problems.add(file.at(*place), f"{what} must be a mapping (key: value), not {_kind_of(value)}")
        return {}
    for key in value:
        if known is not None and key not in known:
            meant = or_did_you_mean(key, known) or f"; known are {', '.join(known)}"
            problems.add(file.at(*place, str(key)), f'key "{key}" of {what} is not known{meant}')
    return {key: entry for key, entry in value.items() if known is None or key in known}


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case list():
            return "a list"
        case str():
            return "a text"
        case _:
            return repr(value)
