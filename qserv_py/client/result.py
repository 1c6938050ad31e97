"""The answer of a query in Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.counts import counted
from qserv_py.czar.formats import find_format
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.queries.running import QueryStats
from qserv_py.errors import ConfigError, UserError
from qserv_py.whole_file import whole_file

if TYPE_CHECKING:
    from astropy.table import Table


class ReadableAnswer(Protocol):
    """What a result needs of an answer, wherever its rows come from."""

    @property
    def text(self) -> str:
        """The query."""

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """The columns."""

    @property
    def schema(self) -> pa.Schema:
        """Their Arrow types."""

    @property
    def stats(self) -> QueryStats:
        """Figures, complete when the rows have been read."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, once."""

    def stream(self, *infos: tuple[str, str]) -> ResultStream:
        """Return the rows for a writer."""

    def cancel(self) -> None:
        """Stop the query."""


class Result:
    """Rows of a query. They are read once as a stream (``batches``), or kept by ``to_arrow`` and the others."""

    def __init__(self, answer: ReadableAnswer) -> None:
        self._answer = answer
        self._table: pa.Table | None = None
        self._streamed = False

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """Name, type, unit, UCD and description of each column."""
        return self._answer.columns

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema; units and UCDs stand in the fields' metadata."""
        return self._answer.schema

    @property
    def stats(self) -> QueryStats:
        """Chunks, rows and seconds; complete when the rows have been read."""
        return self._answer.stats

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow batches, with bounded memory.

        Raises
        ------
        UserError
            If the rows have been streamed before.
        """
        if self._table is not None:
            yield from self._table.to_batches()
            return
        if self._streamed:
            raise UserError("the rows of this result have been read", hint="Run the query again, or use to_arrow().")
        self._streamed = True
        yield from self._answer.batches()

    def to_arrow(self) -> pa.Table:
        """Return all rows as an Arrow table."""
        if self._table is None:
            self._table = pa.Table.from_batches(list(self.batches()), schema=self.schema)
        return self._table

    def to_pandas(self) -> Any:
        """Return all rows as a pandas data frame.

        Whole numbers and booleans are of pandas's nullable types, so NULL is ``<NA>`` and 64-bit ids stay whole. Pandas
        takes NaN for NULL.

        Raises
        ------
        ConfigError
            If pandas is not installed.
        """
        pandas = optional("pandas")
        nullable = {
            pa.bool_(): pandas.BooleanDtype(),
            pa.int16(): pandas.Int16Dtype(),
            pa.int32(): pandas.Int32Dtype(),
            pa.int64(): pandas.Int64Dtype(),
            pa.float32(): pandas.Float32Dtype(),
            pa.float64(): pandas.Float64Dtype(),
            pa.string(): pandas.StringDtype(),
        }
        return self.to_arrow().to_pandas(types_mapper=nullable.get)

    def to_polars(self) -> Any:
        """Return all rows as a polars data frame, without a copy where polars can.

        Raises
        ------
        ConfigError
            If polars is not installed.
        """
        return optional("polars").from_arrow(self.to_arrow())

    def to_astropy(self) -> Table:
        """Return all rows as an astropy table with units and descriptions; NULLs are masked."""
        from qserv_py.client.astropy_table import astropy_table

        return astropy_table(self.to_arrow(), self.columns)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the rows to a Parquet file with units, UCDs and descriptions (VOParquet); needs little memory.

        The file has its name when it is whole; it is not there when the query fails.
        """
        stream = replace(self._answer.stream(("QUERY", self._answer.text)), batches=self.batches())
        with whole_file(Path(path)) as file:
            for chunk in find_format("parquet").write(stream):
                file.write(chunk)

    def cancel(self) -> None:
        """Stop the query; may be called from any thread."""
        self._answer.cancel()

    def __len__(self) -> int:
        return int(self.to_arrow().num_rows)

    def __repr__(self) -> str:
        names = ", ".join(column.name for column in self.columns)
        return f"<qserv_py.Result of {counted(len(self.columns), 'column')}: {names}>"


def optional(name: str) -> Any:
    """Import a package that qserv_py does without."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name} is not installed", hint=f"pip install {name}") from error
