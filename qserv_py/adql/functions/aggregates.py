"""The table of aggregates: what a chunk computes, and how the merge makes one answer of it.

An aggregate that cannot be put together from parts (a median) names no partials: the chunks send its rows.
COUNT, SUM, AVG, MIN and MAX stand in ``BASIC``: their types and partials depend on the operand, so
``planner.aggregate`` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qserv_py.adql.functions.signature import Kind
from qserv_py.catalog.types import DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateFunction:
    """An aggregate beyond the five of ADQL."""

    name: str
    """As documents write it; ADQL takes any case."""

    operand: Kind
    parameters: tuple[Kind, ...] = ()
    """What follows the operand: constants."""

    bounds: tuple[tuple[float, float], ...] = ()
    """The smallest and the largest number that each parameter may be."""

    returns: DataType | None
    """Type of the answer; None for that of the operand."""

    postgres: str
    """SQL with {0} for the operand and its DISTINCT, {1} for the parameters, {2} for the operand alone."""

    duckdb: str
    partials: tuple[tuple[str, DataType | None], ...] = ()
    """PostgreSQL's SQL of what a chunk sends, and its type, None for the answer's; with {0} for the operand, {1} and so
    on for the parameters."""

    merged: str = ""
    """DuckDB's SQL over the partials {0}, {1}, ..."""

    distinct: bool = True
    """Whether DISTINCT may be written."""

    repeats_matter: bool = True
    """Whether a value that is there twice counts twice; if not, DISTINCT changes nothing."""

    power: int | None = None
    """The power of the operand's unit that the answer has; None when it has none."""

    ucd: str = ""
    """The word of statistics that the operand's UCD gets."""

    doc: str

    @property
    def signature(self) -> str:
        """How the aggregate is written, for messages and documents."""
        return f"{self.name}({', '.join(kind.value for kind in (self.operand, *self.parameters))})"

    def sql(self, operand: str, parameters: Sequence[str], *, distinct: bool, duckdb: bool) -> str:
        """Return the aggregate with the SQL of its operand filled in."""
        text = self.duckdb if duckdb else self.postgres
        return text.format(f"DISTINCT {operand}" if distinct else operand, ", ".join(parameters), operand)


_PARTIALS: tuple[tuple[str, DataType | None], ...] = (
    ("count({0})", DataType.LONG),
    ("avg({0})", DataType.DOUBLE),
    ("var_pop({0}) * count({0})", DataType.DOUBLE),
)
"""Count, mean and sum of the squares of the differences from the mean: Chan, Golub and LeVeque 1983."""


def _spread(names: tuple[str, ...], sql: str, doc: str) -> tuple[AggregateFunction, ...]:
    """Return a variance or a standard deviation under each of its names."""
    return tuple(
        AggregateFunction(
            name=name,
            operand=Kind.NUMBER,
            returns=DataType.DOUBLE,
            postgres=f"{sql}({{0}})",
            duckdb=f"qserv_{sql}(list({{0}}))",
            partials=_PARTIALS,
            merged=f"qserv_merged_{sql}(list(struct_pack(n := {{0}}, m := {{1}}, s := {{2}})))",
            doc=doc if name == names[0] else f"The same as {names[0]}.",
            power=1 if sql.startswith("stddev") else 2,
            ucd="stat.stdev" if sql.startswith("stddev") else "stat.variance",
        )
        for name in names
    )


def _percentile(name: str, fraction: str, doc: str) -> AggregateFunction:
    return AggregateFunction(
        name=name,
        operand=Kind.NUMBER,
        parameters=(Kind.NUMBER,) if "{1}" in fraction else (),
        bounds=((0.0, 100.0 if "100" in fraction else 1.0),),
        returns=DataType.DOUBLE,
        postgres=f"percentile_cont({fraction}) WITHIN GROUP (ORDER BY {{0}})",
        duckdb=f"qserv_percentile(list({{0}}), {fraction})",
        distinct=False,
        power=1,
        ucd="stat.median" if fraction == "0.5" else "stat.percentile",
        doc=doc,
    )


def _folded(name: str, operand: Kind, doc: str, *, sql: str = "", repeats_matter: bool = False) -> AggregateFunction:
    """Return an aggregate whose merge is the aggregate itself."""
    called = sql or name.lower()
    return AggregateFunction(
        name=name,
        operand=operand,
        returns=DataType.BOOLEAN if operand is Kind.CONDITION else None,
        postgres=f"{called}({{0}})",
        duckdb=f"{called}({{0}})",
        partials=((f"{called}({{0}})", None),),
        merged=f"{called}({{0}})",
        repeats_matter=repeats_matter,
        doc=doc,
    )


def _joined(name: str, doc: str) -> AggregateFunction:
    return AggregateFunction(
        name=name,
        operand=Kind.TEXT,
        parameters=(Kind.TEXT,),
        returns=DataType.TEXT,
        postgres="string_agg({0}, {1} ORDER BY {2})",
        duckdb="string_agg({0}, {1} ORDER BY {2})",
        doc=doc,
    )


def _histogram(name: str, doc: str) -> AggregateFunction:
    return AggregateFunction(
        name=name,
        operand=Kind.NUMBER,
        parameters=(Kind.NUMBER, Kind.NUMBER, Kind.INTEGER),
        bounds=((-math.inf, math.inf), (-math.inf, math.inf), (1.0, 10_000.0)),
        returns=DataType.COUNTS,
        postgres="qserv.histogram({0}, {1})",
        duckdb="qserv_histogram(list({0}), {1})",
        partials=(("qserv.histogram({0}, {1}, {2}, {3})", None),),
        merged="qserv_merged_histogram(list({0}))",
        doc=doc,
    )


_ALL = (
    *_spread(
        ("STDDEV_SAMP", "STDDEV", "ivo_stddev"),
        "stddev_samp",
        "Standard deviation of a sample; NULL for fewer than two.",
    ),
    *_spread(("STDDEV_POP",), "stddev_pop", "Standard deviation of a population."),
    *_spread(("VAR_SAMP", "VARIANCE", "ivo_variance"), "var_samp", "Variance of a sample; NULL for fewer than two."),
    *_spread(("VAR_POP",), "var_pop", "Variance of a population."),
    _percentile("MEDIAN", "0.5", "Median, exact; between two numbers in the middle, their mean."),
    _percentile("scisql_median", "0.5", "The same as MEDIAN."),
    _percentile("PERCENTILE", "{1}", "Value below which a fraction, 0 to 1, of the values lies, interpolated; exact."),
    _percentile("scisql_percentile", "({1} / 100)", "As PERCENTILE, with a percentage, 0 to 100."),
    _folded("BOOL_AND", Kind.CONDITION, "Whether the condition holds for every row where it is not unknown."),
    _folded("EVERY", Kind.CONDITION, "The same as BOOL_AND.", sql="bool_and"),
    _folded("BOOL_OR", Kind.CONDITION, "Whether the condition holds for some row."),
    _folded("BIT_AND", Kind.INTEGER, "The bits that all values have."),
    _folded("BIT_OR", Kind.INTEGER, "The bits that some value has."),
    _folded("ivo_bit_and_agg", Kind.INTEGER, "The same as BIT_AND.", sql="bit_and"),
    _folded("ivo_bit_or_agg", Kind.INTEGER, "The same as BIT_OR.", sql="bit_or"),
    _folded("BIT_XOR", Kind.INTEGER, "The bits that an odd number of values has.", repeats_matter=True),
    _joined("ivo_string_agg", "The texts with a delimiter between them, in the order of their characters."),
    _joined("STRING_AGG", "The same as ivo_string_agg."),
    _histogram(
        "ivo_histogram",
        "How many values lie below a, in each of n bins of one width from a to b, and from b on; NULL lies below a.",
    ),
    _histogram("gavo_histogram", "The same as ivo_histogram."),
)

BASIC = ("COUNT", "SUM", "AVG", "MIN", "MAX")
"""The aggregates of ADQL."""

AGGREGATE_FUNCTIONS: dict[str, AggregateFunction] = {function.name.upper(): function for function in _ALL}
"""The aggregates beyond those, by upper-case name."""

AGGREGATES = (*BASIC, *AGGREGATE_FUNCTIONS)
"""Names of all aggregates, upper case."""
