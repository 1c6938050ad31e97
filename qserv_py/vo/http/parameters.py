"""Reading the parameters of a request: from the query string and from a form, by upper-case name.

Everything is bounded before it is parsed: bytes, number of fields, time. Whatever cannot be read is one UserError.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from qserv_py.errors import TooLargeError, UserError

MOST_FIELDS = 200
BODY_S = 60.0
"""Seconds in which a body without files must have come."""

UPLOAD_S = 900.0
"""Seconds in which a body with files must have come."""

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_LISTS = {"UPLOAD", "PHASE"}
"""Names of parameters that may be given several times."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request."""

    values: dict[str, list[str]]
    """Values of each parameter, by its upper-case name, in the order in which they came."""

    files: dict[str, UploadFile] = field(default_factory=dict)
    """Parts of a multipart form that are files, by their name as it was written."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        return self.values.get(name, [default])[0]

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return self.values.get(name, [])

    def close(self) -> None:
        """Remove the files."""
        for file in self.files.values():
            file.file.close()

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def without(self, *names: str) -> dict[str, str | list[str]]:
        """Return the parameters of a job: all but some, each with its first value; UPLOAD keeps all."""
        return {
            name: values if name in _LISTS else values[0] for name, values in self.values.items() if name not in names
        }


_LESS = "Send smaller tables, or fewer of them."
_JOIN = "Upload a long list of values as a table and join it."


async def read_parameters(request: Request, *, most_bytes: int, upload_bytes: int = 0) -> Parameters:
    """Return the parameters of a request.

    Parameters
    ----------
    request
        The request.
    most_bytes
        Bytes of the body, and of a field, without files.
    upload_bytes
        Bytes that uploaded files may have besides.

    Raises
    ------
    TooLargeError
        If the body is larger than it may be.
    UserError
        If the parameters cannot be read.
    """
    pairs = _pairs(request.scope["query_string"])
    files: dict[str, UploadFile] = {}
    if request.method in {"POST", "PUT"}:
        posted, files = await _posted(request, most_bytes, upload_bytes)
        pairs = [*posted, *pairs]
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in name or "\x00" in value:
            raise UserError("a parameter contains a NUL character")
        values.setdefault(name.upper(), []).append(value)
    return Parameters(values, files)


async def _posted(
    request: Request, most_bytes: int, upload_bytes: int
) -> tuple[list[tuple[str, str]], dict[str, UploadFile]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most_field, longest_s, hint = most_bytes, BODY_S, _JOIN
    if kind == _MULTIPART and upload_bytes:
        most_bytes, longest_s, hint = most_bytes + upload_bytes, UPLOAD_S, _LESS
    async with _coming(request, most_bytes, longest_s, hint):
        if kind == _MULTIPART:
            return await _multipart(request, most_bytes, most_field, hint)
        body = b"".join([chunk async for chunk in bounded_body(request, most_bytes)])
    if kind == _FORM or not body:
        return _pairs(body), {}
    raise UserError(f'a body of type "{kind[:80]}" is not understood', hint=f"Post {_FORM} or {_MULTIPART}.")


@asynccontextmanager
async def _coming(request: Request, most_bytes: int, longest_s: float, hint: str) -> AsyncIterator[None]:
    """Read a body within the block; errors for one that announces too many bytes, comes too late or breaks off."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes, hint)
    try:
        async with asyncio.timeout(longest_s):
            yield
    except TimeoutError:
        raise UserError(f"the request did not come within {longest_s:.0f} s") from None
    except ClientDisconnect:
        raise UserError("the client left before it had sent its request") from None


async def save_body(request: Request, path: Path, *, most_bytes: int) -> None:
    """Write the body of a request into a file.

    Raises
    ------
    TooLargeError
        If the body has more than ``most_bytes``.
    UserError
        If it does not come in time, or breaks off.
    """
    with open(path, "wb") as file:
        async with _coming(request, most_bytes, UPLOAD_S, _LESS):
            async for chunk in bounded_body(request, most_bytes, _LESS):
                await run_in_threadpool(file.write, chunk)


async def bounded_body(request: Request, most_bytes: int, hint: str = _JOIN) -> AsyncGenerator[bytes, None]:
    """Yield the body; TooLargeError as soon as it has too many bytes."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes, hint)
        yield chunk


async def _multipart(
    request: Request, most_bytes: int, most_field: int, hint: str
) -> tuple[list[tuple[str, str]], dict[str, UploadFile]]:
    parser = _WholeMultipart(
        request.headers,
        bounded_body(request, most_bytes, hint),
        max_files=MOST_FIELDS,
        max_fields=MOST_FIELDS,
        max_part_size=most_field,
    )
    try:
        form = await parser.parse()
        if not parser.ended:
            raise UserError("the multipart form ends in the middle", hint="Its last boundary is missing.")
    except (MultiPartException, FormParserError) as error:
        reason = error.message if isinstance(error, MultiPartException) else str(error)
        raise UserError(f"the multipart form cannot be read: {reason.rstrip('.')}") from error
    pairs, files = [], {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = value
        else:
            pairs.append((name, value))
    return pairs, files


class _WholeMultipart(MultiPartParser):
    """A parser that notes whether the last boundary came, so that a form that was cut off is refused."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            encoded.decode(),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            encoding="utf-8",
            errors="strict",
        )
    except UnicodeError:
        raise UserError("a parameter is not UTF-8") from None
    except ValueError:
        raise UserError(f"the request has more than {MOST_FIELDS} parameters") from None


def _too_large(most_bytes: int, hint: str) -> TooLargeError:
    return TooLargeError(f"the request has more than {most_bytes} bytes", hint=hint)
