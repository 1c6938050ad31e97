"""What was meant by a column that is not there: one that is spelled alike, or means the same, or was not put in quotes.

Users know the same things by other names (``ra`` for ``coord_ra``). UCDs say what a column is, whatever its name, and a
director knows the columns of its position and its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from qserv_py.adql.tree import QuerySource, Source, TableSource
from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import UPLOAD_DATABASE, DirectorTable
from qserv_py.hints import close_names, is_one_slip, question

MOST = 3
"""Names in a hint."""

_MEANINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"_?(ra|raj2000|radeg|ra_?icrs|ra_?j?2000|ra_?deg|right_?ascension|alpha|lon|s_ra)", ("pos.eq.ra",)),
    (
        r"_?(de|dec|dej2000|decj2000|dedeg|decl|declination|de_?icrs|dec_?icrs|dec_?deg|delta|lat|s_dec)",
        ("pos.eq.dec",),
    ),
    (r"l|glon|gal_?lon", ("pos.galactic.lon",)),
    (r"b|glat|gal_?lat", ("pos.galactic.lat",)),
    (r"(source|obj|object|star|src|main)?_?id|name|designation|identifier", ("meta.id",)),
    (r"plx|parallax", ("pos.parallax",)),
    (r"pm_?ra(_?cosdec)?|mu_?alpha", ("pos.pm", "pos.eq.ra")),
    (r"pm_?dec?|mu_?delta", ("pos.pm", "pos.eq.dec")),
    (r"(\w?_?mag|\w?mag(nitude)?|phot_\w+_mag)", ("phot.mag",)),
    (r"(\w?_?flux)", ("phot.flux",)),
    (r"z|red_?shift|zspec|zphot", ("src.redshift",)),
    (r"rv|radial_?velocity|vrad", ("spect.dopplerVeloc",)),
    (r"mjd|jd|time|date|epoch|obs_?time|obs_?date", ("time.epoch",)),
    (r"band|filter", ("instr.bandpass",)),
)
"""Names that users give to things, and the words that the UCD of such a thing has."""

_WORDS = tuple((re.compile(names, re.IGNORECASE), words) for names, words in _MEANINGS)


def column_hint(name: str, sources: Sequence[Source], *, exact: bool, text: str, place: int | None) -> str:
    """Return what was probably meant by a column that no source has; empty when nothing is known.

    Parameters
    ----------
    name, exact
        As it was written, and whether between double quotes.
    sources
        Where it was looked for.
    text, place
        The query, and where the name stands in it.
    """
    known = [column for source in sources for column, _ in _columns(source)]
    if not exact and (unquoted := covering_name(known, text, place)):
        return quoting_hint(unquoted)
    if exact and not any(column.lower() == name.lower() for column in known):
        close = question(close_names(name, known))
        return " ".join(filter(None, (f"Text stands between single quotes: {_as_text(name)}.", close)))
    if place is not None and is_one_slip(name.upper(), "DISTINCT") and _AFTER_SELECT.search(text[:place]):
        return "Did you mean DISTINCT?"
    same = [column for source in sources for column in _same_meaning(name, source)]
    return question(list(dict.fromkeys([*same, *close_names(name, known)]))[:MOST]) or _listing(sources)


_AFTER_SELECT = re.compile(r"\bselect\s+$", re.IGNORECASE)


def _listing(sources: Sequence[Source]) -> str:
    """Return how the columns of some tables are listed; empty where one is no table that the catalogue describes."""
    tables = [source.table for source in sources if isinstance(source, TableSource)]
    if not tables or len(tables) < len(sources) or any(table.database == UPLOAD_DATABASE for table in tables):
        return ""
    if len(tables) > 1:
        return "DESCRIBE table lists the columns of a table, as TAP_SCHEMA.columns does."
    return f"DESCRIBE {written_table(tables[0])} lists its columns, as TAP_SCHEMA.columns does."


def _as_text(name: str) -> str:
    shown = name if len(name) <= 40 else f"{name[:40]}..."
    return "'" + shown.replace("'", "''") + "'"


def covering_name(known: Iterable[str], text: str, place: int | None) -> str:
    """Return the column whose name stands at a place of a query, but is no name without quotes; else nothing.

    ``B-V`` is B less V, even where there is a column "B-V".
    """
    if place is None:
        return ""
    folded = text.lower()
    for name in known:
        written = name.lower()
        if written_name(name) == name or not any(sign in name for sign in " -+*/().[],:%&|#<>="):
            continue
        start = folded.find(written, max(0, place - len(name) + 1), place + len(name))
        if 0 <= start <= place < start + len(name):
            return name
    return ""


def quoting_hint(name: str) -> str:
    """Return the hint to write a name between double quotes."""
    return f"Write the name between double quotes: {written_name(name)}."


def _same_meaning(name: str, source: Source) -> list[str]:
    """Return the columns of a source that have what a name usually stands for, those marked as the main ones first."""
    wanted = next((words for names, words in _WORDS if names.fullmatch(name)), ())
    if not wanted:
        return []
    columns = [(column, ucd.split(";")) for column, ucd in _columns(source) if "stat.error" not in ucd]
    found = [(column, parts) for column, parts in columns if all(any(p.startswith(w) for p in parts) for w in wanted)]
    plain = [column for column, parts in found if "meta.main" in parts] or [
        column for column, parts in found if len(parts) == len(wanted)
    ]
    return [*_position(source, wanted[0]), *(plain or [column for column, _ in found])]


def _position(source: Source, word: str) -> list[str]:
    """Return the column that a director has for a role, which needs no UCD."""
    table = source.table if isinstance(source, TableSource) else None
    if not isinstance(table, DirectorTable):
        return []
    roles = {"pos.eq.ra": table.ra.column, "pos.eq.dec": table.dec.column, "meta.id": table.id}
    return [roles[word]] if word in roles else []


def _columns(source: Source) -> Iterator[tuple[str, str]]:
    """Yield the columns of a source with their UCDs."""
    if isinstance(source, TableSource):
        yield from ((column.name, column.ucd) for column in source.table.columns if not column.hidden)
    elif isinstance(source, QuerySource):
        yield from ((item.name, item.about.ucd) for item in source.query.items)
