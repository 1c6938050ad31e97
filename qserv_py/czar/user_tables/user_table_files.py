"""Files of the tables that users keep: written whole or not at all, mapped by queries, swept when nobody has them.

A file is locked from its making until the registry has its table; so a file that is not locked and that no table has
was left by a crash.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from qserv_py.catalog.model import Column
from qserv_py.config import USER_TABLES_DIR
from qserv_py.czar.tables.czar_tables import converted_batch
from qserv_py.errors import ClusterError, InternalError, UserError
from qserv_py.registry.connection import Registry
from qserv_py.registry.user_tables import check_space, known_files
from qserv_py.workers.parts import make_directories, sync_directory

SUFFIX = ".arrow"
NEW_S = 60.0
"""Seconds for which a file without a lock is left alone: its maker may be about to lock it."""


@contextmanager
def new_file(directory: Path) -> Iterator[BinaryIO]:
    """Yield a new file, locked against the sweep until the block ends; it goes when the block fails."""
    make_directories(directory)
    path = directory / f"{secrets.token_hex(16)}{SUFFIX}"
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield opened
        except ClusterError:  # it is not known whether the registry has the table; the sweep finds out
            raise
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write_rows(
    file: BinaryIO,
    where: str,
    columns: tuple[Column, ...],
    batches: Iterable[pa.RecordBatch],
    *,
    held: int,
    most_bytes: int,
) -> int:
    """Write rows to a file and flush it to disk; return how many they are."""
    schema = pa.schema([(column.physical, pa.type_for_alias(column.datatype.names.arrow)) for column in columns])
    count = 0
    with pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(converted_batch(where, batch, columns, rows_before=count))
            count += batch.num_rows
            check_space(held, file.tell(), most_bytes=most_bytes)
    file.flush()
    os.fsync(file.fileno())
    sync_directory(Path(file.name).parent)
    return count


class MappedFiles(Mapping[str, pa.Table]):
    """The rows of tables, each mapped from its file when it is asked for."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths

    def __getitem__(self, name: str) -> pa.Table:
        path = self._paths[name]
        try:
            with pa.memory_map(str(path)) as mapped:
                return pa.ipc.open_file(mapped).read_all()
        except FileNotFoundError:
            raise UserError(f'table "{name}" was dropped or changed while the query began') from None
        except (OSError, pa.ArrowInvalid) as error:
            raise InternalError(f"the file of table {name} cannot be read", detail=f"{path}: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def sweep_files(registry: Registry, czar_dir: Path) -> tuple[str, ...]:
    """Remove files that no table has and that nobody writes any more; return their names."""
    directory = czar_dir / USER_TABLES_DIR
    found = {path.name for path in directory.glob(f"*{SUFFIX}")}
    swept = []
    for name in sorted(found - known_files(registry)) if found else ():
        with suppress(FileNotFoundError), open(directory / name, "rb") as file:
            if _is_left(file) and name not in known_files(registry):
                os.unlink(directory / name)
                swept.append(name)
    return tuple(swept)


def _is_left(file: BinaryIO) -> bool:
    """Tell whether nobody writes a file: it is not locked, and old enough for its maker to have locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return time.time() - os.fstat(file.fileno()).st_mtime > NEW_S
