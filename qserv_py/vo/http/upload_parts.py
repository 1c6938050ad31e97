"""Uploads of a request: the parts of its form as files for the query."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from qserv_py.czar.jobs.uploads import upload_sources
from qserv_py.errors import UserError
from qserv_py.vo.http.parameters import Parameters


def save_uploads(parameters: Parameters, values: Sequence[str], directory: Path) -> dict[str, Path]:
    """Write the tables that UPLOAD names into files of a directory, which is made when there are any.

    Parameters
    ----------
    parameters
        The request's, with its files.
    values
        Of UPLOAD.
    directory
        Where the files go, each under its table's name.

    Raises
    ------
    UserError
        If UPLOAD is wrong, or names a part that the form does not have.
    """
    found = {}
    for name, uri in upload_sources(values).items():
        part = _part_of(name, uri)
        source = parameters.files.get(part)
        if source is None:
            raise UserError(
                f'UPLOAD "{name}" is to come as part "{part[:60]}" of the form, which is not there',
                hint="Send the form as multipart/form-data with a file of that name.",
            )
        directory.mkdir(parents=True, exist_ok=True)
        found[name] = directory / name
        source.file.seek(0)
        with open(found[name], "wb") as sink:
            shutil.copyfileobj(source.file, sink, 1 << 20)
    return found


def _part_of(name: str, uri: str) -> str:
    scheme, _, part = uri.partition(":")
    if scheme.lower() != "param":
        raise UserError(
            f'UPLOAD "{name}" is to come from "{uri[:60]}"; this service fetches nothing',
            hint=f"Send the table with the query: UPLOAD={name},param:{name}.",
        )
    return part
