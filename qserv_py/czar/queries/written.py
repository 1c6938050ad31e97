"""A query whose result is written in a format: it ends as overflow when the result has enough bytes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from qserv_py.czar.formats.known import Format
from qserv_py.czar.formats.stream import why_cut
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.queries.checked_uploads import read_uploads
from qserv_py.czar.queries.request import QueryRequest
from qserv_py.czar.queries.running import RunningQuery


class WrittenQuery:
    """One query of a service. It is planned when this is made, and runs when its result is read.

    Parameters
    ----------
    session
        Answers the query.
    query
        What it is among the running queries.
    request
        What is asked for; with a ``maxrec`` of 0 it is planned and not run.
    uploads
        Files of tables that it brings along, by name.
    most_bytes
        Bytes of the written result after which no more rows are taken.
    """

    def __init__(
        self,
        session: IdentifiedSession,
        query: RunningQuery,
        request: QueryRequest,
        *,
        most_bytes: int,
        uploads: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.request = request
        self._query = query
        self._overflow = False
        self._most_bytes = most_bytes
        self._notes: list[str] = []
        self._answer = session.answer(
            request.adql,
            query.identity,
            maxrec=request.maxrec,
            uploads=read_uploads(uploads, hold=query.hold_upload, tell=self._notes.append) if uploads else None,
            query=query,
        )

    @property
    def overflow(self) -> bool:
        """Whether rows were left out; known when all batches have been read."""
        return self._overflow or self._answer.stats.overflow

    def result(self, chosen: Format, *infos: tuple[str, str]) -> Iterator[bytes]:
        """Yield the written result; may be iterated once.

        Parameters
        ----------
        chosen
            Its format.
        *infos
            Names and values that the document says beside the rows and the query.

        Raises
        ------
        QservError
            The reason for which the query was stopped, or its own error; before the first bytes, or later.
        """
        warnings = [("WARNING", note) for note in self._notes]
        stream = self._answer.stream(("QUERY", self.request.adql), *infos, *warnings)
        ucds = self.request.ucds
        columns = [replace(column, ucd=ucds.get(column.name, column.ucd)) for column in stream.columns]
        stream = replace(stream, columns=columns, batches=self._read(), why_cut=self._why_cut)
        for piece in chosen.write(stream):
            self._query.bytes += len(piece)
            yield piece

    def _why_cut(self) -> str:
        return why_cut(is_cut=self.overflow, maxrec=self.request.maxrec)

    def _read(self) -> Generator[pa.RecordBatch, None, None]:
        with closing(self._answer.batches()) as rows:
            for batch in rows:
                if self._query.bytes >= self._most_bytes:
                    self._overflow = True
                    return
                yield batch
