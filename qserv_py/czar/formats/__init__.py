"""Answers as bytes: one list of formats, and a writer for each, from Arrow batches to an iterator of bytes.

Every writer streams: it holds one block of rows, whatever the size of the answer (FITS keeps the rows in a file).
"""

from qserv_py.czar.formats.known import FORMATS, Format, find_format, format_of_file

__all__ = ["FORMATS", "Format", "find_format", "format_of_file"]
