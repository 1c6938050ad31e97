"""One mapping of ``settings.yaml``: values are checked as they are asked for, every problem is noted with its line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from qserv_py.registry.schema_files.yaml_file import Place, Problems, YamlFile, mapping_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One mapping of the file; its values are checked as they are asked for."""

    file: YamlFile
    place: tuple[str, ...]
    values: dict[str, Any]
    problems: Problems

    def has(self, *keys: str) -> bool:
        """Tell whether the keys are there; those that are not are problems."""
        missing = [key for key in keys if key not in self.values]
        for key in missing:
            self.problems.add(self.file.at(*self.place), f'"{self.place[-1]}" needs "{key}"')
        return not missing

    def texts(self, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
        """Return a text, or a list of texts; ``check`` says what is wrong with one as the end of a sentence."""
        value = self.values[key]
        found = value if isinstance(value, list) and value else [value]
        for number, text in enumerate(found):
            place: Place = (*self.place, key, number) if isinstance(value, list) else (*self.place, key)
            problem = check(text) if isinstance(text, str) else f"is a text, not {text!r}"
            if problem:
                self.problems.add(self.file.at(*place), f"{key} {problem}")
        return tuple(str(text) for text in found)

    def text(self, key: str, check: Callable[[str], str]) -> str:
        """Return one text."""
        if isinstance(self.values[key], list):
            self.problems.add(self.file.at(*self.place, key), f"{key} is one text, not a list")
            return ""
        return self.texts(key, check)[0]

    def whole(self, key: str, low: int, high: int) -> int:
        """Return a whole number."""
        value = self.values[key]
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        meant = _without_unit(value) if key.endswith("_bytes") else None
        self.problems.add(
            self.file.at(*self.place, key),
            f"{key} is a whole number from {low} to {high}, not {value!r}"
            + (f"; {value} is {meant:_}" if meant is not None else ""),
        )
        return low

    def day(self, key: str) -> date:
        """Return a day."""
        value = self.values[key]
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        self.problems.add(self.file.at(*self.place, key), f"{key} is a day such as 2026-11-20, not {value!r}")
        return date.min


_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMGTP])(i?)B?", re.IGNORECASE)


def _without_unit(value: object) -> int | None:
    """Return the bytes of a text such as ``4 GiB`` or ``500M``; None when it is no such text."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    power = "KMGTP".index(found[2].upper()) + 1
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def section_at(file: YamlFile, place: tuple[str, ...], known: tuple[str, ...], problems: Problems) -> Section:
    """Return the mapping at a place; its keys that are not known are problems."""
    return Section(file=file, place=place, values=mapping_at(file, place, known, problems), problems=problems)
