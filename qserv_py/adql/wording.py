"""Names for what sqlglot reads and we do not answer: its class names are no words of ADQL."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

_WORDS: dict[str, str] = {
    "Alias": "a name inside an expression",
    "All": "ALL before a sub-query",
    "Any": "ANY before a sub-query",
    "Array": "ARRAY",
    "ArrayContainsAll": '"@>"',
    "ArrayContainedBy": '"<@"',
    "ArrayOverlaps": '"&&"',
    "AtTimeZone": "AT TIME ZONE",
    "Between": "BETWEEN",
    "BitString": "a string B'...'",
    "BitwiseAnd": '"&"',
    "BitwiseLeftShift": '"<<"',
    "BitwiseNot": '"~"',
    "BitwiseOr": '"|"',
    "BitwiseRightShift": '">>"',
    "BitwiseXor": '"^"',
    "ByteString": "a string E'...'",
    "Column": "a column",
    "DPipe": '"||"',
    "Distinct": "DISTINCT",
    "Div": '"/"',
    "Dot": "a name of so many parts",
    "Escape": "ESCAPE after LIKE",
    "Filter": "FILTER after an aggregate",
    "HexString": "a string X'...'",
    "ILike": "ILIKE",
    "IgnoreNulls": "IGNORE NULLS",
    "In": "IN",
    "IntDiv": '"//"',
    "Is": "IS",
    "JSONBContains": '"?"',
    "JSONExtract": '"->"',
    "JSONExtractScalar": '"->>"',
    "Lambda": "a lambda",
    "Like": "LIKE",
    "Literal": "a literal",
    "National": "a string N'...'",
    "NullSafeEQ": "IS NOT DISTINCT FROM",
    "NullSafeNEQ": "IS DISTINCT FROM",
    "Order": "ORDER BY inside an expression",
    "Ordered": "ORDER BY inside an expression",
    "Operator": "OPERATOR",
    "Overlaps": "OVERLAPS",
    "Parameter": "a parameter",
    "Placeholder": "a parameter",
    "PropertyEQ": '":="',
    "RawString": "a string $$...$$",
    "RegexpILike": '"~*"',
    "RegexpLike": '"~"',
    "RespectNulls": "RESPECT NULLS",
    "SessionParameter": "a parameter",
    "SimilarTo": "SIMILAR TO",
    "Table": "a table",
    "TryCast": "CAST",
    "Tuple": "a list of values",
    "UnicodeString": "a string U&'...'",
    "Window": "OVER",
    "WithinGroup": "WITHIN GROUP",
    "Xor": "XOR",
}
"""By the name of sqlglot's class."""

_HINTS = {
    "RegexpLike": "Write LIKE or ILIKE.",
    "RegexpILike": "Write ILIKE.",
    "SimilarTo": "Write LIKE or ILIKE.",
    "TryCast": "Write CAST(x AS type): the query fails where a value has no such type.",
    "All": "Compare with (SELECT MAX(x) ...) or (SELECT MIN(x) ...), or write NOT EXISTS.",
    "Any": "Write IN (SELECT ...), or EXISTS with the comparison inside.",
    "Array": "Write the values one by one.",
    "AtTimeZone": "Times have no zone: leave it out.",
    "BitString": "Write the number, as 5 or as 0x05.",
    "ByteString": "Write '...', with two quotes for one inside.",
    "Dot": "Write table.column or database.table.column.",
    "Escape": "LIKE has no escape character: compare with STRPOS(x, '%') > 0 or SUBSTRING.",
    "HexString": "Write the number, as 0x1F.",
    "National": "Write '...': all texts are Unicode.",
    "RawString": "Write '...', with two quotes for one inside.",
    "UnicodeString": "Write '...' with the characters themselves.",
    "Xor": "Write (a) <> (b).",
    "Order": "Leave it out: STRING_AGG joins texts in the order of their characters.",
    "WithinGroup": "Write MEDIAN(x), or PERCENTILE(x, fraction) with a fraction from 0 to 1.",
    "Filter": "Write CASE WHEN ... THEN ... END inside the aggregate.",
    "Placeholder": "Write the value.",
    "Parameter": "Write the value.",
    "Tuple": "Compare the values one by one.",
}


def describe(node: Any) -> str:
    """Return what a node of sqlglot is called in ADQL or SQL."""
    name = type(node).__name__
    if name in _WORDS:
        return _WORDS[name]
    if isinstance(node, exp.Func):
        return str(node.sql_name())
    return "this expression"


def remedy(node: Any) -> str:
    """Return what can be written in place of a node of sqlglot; empty when nothing is known."""
    return _HINTS.get(type(node).__name__, "")


def written(node: Any) -> str:
    """Return a node of sqlglot as SQL for a message; three dots when it holds a number too long to be shown."""
    try:
        return str(node.sql("postgres"))
    except ValueError:  # Python writes no number of more than 4300 digits, which hexadecimal digits may make
        return "..."
