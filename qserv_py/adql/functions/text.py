"""Functions of text. Letters are folded within ASCII, positions and lengths count characters."""

from __future__ import annotations

from qserv_py.adql.functions.signature import Function, Kind, function
from qserv_py.catalog.types import DataType


def _text(name: str, parameters: str, postgres: str, duckdb: str, doc: str) -> Function:
    return function(name, parameters, DataType.TEXT, postgres, duckdb, doc)


def _flag(name: str, doc: str) -> Function:
    """Return one of the IVOA's functions of two texts that answer 1 or 0."""
    called = name.removeprefix("ivo_")
    return function(
        name,
        "text, text",
        DataType.INT,
        f"qserv.{called}({{0}}, {{1}})",
        f"qserv_{called}({{0}}, {{1}})",
        doc,
        answers_truth=True,
    )


HEX_OF_BYTES = _text("HEX", "text", "upper(encode({0}, 'hex'))", "hex({0})", "As HEX of a number.")
HEX_OF_TEXT = _text("HEX", "text", "upper(encode(convert_to({0}, 'UTF8'), 'hex'))", "hex({0})", "As HEX of a number.")

_LENGTH = "CAST(length({0}) AS INTEGER)"

TEXT = (
    _text("LOWER", "text", "lower({0})", "qserv_lower({0})", "Text with the letters A to Z in lower case."),
    _text("UPPER", "text", "upper({0})", "qserv_upper({0})", "Text with the letters a to z in upper case."),
)
"""What ADQL 2.1 demands."""

MORE_TEXT = (
    function("LENGTH", "text", DataType.INT, "length({0})", _LENGTH, "Number of characters."),
    function("CHAR_LENGTH", "text", DataType.INT, "length({0})", _LENGTH, "Number of characters, as LENGTH."),
    Function(
        name="SUBSTRING",
        parameters=(Kind.TEXT, Kind.INTEGER, Kind.INTEGER),
        optional=1,
        returns=DataType.TEXT,
        postgres=(
            "substring({0}, CAST({1} AS integer))",
            "substring({0}, CAST({1} AS integer), CAST({2} AS integer))",
        ),
        duckdb=(
            "qserv_substring_from({0}, CAST({1} AS INTEGER))",
            "qserv_substring({0}, CAST({1} AS INTEGER), CAST({2} AS INTEGER))",
        ),
        doc="The n characters from position p on, or all of them; the first has position 1.",
    ),
    _text("TRIM", "text", "btrim({0}, ' ')", "trim({0}, ' ')", "Text without spaces at its ends."),
    _text("LTRIM", "text", "ltrim({0}, ' ')", "ltrim({0}, ' ')", "Text without spaces at its beginning."),
    _text("RTRIM", "text", "rtrim({0}, ' ')", "rtrim({0}, ' ')", "Text without spaces at its end."),
    _text("LOWERCASE", "text", "lower({0})", "qserv_lower({0})", "The same as LOWER."),
    _text("UPPERCASE", "text", "upper({0})", "qserv_upper({0})", "The same as UPPER."),
    _text(
        "LEFT",
        "text, integer",
        "left({0}, CAST({1} AS integer))",
        "left({0}, {1})",
        "The first n characters; with a negative n, all but the last -n.",
    ),
    _text(
        "RIGHT",
        "text, integer",
        "right({0}, CAST({1} AS integer))",
        "right({0}, {1})",
        "The last n characters; with a negative n, all but the first -n.",
    ),
    _text(
        "TRANSLATE",
        "text, text, text",
        "translate({0}, {1}, {2})",
        "translate({0}, {1}, {2})",
        "The first text with each character of the second replaced by the one at its place in the third.",
    ),
    _text(
        "REPLACE",
        "text, text, text",
        "replace({0}, {1}, {2})",
        "replace({0}, {1}, {2})",
        "The first text with every occurrence of the second replaced by the third.",
    ),
    function(
        "STRPOS",
        "text, text",
        DataType.INT,
        "strpos({0}, {1})",
        "CAST(strpos({0}, {1}) AS INTEGER)",
        "Position of the second text in the first, 0 when it is not there.",
    ),
    Function(
        name="CONCAT",
        parameters=(Kind.TEXT, Kind.TEXT),
        repeats=True,
        returns=DataType.TEXT,
        postgres=("concat({all})",),
        duckdb=("concat({all})",),
        doc="The texts one after the other; unlike with the operator, NULL counts as empty.",
    ),
    function(
        "HEX",
        "integer",
        DataType.TEXT,
        "upper(to_hex(CAST({0} AS bigint)))",
        "hex(CAST({0} AS BIGINT))",
        "Hexadecimal digits of a whole number, a negative one as 64 bits; of a text its UTF-8, of bytes these.",
    ),
    _flag("ivo_nocasematch", "1 if the text is like the pattern (as ILIKE), else 0."),
    _flag("ivo_hasword", "1 if every word of the second text is a word of the first, whatever their case, else 0."),
    _flag("ivo_hashlist_has", "1 if the word is in the list of words that # separates, whatever the case, else 0."),
)
"""What users write beyond ADQL."""
