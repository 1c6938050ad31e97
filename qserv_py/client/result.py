"""The answer of a query in Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.czar.session import Answer, QueryStats
from qserv_py.czar.writers import write_parquet
from qserv_py.errors import UserError

if TYPE_CHECKING:
    from astropy.table import Table


class Result:
    """Rows of a query. They are read once as a stream (``batches``), or kept by ``to_arrow`` and the others."""

    def __init__(self, answer: Answer) -> None:
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
        """Return all rows as a pandas data frame (pandas must be installed)."""
        return self.to_arrow().to_pandas()

    def to_astropy(self) -> Table:
        """Return all rows as an astropy table with units and descriptions; NULLs are masked."""
        from qserv_py.client.astropy_table import astropy_table

        return astropy_table(self.to_arrow(), self.columns)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the rows to a Parquet file."""
        with open(path, "wb") as sink:
            write_parquet(self.schema, self.batches(), sink)

    def cancel(self) -> None:
        """Stop the query; may be called from any thread."""
        self._answer.cancel()

    def __len__(self) -> int:
        return int(self.to_arrow().num_rows)

    def __repr__(self) -> str:
        return f"<qserv_py.Result of {len(self.columns)} columns: {', '.join(column.name for column in self.columns)}>"
