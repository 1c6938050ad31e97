"""The columns of the made-up catalogues, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from support.random_queries.drawing import Text

Inside = Callable[[str, str], str]
"""Gives the condition that a position, two columns of the plain server, lies in an area."""

Area = Callable[[Inside], str]
"""Gives what an area says of a table."""


@dataclass(frozen=True)
class Columns:
    """Columns that an expression may use."""

    numbers: tuple[Text, ...]
    integers: tuple[Text, ...]
    texts: tuple[Text, ...]
    booleans: tuple[Text, ...]
    unique: Text
    position: tuple[Text, Text] | None
    has_unique: bool = True
    """Whether ``unique`` tells every row from every other; not after an outer join."""

    areas: tuple[Area, ...] = ()
    """What Qserv's areas say of the tables, for the plain server."""


def same(*names: str) -> tuple[Text, ...]:
    """Return columns that both languages name alike."""
    return tuple(Text(name, folded(name), name.split(".")[-1]) for name in names)


def folded(name: str) -> str:
    """Return the name of a column of a plain table."""
    return ".".join(f'"{part.lower()}"' for part in name.split("."))


def object_columns(prefix: str = "") -> Columns:
    """Return the columns of Object."""
    p = prefix
    return Columns(
        numbers=same(f"{p}gFlux", f"{p}rFlux", f"{p}n", f"{p}k", f"{p}coord_dec"),
        integers=same(f"{p}n", f"{p}k", f"{p}objectId"),
        texts=same(f"{p}label"),
        booleans=same(f"{p}isPrimary"),
        unique=same(f"{p}objectId")[0],
        position=(same(f"{p}coord_ra")[0], same(f"{p}coord_dec")[0]),
    )


def source_columns(prefix: str = "") -> Columns:
    """Return the columns of Source."""
    p = prefix
    return Columns(
        numbers=same(f"{p}flux", f"{p}visit"),
        integers=same(f"{p}visit", f"{p}sourceId", f"{p}objectId"),
        texts=same(f"{p}band"),
        booleans=(),
        unique=same(f"{p}sourceId")[0],
        position=None,
    )


def truth_columns(prefix: str = "") -> Columns:
    """Return the columns of Truth."""
    p = prefix
    return Columns(
        numbers=same(f"{p}mag", f"{p}t_dec"),
        integers=same(f"{p}truthId"),
        texts=same(f"{p}kind"),
        booleans=(),
        unique=same(f"{p}truthId")[0],
        position=(same(f"{p}t_ra")[0], same(f"{p}t_dec")[0]),
    )


def detection_columns(prefix: str = "") -> Columns:
    """Return the columns of Detection, whose ids are those of objects and repeat."""
    p = prefix
    return Columns(
        numbers=same(f"{p}mag", f"{p}d_dec"),
        integers=same(f"{p}detId", f"{p}number"),
        texts=same(f"{p}kind"),
        booleans=(),
        unique=same(f"{p}number")[0],
        position=(same(f"{p}d_ra")[0], same(f"{p}d_dec")[0]),
    )


def upload_columns(prefix: str = "") -> Columns:
    """Return the columns of an upload."""
    p = prefix
    return Columns(
        numbers=same(f"{p}w", f"{p}u_dec"),
        integers=same(f"{p}uid", f"{p}target"),
        texts=same(f"{p}tag"),
        booleans=(),
        unique=same(f"{p}uid")[0],
        position=None,
        has_unique=False,
    )


def both(first: Columns, second: Columns) -> Columns:
    """Return the columns of a join; rows are told apart by the second's key."""
    return Columns(
        numbers=first.numbers + second.numbers,
        integers=first.integers + second.integers,
        texts=first.texts + second.texts,
        booleans=first.booleans + second.booleans,
        unique=second.unique,
        position=first.position,
    )
