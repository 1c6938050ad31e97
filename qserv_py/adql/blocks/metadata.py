"""What is known of an expression beyond its type: unit, UCD, utype, description, xtype, length.

What a column says of itself follows it through an expression as long as it still holds; where that is not certain,
nothing is said. A pure number has the empty unit, a column without a unit an unknown one. NULL has any unit, and so
has a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from qserv_py.adql import units
from qserv_py.adql.expressions.constants import constant_number
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS
from qserv_py.adql.tree import (
    Aggregate,
    Arithmetic,
    Call,
    Case,
    Cast,
    Coalesce,
    ColumnRef,
    Expr,
    InUnit,
    Item,
    Literal,
    Meaning,
    Negate,
    OutputColumn,
    ScalarQuery,
    Window,
)
from qserv_py.catalog.types import DataType

_NOTHING = Meaning()
_COUNT = Meaning(unit="", ucd="meta.number")

_QUALIFIED = {"MIN": "stat.min", "MAX": "stat.max", "AVG": "stat.mean"}
"""Words that the list of UCDs has only after the word for the quantity."""

_XTYPES = {DataType.TIMESTAMP, DataType.POINT, DataType.CIRCLE, DataType.POLYGON}
"""Types that DALI has an xtype for, of the same name."""

_OF_ANOTHER_ROW = {"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE"}


def output_columns(items: Sequence[Item]) -> tuple[OutputColumn, ...]:
    """Return what is known of the columns of the result; their names are different, whatever the query called them."""
    names = unique_names(item.name for item in items)
    return tuple(_output_column(item, name) for item, name in zip(items, names, strict=True))


def unique_names(names: Iterable[str]) -> list[str]:
    """Return names of which none is there twice, whatever the case: ``flux``, ``Flux`` become ``flux``, ``Flux_2``.

    The first one of each name keeps it, and so does one that stands there only once: a repeated name has the next
    number with which it is nobody's name, so ``a``, ``a``, ``a_2`` become ``a``, ``a_3``, ``a_2``.
    """
    given = list(names)
    known = {name.lower() for name in given}
    taken: set[str] = set()
    chosen = []
    for name in given:
        unique, number = name, 2
        while (key := unique.lower()) in taken or (unique != name and key in known):
            unique, number = f"{name}_{number}", number + 1
        taken.add(key)
        chosen.append(unique)
    return chosen


def _output_column(item: Item, name: str) -> OutputColumn:
    about = item.about
    datatype = item.expr.type or DataType.TEXT
    return OutputColumn(
        name=name,
        datatype=datatype,
        length=about.length,
        unit="deg" if datatype.is_shape else about.unit or "",
        ucd=about.ucd,
        description=about.description,
        xtype=datatype.value
        if datatype.is_shape
        else about.xtype or ("timestamp" if datatype is DataType.TIMESTAMP else ""),
        utype=about.utype,
    )


def meaning_of(expr: Expr) -> Meaning:
    """Return what is known of an expression."""
    match expr:
        case ColumnRef(about=None):
            return _NOTHING
        case ColumnRef(about=Meaning() as about):
            return about
        case ColumnRef(about=column) if column is not None:
            return Meaning(
                length=column.length,
                unit=column.unit or None,
                ucd=column.ucd,
                description=column.description,
                xtype=column.xtype,
                utype=column.utype,
            )
        case Literal(value=str() as text):
            return Meaning(length=len(text))
        case Literal(value=int() | float() as value) if not isinstance(value, bool):
            return Meaning(unit="")
        case Cast():
            return _cast(expr)
        case InUnit(operand=operand):
            return replace(meaning_of(operand), unit=expr.unit)
        case Negate(operand=operand):
            return Meaning(unit=meaning_of(operand).unit)
        case Arithmetic():
            return _arithmetic(expr)
        case Coalesce(operands=operands):
            return _shared(operands)
        case Case(branches=branches, otherwise=otherwise):
            return _shared([*(then for _, then in branches), otherwise])
        case Call():
            return _call(expr)
        case Aggregate(name=name, operand=operand):
            return _aggregate(name, operand)
        case Window(name=name, arguments=arguments):
            return _window(name, arguments)
        case ScalarQuery(query=query):
            return query.items[0].about
    return _NOTHING


def _cast(cast: Cast) -> Meaning:
    given, wanted = cast.operand.type, cast.type
    inner = meaning_of(cast.operand)
    if wanted is None or given is None:
        return _NOTHING
    if given is wanted and cast.length is None:
        return inner
    if given.is_text and wanted.is_text:
        return replace(inner, length=_least(cast.length, inner.length, fixed=wanted is DataType.CHAR))
    if given.is_numeric and wanted.is_numeric:
        return replace(inner, xtype="")
    return Meaning(length=cast.length)


def _least(cut: int | None, length: int | None, *, fixed: bool) -> int | None:
    """Return the length of a text that was cut, or filled with blanks too."""
    return cut if fixed or length is None else length if cut is None else min(cut, length)


def _arithmetic(expr: Arithmetic) -> Meaning:
    left, right = meaning_of(expr.left), meaning_of(expr.right)
    match expr.operator:
        case "+" | "-":
            return Meaning(unit=_shared_unit([expr.left, expr.right], [left, right]))
        case "*" | "/":
            if left.unit is None or right.unit is None:
                return _NOTHING
            combine = units.product if expr.operator == "*" else units.quotient
            return Meaning(unit=combine(left.unit, right.unit))
        case "%":
            return Meaning(unit=left.unit)
        case "||" if left.length is not None and right.length is not None:
            return Meaning(length=left.length + right.length)
    return _NOTHING


def _shared(operands: Sequence[Expr]) -> Meaning:
    """Return what holds for each of several expressions, one of which is the answer."""
    given = [operand for operand in operands if not _is_null(operand)]
    known = [meaning_of(operand) for operand in given]
    if not known:
        return _NOTHING
    lengths = [one.length for one in known if one.length is not None]
    return Meaning(
        length=max(lengths) if len(lengths) == len(known) else None,
        unit=_shared_unit(given, known),
        ucd=_same(one.ucd for one in known),
        description=_same(one.description for one in known),
        xtype=_same(one.xtype for one in known),
        utype=_same(one.utype for one in known),
    )


def _shared_unit(operands: Sequence[Expr], known: Sequence[Meaning]) -> str | None:
    found = {
        one.unit
        for operand, one in zip(operands, known, strict=True)
        if not _is_null(operand) and not _is_zero(operand)
    }
    if not found:
        return ""
    return found.pop() if len(found) == 1 else None


def _same(texts: Iterable[str]) -> str:
    found = set(texts)
    return found.pop() if len(found) == 1 else ""


def _is_null(expr: Expr) -> bool:
    while isinstance(expr, Cast):
        expr = expr.operand
    return isinstance(expr, Literal) and expr.value is None


def _is_zero(expr: Expr) -> bool:
    while isinstance(expr, Cast):
        expr = expr.operand
    return isinstance(expr, Literal) and expr.value == 0 and not isinstance(expr.value, bool)


def _call(call: Call) -> Meaning:
    rule = call.function.unit
    if rule is None or "{" not in rule:
        return Meaning(unit=rule)
    if rule == "{all}":
        return _shared(call.arguments)
    unit = meaning_of(call.arguments[0]).unit
    if rule == "{0}" or unit is None:
        return Meaning(unit=unit)
    written = rule.removeprefix("{0}**")
    exponent = constant_number(call.arguments[1]) if written == "{1}" else float(written)
    return _NOTHING if exponent is None else Meaning(unit=units.power(unit, exponent))


def _aggregate(name: str, operand: Expr | None) -> Meaning:
    if name == "COUNT":
        return _COUNT
    if operand is None:
        return _NOTHING
    inner = meaning_of(operand)
    if name in {"MIN", "MAX"}:
        return replace(inner, ucd=_qualified(inner.ucd, _QUALIFIED[name]), description="")
    if name == "AVG":
        return Meaning(unit=inner.unit, ucd=_qualified(inner.ucd, _QUALIFIED[name]))
    if name == "SUM":
        return Meaning(unit=inner.unit)
    function = AGGREGATE_FUNCTIONS[name]
    if function.power is None or inner.unit is None:
        return _NOTHING
    ucd = _qualified(inner.ucd, function.ucd)
    return Meaning(unit=units.power(inner.unit, function.power), ucd=ucd)


def _qualified(ucd: str, word: str) -> str:
    """Return a UCD with a word of statistics; before the quantity where the list of UCDs allows nothing else."""
    if not ucd or not word or word in ucd.lower().split(";"):
        return ucd if word else ""
    return f"{word};{ucd}" if word in _FIRST else f"{ucd};{word}"


_FIRST = {"stat.stdev", "stat.variance", "stat.percentile"}


def _window(name: str, arguments: Sequence[Expr]) -> Meaning:
    if name in _OF_ANOTHER_ROW:
        return meaning_of(arguments[0])
    if name == "COUNT" or (arguments and name in {"SUM", "AVG", "MIN", "MAX"}):
        return _aggregate(name, arguments[0] if arguments else None)
    return _NOTHING
