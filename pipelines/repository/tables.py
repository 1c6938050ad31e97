"""Parquet files as datasets: checked by their schema, ingested where they are not there already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from lsst.daf.butler import Butler, DataCoordinate, DatasetIdGenEnum, DatasetRef, DatasetType, FileDataset

from qserv_py.errors import ImageFileError, RepositoryError
from qserv_py.pipelines.images.formatters import TableFormatter
from qserv_py.pipelines.repository.opening import file_uri, first_line, has_collection, register_collection


def read_schema(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file.

    Raises
    ------
    ImageFileError
        If it is none, or damaged.
    """
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise ImageFileError(f"{path} is no Parquet file: {first_line(error)}") from error


def need_columns(path: Path, needed: Mapping[str, str]) -> None:
    """Check that a Parquet file has columns of kinds: "int64", or "float" for both lengths.

    Raises
    ------
    ImageFileError
        If one is missing or of another type; names it.
    """
    schema = read_schema(path)
    for name, kind in needed.items():
        if name not in schema.names:
            raise ImageFileError(f'{path} has no column "{name}"', hint=f"It needs {', '.join(needed)}.")
        found = schema.field(name).type
        fits = pa.types.is_floating(found) if kind == "float" else str(found) == kind
        if not fits:
            raise ImageFileError(f'{path}: column "{name}" is {found}, not {kind}')


def present_ids(butler: Butler, kind: DatasetType, run: str) -> set[DataCoordinate]:
    """Return the data ids that a run has datasets of."""
    if not has_collection(butler, run):
        return set()
    found = butler.query_datasets(kind, collections=run, find_first=False, explain=False, limit=None)
    return {ref.dataId for ref in found}


def ingest_files(
    butler: Butler, kind: DatasetType, files: Iterable[tuple[Path, DataCoordinate]], *, run: str, transfer: str
) -> list[DatasetRef]:
    """Ingest files into a run in one transaction; the same file in the same run has the same dataset id anywhere.

    Raises
    ------
    RepositoryError
        If files cannot be transferred or the registry refuses; nothing is ingested then.
    """
    register_collection(butler, run)
    datasets, refs = [], []
    for path, data_id in files:
        ref = DatasetRef(kind, data_id, run=run, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN)
        formatter = TableFormatter if path.suffix == ".parquet" else None
        datasets.append(FileDataset(path=file_uri(path), refs=[ref], formatter=formatter))
        refs.append(ref)
    try:
        butler.ingest(*datasets, transfer=transfer, skip_existing=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise RepositoryError(f"{kind.name} cannot be ingested: {first_line(error)}") from error
    return refs
