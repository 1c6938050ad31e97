"""A dataset of a Butler as the input of an ingest: its own columns, and those that say where its rows come from.

Parquet files, which is what the Butler's table formatters write, are read in place, batch by batch. Whatever else can
be converted to a table goes through the Butler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from qserv_py.catalog.dataset import NewDataset
from qserv_py.catalog.model import Table
from qserv_py.errors import ContributionError, QservError
from qserv_py.ingest.butler.repository import TABLE, Ref, Repository
from qserv_py.ingest.files.parquet import ParquetReader
from qserv_py.ingest.files.reader import ROWS_IN_BATCH, MalformedRows, RawBatch, Reader
from qserv_py.ingest.requests import InputFormat, InputOptions, format_of

NUMBER_COLUMN = "datasetNumber"
ID_COLUMN = "datasetId"

_INDEX = re.compile(r"__index_level_\d+__")
"""Name of the column in which pandas stores an index without a name; it holds row numbers and no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """A dataset whose rows are to be ingested."""

    repository: Repository
    ref: Ref
    dataset: NewDataset
    path: Path | None
    """Parquet file of the dataset; None for a dataset that only the Butler can read."""

    bytes: int
    added: Mapping[str, object]
    """Values that every row gets, by the column's name, such as ``visit``; a column of the dataset itself wins."""

    @property
    def label(self) -> str:
        """Dataset type, data id, run and id."""
        return describe(self.ref)

    @property
    def file_name(self) -> str:
        """Dataset type and id."""
        return f"{self.dataset.dataset_type}-{self.dataset.dataset_id}"

    @property
    def source(self) -> str:
        """Id and repository."""
        return f"butler {self.repository.location} {self.dataset.dataset_id}"

    @property
    def format(self) -> str:
        """Storage class of the dataset, such as ``ArrowAstropy``."""
        return str(self.ref.datasetType.storageClass_name)

    def sha256(self) -> str | None:
        """Return None: the dataset's id identifies the rows."""
        return None

    def open(self) -> Reader:
        """Open the dataset for reading.

        Raises
        ------
        ContributionError
            If it cannot be read.
        """
        inner: Reader
        try:
            inner = _ButlerReader(self.repository, self.ref) if self.path is None else ParquetReader(self.path)
        except Exception as error:  # formatters are of any library
            raise _unreadable(self.label, error) from error
        return DatasetReader(self.label, inner, self.added)


def _unreadable(label: str, error: Exception) -> ContributionError:
    text = f"{error.message}: {error.detail}" if isinstance(error, QservError) else f"{type(error).__name__}: {error}"
    return ContributionError(
        f"{label} cannot be read",
        detail=" ".join(text.split()),
        hint="butler get shows whether the Butler can read it; a pipeline can make it again in another run.",
    )


def describe(ref: Ref) -> str:
    """Return what messages call a dataset."""
    data_id = ", ".join(f"{name} {value}" for name, value in ref.dataId.required.items())
    return f'dataset "{ref.datasetType.name}" of {data_id or "no dimensions"} in run "{ref.run}" ({ref.id})'


def make_inputs(
    repository: Repository, refs: Sequence[Ref], table: Table, numbers: Sequence[int], files: ExitStack
) -> list[DatasetInput]:
    """Return the inputs of some datasets that have their files.

    Parameters
    ----------
    numbers
        Number of each dataset, which its rows carry in ``datasetNumber``.
    files
        Keeps local copies of remote files until it is closed.
    """
    return [_input(repository, ref, table, number, files) for ref, number in zip(refs, numbers, strict=True)]


def _input(repository: Repository, ref: Ref, table: Table, number: int, files: ExitStack) -> DatasetInput:
    path, size = None, 0
    try:
        locations = repository.butler.getURIs(ref)
        if locations.primaryURI is not None and _is_parquet(locations.primaryURI.basename()):
            path = Path(files.enter_context(locations.primaryURI.as_local()).ospath)
            size = path.stat().st_size
    except Exception:  # what is wrong is said when the file is opened
        path = None
    dataset = NewDataset(
        number=number,
        dataset_id=ref.id,
        dataset_type=ref.datasetType.name,
        run=ref.run,
        data_id=dict(ref.dataId.required),
    )
    added = {NUMBER_COLUMN: number, ID_COLUMN: str(ref.id), **dict(ref.dataId.mapping)}
    known = {column.name.lower() for column in table.columns}
    return DatasetInput(
        repository=repository,
        ref=ref,
        dataset=dataset,
        path=path,
        bytes=size,
        added={name: value for name, value in added.items() if name.lower() in known},
    )


def _is_parquet(name: str) -> bool:
    return Path(name).suffix in {".parq", ".parquet"} and format_of(Path(name), InputOptions()) is InputFormat.PARQUET


class DatasetReader:
    """The rows of a dataset with the columns that are added to them."""

    def __init__(self, label: str, inner: Reader, added: Mapping[str, object]) -> None:
        self._label = label
        self._inner = inner
        self._own = tuple(name for name in inner.names if not _INDEX.fullmatch(name))
        present = {name.lower() for name in self._own}
        self._added = {name: value for name, value in added.items() if name.lower() not in present}
        self.names: tuple[str, ...] = (*self._own, *self._added)
        self.total_rows: int | None = inner.total_rows
        self.types: Mapping[str, pa.DataType] = {
            **inner.types,
            **{name: pa.scalar(value).type for name, value in self._added.items()},
        }
        self.malformed = inner.malformed
        self.described = inner.described
        self.notes = inner.notes

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        # A batch without columns would not know how many rows it has.
        own = [name for name in names if name not in self._added] or list(self._own[:1])
        for batch in self._read(own):
            count = batch.rows.num_rows
            columns = [
                batch.rows.column(name) if name not in self._added else pa.repeat(self._added[name], count)
                for name in names
            ]
            yield RawBatch(batch.numbers, pa.record_batch(columns, names=list(names)), batch.rejected)

    def _read(self, names: Sequence[str]) -> Iterator[RawBatch]:
        try:
            yield from self._inner.batches(names)
        except Exception as error:  # formatters are of any library
            raise _unreadable(self._label, error) from error


class _ButlerReader:
    """A dataset that the Butler reads; one is in memory at a time."""

    def __init__(self, repository: Repository, ref: Ref) -> None:
        self._repository = repository
        self._ref = ref
        rows = self._read()
        self.names: tuple[str, ...] = tuple(rows.column_names)
        self.types: Mapping[str, pa.DataType] = {about.name: about.type for about in rows.schema}
        self.total_rows: int | None = rows.num_rows
        self.malformed = MalformedRows()
        self.described: Mapping[str, Mapping[str, str]] = {}
        self.notes: Sequence[str] = ()

    def _read(self) -> pa.Table:
        return self._repository.butler.get(self._ref, storageClass=TABLE)

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        """Give the rows."""
        next_row = 1
        for rows in self._read().select(list(names)).to_batches(max_chunksize=ROWS_IN_BATCH):
            yield RawBatch(np.arange(next_row, next_row + rows.num_rows), rows)
            next_row += rows.num_rows
