"""Words of ADQL 2.1: those that it reserves, and those of SQL that it does not have, with what to write instead."""

from __future__ import annotations

import re

from qserv_py.catalog.model import Table

_REGULAR = re.compile("[A-Za-z][A-Za-z0-9_]*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SQL_RESERVED = _words(
    """
    ABSOLUTE ACTION ADD ALL ALLOCATE ALTER AND ANY ARE AS ASC ASSERTION AT AUTHORIZATION AVG BEGIN BETWEEN BIT
    BIT_LENGTH BOTH BY CASCADE CASCADED CASE CAST CATALOG CHAR CHARACTER CHARACTER_LENGTH CHAR_LENGTH CHECK CLOSE
    COALESCE COLLATE COLLATION COLUMN COMMIT CONNECT CONNECTION CONSTRAINT CONSTRAINTS CONTINUE CONVERT CORRESPONDING
    COUNT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATE DAY DEALLOCATE
    DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DELETE DESC DESCRIBE DESCRIPTOR DIAGNOSTICS DISCONNECT DISTINCT DOMAIN
    DOUBLE DROP ELSE END END-EXEC ESCAPE EXCEPT EXCEPTION EXEC EXECUTE EXISTS EXTERNAL EXTRACT FALSE FETCH FIRST FLOAT
    FOR FOREIGN FOUND FROM FULL GET GLOBAL GO GOTO GRANT GROUP HAVING HOUR IDENTITY IMMEDIATE IN INDICATOR INITIALLY
    INNER INPUT INSENSITIVE INSERT INT INTEGER INTERSECT INTERVAL INTO IS ISOLATION JOIN KEY LANGUAGE LAST LEADING
    LEFT LEVEL LIKE LOCAL LOWER MATCH MAX MIN MINUTE MODULE MONTH NAMES NATIONAL NATURAL NCHAR NEXT NO NOT NULL NULLIF
    NUMERIC OCTET_LENGTH OF ON ONLY OPEN OPTION OR ORDER OUTER OUTPUT OVERLAPS PAD PARTIAL POSITION PRECISION PREPARE
    PRESERVE PRIMARY PRIOR PRIVILEGES PROCEDURE PUBLIC READ REAL REFERENCES RELATIVE RESTRICT REVOKE RIGHT ROLLBACK
    ROWS SCHEMA SCROLL SECOND SECTION SELECT SESSION SESSION_USER SET SIZE SMALLINT SOME SPACE SQL SQLCODE SQLERROR
    SQLSTATE SUBSTRING SUM SYSTEM_USER TABLE TEMPORARY THEN TIME TIMESTAMP TIMEZONE_HOUR TIMEZONE_MINUTE TO TRAILING
    TRANSACTION TRANSLATE TRANSLATION TRIM TRUE UNION UNIQUE UNKNOWN UPDATE UPPER USAGE USER USING VALUE VALUES
    VARCHAR VARYING VIEW WHEN WHENEVER WHERE WITH WORK WRITE YEAR ZONE
    """
)
"""The reserved words of SQL-92, all of which ADQL reserves. Hyphens cannot stand in a name, so END-EXEC is harmless."""

ADQL_RESERVED = _words(
    """
    ABS ACOS ASIN ATAN ATAN2 CEILING COS COT DEGREES EXP FLOOR LOG LOG10 MOD PI POWER RADIANS RAND ROUND SIN SQRT TAN
    TRUNCATE
    AREA BOX CENTROID CIRCLE CONTAINS COORD1 COORD2 COORDSYS DISTANCE INTERSECTS POINT POLYGON REGION
    BIGINT ILIKE IN_UNIT OFFSET TOP
    """
)
"""What ADQL reserves beyond SQL-92."""

RESERVED = SQL_RESERVED | ADQL_RESERVED
"""Words that are no names unless they stand between double quotes."""

NO_NAMES = _words(
    """
    ALL AND ANY AS ASC BETWEEN BY CASE CAST COLLATE CROSS DESC DISTINCT ELSE END EXCEPT EXISTS FALSE FROM FULL GROUP
    HAVING ILIKE IN INNER INTERSECT INTO IS JOIN LATERAL LEFT LIKE NATURAL NOT NULL ON OR ORDER OUTER RIGHT SELECT SOME
    THEN TRUE UNION USING WHEN WHERE WITH
    """
) | {"GROUP BY", "ORDER BY", "PARTITION BY"}
"""Words that lenient mode takes for names only after a dot, after AS, or between double quotes."""


def written_name(name: str) -> str:
    """Return a name as a query must write it: between double quotes where it is no regular name or is reserved."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def written_table(table: Table) -> str:
    """Return a table's name with its database, as a query must write it."""
    return f"{written_name(table.database)}.{written_name(table.name)}"


UDF_PREFIXES = ("GAIA_", "GAVO_", "IVO_", "QSERV_", "SCISQL_")
"""How the names of functions begin that ADQL leaves to services; those without a prefix are extensions."""

_LENIENT = "Lenient mode takes it."

FOREIGN_WORDS = {
    "ANY": "",
    "ARRAY": "",
    "CASE": _LENIENT,
    "COLLATE": "",
    "CROSS": "Write a comma between the tables; lenient mode takes CROSS JOIN.",
    "CURRENT_DATE": "",
    "CURRENT_TIME": "",
    "CURRENT_TIMESTAMP": "",
    "DATE": "Compare a TIMESTAMP column with text: t > '2026-01-31'.",
    "DIV": _LENIENT,
    "ESCAPE": "",
    "EXTRACT": "",
    "FALSE": "A logical column is compared with 0 or 1; lenient mode takes TRUE and FALSE.",
    "FETCH": "Write TOP n after SELECT.",
    "FILTER": "",
    "FOR": "",
    "GLOB": "Write LIKE.",
    "INTERVAL": "",
    "INTO": "",
    "LATERAL": "",
    "LIMIT": "Write TOP n after SELECT; lenient mode takes LIMIT n.",
    "NULLS": "NULL counts as the largest value.",
    "OVER": "Lenient mode takes window functions as far as they are answered.",
    "OVERLAPS": "",
    "QUALIFY": "",
    "RECURSIVE": "",
    "REGEXP": "Write LIKE.",
    "RLIKE": "Write LIKE.",
    "ROLLUP": "",
    "SIMILAR": "Write LIKE.",
    "SOME": "",
    "TABLESAMPLE": "",
    "TIMESTAMP": "Compare a TIMESTAMP column with text: t > '2026-01-31'.",
    "TRUE": "A logical column is compared with 0 or 1; lenient mode takes TRUE and FALSE.",
    "UNNEST": "",
    "VALUES": "",
    "WINDOW": "",
}
"""Words of SQL that ADQL 2.1 does not have, and what to do about it."""

DEGREES = "Write ivo_hms_to_degrees('00:24:00') for hours, ivo_dms_to_degrees('-72:00:00') for degrees, as texts."
"""What to write in place of hours, minutes and seconds, or degrees, minutes and seconds."""

_TIMES = "Times compare with texts: t >= '2026-01-01'; ivo_to_mjd(t) makes a number of days of one."
_AS_TEXT = "CAST(x AS VARCHAR) makes a text of a time or a number; times compare with texts: t >= '2026-01-01'."
_AS_TIME = "A text beside a time is one: t >= '2026-01-01'; CAST(x AS TIMESTAMP) makes one of a column."
_NOW = "Write the time as text: '2026-01-31T12:00:00'."
_JOINED_TEXTS = "Write STRING_AGG(x, ','), of a number STRING_AGG(CAST(x AS VARCHAR), ',')."
_PERCENTILES = "Write MEDIAN(x), or PERCENTILE(x, fraction) with a fraction from 0 to 1."

FOREIGN_FUNCTIONS = {
    **dict.fromkeys(("IFNULL", "NVL"), "Write COALESCE(x, y)."),
    "ISNULL": "Write x IS NULL, or COALESCE(x, y).",
    **dict.fromkeys(("IF", "IIF"), "Write CASE WHEN condition THEN x ELSE y END."),
    **dict.fromkeys(("ISNAN", "IS_NAN"), "NaN is NULL here, where it was not kept on purpose: write x IS NULL."),
    "LOG2": "Write LOG(x) / LOG(2).",
    **dict.fromkeys(("SQUARE", "SQR"), "Write x * x, or POWER(x, 2)."),
    **dict.fromkeys(("YEAR", "MONTH", "DAY", "HOUR", "DATE", "DATE_PART", "DATE_TRUNC", "DATEDIFF"), _TIMES),
    **dict.fromkeys(("DATE_FORMAT", "TO_CHAR", "STRFTIME"), _AS_TEXT),
    **dict.fromkeys(("TO_DATE", "TO_TIMESTAMP", "STR_TO_DATE"), _AS_TIME),
    **dict.fromkeys(("NOW", "GETDATE", "SYSDATE"), _NOW),
    **dict.fromkeys(("GROUP_CONCAT", "LISTAGG"), _JOINED_TEXTS),
    **dict.fromkeys(("PERCENTILE_CONT", "PERCENTILE_DISC", "QUANTILE", "APPROX_PERCENTILE"), _PERCENTILES),
    **dict.fromkeys(("INSTR", "CHARINDEX", "LOCATE"), "Write STRPOS(text, part)."),
    "SCISQL_DNTOABMAG": "Write -2.5 * LOG10(dn / fluxMag0).",
}
"""Functions of other systems, and what to write instead."""

FOREIGN_SYMBOLS = {
    "%": "Write MOD(x, y); lenient mode takes x % y.",
    "&": _LENIENT,
    "&&": "Write AND; lenient mode takes &&.",
    "|": _LENIENT,
    "^": "Write POWER(x, y) for a power; lenient mode takes it for exclusive or.",
    "~": _LENIENT,
    "#": _LENIENT,
    "**": "Write POWER(x, y) for a power.",
    "==": "Write =.",
    "<=>": "Write a = b OR (a IS NULL AND b IS NULL); lenient mode takes it.",
    "<<": _LENIENT,
    ">>": _LENIENT,
    "=>": "Write >=.",
    "=<": "Write <=.",
    "::": "Write CAST(x AS type).",
    ":": "",
    ":=": "",
    "?": "Write the value.",
    "@": "",
    "$": "",
    "[": "",
    "]": "",
    "{": "",
    "}": "",
    "`": 'Write names between double quotes: "name"; lenient mode takes backticks.',
    "\\": "",
    "!": "",
    ";": "Leave it out; lenient mode takes one at the end.",
    "/*": "Comments begin with --; lenient mode takes /* */.",
}
"""Symbols of SQL dialects that ADQL 2.1 does not have, and what to write instead."""

_QUOTES = "Text stands between plain single quotes, 'x', and a name between plain double quotes, \"x\"."

PLAIN_SIGNS = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\uff07", _QUOTES),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u2039\u203a\uff02", _QUOTES),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\uff0d", "Write a plain minus: -"),
    **dict.fromkeys("\u00d7\u00b7\u22c5\u2217", "Write *."),
    **dict.fromkeys("\u00f7\u2215", "Write /."),
    "\u2264": "Write <=.",
    "\u2265": "Write >=.",
    "\u2260": "Write <>.",
    "\uff1d": "Write =.",
    "\uff0c": "Write a plain comma: ,",
    "\u2026": "Write what the dots stand for.",
    "\ufeff": "It is a byte order mark, which nobody sees: delete it.",
    "\u200b": "Nobody sees it: delete it.",
}
"""Signs that text processors and web pages put in place of those of a keyboard, and what to write instead."""
