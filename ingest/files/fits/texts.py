"""Texts of FITS columns: where they end, which are NULL, and in which encoding they are written.

A text ends before the first zero byte, and blanks before that are part of it: STIL and fitsio write it so, and fitsio
reads it so. Where there is no zero byte, blanks at the end of a column of one width only fill it, as many programs do:
they do not count, and blanks alone are an empty text. One that begins with a zero byte is the null string of the
standard: NULL. On the heap nothing is filled, so blanks count, and a text of no bytes is empty. The standard allows
printable ASCII; other characters are read in the encoding that the options name.

References
----------
FITS Standard 4.0, section 7.3.3.1 ("Character").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.errors import UserError
from qserv_py.ingest.values.converted import ConvertedColumn, Misfits, numpy_mask

Array = npt.NDArray[Any]

_ASCII = bytes(range(32, 127))


class TextDecoder:
    """Decodes the texts of FITS columns.

    Parameters
    ----------
    encoding
        Name that Python has for the encoding.

    Raises
    ------
    UserError
        If Python does not know it.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        try:
            self._keeps_ascii = _ASCII.decode(encoding) == _ASCII.decode("ascii")
        except LookupError as error:
            raise UserError(
                f'"{encoding}" is no encoding', hint="For example --encoding latin-1, or utf-8, which is the default."
            ) from error
        except UnicodeError:
            self._keeps_ascii = False

    def fixed(self, cells: Array) -> ConvertedColumn:
        """Return texts of one width.

        Parameters
        ----------
        cells
            Bytes side by side, shape (n, width).
        """
        count, width = cells.shape
        offsets = np.arange(count + 1, dtype=np.int64) * width
        return self.decode(offsets, cells.reshape(-1), is_filled=True)

    def decode(self, offsets: Array, data: Array, *, is_filled: bool = False) -> ConvertedColumn:
        """Return texts of any lengths.

        Parameters
        ----------
        offsets
            Where each text begins in ``data``, and at last where they end, shape (n + 1,); below 2^31.
        is_filled
            Whether blanks at the end of a text that no zero byte ends do not count.
        """
        count = len(offsets) - 1
        # Not yet valid text for Arrow: these functions look at single bytes.
        raw = pa.Array.from_buffers(
            pa.string(), count, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
        )
        ended = pc.ascii_rtrim(raw, characters="\0")
        trimmed = (
            pc.if_else(pc.ends_with(raw, "\0"), ended, pc.ascii_rtrim(ended, characters=" ")) if is_filled else ended
        )
        absent = np.zeros(count, dtype=np.bool_)
        filled = np.flatnonzero(offsets[1:] > offsets[:-1])
        absent[filled] = data[offsets[filled]] == 0
        odd = numpy_mask(pc.match_substring(trimmed, "\0"))
        if self._keeps_ascii:
            odd |= ~numpy_mask(pc.string_is_ascii(trimmed))
        else:
            odd[:] = True
        return self._mended(trimmed, absent, np.flatnonzero(odd & ~absent))

    def _mended(self, trimmed: pa.Array, absent: Array, odd: Array) -> ConvertedColumn:
        """Return the texts, those at the places ``odd`` decoded one by one."""
        bad = np.zeros(len(trimmed), dtype=np.bool_)
        mended: list[str | None] = []
        for place, content in zip(odd, trimmed.take(pa.array(odd)).cast(pa.binary()).to_pylist(), strict=True):
            try:
                mended.append(content.split(b"\0", 1)[0].decode(self._encoding))
            except UnicodeError:
                bad[place] = True
                mended.append(None)
        if len(odd):
            where = np.zeros(len(trimmed), dtype=np.bool_)
            where[odd] = True
            trimmed = pc.replace_with_mask(trimmed, pa.array(where), pa.array(mended, pa.string()))
        if absent.any():
            trimmed = pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), trimmed)
        reason = f"a text that is not {self._encoding}; --encoding latin-1 reads any"
        return ConvertedColumn(trimmed, (Misfits(bad, reason),) if bad.any() else ())
