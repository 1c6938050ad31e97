"""What the service says of its ADQL: the optional features of the standard and the functions beyond it.

Both come from the tables that the resolver reads, so a function that is added there is declared here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FORMS, FUNCTIONS, SHAPE_NAMES, STANDARD, Form, Function, Kind
from qserv_py.adql.functions.aggregates import AggregateFunction
from qserv_py.catalog.types import DataType

FEATURES = "ivo://ivoa.net/std/TAPRegExt#features-"

_GEOMETRY = (
    "AREA", "BOX", "CENTROID", "CIRCLE", "CONTAINS", "COORD1", "COORD2", "COORDSYS", "DISTANCE", "INTERSECTS", "POINT",
    "POLYGON", "REGION",
)  # fmt: skip
"""Geometric functions of ADQL 2.1."""

_TYPES = {
    Kind.NUMBER: ("x", "DOUBLE PRECISION"),
    Kind.ANY_NUMBER: ("x", "DOUBLE PRECISION"),
    Kind.INTEGER: ("n", "INTEGER"),
    Kind.TEXT: ("s", "VARCHAR"),
    Kind.TIME: ("t", "TIMESTAMP"),
    Kind.VALUE: ("v", "DOUBLE PRECISION"),
    Kind.CONDITION: ("c", "BOOLEAN"),
}
"""Name and type of an argument in a signature."""

_REPEATED = 3
"""Arguments that stand in the signature of a function that takes any number."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of the language."""

    form: str
    description: str = ""


def feature_groups() -> tuple[tuple[str, tuple[Feature, ...]], ...]:
    """Return the features by the identifier of their group."""
    known = {name.upper() for name in SHAPE_NAMES}
    return (
        (f"{FEATURES}udf", tuple(_further_functions())),
        (f"{FEATURES}adqlgeo", tuple(Feature(name) for name in _GEOMETRY if name in known)),
        (f"{FEATURES}adql-string", tuple(map(Feature, ("LOWER", "UPPER", "ILIKE")))),
        (f"{FEATURES}adql-sets", tuple(map(Feature, ("UNION", "EXCEPT", "INTERSECT")))),
        (f"{FEATURES}adql-common-table", (Feature("WITH"),)),
        (f"{FEATURES}adql-type", (Feature("CAST"),)),
        (f"{FEATURES}adql-unit", (Feature("IN_UNIT"),)),
        (f"{FEATURES}adql-offset", (Feature("OFFSET"),)),
    )


def _further_functions() -> Iterator[Feature]:
    for function in FUNCTIONS.values():
        if function.name not in STANDARD:
            yield from (Feature(form, function.doc) for form in signatures(function))
    # ADQL 2.1 has a group for it, features-adql-conditional, which validators of today report as unknown.
    yield Feature(
        "COALESCE(v1 DOUBLE PRECISION, v2 DOUBLE PRECISION) -> DOUBLE PRECISION", "The first that is not NULL."
    )
    for form in FORMS:
        if form.name not in _GEOMETRY:
            yield Feature(_form_signature(form), form.doc)
    for aggregate in AGGREGATE_FUNCTIONS.values():
        yield Feature(_aggregate_signature(aggregate), f"Aggregate. {aggregate.doc}")


def signatures(function: Function) -> Iterator[str]:
    """Yield how a function may be called, as TAPRegExt writes it: once for each number of arguments."""
    kinds = list(function.parameters)
    if function.repeats:
        kinds += [kinds[-1]] * (_REPEATED - len(kinds))
    returns = function.returns
    for count in range(len(kinds) - function.optional, len(kinds) + 1):
        result = returns.names.adql if returns else _TYPES[kinds[0]][1]
        yield f"{function.name}({_arguments(kinds[:count])}) -> {result}"


def _aggregate_signature(aggregate: AggregateFunction) -> str:
    kinds = [aggregate.operand, *aggregate.parameters]
    result = aggregate.returns.names.adql if aggregate.returns else _TYPES[aggregate.operand][1]
    return f"{aggregate.name}({_arguments(kinds)}) -> {result}"


def _arguments(kinds: list[Kind]) -> str:
    """Return arguments with their types; a letter that stands several times has a number."""
    letters = [_TYPES[kind][0] for kind in kinds]
    named = []
    for place, kind in enumerate(kinds):
        letter, adql = _TYPES[kind]
        number = str(letters[: place + 1].count(letter)) if letters.count(letter) > 1 else ""
        named.append(f"{letter}{number} {adql}")
    return ", ".join(named)


def _form_signature(form: Form) -> str:
    """Return the signature of a geometric function: of numbers, but for what its words say."""
    written = form.signature.split("(", 1)[1].removesuffix(")")
    arguments = [_form_argument(name) for name in re.findall(r"ARRAY\[.*\]|'\w+'|\w+", written)]
    return f"{form.name}({', '.join(arguments)}) -> {form.returns}"


def _form_argument(name: str) -> str:
    if name.startswith("ARRAY"):
        return "corners DOUBLE PRECISION[]"
    if name.startswith("'"):
        return name.strip("'") + " VARCHAR"
    kinds = {"point": "POINT", "shape": "REGION"}
    return f"{name} {kinds.get(name, DataType.DOUBLE.names.adql)}"
