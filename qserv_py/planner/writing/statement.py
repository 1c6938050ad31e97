"""One statement while it is written: the names of its sources, what it reads, what differs from chunk to chunk.

A place that differs from chunk to chunk stands in the text as a mark. What fills it can be known only when the whole
text is there (the columns that are read of a table, for one), so ``template`` makes the marks into slots at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeGuard

from qserv_py.adql.tree import ColumnRef, Source, TableSource
from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.catalog.types import DataType
from qserv_py.planner.plan.nodes import NearSource, SameCell, StageSource
from qserv_py.planner.plan.slots import (
    CellSlot,
    NearBy,
    RelationSlot,
    Slot,
    StageColumn,
    Template,
    ValuesForm,
    ValuesSlot,
)
from qserv_py.planner.writing.dialects import MARK, Engine, quoted

Marked = Slot | TableSource | StageSource | SameCell
"""What a mark stands for: a slot, or what becomes one."""


@dataclass(slots=True)
class Statement:
    """What is known of one statement; its writers add to it."""

    engine: Engine
    narrowing: frozenset[int] = frozenset()
    """Placed sources without whose rows a chunk has no rows of the answer."""

    aliases: dict[int, str] = field(default_factory=dict)
    """Quoted alias of each source, by id."""

    reads: list[str] = field(default_factory=list)
    """Earlier stages that the statement reads, as often as it reads them."""

    _marked: list[Marked] = field(default_factory=list)
    _used: dict[int, dict[str, DataType]] = field(default_factory=dict)
    """Columns read of each source, by id."""

    def column(self, ref: ColumnRef) -> str:
        """Return a column of a source, and remember that it is read."""
        if ref.type is not None:
            self._used.setdefault(ref.source, {})[ref.label] = ref.type
        return f"{self.aliases[ref.source]}.{quoted(ref.label)}"

    def mark(self, marked: Marked) -> str:
        """Return a mark for what is filled in when the statement is complete."""
        self._marked.append(marked)
        return f"{MARK}{len(self._marked) - 1}{MARK}"

    def name(self, source: Source) -> str:
        """Give a source an alias that no other source of the statement has; return it.

        An expression that is written twice, as in GROUP BY by its name, has the same text each time: so PostgreSQL
        knows it again.
        """
        if source.id in self.aliases:
            return self.aliases[source.id]
        # PostgreSQL keeps 63 bytes of a name: two long ones could become the same.
        base = source.alias.lower().encode()[:40].decode(errors="ignore")
        taken = set(self.aliases.values())
        alias = quoted(base)
        while alias in taken:
            base = f"{base}_{source.id}"
            alias = quoted(base)
        self.aliases[source.id] = alias
        return alias

    def template(self, text: str) -> Template:
        """Return the complete text with its marks replaced by slots."""
        pieces: list[str | Slot] = []
        for index, part in enumerate(text.split(MARK)):
            pieces.append(part if index % 2 == 0 else self._slot(self._marked[int(part)]))
        return Template(pieces=tuple(piece for piece in pieces if piece != ""))

    def _slot(self, marked: Marked) -> Slot:
        match marked:
            case StageSource():
                return self._values(marked)
            case TableSource():
                return self._relation(marked)
            case SameCell():
                [values] = [self._values(other) for other in self._marked if _is_source(other, marked.placed)]
                healpix = f"{self.aliases[marked.healpix.source]}.{quoted(marked.healpix.label)}"
                return CellSlot(healpix=healpix, table=marked.table, alias=self.aliases[marked.placed], values=values)
        return marked

    def _relation(self, source: TableSource) -> RelationSlot:
        used = self._used.get(source.id, {})
        near = None
        if isinstance(source, NearSource):
            near = _near_by(source)
            if source.ra:
                used = {**used, source.ra: DataType.DOUBLE, source.dec: DataType.DOUBLE}
        columns = tuple(StageColumn(label=label, type=kind) for label, kind in sorted(used.items()))
        return RelationSlot(schema=source.database.physical, table=source.table, columns=columns, near=near)

    def _values(self, source: StageSource) -> ValuesSlot:
        # Only what the statement reads is sent; a statement that reads no column still counts the rows.
        used = self._used.get(source.id, {})
        return ValuesSlot(
            stage=source.stage,
            columns=tuple(column for column in source.columns if column.label in used) or source.columns[:1],
            form=ValuesForm.RELATION,
            placing=source.placing,
            narrows=source.id in self.narrowing,
        )


def _is_source(marked: Marked, number: int) -> TypeGuard[StageSource]:
    return isinstance(marked, StageSource) and marked.id == number


def _near_by(source: NearSource) -> NearBy:
    stage = source.received
    received = None
    if stage is not None:
        form = ValuesForm.RELATION
        received = ValuesSlot(stage=stage.stage, columns=stage.columns, form=form, index=HEALPIX_COLUMN)
    return NearBy(
        ra=source.ra,
        dec=source.dec,
        radius=source.radius,
        own=source.own,
        received=received,
        region=source.region,
    )
