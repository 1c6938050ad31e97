"""Outer joins: whether each chunk can answer them alone, and in which chunks they have rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from qserv_py.adql.tree import Comparison, Expr, Joined, JoinKind, Source
from qserv_py.adql.walks import column_refs
from qserv_py.planner.sky.chunks import ChunkSet
from qserv_py.planner.sky.keys import Keys, equal_keys

SourceT = TypeVar("SourceT", bound=Source)


@dataclass(frozen=True, slots=True)
class Placed:
    """A tree of joins that chunks can answer."""

    chunks: ChunkSet
    """Where it has rows; ``anywhere`` for ref tables and gathered rows alone."""

    partitioned: frozenset[int]
    """Its partitioned sources."""


def place(tree: Joined | int, chunks: Mapping[int, ChunkSet], keys: Mapping[int, Keys]) -> Placed | None:
    """Return where a tree of joins has rows, None when a row may have its partner in another chunk.

    Parameters
    ----------
    tree
        The joins; leaves are ids of sources.
    chunks
        Chunks of each partitioned source; every other source is whole on every worker.
    keys
        Key columns of each partitioned source.
    """
    if isinstance(tree, int):
        found = chunks.get(tree)
        return Placed(ChunkSet.anywhere(), frozenset()) if found is None else Placed(found, frozenset([tree]))
    left, right = place(tree.left, chunks, keys), place(tree.right, chunks, keys)
    if left is None or right is None:
        return None
    both = left.partitioned | right.partitioned
    if left.partitioned and right.partitioned:
        if not _meet(tree.on, left.partitioned, right.partitioned, keys):
            return None
        if tree.kind is JoinKind.FULL and not all(_is_equality(condition) for condition in tree.on):
            return None  # PostgreSQL has no full join on anything else
        return Placed(_chunks_of_join(tree.kind, left.chunks, right.chunks), both)
    if not both:
        return Placed(ChunkSet.anywhere(), both)
    # One side is whole on every worker. Its rows without a partner would come once from every chunk.
    kept_whole = {JoinKind.LEFT: not left.partitioned, JoinKind.RIGHT: not right.partitioned, JoinKind.FULL: True}
    if kept_whole.get(tree.kind, False):
        return None
    return Placed(left.chunks if left.partitioned else right.chunks, both)


def _meet(on: tuple[Expr, ...], left: frozenset[int], right: frozenset[int], keys: Mapping[int, Keys]) -> bool:
    """Whether a condition says that a key of the one side is the same director's key of the other."""
    pairs = [pair for condition in on if (pair := equal_keys(condition, keys)) is not None]
    return any((a in left and b in right) or (a in right and b in left) for a, b in pairs)


def _is_equality(condition: Expr) -> bool:
    return isinstance(condition, Comparison) and condition.operator == "="


def _chunks_of_join(kind: JoinKind, left: ChunkSet, right: ChunkSet) -> ChunkSet:
    match kind:
        case JoinKind.LEFT:
            return left
        case JoinKind.RIGHT:
            return right
        case JoinKind.FULL:
            return left | right
        case JoinKind.INNER:
            return left & right


def conditions_before(tree: Joined | int | None, source: int) -> tuple[Expr, ...]:
    """Return the conditions of the join that a source is a side of, where rows that fail them have no part in it."""
    if not isinstance(tree, Joined):
        return ()
    sides = {JoinKind.INNER: (tree.left, tree.right), JoinKind.LEFT: (tree.right,), JoinKind.RIGHT: (tree.left,)}
    if source in sides.get(tree.kind, ()):
        return tree.on
    return conditions_before(tree.left, source) + conditions_before(tree.right, source)


def conditions_of_inner(tree: Joined | int) -> list[Expr] | None:
    """Return the conditions of a tree of inner joins; None when there is another join in it."""
    if isinstance(tree, int):
        return []
    sides = [conditions_of_inner(tree.left), conditions_of_inner(tree.right)]
    if tree.kind is not JoinKind.INNER or any(side is None for side in sides):
        return None
    return [condition for side in sides for condition in side or ()] + list(tree.on)


def unconnected(sources: Sequence[SourceT], conditions: Iterable[Expr]) -> list[list[SourceT]]:
    """Return the sources in groups that equalities connect: rows of two groups are paired one by one."""
    group = {source.id: source.id for source in sources}
    for condition in conditions:
        if isinstance(condition, Comparison) and condition.operator == "=":
            left = {ref.source for ref in column_refs(condition.left)} & group.keys()
            right = {ref.source for ref in column_refs(condition.right)} & group.keys()
            if len(left) == 1 and len(right) == 1:
                one, other = group[left.pop()], group[right.pop()]
                group = {source: other if root == one else root for source, root in group.items()}
    return [[source for source in sources if group[source.id] == root] for root in sorted(set(group.values()))]


def map_conditions(tree: Joined, change: Callable[[Expr], Expr]) -> Joined:
    """Return a tree of joins with every condition changed."""
    left = map_conditions(tree.left, change) if isinstance(tree.left, Joined) else tree.left
    right = map_conditions(tree.right, change) if isinstance(tree.right, Joined) else tree.right
    return replace(tree, left=left, right=right, on=tuple(change(condition) for condition in tree.on))
