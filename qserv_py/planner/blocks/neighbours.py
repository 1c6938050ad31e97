"""Near neighbours: joins of sources whose partners stand near each other on the sky.

Two things tie such sources: ``DISTANCE(a, b) < r`` between two directors, and the second key of a match table, whose
pairs are never further apart than ingest has measured. One side, the *anchor*, reads a chunk's own rows; the other, the
*near* source, also reads those rows of other chunks that may be partners. So every pair is found once, in the anchor's
chunk. Up to the family's overlap the rows of other chunks stand beside the chunk already; beyond it they are exchanged
(``exchange``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qserv_py.adql.expressions.constants import constant_number, unconverted
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
)
from qserv_py.adql.walks import all_conditions, leaves
from qserv_py.catalog.model import DirectorTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks.joins import unconnected
from qserv_py.planner.plan.nodes import SameBucket
from qserv_py.planner.sky.keys import Keys, director_of, equal_keys, farthest_pair, keys_of_table, second_key_of
from qserv_py.planner.sky.regions import Position

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

    def along(self, source: TableSource) -> Link:
        """Return the link of a source whose rows stand at the places of the near one's."""
        return Link(self.anchor, source, self.radius, None)

    @property
    def bucket(self) -> tuple[SameBucket, ...]:
        """The condition that anchor and partner share a bucket; none for a key, which is an equality already."""
        if self.pair is None:
            return ()
        anchor = self.pair.first
        ra = ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.ra)
        dec = ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.dec)
        near = self.pair.second
        near_ra = ColumnRef(type=DataType.DOUBLE, source=near.source, label=near.ra)
        near_dec = ColumnRef(type=DataType.DOUBLE, source=near.source, label=near.dec)
        kind = DataType.BOOLEAN
        return (SameBucket(type=kind, ra=ra, dec=dec, near_ra=near_ra, near_dec=near_dec, radius=self.radius),)


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
        found += _match_links(condition, tables, catalog)
    return found


def _match_links(condition: Expr, tables: Mapping[int, TableSource], catalog: Catalog) -> list[Link]:
    """Return the links of ``match.secondKey = director.id``; none when it is not known how far its pairs are apart."""
    if not isinstance(condition, Comparison) or condition.operator != "=":
        return []
    for mine, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if not isinstance(mine, ColumnRef) or not isinstance(other, ColumnRef):
            continue
        match, director = tables.get(mine.source), tables.get(other.source)
        if match is None or director is None or not isinstance(director.table, DirectorTable):
            continue
        second = director_of(mine, {match.id: second_key_of(match)})
        if second is None or director_of(other, {director.id: keys_of_table(director)}) != second:
            continue
        farthest = farthest_pair(match, catalog)
        if farthest is not None:
            radius = max(farthest, SMALLEST_RADIUS)
            return [Link(match.id, director, radius, None), Link(director.id, match, radius, None)]
    return []


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

    The sources that keys connect are a group and stand at the same place. One group are the anchors; every other one
    must have a source near one of them, and is near as a whole.
    """
    groups = unconnected(sources, [condition for condition in conditions if equal_keys(condition, keys) is not None])
    links = links_of(sources, conditions, catalog)
    plans = []
    for anchors in groups:
        ids = {source.id for source in anchors}
        ways = [cheapest(group, [link for link in links if link.anchor in ids], cost) for group in groups]
        chosen = [way for group, way in zip(groups, ways, strict=True) if group is not anchors]
        if all(way is not None for way in chosen):
            whole = [way for way in chosen if way is not None]
            plans.append((sum(price for price, _ in whole), [link for _, found in whole for link in found]))
    if not plans:
        return None
    _, near = min(plans, key=lambda plan: plan[0])
    return Plan({link.near.id: link for link in near}, tuple(bucket for link in near for bucket in link.bucket))


def cheapest(group: Sequence[Source], links: Sequence[Link], cost: Cost) -> tuple[float, list[Link]] | None:
    """Return what it costs that a group is near, and its sources' links; None when no link leads to it."""
    tables = {source.id: source for source in group if isinstance(source, TableSource)}
    ways = []
    for link in links:
        if link.near.id in tables and len(tables) == len(group):
            found = [link, *(link.along(table) for table in tables.values() if table.id != link.near.id)]
            prices = [price for one in found if (price := cost(one)) is not None]
            if len(prices) == len(found):
                ways.append((sum(prices), found))
    return min(ways, key=lambda way: way[0], default=None)


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
        pairs = [pair for condition in tree.on if (pair := equal_keys(condition, keys)) is not None]
        if pairs:
            follow(tree, pairs)
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

    def follow(tree: Joined, pairs: Sequence[tuple[int, int]]) -> None:
        """Let a source whose key is that of a near one be near, too."""
        for one, other in (*pairs, *(pair[::-1] for pair in pairs)):
            known = {source.id: source for source in sources if isinstance(source, TableSource)}
            if one in near and other not in near and other in _near_sides(tree) and other in known:
                link = near[one].along(known[other])
                if cost(link) is not None:
                    near[other], own[other] = link, tree.on

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
    outer = all_conditions(around)
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
        radius = constant_number(limit)
        if radius is None or condition.operator not in operators:
            continue
        distance, radius, _ = unconverted(distance, radius, radius)
        if isinstance(distance, Call) and distance.function is DISTANCE:
            return _pair_of(distance.arguments, radius, positions)
    return None


def _pair_of(numbers: Sequence[Expr], radius: float | None, positions: Sequence[Position]) -> Pair | None:
    if radius is None:
        return None
    first = next((p for p in positions if p.is_ra(numbers[0]) and p.is_dec(numbers[1])), None)
    second = next((p for p in positions if p.is_ra(numbers[2]) and p.is_dec(numbers[3])), None)
    if first is None or second is None or first.source == second.source:
        return None
    return Pair(first, second, min(180.0, max(radius, SMALLEST_RADIUS)))
