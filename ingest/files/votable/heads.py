"""The heads of the tables of a document: what stands before their rows, put together from elements as they come."""

from __future__ import annotations

from qserv_py.ingest.files.votable.fields import Field, Frame, TableHead, frame_of, may_be_position, token

_LONGEST_COUNT = 18
_NO_ID = " "
"""Stands for an ID that is missing; no real ID is equal to it."""


class Heads:
    """Collects tables, and what their fields refer to."""

    def __init__(self) -> None:
        self.tables: list[TableHead] = []
        self._fields: list[dict[str, str]] = []
        self._frames: list[tuple[str, Frame]] = []
        self._nulls: dict[str, str] = {}

    def begin_table(self, attributes: dict[str, str]) -> None:
        """Take a TABLE."""
        rows = attributes.get("nrows", "").strip()
        is_count = rows.isascii() and rows.isdigit() and len(rows) <= _LONGEST_COUNT
        self.tables.append(
            TableHead(
                place=len(self.tables) + 1,
                name=token(attributes.get("name", "")),
                id=attributes.get("ID", ""),
                ref=attributes.get("ref", ""),
                nrows=int(rows) if is_count else None,
            )
        )
        self._fields = []

    def add_field(self, attributes: dict[str, str]) -> None:
        """Take a FIELD of the last table."""
        self._fields.append(attributes | {"description": ""})

    def add_values(self, attributes: dict[str, str]) -> None:
        """Take a VALUES of the last FIELD; its null, or that of the VALUES it refers to."""
        about = self._fields[-1]
        if "null" in attributes:
            about["null"] = attributes["null"]
            self._nulls[attributes.get("ID", "")] = attributes["null"]
        elif "ref" in attributes:
            about["null of"] = attributes["ref"]

    def describe_field(self, text: str) -> None:
        """Take the DESCRIPTION of the last FIELD."""
        self._fields[-1]["description"] = token(text)

    def add_frame(self, attributes: dict[str, str]) -> None:
        """Take a COOSYS."""
        self._frames.append((attributes.get("ID", ""), frame_of(attributes)))

    def finish_fields(self) -> None:
        """Note that all fields of the last table have been read."""
        head = self.tables[-1]
        if self._fields:
            head.fields = [self._field(about) for about in self._fields]
        elif head.ref and not head.fields:
            head.fields = next((list(table.fields) for table in self.tables if table.id == head.ref), [])
        self._fields = []

    def _frame(self, about: dict[str, str]) -> Frame:
        """Return the frame of a FIELD: that of the COOSYS it refers to, or of the only one, if no FIELD names it."""
        found = dict(self._frames).get(about.get("ref", _NO_ID))
        if found is not None or len(self._frames) != 1:
            return found or {}
        [(name, only)] = self._frames
        is_named = name and any(other.get("ref") == name for other in self._fields)
        return {} if is_named or not may_be_position(about.get("ucd", "")) else only

    def _field(self, about: dict[str, str]) -> Field:
        told = {key: about.get(key, "") for key in ("unit", "ucd", "xtype", "description", "datatype")}
        told |= self._frame(about)
        return Field(
            name=token(about.get("name", "")) or token(about.get("ID", "")),
            datatype=about.get("datatype", "").strip(),
            array_size=about.get("arraysize", "").strip(),
            null=about.get("null", self._nulls.get(about.get("null of", _NO_ID))),
            described={key: text for key, text in told.items() if text},
        )
