"""Tables of FITS files as astropy reads them, and as our reader does, side by side."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import Reader
from qserv_py.ingest.requests import InputFormat, InputOptions

Values = dict[str, list[Any]]


def opened(path: Path, **options: Any) -> Reader:
    """Open a FITS file with our reader."""
    chosen = InputOptions(**options)
    return open_reader(path, InputFormat.FITS, chosen)


def read(path: Path, *names: str, **options: Any) -> tuple[Values, list[tuple[int, str, str]]]:
    """Return the values of the columns that can be read (or the named ones), and the rejected: row, column, reason."""
    reader = opened(path, **options)
    wanted = names or tuple(reader.types)
    values: Values = {name: [] for name in wanted}
    rejected = []
    for batch in reader.batches(wanted):
        for name in wanted:
            column = batch.rows.column(name)
            assert column.type == reader.types[name]
            column.validate(full=True)
            values[name] += column.to_pylist()
        for entry in batch.rejected:
            rejected += [(int(batch.numbers[place]), entry.column, entry.reason) for place in entry.places]
    return values, rejected


def by_astropy(path: Path, hdu: int) -> dict[str, Any]:
    """Return the columns of a table as astropy reads them; what it says of the header in warnings is passed over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, disable_image_compression=True, memmap=False) as units:
            data = units[hdu].data
            return {} if data is None else {name: data[name] for name in data.names}


def fits_bytes(
    cards: dict[str, object], data: bytes, *, table: str = "BINTABLE", primary: bytes | None = None
) -> bytes:
    """Return a FITS file of one table, written without any library.

    Parameters
    ----------
    cards
        Keywords behind the mandatory ones; of these they replace NAXIS1, NAXIS2, PCOUNT and whatever else is named.
    data
        The rows, and the heap.
    """
    filled = {"XTENSION": table, "BITPIX": 8, "NAXIS": 2, "NAXIS1": 0, "NAXIS2": 0, "PCOUNT": 0, "GCOUNT": 1} | cards
    first = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
    return (header(first) if primary is None else primary) + header(filled) + data + bytes(-len(data) % 2880)


def header(cards: dict[str, object]) -> bytes:
    """Return a header; texts are quoted, bytes stand as they are behind the equals sign."""
    images = [f"{keyword:<8}= ".encode() + _written(value) for keyword, value in cards.items()] + [b"END"]
    content = b"".join(image.ljust(80) for image in images)
    return content.ljust(len(content) + -len(content) % 2880)


def _written(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return (b"T" if value else b"F").rjust(20)
    return f"'{value:<8}'".encode() if isinstance(value, str) else str(value).rjust(20).encode()


def column(form: str, cells: list[bytes], *, heap: bytes = b"", **cards: object) -> bytes:
    """Return a FITS file of one column ``x``, of the bytes of its cells."""
    named = {keyword if keyword == "THEAP" else f"{keyword}1": value for keyword, value in cards.items()}
    sizes = {"NAXIS1": len(cells[0]), "NAXIS2": len(cells), "PCOUNT": len(heap), "TFIELDS": 1}
    return fits_bytes({**sizes, "TTYPE1": "x", "TFORM1": form, **named}, b"".join(cells) + heap)


def same(ours: list[Any], theirs: Any) -> bool:
    """Return whether values are those of astropy, where NULL of numbers is not looked at.

    A text that is NULL is an empty one to astropy.
    """
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(other, str):
            if (mine or "") != other.rstrip():
                return False
        elif mine is not None and not np.array_equal(
            np.asarray(mine), np.asarray(other).reshape(()), equal_nan=np.asarray(other).dtype.kind == "f"
        ):
            return False
    return True
