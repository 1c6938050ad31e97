"""The elements inside of TABLEDATA as expat meets them: cells to rows, or nothing of a table that is not wanted."""

from __future__ import annotations

from collections.abc import Callable

from qserv_py.ingest.files.votable.fields import ENCODED


class TableData:
    """Takes the elements of one TABLEDATA.

    Parameters
    ----------
    is_wanted
        Whether rows are kept.
    check_depth
        Called with the number of elements that are open inside of TABLEDATA.
    check_length
        Called with the characters of a row.
    """

    def __init__(
        self, *, is_wanted: bool, check_depth: Callable[[int], None], check_length: Callable[[int], None]
    ) -> None:
        self.rows: list[list[str]] = []
        self._is_wanted = is_wanted
        self._check_depth = check_depth
        self._check_length = check_length
        self._length = 0
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        self._depth += 1
        self._check_depth(self._depth)
        if not self._is_wanted or self._depth > 2:
            if self._cell is not None:
                self._cell.insert(0, ENCODED)  # an element inside of a cell holds a part of the value
            return
        local = name.rpartition(":")[2]
        if self._depth == 1:
            self._row = [] if local == "TR" else None
            self._length = 0
            return
        self._cell = [] if local == "TD" and self._row is not None else None
        if self._cell is not None and attributes.get("encoding", "none") != "none":
            self._cell.append(ENCODED)

    def end(self) -> bool:
        """Take the end of an element; return whether it is that of TABLEDATA."""
        if self._depth == 0:
            return True
        if self._depth == 2 and self._cell is not None and self._row is not None:
            self._row.append("".join(self._cell))
            self._cell = None
        elif self._depth == 1 and self._row is not None:
            self.rows.append(self._row)
            self._row = None
        self._depth -= 1
        return False

    def text(self, text: str) -> None:
        """Take characters; those of elements inside of a cell are not its own."""
        if self._depth == 2 and self._cell is not None:
            self._cell.append(text)
            self._length += len(text)
            self._check_length(self._length)
