"""Checking queries without answering them: one text, or a collection of them as JSON lines.

A collection is read and written line by line, and only its ids are kept; whatever is wrong with a line is a problem of
that line alone, and the next one is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import Mode, parse
from qserv_py.adql.text.tokens import is_unicode
from qserv_py.catalog.snapshot import Catalog
from qserv_py.errors import AdqlError, InternalError, LimitError, QservError, StatementError, UserError

MAX_LINE = 8_000_000
"""Bytes of a line; a query of the greatest length fits with every character escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one statement of a collection."""

    id: object
    """As the collection names it; None for a line that has no id."""

    error: QservError | None

    def as_json(self) -> str:
        """Return the verdict as one line of JSON."""
        record: dict[str, object] = {"id": self.id, "ok": self.error is None}
        if self.error is not None:
            place = (self.error.line, self.error.column) if isinstance(self.error, AdqlError) else (None, None)
            record["error"] = {
                "code": self.error.code,
                "line": place[0],
                "column": place[1],
                "message": self.error.message,
                "hint": self.error.hint,
            }
        return json.dumps(record)


def find_problem(
    text: str, *, mode: Mode = Mode.LENIENT, catalog: Catalog | None = None, functions: Collection[str] = ()
) -> QservError | None:
    """Return what is wrong with a query, None when nothing is.

    Parameters
    ----------
    text
        The query.
    mode
        What is taken for ADQL.
    catalog
        Where names are looked up; None checks the grammar alone.
    functions
        As for ``parse``.
    """
    try:
        parsed = parse(text, mode=mode, functions=functions)
        if catalog is not None:
            resolve(parsed, catalog)
    except (UserError, LimitError) as error:
        return error
    return None


def check_collection(
    lines: BinaryIO, *, mode: Mode, catalog: Catalog | None, functions: Collection[str] = ()
) -> Iterator[Verdict]:
    """Yield the verdict on each line of a collection, in order; empty lines have none.

    Parameters
    ----------
    lines
        Lines of JSON, UTF-8: objects with ``id``, any text or number that no line before has, and ``adql``.
    mode, catalog, functions
        As for ``find_problem``.
    """
    seen: dict[str | int | float, int] = {}
    for number, line in _lines(lines):
        identifier: str | int | float | None = None
        try:
            if line is None:
                raise StatementError(f"line {number} has more than {MAX_LINE} bytes")
            record = _record(line, number)
            identifier = _identifier(record, number)
            if seen.setdefault(identifier, number) != number:
                raise StatementError(f"line {number} has the id of line {seen[identifier]}", hint="Give each its own.")
            text = record.get("adql")
            if not isinstance(text, str):
                raise StatementError(f'line {number} has no "adql" that is a text', hint=_HINT)
        except StatementError as error:
            yield Verdict(id=identifier, error=error)
        else:
            yield Verdict(id=identifier, error=_problem(text, mode, catalog, functions))


def _problem(text: str, mode: Mode, catalog: Catalog | None, functions: Collection[str]) -> QservError | None:
    """Return what is wrong with a statement of a collection; a defect of ours does not end the collection either."""
    try:
        return find_problem(text, mode=mode, catalog=catalog, functions=functions)
    except Exception as error:
        return InternalError(f"the statement could not be checked: {type(error).__name__}", hint="This is our defect.")


_HINT = 'Write one object a line: {"id": "q1", "adql": "SELECT ..."}.'


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines that are not empty with their numbers from 1; None for one that is too long."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip():
            yield number, line.rstrip(b"\r\n")


def _record(line: bytes, number: int) -> dict[str, Any]:
    try:
        record = json.loads(
            line.decode("utf-8-sig"), parse_constant=_no_constant, parse_int=_whole, object_pairs_hook=_object
        )
    except UnicodeDecodeError as error:
        raise StatementError(f"line {number} is not UTF-8: byte {error.start + 1}") from error
    except RecursionError:
        raise StatementError(f"line {number} is nested too deeply") from None
    except ValueError as error:
        place = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg[:1].lower() + error.msg[1:] if isinstance(error, json.JSONDecodeError) else str(error)
        raise StatementError(f"line {number}{place} is not JSON: {reason}", hint=_HINT) from error
    if not isinstance(record, dict):
        raise StatementError(f"line {number} is not a JSON object", hint=_HINT)
    return record


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _whole(digits: str) -> int | float:
    """Return a whole number; infinity for one that Python does not read, as for 1e999."""
    return int(digits) if len(digits) <= 1000 else math.inf


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object; which of two values a key has is not guessed."""
    for key in ("id", "adql"):
        if sum(name == key for name, _ in pairs) > 1:
            raise ValueError(f'"{key}" stands twice')
    return dict(pairs)


_INFINITE = {math.inf, -math.inf}
"""What JSON's numbers like 1e999 become; JSON cannot write them."""


def _identifier(record: dict[str, Any], number: int) -> str | int | float:
    identifier = record.get("id")
    if not isinstance(identifier, (str, int, float)) or isinstance(identifier, bool) or identifier in _INFINITE:
        raise StatementError(f'line {number} has no "id" that is a text or a number', hint=_HINT)
    if isinstance(identifier, str) and not is_unicode(identifier):
        raise StatementError(f'line {number} has an "id" with half a character', hint="A surrogate stands alone.")
    return identifier
