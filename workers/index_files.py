"""Runs of a director index on disk: one Arrow IPC file each, uncompressed, so that it is used as a memory map.

Columns ``id`` (int64, or bytes of one width for text ids) and ``healpix29``, sorted by id, in one record batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.errors import WorkerError
from qserv_py.partitioner.director_index import DirectorIndex, IdArray, IndexRun
from qserv_py.workers.parts import HashingFile, WrittenFile, make_directories, sync_directory

ID_COLUMN = "id"


def index_path(database: str, table: str, *, name: str) -> PurePosixPath:
    """Return where an index run stands below ``ClusterConfig.czar_dir``; database and table by physical name."""
    return PurePosixPath("index") / database / table / f"{name}.arrow"


def write_index_run(path: Path, run: IndexRun, *, sync: bool = True) -> WrittenFile:
    """Write a run; file and directories are flushed to the disk when ``sync``."""
    make_directories(path.parent, sync=sync)
    batch = pa.record_batch([_id_array(run.ids), pa.array(run.cells)], names=[ID_COLUMN, HEALPIX_COLUMN])
    sink = HashingFile(path)
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    size, digest = sink.finish(sync=sync)
    if sync:
        sync_directory(path.parent)
    return WrittenFile(batch.num_rows, size, digest)


def open_index_run(path: Path) -> IndexRun:
    """Return a run whose arrays are a memory map of the file.

    Raises
    ------
    WorkerError
        If the file is missing or damaged.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batch = reader.get_batch(0)
        return IndexRun(_ids(batch.column(ID_COLUMN)), batch.column(HEALPIX_COLUMN).to_numpy())
    except (OSError, pa.ArrowException, KeyError) as error:
        raise WorkerError(f"director index run {path} cannot be read", detail=str(error)) from error


def open_director_index(directory: Path, paths: Sequence[str]) -> DirectorIndex:
    """Return the index made of some runs.

    Parameters
    ----------
    directory
        ``ClusterConfig.czar_dir``.
    paths
        Paths relative to ``directory``, as the registry has them in its parts of role INDEX.
    """
    return DirectorIndex([open_index_run(directory / path) for path in paths])


def _id_array(ids: IdArray) -> pa.Array:
    if ids.dtype.kind != "S":
        return pa.array(ids, pa.int64())
    width = ids.dtype.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))]
    )


def _ids(column: pa.Array) -> IdArray:
    if pa.types.is_int64(column.type):
        ids: IdArray = column.to_numpy()
        return ids
    width = column.type.byte_width
    return np.frombuffer(column.buffers()[1], dtype=f"S{width}", count=len(column), offset=column.offset * width)
