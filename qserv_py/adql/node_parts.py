"""The parts of sqlglot's nodes that are looked at; one that nobody looks at would be lost in silence.

"x IS NOT NULL" is an ``Is`` with a part ``negate``: each node lists what it may have.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlglot import exp

_USUAL_PARTS = {"this", "expression"}
_PARTS = {
    exp.Column: {"this", "table", "db", "catalog"},
    exp.Literal: {"this", "is_string"},
    exp.HexString: {"this", "is_integer"},
    exp.Is: {"this", "expression", "negate"},
    exp.Between: {"this", "low", "high", "symmetric"},
    exp.In: {"this", "expressions", "query", "unnest", "field"},
    exp.Like: {"this", "expression", "negate"},
    exp.ILike: {"this", "expression", "negate"},
    exp.Case: {"this", "ifs", "default"},
    exp.Coalesce: {"this", "expressions"},
    exp.Cast: {"this", "to"},
    exp.DPipe: {"this", "expression", "safe"},
    exp.Div: {"this", "expression", "typed", "safe"},
    exp.Anonymous: {"this", "expressions"},
    exp.Window: {"this", "partition_by", "order", "spec", "over"},
    exp.Count: {"this", "expressions", "big_int"},
    exp.Min: {"this", "expressions"},
    exp.Max: {"this", "expressions"},
}


def parts_besides(node: Any, known: Collection[str]) -> list[str]:
    """Return the names of the parts that a node has beyond the known ones."""
    return [key for key, value in node.args.items() if value not in (None, [], False) and key not in known]


def unread_parts(node: Any) -> list[str]:
    """Return the names of the parts that no builder of expressions looks at; a query has its own that does."""
    if isinstance(node, exp.Query):
        return []
    return parts_besides(node, _PARTS.get(type(node), _USUAL_PARTS))
