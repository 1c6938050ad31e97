"""Near neighbours: joins of sources whose partners stand near each other on the sky.

Two things tie such sources: ``DISTANCE(a, b) < r`` between two directors, and the second key of a match table, whose
pairs are never further apart than ingest has measured. One side, the *anchor*, reads a chunk's own rows; the other, the
*near* source, also reads those rows of other chunks that may be partners. So every pair is found once, in the anchor's
chunk. Up to the family's overlap the rows of other chunks stand beside the chunk already; beyond it they are exchanged
(``exchange``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qserv_py.adql.constants import constant_number
from qserv_py.adql.functions import DISTANCE
from qserv_py.adql.tree import (
    Between,
    Call,
    ColumnRef,
    Comparison,
    Expr,
    InShape,
    Joined,
    JoinKind,
    Select,
    ShapeKind,
    Source,
    TableSource,
    join_conditions,
    leaves,
)
from qserv_py.catalog.model import DirectorTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.planner.joins import unconnected
from qserv_py.planner.keys import Keys, director_of, equal_keys, farthest_pair, second_key_of
from qserv_py.planner.regions import Position
from qserv_py.planner.sql_text import SameBucket

SMALLEST_RADIUS = 1e-9
"""Degrees; a bucket needs some width."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two positions that a condition keeps within a radius (degrees)."""

    first: Position
    second: Position
    radius: float


@dataclass(frozen=True, slots=True)
class Link:
    """How the partners of an anchor's rows are found among the rows of a near source."""

    anchor: int
    """Id of the anchor."""

    near: TableSource
    radius: float
    """Degrees; no partner is further from the anchor's place."""

    pair: Pair | None
    """The positions that a condition compares, the anchor's first; None for the key of a match table."""

    @property
    def bucket(self) -> tuple[SameBucket, ...]:
        """The condition that anchor and partner share a bucket; none for a key, which is an equality already."""
        if self.pair is None:
            return ()
        anchor = self.pair.first
        ra = ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.ra)
        dec = ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.dec)
        return (SameBucket(type=DataType.BOOLEAN, ra=ra, dec=dec, near=self.near.id, radius=self.radius),)


Cost = Callable[[Link], float | None]
"""What a link costs, None for one that cannot be used."""


def links_of(sources: Sequence[Source], conditions: Sequence[Expr], catalog: Catalog) -> list[Link]:
    """Return how conditions tie sources as neighbours, each pair in both directions."""
    tables = {source.id: source for source in sources if isinstance(source, TableSource)}
    found = []
    for pair in near_pairs(sources, conditions):
        first, second = tables[pair.first.source], tables[pair.second.source]
        found.append(Link(first.id, second, pair.radius, pair))
        found.append(Link(second.id, first, pair.radius, Pair(pair.second, pair.first, pair.radius)))
    for condition in conditions:
        link = _match_link(condition, tables, catalog)
        if link is not None:
            found.append(link)
    return found


def _match_link(condition: Expr, tables: Mapping[int, TableSource], catalog: Catalog) -> Link | None:
    """Return the link of ``match.secondKey = director.id``; None when it is not known how far its pairs are apart."""
    if not isinstance(condition, Comparison) or condition.operator != "=":
        return None
    for mine, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if not isinstance(mine, ColumnRef) or not isinstance(other, ColumnRef):
            continue
        match, near = tables.get(mine.source), tables.get(other.source)
        if match is None or near is None or not isinstance(near.table, DirectorTable):
            continue
        key = second_key_of(match)
        id_of_near: Keys = {near.table.column(near.table.id).physical: (near.database.name, near.table.name)}
        if key is None or key[0] != mine.label or director_of(other, {near.id: id_of_near}) != key[1]:
            continue
        farthest = farthest_pair(match, catalog)
        return None if farthest is None else Link(match.id, near, max(farthest, SMALLEST_RADIUS), None)
    return None


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sources are near ones, and the conditions that pair them with the anchors."""

    near: Mapping[int, Link]
    """By id of the near source."""

    conditions: tuple[SameBucket, ...]


def plan_inner(
    sources: Sequence[Source], conditions: Sequence[Expr], keys: Mapping[int, Keys], catalog: Catalog, cost: Cost
) -> Plan | None:
    """Return the cheapest way for chunks to answer a join whose partitioned sources no key connects, None without one.

    The sources that keys connect are one group, the anchors; every other source must be a director near one of them.
    """
    groups = unconnected(sources, [condition for condition in conditions if equal_keys(condition, keys) is not None])
    links = [(link, price) for link in links_of(sources, conditions, catalog) if (price := cost(link)) is not None]
    plans = []
    for anchors in groups:
        ids = {source.id for source in anchors}
        others = {group[0].id for group in groups if group is not anchors and len(group) == 1}
        near: dict[int, Link] = {}
        prices: dict[int, float] = {}
        for link, price in links:
            one = link.near.id
            if link.anchor in ids and one in others and price < prices.get(one, math.inf):
                near[one], prices[one] = link, price
        if ids | near.keys() == {source.id for source in sources}:
            plans.append((sum(prices.values()), near))
    if not plans:
        return None
    _, near = min(plans, key=lambda plan: plan[0])
    return Plan(near, tuple(bucket for link in near.values() for bucket in link.bucket))


@dataclass(frozen=True, slots=True)
class OuterPlan:
    """Neighbour joins within a tree of joins: the tree with the equality of buckets among its conditions."""

    near: Mapping[int, Link]
    own: Mapping[int, tuple[Expr, ...]]
    """The conditions of its join, by id of the near source."""

    joined: Joined


def plan_outer(
    tree: Joined, sources: Sequence[Source], keys: Mapping[int, Keys], catalog: Catalog, cost: Cost
) -> OuterPlan | None:
    """Return how chunks can answer the neighbour joins in a tree with outer joins; None when there is none to answer.

    The near side is the one that the join may replace by NULLs, a single director: the rows of the other side, the
    anchors, all stand in the answer, each from its own chunk.
    """
    near: dict[int, Link] = {}
    own: dict[int, tuple[Expr, ...]] = {}

    def visit(tree: Joined | int) -> Joined | int:
        if isinstance(tree, int):
            return tree
        tree = replace(tree, left=visit(tree.left), right=visit(tree.right))
        if any(equal_keys(condition, keys) is not None for condition in tree.on):
            return tree
        links = links_of(sources, tree.on, catalog)
        anchors, sides = leaves(tree) - near.keys(), set(_near_sides(tree)) - near.keys()
        usable = [link for link in links if link.near.id in sides and link.anchor in anchors]
        priced = [(price, link) for link in usable if (price := cost(link)) is not None]
        if not priced:
            return tree
        _, link = min(priced, key=lambda one: one[0])
        near[link.near.id], own[link.near.id] = link, tree.on
        return replace(tree, on=(*tree.on, *link.bucket))

    joined = visit(tree)
    return OuterPlan(near, own, joined) if near and isinstance(joined, Joined) else None


def _near_sides(tree: Joined) -> Iterable[int]:
    """Yield the sides of a join that may be near sources."""
    sides = {
        JoinKind.LEFT: (tree.right,),
        JoinKind.RIGHT: (tree.left,),
        JoinKind.INNER: (tree.right, tree.left),
        JoinKind.FULL: (),
    }
    return (side for side in sides[tree.kind] if isinstance(side, int))


def with_implied_radius(conditions: Sequence[Expr], around: Select) -> list[Expr]:
    """Return conditions of a sub-query, and what follows from those of the block around it.

    ``DISTANCE(a, c) < DISTANCE(a, b)`` where the block around says ``DISTANCE(a, b) < r`` means ``DISTANCE(a, c) < r``.
    """
    outer = [*around.where, *(join_conditions(around.joined) if around.joined is not None else ())]
    bounds = [
        (far, limit) for condition in outer for far, limit in _less(condition) if constant_number(limit) is not None
    ]
    found = list(conditions)
    for condition in conditions:
        for near, far in _less(condition):
            for known, limit in bounds:
                if _is_distance(near) and _is_distance(far) and _same_distance(far, known):
                    found.append(Comparison(type=DataType.BOOLEAN, operator="<=", left=near, right=limit))
    return found


def _less(condition: Expr) -> list[tuple[Expr, Expr]]:
    """Return the two sides of ``<`` or ``=``, the lesser first."""
    if not isinstance(condition, Comparison):
        return []
    sides = {"<": [(0, 1)], "<=": [(0, 1)], ">": [(1, 0)], ">=": [(1, 0)], "=": [(0, 1), (1, 0)]}
    both = (condition.left, condition.right)
    return [(both[less], both[more]) for less, more in sides.get(condition.operator, [])]


def _is_distance(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.function is DISTANCE


def _same_distance(one: Expr, other: Expr) -> bool:
    if not isinstance(one, Call) or not isinstance(other, Call) or other.function is not DISTANCE:
        return False
    return other.arguments in {one.arguments, (*one.arguments[2:], *one.arguments[:2])}


def near_pairs(sources: Sequence[Source], conditions: Sequence[Expr]) -> list[Pair]:
    """Return the pairs of directors that conditions keep within a radius of each other."""
    positions = [p for source in sources if isinstance(source, TableSource) if (p := Position.of(source)) is not None]
    found = [_pair(condition, positions) for condition in conditions]
    return [pair for pair in found if pair is not None]


def _pair(condition: Expr, positions: Sequence[Position]) -> Pair | None:
    if isinstance(condition, InShape):
        if condition.shape.kind is not ShapeKind.CIRCLE:
            return None
        numbers = (*condition.point.numbers, *condition.shape.numbers[:2])
        return _pair_of(numbers, constant_number(condition.shape.numbers[2]), positions)
    if isinstance(condition, Between):
        condition = Comparison(type=condition.type, operator="<=", left=condition.operand, right=condition.high)
    if not isinstance(condition, Comparison):
        return None
    for distance, limit, operators in (
        (condition.left, condition.right, {"<", "<=", "="}),
        (condition.right, condition.left, {">", ">=", "="}),
    ):
        if isinstance(distance, Call) and distance.function is DISTANCE and condition.operator in operators:
            return _pair_of(distance.arguments, constant_number(limit), positions)
    return None


def _pair_of(numbers: Sequence[Expr], radius: float | None, positions: Sequence[Position]) -> Pair | None:
    if radius is None:
        return None
    first = next((p for p in positions if p.is_ra(numbers[0]) and p.is_dec(numbers[1])), None)
    second = next((p for p in positions if p.is_ra(numbers[2]) and p.is_dec(numbers[3])), None)
    if first is None or second is None or first.source == second.source:
        return None
    return Pair(first, second, min(180.0, max(radius, SMALLEST_RADIUS)))
