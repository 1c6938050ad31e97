"""What is asked of any node of sqlglot's tree: its place in the ADQL text, parts beyond the known; errors about it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlglot import exp

from qserv_py.errors import AdqlError, QueryNotSupportedError


def offset_of(node: Any) -> int | None:
    """Return the offset of the node's first token; None when sqlglot kept none for it or for anything below it."""
    places = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    return min(places) if places else None


def name_offset(node: Any) -> int | None:
    """Return the offset of a column's own name, which its table's may stand before."""
    return offset_of(node.this) if isinstance(node, exp.Column) else offset_of(node)


def parts_besides(node: Any, known: Collection[str]) -> list[str]:
    """Return the names of the parts that a node has beyond the known ones."""
    return [key for key, value in node.args.items() if value not in (None, [], False) and key not in known]


class ErrorFactory:
    """Makes errors that carry the query's text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def error(
        self, kind: type[AdqlError], message: str, node: Any = None, *, detail: str = "", hint: str = ""
    ) -> AdqlError:
        """Return an error of this kind with the place of the node, or of the offset, that it is about."""
        place = node if isinstance(node, int) or node is None else offset_of(node)
        return kind(message, text=self.text, offset=place, detail=detail, hint=hint)

    def unsupported(self, message: str, node: Any = None, *, hint: str = "") -> AdqlError:
        """Return a QueryNotSupportedError."""
        return self.error(QueryNotSupportedError, message, node, hint=hint)
