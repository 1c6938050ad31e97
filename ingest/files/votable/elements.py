"""The elements of a VOTable document as expat meets them: tables, fields, what INFOs say, cells and streams.

Elements that are not known, or stand where they mean nothing here (PARAM, GROUP, LINK, annotations of other name
spaces), are passed over. Names are compared without their prefix, as each version has its own name space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.votable.fields import ENCODED, Field, TableHead, frame_of, token

_DEEPEST = 256
_LONGEST_TAG = 1 << 23
"""Bytes of one tag or comment; expat looks at them again with every piece of the file."""

_PLAIN_ENCODINGS = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1"})


class RowSink(Protocol):
    """Takes the rows of one table."""

    def add_block(self, block: bytes) -> bool:
        """Take rows as they stand in the document, in UTF-8; False, and nothing taken, if their tags are not plain."""

    def add_rows(self, rows: list[list[str]]) -> None:
        """Take the cells of rows."""

    def add_stream(self, text: str) -> None:
        """Take some text of a STREAM."""


class Elements:
    """Feeds expat and keeps what it meets.

    Parameters
    ----------
    wanted
        Number of the table whose rows go to ``sink``; those of other tables are passed over.
    """

    def __init__(self, path: Path, *, wanted: int, sink: RowSink | None) -> None:
        self._path = path
        self._wanted = wanted
        self._sink = sink
        self.tables: list[TableHead] = []
        self.head_is_read = False
        """Whether all is known of the last table but its rows."""

        self.overflow = ""
        """What an INFO says of an answer that was cut off."""

        self.complaint = ""
        """What an INFO called Error says; services of old answer so."""

        self.in_rows = False
        """Whether a TABLEDATA is open, and expat is between two of its rows if all before were plain."""

        self.rows_are_plain = False
        """Whether tags have no prefix and the encoding is one in which they can be found as bytes."""

        self.encoding = "utf-8"
        self._stack: list[str] = []
        self._table_depth = 0
        """Elements that are open at the beginning of the TABLE, itself included; 0 outside of tables."""

        self._text: list[str] | None = None
        self._info: dict[str, str] = {}
        self._fields: list[dict[str, str]] = []
        self._frames: dict[str, str] = {}
        self._nulls: dict[str, str] = {}
        self._rows: list[list[str]] = []
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._depth = 0
        self._fed = 0
        self._parser = self._made(None)

    def know_as_utf8(self) -> None:
        """Read UTF-8 whatever name the document has for it; call it before anything is fed."""
        self._parser = self._made("utf-8")

    def _made(self, encoding: str | None) -> expat.XMLParserType:
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.buffer_size = 1 << 18
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take_text
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = lambda *_: self._refuse("a document type that declares something")
        return parser

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        """Read some bytes.

        Raises
        ------
        ContributionError
            If they are no XML, or hold what is refused.
        """
        try:
            self._parser.Parse(data, is_last)
        except expat.ExpatError as error:
            raise ContributionError(
                f"{self._path} is not well-formed XML: line {error.lineno}, column {error.offset + 1}: "
                f"{expat.ErrorString(error.code)}",
                hint="The file is damaged or was cut off.",
            ) from error
        except (LookupError, ValueError) as error:
            raise ContributionError(
                f"{self._path} is in an encoding that cannot be read", detail=str(error), hint="Write it in UTF-8."
            ) from error
        self._fed += len(data)
        if self._fed - self._parser.CurrentByteIndex > _LONGEST_TAG and not is_last:
            self._refuse(f"a tag or a comment of more than {_LONGEST_TAG} bytes")
        if self._rows and self._sink is not None:
            self._sink.add_rows(self._rows)
            self._rows = []

    def feed_rows(self, block: bytes) -> bool:
        """Read rows whose tags are plain, which expat only checks; False, and nothing read, when they are not."""
        parser = self._parser
        if self._is_wanted():
            text = block if self.encoding != "iso-8859-1" else block.decode("iso-8859-1").encode()
            assert self._sink is not None
            if not self._sink.add_block(text):
                return False
        elif b"<!" in block or b"<?" in block:
            return False
        handlers = (parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler)
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        self.feed(block)
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = handlers
        return True

    def _refuse(self, what: str) -> None:
        raise ContributionError(f"{self._path} holds {what}: line {self._parser.CurrentLineNumber}")

    def _check_depth(self, depth: int) -> None:
        if depth > _DEEPEST:
            self._refuse(f"elements that are nested more than {_DEEPEST} deep")

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = (encoding or "utf-8").lower()
        self.encoding = {"latin-1": "iso-8859-1", "utf8": "utf-8"}.get(self.encoding, self.encoding)

    def _is_wanted(self) -> bool:
        return self._sink is not None and bool(self.tables) and self.tables[-1].place == self._wanted

    # What stands outside of rows.

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local, stack = name.rpartition(":")[2], self._stack
        parent = stack[-1] if stack else ""
        stack.append(local)
        self._check_depth(len(stack))
        below_table = len(stack) - self._table_depth if self._table_depth else 0
        match parent, local:
            case "", _ if local != "VOTABLE":
                raise ContributionError(
                    f"{self._path} is XML, but no VOTable", detail=f'Its first element is "{name}".'
                )
            case "RESOURCE", "TABLE":
                self._begin_table(attributes)
            case "TABLE", "FIELD" if below_table == 1:
                self._fields.append({**attributes, "description": ""})
            case "FIELD", "VALUES" if below_table == 2:
                self._take_values(attributes)
            case "FIELD", "DESCRIPTION" if below_table == 2:
                self._text = []
            case _, "COOSYS":
                self._frames[attributes.get("ID", "")] = frame_of(attributes.get("system", ""))
            case _, "INFO":
                self._info, self._text = attributes, []
            case "TABLE", "DATA" if below_table == 1:
                self._finish_fields()
            case "DATA", _ if below_table == 2:
                self._begin_data(name, local)
            case _, "STREAM" if below_table == 3 and stack[-3] == "DATA":
                self._begin_stream(attributes)

    def _end(self, _name: str) -> None:
        local = self._stack.pop()
        if local == "INFO":
            self._finish_info()
        elif local == "DESCRIPTION" and self._text is not None and not self._info:
            self._fields[-1]["description"], self._text = token("".join(self._text)), None
        elif len(self._stack) < self._table_depth:
            self._finish_fields()
            self.head_is_read, self._table_depth = True, 0
        elif local == "STREAM":
            self._parser.CharacterDataHandler = self._take_text

    def _take_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _begin_table(self, attributes: dict[str, str]) -> None:
        rows = attributes.get("nrows", "").strip()
        self.tables.append(
            TableHead(
                place=len(self.tables) + 1,
                name=token(attributes.get("name", "")),
                id=attributes.get("ID", ""),
                ref=attributes.get("ref", ""),
                nrows=int(rows) if rows.isascii() and rows.isdigit() else None,
            )
        )
        self._fields, self.head_is_read, self._table_depth = [], False, len(self._stack)

    def _take_values(self, attributes: dict[str, str]) -> None:
        about = self._fields[-1]
        if "null" in attributes:
            about["null"] = attributes["null"]
            self._nulls[attributes.get("ID", "")] = attributes["null"]
        elif "ref" in attributes:
            about["null of"] = attributes["ref"]

    def _finish_fields(self) -> None:
        head = self.tables[-1]
        if self._fields:
            head.fields = [self._field(about) for about in self._fields]
        elif head.ref:
            head.fields = next((list(table.fields) for table in self.tables if table.id == head.ref), [])
        self._fields = []

    def _field(self, about: dict[str, str]) -> Field:
        told = {key: about.get(key, "") for key in ("unit", "ucd", "xtype", "description", "datatype")}
        told["frame"] = self._frames.get(about.get("ref", " "), "")
        return Field(
            name=token(about.get("name", "")) or token(about.get("ID", "")),
            datatype=about.get("datatype", "").strip(),
            array_size=about.get("arraysize", "").strip(),
            null=about.get("null", self._nulls.get(about.get("null of", " "))),
            described={key: text for key, text in told.items() if text},
        )

    def _finish_info(self) -> None:
        text, self._text = token("".join(self._text or ())), None
        info, self._info = self._info, {}
        name, value = info.get("name", "").strip().upper(), info.get("value", "").strip()
        if name == "QUERY_STATUS" and value.upper() == "ERROR":
            raise ContributionError(
                f"{self._path} is the answer to a query that failed",
                detail=text or "Its QUERY_STATUS is ERROR, without a reason.",
                hint="Its rows, if there are any, are not all of the answer; ask again.",
            )
        if name == "QUERY_STATUS" and value.upper() == "OVERFLOW":
            self.overflow = text or "its QUERY_STATUS is OVERFLOW"
        elif name == "ERROR" or info.get("ID", "").upper() == "ERROR":
            self.complaint = self.complaint or text or value

    # Rows.

    def _begin_data(self, name: str, local: str) -> None:
        self.tables[-1].serialization = local
        if local != "TABLEDATA":
            return
        self.head_is_read = self.in_rows = True
        self.rows_are_plain = name == local and self.encoding in _PLAIN_ENCODINGS
        self._depth = 0
        parser = self._parser
        if self._is_wanted():
            parser.StartElementHandler, parser.EndElementHandler = self._start_in_rows, self._end_in_rows
            parser.CharacterDataHandler = self._take_cell
        else:
            parser.StartElementHandler, parser.EndElementHandler = self._start_passed, self._end_passed
            parser.CharacterDataHandler = None

    def _end_rows(self, name: str) -> None:
        self.in_rows = False
        parser = self._parser
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._take_text
        self._end(name)

    def _start_in_rows(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        local = name.rpartition(":")[2]
        if self._depth == 1:
            self._row = [] if local == "TR" else None
        elif self._depth == 2:
            self._cell = [] if local == "TD" and self._row is not None else None
            if self._cell is not None and attributes.get("encoding", "none") != "none":
                self._cell.append(ENCODED)
        self._check_depth(self._depth)

    def _end_in_rows(self, name: str) -> None:
        if self._depth == 0:
            self._end_rows(name)
            return
        if self._depth == 2 and self._cell is not None and self._row is not None:
            self._row.append("".join(self._cell))
            self._cell = None
        elif self._depth == 1 and self._row is not None:
            self._rows.append(self._row)
            self._row = None
        self._depth -= 1

    def _take_cell(self, text: str) -> None:
        if self._depth == 2 and self._cell is not None:
            self._cell.append(text)

    def _start_passed(self, _name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        self._check_depth(self._depth)

    def _end_passed(self, name: str) -> None:
        if self._depth == 0:
            self._end_rows(name)
        else:
            self._depth -= 1

    def _begin_stream(self, attributes: dict[str, str]) -> None:
        head = self.tables[-1]
        head.encoding, head.href = attributes.get("encoding", "").strip(), attributes.get("href", "")
        self.head_is_read = True
        is_wanted = self._is_wanted()
        self._parser.CharacterDataHandler = self._sink.add_stream if is_wanted and self._sink is not None else None
