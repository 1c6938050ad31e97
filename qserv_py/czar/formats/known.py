"""The formats an answer can have: their names, MIME types and suffixes, and who writes them.

The table is the only place that lists them; the command line, TAP and the Python API look in it. Writers are named,
not imported, so that looking costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING

from qserv_py.errors import UserError
from qserv_py.hints import did_you_mean

if TYPE_CHECKING:
    from qserv_py.czar.formats.stream import ResultStream

_VOTABLE = "application/x-votable+xml"
_HERE = "qserv_py.czar.formats"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of answers: its names, and the function that writes it."""

    name: str
    """Name of the format, as options and parameters take it."""

    mime: str
    """MIME type of the format, as HTTP has it."""

    aliases: tuple[str, ...]
    """Other names and MIME types that mean it, in lower case."""

    suffixes: tuple[str, ...]
    """Endings of file names, the usual one first."""

    writer: str
    """Function that writes the format: a module of this package and a name in it."""

    is_text: bool = True
    """Whether a terminal can show it."""

    tells_errors: bool = False
    """Whether a document that broke off says so itself and is complete all the same."""

    @property
    def suffix(self) -> str:
        """The usual ending of a file name; a variant has that of its format."""
        return next(known.suffixes[0] for known in FORMATS if known.name == re.split("[-/]", self.name)[0])

    def write(self, stream: ResultStream) -> Iterator[bytes]:
        """Return the bytes of an answer as they come.

        Nothing is written before the first rows are there, so an error until then is raised before the first byte.
        An error among later rows is raised where it happens; where ``tells_errors``, the document was ended before.
        Closing the iterator closes the rows.
        """
        module, function = self.writer.split(":")
        write: Callable[[ResultStream], Iterator[bytes]] = getattr(import_module(f"{_HERE}.{module}"), function)
        rows = iter(stream.batches)
        try:
            first = next(rows, None)
            batches = rows if first is None else chain([first], rows)
            for chunk in write(replace(stream, batches=batches)):
                if chunk:
                    yield chunk
        finally:
            if isinstance(rows, Generator):
                rows.close()


FORMATS = (
    Format(
        name="votable",
        mime=_VOTABLE,
        aliases=(
            "votable/b2",
            f"{_VOTABLE};serialization=binary2",
            "text/xml",
            "application/xml",
            "text/x-votable+xml",
            "binary2",
        ),
        suffixes=(".vot", ".votable", ".xml"),
        writer="votable.table:write_binary2",
        tells_errors=True,
    ),
    Format(
        name="votable/td",
        mime=f"{_VOTABLE};serialization=tabledata",
        aliases=("votabletd", "tabledata"),
        suffixes=(),
        writer="votable.table:write_tabledata",
        tells_errors=True,
    ),
    Format(
        name="votable/b",
        mime=f"{_VOTABLE};serialization=binary",
        aliases=("binary",),
        suffixes=(),
        writer="votable.table:write_binary",
        tells_errors=True,
    ),
    Format(
        name="fits",
        mime="application/fits",
        aliases=("image/fits",),
        suffixes=(".fits", ".fit"),
        writer="fits.table:write_fits",
        is_text=False,
    ),
    Format(
        name="csv",
        mime="text/csv;header=present",
        aliases=("text/csv",),
        suffixes=(".csv",),
        writer="delimited:write_csv",
    ),
    Format(
        name="csv-no-header",
        mime="text/csv;header=absent",
        aliases=(),
        suffixes=(),
        writer="delimited:write_csv_rows",
    ),
    Format(
        name="tsv",
        mime="text/tab-separated-values;header=present",
        aliases=("text/tab-separated-values", "tab"),
        suffixes=(".tsv", ".tab"),
        writer="delimited:write_tsv",
    ),
    Format(
        name="tsv-no-header",
        mime="text/tab-separated-values;header=absent",
        aliases=(),
        suffixes=(),
        writer="delimited:write_tsv_rows",
    ),
    Format(
        name="json",
        mime="application/json",
        aliases=(),
        suffixes=(".json",),
        writer="json_rows:write_json",
    ),
    Format(
        name="parquet",
        mime="application/vnd.apache.parquet",
        aliases=("application/x-parquet", "application/parquet"),
        suffixes=(".parquet", ".parq"),
        writer="columnar:write_parquet",
        is_text=False,
    ),
    Format(
        name="arrow",
        mime="application/vnd.apache.arrow.stream",
        aliases=("arrows",),
        suffixes=(".arrow", ".arrows"),
        writer="columnar:write_arrow",
        is_text=False,
    ),
    Format(
        name="html",
        mime="text/html;charset=utf-8",
        aliases=("text/html",),
        suffixes=(".html", ".htm"),
        writer="html_page:write_html",
    ),
    Format(
        name="table",
        mime="text/plain;charset=utf-8",
        aliases=("text", "text/plain"),
        suffixes=(".txt",),
        writer="plain_text:write_text",
    ),
)
"""All formats. The first one is used by services when nothing else was asked for."""

_KNOWN = {key: known for known in FORMATS for key in (known.name, known.mime, *known.aliases)}
_SUFFIXES = {suffix: known for known in FORMATS for suffix in known.suffixes}


def find_format(asked: str) -> Format:
    """Return the format that a name or a MIME type means.

    Case, blanks and parameters that say nothing about the format do not matter. A format that was asked for by another
    of its MIME types is answered under that one.

    Parameters
    ----------
    asked
        A name such as ``votable/td``, or a MIME type such as ``text/csv;header=absent``.

    Raises
    ------
    UserError
        If there is no such format.
    """
    base, *parameters = asked.lower().replace('"', "").split(";")
    base = re.sub(r"\s+xml$", "+xml", base.strip())  # a + that was not escaped in a URL arrives as a blank
    said = [f"{base};{re.sub(' ', '', parameter)}" for parameter in parameters]
    if any(key.startswith((f"{_VOTABLE};serialization=", "text/csv;header=")) and key not in _KNOWN for key in said):
        raise _unknown(asked)
    for key in (*said, base):
        if found := _KNOWN.get(key):
            is_other_type = re.match("(application|text|image)/", key) and key.split(";")[0] != found.mime.split(";")[0]
            return replace(found, mime=key) if is_other_type else found
    raise _unknown(asked)


def format_of_file(name: str) -> Format | None:
    """Return the format that the suffix of a file name means; None if it means none."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


def _unknown(asked: str) -> UserError:
    shown = asked if len(asked) <= 60 else asked[:59] + "…"
    meant = did_you_mean(asked, _KNOWN, most=1)
    names = ", ".join(known.name for known in FORMATS)
    return UserError(f'format "{shown}" is not known', hint=f"{meant} Formats: {names}.".lstrip())
