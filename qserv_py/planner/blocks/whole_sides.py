"""Outer joins that keep the rows of a side that is whole on every worker: an upload, a ref table.

Every chunk would answer that side's rows without a partner. So its rows are numbered in the czar, the chunks answer the
pairs by the number (for FULL JOIN also their own rows without a partner), and the merge engine joins the pairs to the
numbered rows. Each such join of a tree, the lowest first, becomes a join of two stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from qserv_py.adql import walks
from qserv_py.adql.tree import ColumnRef, Comparison, Expr, Item, Joined, JoinKind, Select, Source
from qserv_py.adql.walks import column_refs, leaves
from qserv_py.catalog.types import DataType
from qserv_py.planner.blocks import joins
from qserv_py.planner.blocks.parts import Carried, is_about_any, looks_around, map_expressions
from qserv_py.planner.plan.nodes import SqlTemplate, StageSource
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import Keys

ROW_COLUMN = "_ROW"
"""Number of a row of the whole side; labels are lower case, so no other column has its name."""


@dataclass(frozen=True)
class WholeSide:
    """An outer join of a block that keeps a whole side, and the blocks that answer it."""

    select: Select
    at: Joined
    whole_is_left: bool
    whole: Carried
    """Columns of the whole side that the join's condition and the rest of the block read."""

    others: Carried
    """Columns of the other side that the rest of the block reads."""

    def rows(self) -> Select:
        """Return the block that answers the rows of the whole side."""
        return self._side(self._whole, self.whole.items, self._conditions_of_its_own())

    def numbered(self, rows: Select) -> Select:
        """Return the block that also gives each row of the whole side a number; it reads stages only."""
        number = SqlTemplate(type=DataType.LONG, text="row_number() OVER ()")
        return replace(rows, items=(*rows.items, Item(expr=number, name=ROW_COLUMN, label=ROW_COLUMN)))

    def pairs(self, numbered: StageSource) -> Select:
        """Return the block that answers the pairs; of FULL JOIN also the other side's rows without a partner."""
        row = Item(expr=_row_of(numbered), name=ROW_COLUMN, label=ROW_COLUMN)
        items = (row, *self.others.items) if self.others.refs else (row,)
        on = tuple(map(self.whole.read_from(numbered.id), self.at.on))
        if self.at.kind is JoinKind.FULL:
            joined = Joined(kind=JoinKind.LEFT, left=self._other, right=numbered.id, on=on)
            return Select(items=items, sources=(*self._sources(self._other), numbered), joined=joined)
        block = self._side(self._other, items, on)
        if block.joined is not None:
            joined = Joined(kind=JoinKind.INNER, left=block.joined, right=numbered.id, on=on)
            block = replace(block, joined=joined, where=())
        return replace(block, sources=(*block.sources, numbered))

    def outer(self, numbered: StageSource, pairs: StageSource) -> Select:
        """Return the block with the join replaced by one of the numbered rows and the pairs."""
        gone = leaves(self.at)
        same = Comparison(type=DataType.BOOLEAN, operator="=", left=_row_of(numbered), right=_row_of(pairs))
        left, right = (numbered.id, pairs.id) if self.whole_is_left else (pairs.id, numbered.id)
        joined = _replaced(self.select.joined, self.at, replace(self.at, left=left, right=right, on=(same,)))
        own = self._conditions_of_its_own()
        block = replace(
            self.select,
            sources=(*(source for source in self.select.sources if source.id not in gone), numbered, pairs),
            joined=joined if isinstance(joined, Joined) else None,
            where=tuple(one for one in self.select.where if all(one is not known for known in own)),
        )
        to_whole, to_others = self.whole.read_from(numbered.id), self.others.read_from(pairs.id)
        return map_expressions(block, lambda expr: to_others(to_whole(expr)))

    @property
    def _whole(self) -> Joined | int:
        return self.at.left if self.whole_is_left else self.at.right

    @property
    def _other(self) -> Joined | int:
        return self.at.right if self.whole_is_left else self.at.left

    def _conditions_of_its_own(self) -> tuple[Expr, ...]:
        """Return the conditions of WHERE that may be tested before the join: the last join, on the side it keeps."""
        if self.at is not self.select.joined or self.at.kind is JoinKind.FULL:
            return ()
        return tuple(one for one in self.select.where if is_about_any(one, leaves(self._whole)))

    def _sources(self, side: Joined | int) -> tuple[Source, ...]:
        return tuple(source for source in self.select.sources if source.id in leaves(side))

    def _side(self, side: Joined | int, items: tuple[Item, ...], conditions: tuple[Expr, ...]) -> Select:
        """Return the block of one side's rows."""
        inner = joins.conditions_of_inner(side)
        if inner is not None:
            return Select(items=items, sources=self._sources(side), where=(*inner, *conditions))
        assert isinstance(side, Joined)
        return Select(items=items, sources=self._sources(side), joined=side, where=conditions)


def find_whole_side(select: Select, chunks: Mapping[int, ChunkSet], keys: Mapping[int, Keys]) -> WholeSide | None:
    """Return the lowest outer join that keeps a whole side beside a partitioned one; None if there is none.

    Parameters
    ----------
    select
        The block.
    chunks, keys
        Chunks and key columns of its partitioned sources.
    """
    if select.joined is None or looks_around(select):
        return None
    found = next(_kept_whole(select.joined, chunks, keys), None)
    if found is None:
        return None
    at, whole_is_left = found
    whole = leaves(at.left if whole_is_left else at.right)
    inside = list(walks.join_conditions(at))
    rest = [one for one in walks.expressions(select) if all(one is not known for known in inside)]
    return WholeSide(
        select,
        at,
        whole_is_left,
        whole=Carried.of(_refs_to(whole, [*rest, *at.on])),
        others=Carried.of(_refs_to(leaves(at) - whole, rest)),
    )


def _kept_whole(
    joined: Joined | int, chunks: Mapping[int, ChunkSet], keys: Mapping[int, Keys]
) -> Iterator[tuple[Joined, bool]]:
    """Yield the outer joins that keep a whole side, the lowest first, with whether it is the left one."""
    if isinstance(joined, int):
        return
    yield from _kept_whole(joined.left, chunks, keys)
    yield from _kept_whole(joined.right, chunks, keys)
    for side, other, kinds in (
        (joined.left, joined.right, {JoinKind.LEFT, JoinKind.FULL}),
        (joined.right, joined.left, {JoinKind.RIGHT, JoinKind.FULL}),
    ):
        is_whole = not leaves(side) & chunks.keys() and leaves(other) & chunks.keys()
        if is_whole and joined.kind in kinds and joins.place(other, chunks, keys) is not None:
            yield joined, side is joined.left


def _refs_to(sources: set[int], expressions: Iterable[Expr]) -> Iterator[ColumnRef]:
    return (ref for expr in expressions for ref in column_refs(expr) if ref.source in sources)


def _row_of(source: StageSource) -> ColumnRef:
    return ColumnRef(type=DataType.LONG, source=source.id, label=ROW_COLUMN)


def _replaced(joined: Joined | int | None, at: Joined, by: Joined) -> Joined | int | None:
    if joined is at:
        return by
    if not isinstance(joined, Joined):
        return joined
    left, right = _replaced(joined.left, at, by), _replaced(joined.right, at, by)
    assert left is not None
    assert right is not None
    return replace(joined, left=left, right=right)
