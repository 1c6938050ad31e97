"""A file that is there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from qserv_py.errors import ConfigError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to; it has its name when the block has ended, and is gone when the block failed.

    What is no ordinary file, such as /dev/stdout or a pipe, is written to as it is.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    try:
        target = path.resolve()
        is_device = target.exists() and not target.is_file()
        # The name is cut so that the longest one that the file system allows still has room for the rest.
        temporary = target if is_device else target.with_name(f".{target.name[:50]}.{secrets.token_hex(6)}")
        file = open(temporary, "wb" if is_device else "xb")  # noqa: SIM115  # closed below, other errors are not ours
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            yield file
        if not is_device:
            os.replace(temporary, target)
    except OSError as error:
        if error.errno in _DISK:
            raise _unwritable(path, error) from error
        raise
    finally:
        if not is_device:
            temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} cannot be written: {error.strerror}")
