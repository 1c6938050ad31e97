"""Which sources of a block read rows of other chunks, and where those rows come from: the overlap, or an exchange."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qserv_py.adql import tree, walks
from qserv_py.adql.tree import ColumnRef, Expr, Select, Source, TableSource
from qserv_py.catalog.model import DirectorTable
from qserv_py.planner.blocks import neighbours
from qserv_py.planner.blocks.exchange import Exchange, plan_exchange
from qserv_py.planner.blocks.joins import unconnected
from qserv_py.planner.blocks.neighbours import Link
from qserv_py.planner.blocks.parts import is_about_any
from qserv_py.planner.plan.nodes import NearSource, StageSource
from qserv_py.planner.sky.chunks import Pruning
from qserv_py.planner.sky.keys import Keys, are_joined, director_of, equal_keys, keys_of_table

_READ_ROW = 1e-9
"""What it costs that an anchor's row is read; 1 is a row that is sent to other chunks."""

_MANY_TIMES = 100
"""How many times more rows one side must have than the other to be taken for the side that stays, without a look."""

_LEAVES_CHUNK = 1e15
"""What it costs that the rows of a group, or of a correlated sub-query, do not stand in the chunk of the anchor."""


@dataclass(frozen=True, eq=False)
class Near:
    """A source that reads rows of other chunks."""

    link: Link
    place: TableSource
    """The source whose position tells where the rows are looked for."""

    exchange: Exchange | None
    """How the rows of other chunks come; None when the overlap holds them."""

    conditions: tuple[Expr, ...] = ()
    """Conditions of its join; those on this source alone let fewer rows be sent."""

    def source(self, received: StageSource | None) -> NearSource:
        """Return the source as the chunk queries read it."""
        near, pair = self.link.near, self.link.pair
        return NearSource(
            id=near.id,
            alias=near.alias,
            database=near.database,
            table=near.table,
            radius=self.link.radius,
            ra=pair.second.ra if pair is not None else "",
            dec=pair.second.dec if pair is not None else "",
            place=self.place.id,
            own=self.exchange is None or self.exchange.same_chunks,
            received=received,
        )

    def conditions_of_its_own(self) -> list[Expr]:
        """Return the conditions that concern this source and nothing else."""
        return [condition for condition in self.conditions if is_about_any(condition, {self.link.near.id})]


def plan_near(
    select: Select, partitioned: Sequence[Source], keys: Mapping[int, Keys], pruning: Pruning
) -> tuple[Select, dict[int, Near]]:
    """Return a block with the conditions that pair neighbours, and its near sources by id; none if it needs none."""
    if select.joined is None and are_joined(partitioned, keys, select.where):
        return select, {}
    choice = _Choice(select, partitioned, keys, pruning, _sources_to_keep(select, keys))
    if select.joined is not None:
        outer = neighbours.plan_outer(select.joined, partitioned, keys, pruning.catalog, choice.cost)
        if outer is None:
            return select, {}
        near = {one: choice.near(link, outer.own[one]) for one, link in outer.near.items()}
        return replace(select, joined=outer.joined), near
    inner = neighbours.plan_inner(partitioned, select.where, keys, pruning.catalog, choice.cost)
    if inner is None:
        return select, {}
    near = {one: choice.near(link, select.where) for one, link in inner.near.items()}
    return replace(select, where=(*select.where, *inner.conditions)), near


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the links of a block cost."""

    select: Select
    sources: Sequence[Source]
    keys: Mapping[int, Keys]
    pruning: Pruning
    kept: frozenset[int]
    """Sources that had better not be near ones."""

    _exchanges: dict[tuple[int, int], Exchange] = field(default_factory=dict)

    def cost(self, link: Link) -> float | None:
        """Return the rows that are sent, and a little for each row that the anchors read; None for too many pairs."""
        place = self._place_of(link)
        rows = self.pruning.rows_of(place, self.select)
        read = _READ_ROW * rows + (_LEAVES_CHUNK if link.near.id in self.kept else 0)
        if is_in_overlap(link, place):
            return read
        if link.pair is not None and (most := self.pruning.rows_of(link.near, self.select)) * _MANY_TIMES < rows:
            # Few rows around many: no more than all of them are sent, and to look closer would take long.
            return 1 + most + read
        exchange = self._exchange(link, place)
        return None if exchange.is_too_large else 1 + exchange.rows + read

    def near(self, link: Link, conditions: tuple[Expr, ...]) -> Near:
        """Return the near source of a link."""
        place = self._place_of(link)
        return Near(link, place, None if is_in_overlap(link, place) else self._exchange(link, place), conditions)

    def _exchange(self, link: Link, place: TableSource) -> Exchange:
        key = (link.anchor, link.near.id)
        if key not in self._exchanges:
            self._exchanges[key] = plan_exchange(link, place, self.select, self.pruning)
        return self._exchanges[key]

    def _place_of(self, link: Link) -> TableSource:
        """Return the source that tells the place of an anchor's rows: itself, or the director that its key names."""
        tables = {source.id: source for source in self.sources if isinstance(source, TableSource)}
        anchor = tables[link.anchor]
        conditions = walks.all_conditions(self.select)
        for source in tables.values():
            if isinstance(source.table, DirectorTable) and are_joined([anchor, source], self.keys, conditions):
                return source
        return anchor


def _sources_to_keep(select: Select, keys: Mapping[int, Keys]) -> frozenset[int]:
    """Return the sources whose rows had better come from their own chunk: groups, joins, sub-queries hang on them."""
    grouped = list(select.group_by)
    grouped += [key for part in walks.parts(select) if isinstance(part, tree.Window) for key in part.partition_by]
    asked = Counter(ref.source for query in walks.inner_queries(select) for ref in walks.free_refs(query))
    found = {ref.source for ref in grouped if isinstance(ref, ColumnRef) and director_of(ref, keys) is not None}
    joins = walks.join_conditions(select.joined) if select.joined is not None else ()
    found |= {one for condition in joins for one in equal_keys(condition, keys) or ()}
    if not found and asked:
        found = {asked.most_common(1)[0][0]}
    return frozenset(found)


def plan_correlated(
    query: Select, around: Select, anchors: Sequence[Source], keys: Mapping[int, Keys], pruning: Pruning
) -> dict[int, Near] | None:
    """Return the near sources of a correlated sub-query; None when a chunk does not hold all that it asks for.

    Parameters
    ----------
    query
        The sub-query; its sources are tables.
    around
        The block around it.
    anchors
        Partitioned sources of the blocks around it that read their chunk's own rows.
    keys
        Key columns of the anchors.
    """
    tables = [source for source in query.sources if isinstance(source, TableSource) and source.table.is_partitioned]
    all_keys = {**keys, **{source.id: keys_of_table(source) for source in tables}}
    ties = [condition for condition in query.where if equal_keys(condition, all_keys) is not None]
    ids = {source.id for source in anchors}
    near: dict[int, Near] = {}
    for group in unconnected([*anchors, *tables], ties):
        if any(source.id in ids for source in group):
            continue
        choice = _Choice(around, anchors, keys, pruning, frozenset())
        conditions = neighbours.with_implied_radius(query.where, around)
        links = neighbours.links_of([*anchors, *group], conditions, pruning.catalog)
        way = neighbours.cheapest(group, [link for link in links if link.anchor in ids], choice.cost)
        if way is None:
            return None
        near |= {link.near.id: choice.near(link, query.where) for link in way[1]}
    return near


def is_in_overlap(link: Link, place: TableSource) -> bool:
    """Whether the overlap holds all rows of other chunks that a link needs.

    It holds those of the same database only: what another database of the family had before a chunk was added is not
    beside that chunk.
    """
    family = link.near.database.family
    if not isinstance(link.near.table, DirectorTable):
        return False
    return place.database.name == link.near.database.name and link.radius * 3600 <= family.overlap_arcsec
