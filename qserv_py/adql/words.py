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

FOREIGN_SYMBOLS = {
    "%": "Write MOD(x, y); lenient mode takes x % y.",
    "&": _LENIENT,
    "&&": "Write AND; lenient mode takes &&.",
    "|": _LENIENT,
    "^": "Write POWER(x, y) for a power; lenient mode takes it for exclusive or.",
    "~": _LENIENT,
    "#": _LENIENT,
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
