"""The elements of a VOTable document as expat meets them: tables, what INFOs say, rows and streams.

Elements that are not known, or stand where they mean nothing here (PARAM, GROUP, LINK, annotations of other name
spaces), are passed over. Names are compared without their prefix, as each version has its own name space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from qserv_py.errors import ContributionError
from qserv_py.ingest.files.votable.fields import TableHead, token
from qserv_py.ingest.files.votable.heads import Heads
from qserv_py.ingest.files.votable.tabledata import TableData

_DEEPEST = 256
_MOST_ELEMENTS = 1 << 20
"""Elements outside of rows that a document may have."""

_MOST_FIELDS = 1 << 17
"""FIELDs that all tables of a document may have together; each is kept in memory."""

_LONGEST_TAG = 1 << 23
"""Bytes of one tag or comment; expat looks at them again with every piece of the file."""

_LONGEST_ROW = 1 << 25
"""Characters of the cells of one row, which is kept until it ends."""

_PLAIN_ENCODINGS = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1"})


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
        self._heads = Heads()
        self.head_is_read = False
        """Whether everything but the rows is known of the last table that began."""

        self.overflow = ""
        """What an INFO says of an answer that was cut off."""

        self.complaint = ""
        """What an INFO or PARAM called Error says; services of old answer so."""

        self.rows_are_plain = False
        """Whether tags have no prefix and the encoding is one in which they can be found as bytes."""

        self._encoding = "utf-8"
        self._stack: list[str] = []
        self._elements = self._fields = 0
        """Number of elements so far, outside of rows."""

        self._table_depth = 0
        """Elements that are open at the beginning of the TABLE, itself included; 0 outside of tables."""

        self._text: list[str] | None = None
        self._info: dict[str, str] = {}
        self._rows: TableData | None = None
        self._fed = 0
        self._parser = self._made(None)

    @property
    def tables(self) -> list[TableHead]:
        """Tables that have begun so far."""
        return self._heads.tables

    @property
    def in_rows(self) -> bool:
        """Whether a TABLEDATA is open; expat is between two of its rows then, if all before were plain."""
        return self._rows is not None

    def know_as_utf8(self) -> None:
        """Read UTF-8 whatever name the document has for it; call it before anything is fed."""
        self._parser = self._made("utf-8")

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
        self._hand_over()

    def feed_rows(self, block: bytes) -> bool:
        """Read rows whose tags are plain, which expat only checks; False, and nothing read, when they are not."""
        parser, sink = self._parser, self._wanting_sink()
        if sink is None:
            if b"<!" in block or b"<?" in block:
                return False
        elif not sink.add_block(block.decode("iso-8859-1").encode() if self._encoding == "iso-8859-1" else block):
            return False
        handlers = (parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler)
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        self.feed(block)
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = handlers
        return True

    def _hand_over(self) -> None:
        if self._rows is not None and self._rows.rows and self._sink is not None:
            self._sink.add_rows(self._rows.rows)
            self._rows.rows = []

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

    def _refuse(self, what: str) -> None:
        raise ContributionError(f"{self._path} holds {what}: line {self._parser.CurrentLineNumber}")

    def _check_depth(self, depth: int) -> None:
        if depth > _DEEPEST:
            self._refuse(f"elements that are nested more than {_DEEPEST} deep")

    def _check_length(self, length: int) -> None:
        if length > _LONGEST_ROW:
            self._refuse(f"a row of more than {_LONGEST_ROW} characters")

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        encoding = (encoding or "utf-8").lower()
        self._encoding = {"latin-1": "iso-8859-1", "utf8": "utf-8"}.get(encoding, encoding)

    def _wanting_sink(self) -> RowSink | None:
        """Return the sink if it wants the rows of the last table."""
        return self._sink if self.tables and self.tables[-1].place == self._wanted else None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local, stack = name.rpartition(":")[2], self._stack
        parent = stack[-1] if stack else ""
        stack.append(local)
        self._check_depth(len(stack))
        self._elements += 1
        if self._elements > _MOST_ELEMENTS:
            self._refuse(f"more than {_MOST_ELEMENTS} elements beside its rows")
        below_table = len(stack) - self._table_depth if self._table_depth else 0
        match parent, local:
            case "", _ if local != "VOTABLE":
                first = f'Its first element is "{name}".'
                raise ContributionError(f"{self._path} is XML, but no VOTable", detail=first)
            case "RESOURCE", "TABLE":
                self._heads.begin_table(attributes)
                self.head_is_read, self._table_depth = False, len(stack)
            case "TABLE", "FIELD" if below_table == 1:
                self._begin_field(attributes)
            case "FIELD", "VALUES" if below_table == 2:
                self._heads.add_values(attributes)
            case "FIELD", "DESCRIPTION" if below_table == 2:
                self._text = []
            case _, "COOSYS":
                self._heads.add_frame(attributes)
            case _, "INFO":
                self._info, self._text = attributes, []
            case _, "PARAM" if attributes.get("name", "").upper() == "ERROR":
                self.complaint = self.complaint or attributes.get("value", "").strip()
            case "TABLE", "DATA" if below_table == 1:
                self._heads.finish_fields()
            case "DATA", _ if below_table == 2:
                self._begin_data(name, local)
            case _, "STREAM" if below_table == 3 and stack[-3] == "DATA":
                self._begin_stream(attributes)

    def _end(self, _name: str) -> None:
        local = self._stack.pop()
        if local == "INFO":
            self._finish_info()
        elif local == "DESCRIPTION" and self._text is not None and not self._info:
            self._heads.describe_field("".join(self._text))
            self._text = None
        elif len(self._stack) < self._table_depth:
            self._heads.finish_fields()
            self.head_is_read, self._table_depth = True, 0
        elif local == "STREAM":
            self._parser.CharacterDataHandler = self._take_text

    def _take_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

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

    def _begin_field(self, attributes: dict[str, str]) -> None:
        if self.tables[-1].serialization:
            self._refuse("a FIELD behind the rows of its TABLE")
        self._fields += 1
        if self._fields > _MOST_FIELDS:
            self._refuse(f"more than {_MOST_FIELDS} FIELDs")
        self._heads.add_field(attributes)

    def _begin_data(self, name: str, local: str) -> None:
        head = self.tables[-1]
        if head.serialization:
            self._refuse("the rows of a TABLE in two pieces")
        head.serialization = local
        if local != "TABLEDATA":
            return
        self.head_is_read = True
        self.rows_are_plain = name == local and self._encoding in _PLAIN_ENCODINGS
        self._rows = TableData(
            is_wanted=self._wanting_sink() is not None,
            check_depth=self._check_depth,
            check_length=self._check_length,
        )
        self._parser.StartElementHandler = self._rows.start
        self._parser.EndElementHandler = self._end_in_rows
        self._parser.CharacterDataHandler = self._rows.text if self._wanting_sink() is not None else None

    def _end_in_rows(self, name: str) -> None:
        if self._rows is not None and self._rows.end():
            self._hand_over()
            self._rows = None
            self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
            self._parser.CharacterDataHandler = self._take_text
            self._end(name)

    def _begin_stream(self, attributes: dict[str, str]) -> None:
        head, sink = self.tables[-1], self._wanting_sink()
        if self.head_is_read:
            self._refuse("the rows of a TABLE in two pieces")
        head.encoding, head.href = attributes.get("encoding", "").strip(), attributes.get("href", "")
        self.head_is_read = True
        self._parser.CharacterDataHandler = None if sink is None else sink.add_stream
