"""A query within bounds: it ends as overflow when its result has enough bytes.

Where it was cancelled, the reason is what the user is told: PostgreSQL and DuckDB only say that a statement was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from qserv_py.cancelling import Cancel
from qserv_py.czar.formats.known import Format
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.jobs.request import QueryRequest
from qserv_py.czar.jobs.uploads import read_uploads
from qserv_py.errors import QueryCancelledError
from qserv_py.executor.runner import Progress


class BoundedQuery:
    """One query of a service.

    Parameters
    ----------
    session
        Answers the query.
    request
        The query; with a ``maxrec`` of 0 it is planned and not run.
    identity
        Who asks.
    uploads
        Files of tables that it brings along, by name.
    most_bytes
        Bytes of the written result after which no more rows are taken.
    cancel
        Says when the query is to end.
    """

    def __init__(
        self,
        session: IdentifiedSession,
        request: QueryRequest,
        *,
        identity: Identity,
        most_bytes: int,
        cancel: Cancel,
        uploads: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self.request = request
        self.written = 0
        """Bytes of the result so far."""

        self._overflow = request.maxrec == 0
        self._most_bytes = most_bytes
        self._cancel = cancel
        self._stages: dict[str, Progress] = {}
        self._notes: list[str] = []
        self._answer = session.answer(
            request.adql,
            identity,
            maxrec=request.maxrec,
            on_progress=self._note,
            uploads=read_uploads(uploads, tell=self._notes.append) if uploads else None,
            cancel=cancel,
        )

    @property
    def overflow(self) -> bool:
        """Whether rows were left out; known when all batches have been read."""
        return self._overflow or self._answer.stats.overflow

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self._answer.stats.rows

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunk queries that are done, and in all."""
        done = sum(progress.chunks_done for progress in list(self._stages.values()))
        return done, max(done, self._answer.stats.chunks)

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
        stream = replace(stream, columns=columns, batches=self._read(), is_cut=lambda: self.overflow)
        for piece in chosen.write(stream):
            self.written += len(piece)
            yield piece

    def _read(self) -> Generator[pa.RecordBatch, None, None]:
        if self.request.maxrec == 0:
            return
        try:
            with closing(self._answer.batches()) as rows:
                for batch in rows:
                    if self.written >= self._most_bytes:
                        self._overflow = True
                        return
                    yield batch
        except QueryCancelledError as error:
            raise self._cancel.reason if self._cancel.is_cancelled else error from error

    def _note(self, progress: Progress) -> None:
        self._stages[progress.stage] = progress
