"""Near neighbours: joins of two directors by ``DISTANCE(a, b) < r`` that each chunk answers alone.

Up to the family's overlap, all partners of a chunk's rows stand in the chunk itself or in the overlap beside it. So one
side, the *anchor*, reads its own rows and the other its own and the overlap's, and every pair is found once, in the
anchor's chunk. Inside a chunk the pairs come from a hash join on buckets: zones of declination cut into bins of right
ascension, both some radii wide; a row of the other side stands in each bucket that its circle reaches, at most four.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from qserv_py.adql.constants import constant_number
from qserv_py.adql.functions import DISTANCE
from qserv_py.adql.tree import (
    Call,
    ColumnRef,
    Comparison,
    Expr,
    InShape,
    Joined,
    JoinKind,
    ShapeKind,
    Source,
    TableSource,
    leaves,
)
from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.types import DataType
from qserv_py.planner.joins import unconnected
from qserv_py.planner.keys import Keys, equal_keys
from qserv_py.planner.regions import Position
from qserv_py.planner.sql_text import SameBucket

BUCKET_RADII = 4.0
"""Width of a bucket in radii: few rows stand in two buckets, few pairs of a bucket are too far apart."""

SMALLEST_RADIUS = 1e-9
"""Degrees; a bucket needs some width."""

_CELL_RADIUS = 62.0
"""Degrees; no point of a chunk of order k is further than this / 2**k from its centre."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two positions that a condition keeps within a radius."""

    first: Position
    second: Position
    radius: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Which sources are near ones, and the conditions that pair them with the anchors."""

    near: Mapping[int, Pair]
    """By id of the near source; ``first`` is the anchor's position."""

    conditions: tuple[SameBucket, ...]


def plan_neighbours(
    sources: Sequence[Source], conditions: Sequence[Expr], keys: Mapping[int, Keys], *, overlap_deg: float
) -> Plan | None:
    """Return how chunks can answer a join whose partitioned sources no key connects; None when they cannot.

    The sources that keys connect are one group, the anchors; every other source must be a director near one of them.
    """
    groups = unconnected(sources, [condition for condition in conditions if equal_keys(condition, keys) is not None])
    pairs = [pair for pair in near_pairs(sources, conditions) if pair.radius <= overlap_deg]
    for anchors in sorted(groups, key=len, reverse=True):
        ids = {source.id for source in anchors}
        near: dict[int, Pair] = {}
        for pair in pairs:
            for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
                if one.source in ids and other.source not in ids and other.source not in near:
                    near[other.source] = Pair(one, other, pair.radius)
        alone = {group[0].id for group in groups if len(group) == 1}
        if near and near.keys() <= alone and ids | near.keys() == {source.id for source in sources}:
            return Plan(near, tuple(_same_bucket(pair) for pair in near.values()))
    return None


@dataclass(frozen=True, slots=True)
class OuterPlan:
    """Neighbour joins within a tree of joins: the tree with the equality of buckets among its conditions."""

    near: Mapping[int, Pair]
    joined: Joined


def plan_outer(
    tree: Joined, sources: Sequence[Source], keys: Mapping[int, Keys], *, overlap_deg: float
) -> OuterPlan | None:
    """Return how chunks can answer the neighbour joins in a tree with outer joins; None when there is none to answer.

    The near side is the one that the join may replace by NULLs, a single director: the rows of the other side, the
    anchors, all stand in the answer, each from its own chunk.
    """
    near: dict[int, Pair] = {}
    joined = _with_buckets(tree, sources, keys, overlap_deg, near)
    return OuterPlan(near, joined) if near and isinstance(joined, Joined) else None


def _with_buckets(
    tree: Joined | int,
    sources: Sequence[Source],
    keys: Mapping[int, Keys],
    overlap_deg: float,
    near: dict[int, Pair],
) -> Joined | int:
    if isinstance(tree, int):
        return tree
    left = _with_buckets(tree.left, sources, keys, overlap_deg, near)
    right = _with_buckets(tree.right, sources, keys, overlap_deg, near)
    tree = replace(tree, left=left, right=right)
    side = {JoinKind.LEFT: right, JoinKind.RIGHT: left, JoinKind.INNER: right}.get(tree.kind)
    if not isinstance(side, int) or any(equal_keys(condition, keys) is not None for condition in tree.on):
        return tree
    anchors = leaves(tree) - {side} - near.keys()
    for pair in near_pairs(sources, tree.on):
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if other.source == side and one.source in anchors and pair.radius <= overlap_deg:
                near[side] = Pair(one, other, pair.radius)
                return replace(tree, on=(*tree.on, _same_bucket(near[side])))
    return tree


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
    if not isinstance(condition, Comparison):
        return None
    for distance, limit, operators in (
        (condition.left, condition.right, {"<", "<="}),
        (condition.right, condition.left, {">", ">="}),
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
    return Pair(first, second, max(radius, SMALLEST_RADIUS))


def _same_bucket(pair: Pair) -> SameBucket:
    anchor = pair.first
    return SameBucket(
        type=DataType.BOOLEAN,
        ra=ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.ra),
        dec=ColumnRef(type=DataType.DOUBLE, source=anchor.source, label=anchor.dec),
        near=pair.second.source,
        radius=pair.radius,
    )


@dataclass(frozen=True, slots=True)
class Buckets:
    """The buckets of one chunk, degrees."""

    height: float
    """Of a zone of declination."""

    bins: int
    """Bins of right ascension around the sky; 1 where a circle may reach around a pole."""

    reach: float
    """How far a circle reaches in right ascension."""

    @property
    def width(self) -> float:
        """Of a bin."""
        return 360.0 / self.bins


def buckets_of(chunk: ChunkId, *, radius: float, centre_dec: float) -> Buckets:
    """Return the buckets of a chunk for pairs within a radius (degrees)."""
    highest = min(90.0, abs(centre_dec) + _CELL_RADIUS / 2**chunk.order + 2 * radius)
    height = BUCKET_RADII * radius
    narrow = math.cos(math.radians(highest))
    half = math.sin(math.radians(radius) / 2)
    if narrow <= half * 1.01:
        return Buckets(height, 1, 360.0)
    reach = math.degrees(2 * math.asin(half / narrow)) * (1 + 1e-9) + 1e-12
    bins = max(1, math.floor(360.0 / (BUCKET_RADII * reach)))
    return Buckets(height, bins if bins > 1 else 1, reach)
