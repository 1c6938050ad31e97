"""Strict mode: every production of ADQL 2.1 is taken, and what it leaves out is refused where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qserv_py import errors
from qserv_py.adql.parse import Mode, parse
from qserv_py.adql.strict.check import SERVICE_FUNCTIONS, check_strict
from qserv_py.adql.words import ADQL_RESERVED, FOREIGN_WORDS, RESERVED, SQL_RESERVED

UDFS = {"IVO_HEALPIX_INDEX", "GAVO_MATCH", "IVO_HASWORD"}

VALID = """
SELECT * FROM stars
select * from STARS
SELECT ra FROM stars
SELECT ra, dec FROM stars
SELECT ALL ra FROM stars
SELECT DISTINCT ra FROM stars
SELECT TOP 10 ra FROM stars
SELECT TOP 0 ra FROM stars
SELECT DISTINCT TOP 10 ra, dec FROM stars
SELECT ALL TOP 3 * FROM stars
SELECT stars.* FROM stars
SELECT s.*, p.ra FROM stars s, planets p
SELECT survey.stars.*, ra FROM survey.stars
SELECT archive.survey.stars.* FROM archive.survey.stars
SELECT ra AS alpha, dec delta FROM stars
SELECT ra "right ascension", dec AS "say ""dec"" now" FROM stars
SELECT s.ra, survey.stars.dec, archive.survey.stars.mag FROM stars
SELECT limit, window, filter, rank, row FROM stars
SELECT regexp, xor, uncache FROM stars
SELECT "select", "2mass", "_hidden", "é" FROM "Größe"
SELECT a1_b2, A_ FROM x9
SELECT ra FROM stars -- the end
SELECT ra -- "a comment', */
FROM stars --- another
SELECT 1, 12.3, .5, 5., 1E10, 1.5e-3, .5E+2, 5.e1 FROM stars
SELECT 89 x, 1.5 y FROM stars WHERE a=1AND b=2.5OR c=3 ORDER BY 2desc
SELECT 'it goes' -- and here
'on' FROM stars
SELECT POINT(NULL, 1, 2), CIRCLE(NULL, pos, 3) FROM stars
SELECT 'text', '', 'it''s', '-- no comment', 'a;b' FROM stars
SELECT NULL FROM stars
SELECT -ra, +ra, - ra FROM stars
SELECT ra + dec - 1 * 2 / 3 FROM stars
SELECT ra * -1, ra - -1, 2 + +ra FROM stars
SELECT (ra + 1) * (dec), ((ra)) FROM stars
SELECT name || 'x' || LOWER(name) FROM stars
SELECT (name || 'x') || UPPER('a' || name) FROM stars
SELECT ABS(a), CEILING(a), DEGREES(a), EXP(a), FLOOR(a), LOG(a), LOG10(a) FROM stars
SELECT MOD(a, 2), PI(), POWER(a, 2), RADIANS(a), SQRT(a) FROM stars
SELECT RAND(), RAND(42), ROUND(a), ROUND(a, 2), ROUND(a, -2), ROUND(a, +1) FROM stars
SELECT TRUNCATE(a), TRUNCATE(a, 3), TRUNCATE(a, -3) FROM stars
SELECT ACOS(a), ASIN(a), ATAN(a), ATAN2(a, b), COS(a), COT(a), SIN(a), TAN(a) FROM stars
SELECT abs(Sin(a)) FROM stars
SELECT COUNT(*), COUNT(a), COUNT(DISTINCT a), COUNT(ALL a) FROM stars
SELECT AVG(a), MAX(a), MIN(DISTINCT name), SUM(a * 2) FROM stars
SELECT MAX(a) - MIN(a), SQRT(AVG(a)) FROM stars
SELECT CAST(a AS SMALLINT), CAST(a AS INTEGER), CAST(a AS BIGINT) FROM stars
SELECT CAST(a AS REAL), CAST(a AS DOUBLE PRECISION) FROM stars
SELECT CAST(a AS CHAR), CAST(a AS CHAR(3)), CAST(a AS VARCHAR), CAST(a AS VARCHAR(12)) FROM stars
SELECT CAST('2026-01-31T00:00:00' AS TIMESTAMP) FROM stars
SELECT CAST(a AS POINT), CAST(a AS CIRCLE), CAST(a AS POLYGON) FROM stars
SELECT CAST(NULL AS INTEGER), COALESCE(NULL, a, 0), COALESCE(a) FROM stars
SELECT IN_UNIT(a, 'arcsec'), IN_UNIT(a * 2, 'km.s**-1') FROM stars
SELECT ivo_healpix_index(10, ra, dec), GAVO_match('x', name), ivo_hasword() FROM stars
SELECT ivo_hasword(NULL, name || 'x', POINT(1, 2)) + 1 FROM stars
SELECT POINT(1, 2), POINT(ra, dec), POINT('ICRS', ra + 1, -dec) FROM stars
SELECT CIRCLE(1, 2, 3), CIRCLE('ICRS', ra, dec, r), CIRCLE(POINT(1, 2), 3), CIRCLE('ICRS', pos, 0.1) FROM stars
SELECT CIRCLE(CENTROID(shape), 3), CIRCLE(ivo_hasword(), 3) FROM stars
SELECT BOX(1, 2, 3, 4), BOX('', 1, 2, 3, 4), BOX(POINT(1, 2), 3, 4), BOX(pos, 3, 4) FROM stars
SELECT POLYGON(1, 2, 3, 4, 5, 6), POLYGON('ICRS', 1, 2, 3, 4, 5, 6, 7, 8) FROM stars
SELECT POLYGON(POINT(1, 2), POINT(3, 4), POINT(5, 6)), POLYGON(p, q, r), POLYGON(p, q, r, s) FROM stars
SELECT POLYGON(p, q, POINT(1, 2), CENTROID(c)) FROM stars
SELECT REGION('Circle ICRS 1 2 3') FROM stars
SELECT AREA(CIRCLE(1, 2, 3)), AREA(shape), CENTROID(shape), CENTROID(BOX(1, 2, 3, 4)) FROM stars
SELECT COORD1(pos), COORD2(POINT(1, 2)), COORD1(CENTROID(shape)), COORDSYS(pos) || '' FROM stars
SELECT DISTANCE(POINT(1, 2), POINT(ra, dec)), DISTANCE(pos, pos2), DISTANCE(1, 2, ra, dec) FROM stars
SELECT DISTANCE(CENTROID(shape), pos) FROM stars
SELECT ra FROM stars WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(1, 2, 3))
SELECT ra FROM stars WHERE CONTAINS(pos, shape) = 0 OR INTERSECTS(shape, REGION('x')) != 1
SELECT ra FROM stars WHERE DISTANCE(pos, POINT(1, 2)) < 0.1 AND mag < 20
SELECT ra FROM stars WHERE a = 1 AND b != 2 AND c <> 3 AND d < 4 AND e > 5 AND f <= 6 AND g >= 7
SELECT ra FROM stars WHERE a=1 OR b=2 AND NOT c=3
SELECT ra FROM stars WHERE (a = 1 OR b = 2) AND NOT (c = 3 OR (d = 4))
SELECT ra FROM stars WHERE a + 1 = b * 2 AND 1 < 2 AND name = NULL AND pos = POINT(1, 2)
SELECT ra FROM stars WHERE a BETWEEN 1 AND 2 AND b NOT BETWEEN c - 1 AND c + 1 OR name BETWEEN 'a' AND 'b'
SELECT ra FROM stars WHERE a IN (1) AND b NOT IN (1, 2 + 3, c) AND name IN ('a', 'b')
SELECT ra FROM stars WHERE a IN (SELECT b FROM planets) AND c NOT IN (SELECT DISTINCT TOP 3 d FROM planets)
SELECT ra FROM stars WHERE a IN ((SELECT b FROM planets)) AND c IN ((SELECT b FROM p) UNION SELECT c FROM q)
SELECT ra FROM stars WHERE a IN ((1), (2))
SELECT ra FROM stars WHERE name LIKE 'a%' AND name NOT LIKE '_b' AND name ILIKE LOWER(pattern) AND n NOT ILIKE 'x' || y
SELECT ra FROM stars WHERE a IS NULL AND s.b IS NOT NULL AND NOT "c" IS NULL
SELECT ra FROM stars WHERE EXISTS (SELECT * FROM planets) AND NOT EXISTS (SELECT 1 FROM p WHERE p.id = stars.id)
SELECT a, COUNT(*) FROM stars GROUP BY a
SELECT a + 1, s.b FROM stars s GROUP BY a + 1, s.b, FLOOR(c) HAVING COUNT(*) > 3 AND AVG(d) < 2
SELECT COUNT(*) FROM stars HAVING COUNT(*) > 3
SELECT ra FROM stars WHERE a = 1 GROUP BY ra HAVING MAX(b) > 2 ORDER BY ra OFFSET 5
SELECT ra FROM stars ORDER BY ra, s.dec DESC, 2 ASC, ABS(a), a + b DESC
SELECT ra FROM stars OFFSET 10
SELECT TOP 5 ra FROM stars ORDER BY 1 OFFSET 10
SELECT s.ra FROM stars s, planets AS p, survey.moons, archive.survey.comets c
SELECT ra FROM stars JOIN planets ON stars.id = planets.star
SELECT ra FROM stars s INNER JOIN planets p ON s.id = p.star AND p.mass > 1 OR s.a = 2
SELECT ra FROM stars LEFT JOIN planets USING (id)
SELECT ra FROM stars LEFT OUTER JOIN planets USING (id, "Kind")
SELECT ra FROM stars RIGHT JOIN a ON 1 = 1 RIGHT OUTER JOIN b ON 2 = 2 FULL JOIN c ON 3 = 3 FULL OUTER JOIN d USING (x)
SELECT ra FROM stars NATURAL JOIN planets
SELECT ra FROM stars JOIN planets
SELECT ra FROM stars LEFT JOIN planets WHERE a = 1
SELECT ra FROM stars INNER JOIN (a JOIN b) FULL OUTER JOIN c JOIN d ON 1 = 1
SELECT ra FROM a JOIN b NATURAL JOIN c ON a.x = b.x
SELECT ra FROM a WHERE EXISTS ((SELECT b FROM c) OFFSET 1) AND NOT EXISTS (((SELECT b FROM c) ORDER BY b) OFFSET 2)
SELECT AREA('x'), CONTAINS('x', 3), CENTROID(COUNT(*)), POINT('ICRS', ra, 'x') FROM stars
SELECT a FROM stars GROUP -- of
BY a ORDER -- by
BY a
SELECT ra FROM stars NATURAL INNER JOIN a NATURAL LEFT JOIN b NATURAL RIGHT OUTER JOIN c NATURAL FULL OUTER JOIN d
SELECT ra FROM a JOIN b JOIN c ON b.x = c.x ON a.x = b.x
SELECT ra FROM a JOIN (b JOIN c ON b.x = c.x) ON a.x = b.x
SELECT ra FROM (a JOIN b USING (x)) JOIN c USING (x), d
SELECT ra FROM ((a JOIN b USING (x)) LEFT JOIN c USING (x))
SELECT ra FROM ((a NATURAL JOIN b))
SELECT ra FROM (a NATURAL JOIN b) AS ab
SELECT ra FROM (SELECT * FROM stars) AS t
SELECT ra FROM (SELECT TOP 5 * FROM stars ORDER BY ra OFFSET 2) t JOIN (SELECT id FROM p) u ON t.id = u.id
SELECT ra FROM ((SELECT ra FROM stars)) t
SELECT ra FROM ((SELECT ra FROM a) UNION (SELECT ra FROM b) ORDER BY 1) t
SELECT ra FROM ((SELECT ra FROM a) ORDER BY ra OFFSET 3) t
SELECT ra FROM ((SELECT ra FROM a) t JOIN b ON t.ra = b.ra)
SELECT ra FROM a UNION SELECT ra FROM b
SELECT ra FROM a UNION ALL SELECT ra FROM b EXCEPT SELECT ra FROM c EXCEPT ALL SELECT ra FROM d
SELECT ra FROM a INTERSECT SELECT ra FROM b INTERSECT ALL SELECT ra FROM c ORDER BY ra DESC OFFSET 1
(SELECT ra FROM a)
(SELECT ra FROM a ORDER BY ra OFFSET 2) UNION (SELECT ra FROM b EXCEPT SELECT ra FROM c) ORDER BY 1
((SELECT ra FROM a) INTERSECT (SELECT ra FROM b))
WITH near AS (SELECT * FROM stars WHERE parallax > 10) SELECT * FROM near
WITH a AS (SELECT 1 FROM x), "b" AS (SELECT * FROM a UNION SELECT * FROM y ORDER BY 1) SELECT * FROM a, "b" ORDER BY 1
WITH a AS ((SELECT ra FROM x) OFFSET 3) (SELECT ra FROM a) UNION SELECT ra FROM y
""".strip("\n")
"""One query a line, but for those that a comment breaks: a line that does not begin a query goes on with the last."""

MARK = "¦"
INVALID = """
¦ => the query is empty
¦FROM stars => expected SELECT, found "FROM"
SELECT ¦FROM stars => the select list is empty
SELECT ra¦ => FROM is missing
SELECT ra ¦WHERE a = 1 => FROM is missing
SELECT ra FROM¦ => expected a table, found the end
SELECT ra FROM stars WHERE¦ => expected an expression, found the end
SELECT ra FROM ¦WHERE a = 1 => expected a table, found "WHERE"
SELECT ra, ¦FROM stars => expected an expression, found "FROM"
SELECT ¦, ra FROM stars => expected an expression, found ","
SELECT ra FROM stars, ¦WHERE a = 1 => expected a table, found "WHERE"
SELECT ra FROM stars¦; => ";" is not ADQL 2.1
SELECT ra FROM a¦; SELECT ra FROM b => one query was expected, found several
¦DROP TABLE stars => DROP statements are not answered, only SELECT
SELECT TOP 5 ¦DISTINCT ra FROM stars => DISTINCT stands before TOP
SELECT TOP ¦-5 ra FROM stars => TOP needs a whole number, found "-"
SELECT TOP ¦5.5 ra FROM stars => TOP needs a whole number, found "5.5"
SELECT TOP ¦(5) ra FROM stars => TOP needs a whole number, found "("
SELECT TOP ¦ra FROM stars => TOP needs a whole number, found "ra"
SELECT DISTINCT ¦ON (ra) ra FROM stars => expected an expression, found "ON"
SELECT *¦, ra FROM stars => "*" stands alone in a select list
SELECT ra, ¦* FROM stars => "*" stands alone in a select list
SELECT * ¦AS x FROM stars => expected "," or FROM, found "AS"
SELECT a b ¦c FROM stars => expected "," or FROM, found "c"
SELECT 'a' ¦'b' FROM stars => expected "," or FROM, found 'b'
SELECT ¦ra = 1 FROM stars => a condition is not a value
SELECT ¦_ra FROM stars => a name begins with a letter, found an underscore
SELECT ¦1e FROM stars => a number is followed by "e"
SELECT ¦1.5e+ FROM stars => a number is followed by "e"
SELECT ¦1_000 FROM stars => a number is followed by "_"
SELECT ¦2é FROM stars => a number is followed by "é"
SELECT COALESCE(NULL¦ => expected ")", found the end
SELECT ¦COALESCE(NULL, NULL) FROM stars => COALESCE has the wrong arguments
SELECT ¦é FROM stars => character 'é' stands outside of quotes
SELECT ra¦$ FROM stars => "$" is not ADQL 2.1
SELECT ¦"" FROM stars => a delimited name is empty
SELECT ¦'open FROM stars => a quoted string, a delimited name or a comment does not end
SELECT ¦size FROM stars => "size" is a reserved word, it is no name
SELECT s.¦year FROM stars s => "year" is a reserved word, it is no name
SELECT ra AS ¦count FROM stars => "count" is a reserved word, it is no name
SELECT ra AS ¦Distance FROM stars => "Distance" is a reserved word, it is no name
SELECT ra FROM ¦public.stars => "public" is a reserved word, it is no name
SELECT ra FROM stars AS ¦zone => "zone" is a reserved word, it is no name
SELECT ra FROM stars ¦LIMIT 10 => LIMIT is not ADQL 2.1
SELECT ra FROM stars WHERE a = 1 ¦LIMIT 10 => LIMIT is not ADQL 2.1
SELECT ra FROM stars ORDER BY ra ¦LIMIT 5 => LIMIT is not ADQL 2.1
SELECT ra FROM stars ¦FETCH FIRST 5 ROWS ONLY => FETCH is not ADQL 2.1
SELECT ra FROM stars OFFSET ¦10.5 => OFFSET needs a whole number, found "10.5"
SELECT ra FROM stars OFFSET ¦-10 => OFFSET needs a whole number, found "-"
SELECT ra FROM stars OFFSET ¦banana => OFFSET needs a whole number, found "banana"
SELECT ra FROM stars OFFSET 5 ¦ORDER BY ra => OFFSET stands at the end of a query
SELECT ra FROM stars OFFSET 5 ¦ROWS => expected the end of the query, found "ROWS"
SELECT ra FROM stars ¦CROSS JOIN planets => CROSS is not ADQL 2.1
SELECT ra FROM a NATURAL JOIN b ¦ON a.x = b.x => ON belongs to no JOIN, or to a NATURAL one
SELECT ra FROM stars ¦ON a = 1 => ON belongs to no JOIN, or to a NATURAL one
SELECT ra FROM a JOIN b JOIN c USING (x) USING (x) ¦USING (x) => USING belongs to no JOIN, or to a NATURAL one
SELECT ra FROM (a JOIN b) ¦ON a.x = b.x => ON belongs to no JOIN, or to a NATURAL one
SELECT ra FROM a LEFT ¦b ON a.x = b.x => expected JOIN, found "b"
SELECT ra FROM a JOIN b ON ¦a.x => ON needs a condition, found a value
SELECT ra FROM a JOIN b USING ¦x => expected "(", found "x"
SELECT ra FROM a JOIN b USING (a¦.x) => expected ")", found "."
SELECT ra FROM a JOIN b USING (¦) => expected a column's name, found ")"
SELECT ra FROM ¦(a) => a parenthesis in FROM holds a join or a sub-query
SELECT ra FROM (a¦, b) => tables in parentheses are joined with JOIN, not with a comma
SELECT ra FROM (SELECT ra FROM stars)¦ => a sub-query in FROM needs a name
SELECT ra FROM (SELECT ra FROM stars) ¦WHERE a = 1 => a sub-query in FROM needs a name
SELECT ra FROM ¦((SELECT ra FROM stars) t) => a parenthesis in FROM holds a join or a sub-query
SELECT ra FROM ¦a.b.c.d => a table's name has 4 parts, the most is 3: catalog.schema.table
SELECT ¦a.b.c.d.e FROM stars => a column's name has 5 parts, the most is 4: catalog.schema.table.column
SELECT ra FROM stars AS s¦(a, b) => names for columns in a table's alias are not ADQL 2.1
SELECT ra FROM ¦ivo_hasword(1) => a function cannot stand in FROM
SELECT ra FROM stars ¦TABLESAMPLE (10) => TABLESAMPLE is not ADQL 2.1
SELECT ra FROM stars ¦WINDOW w AS (ORDER BY a) => WINDOW is not ADQL 2.1
SELECT ra FROM ¦LATERAL (SELECT 1 FROM b) t => a function cannot stand in FROM
SELECT ra FROM stars ¦FOR UPDATE => FOR is not ADQL 2.1
SELECT ra ¦INTO x FROM stars => INTO is not ADQL 2.1
SELECT ¦CASE WHEN a = 1 THEN 2 END FROM stars => CASE is not ADQL 2.1
SELECT ra¦::integer FROM stars => "::" is not ADQL 2.1
SELECT ra ¦% 2 FROM stars => "%" is not ADQL 2.1
SELECT ra ¦^ 2 FROM stars => "^" is not ADQL 2.1
SELECT ra ¦& 2 FROM stars => "&" is not ADQL 2.1
SELECT ra ¦| 2 FROM stars => "|" is not ADQL 2.1
SELECT ¦~ra FROM stars => "~" is not ADQL 2.1
SELECT ra¦[1] FROM stars => "[" is not ADQL 2.1
SELECT ra FROM stars WHERE a ¦== 1 => "==" is not ADQL 2.1
SELECT ra FROM stars WHERE a ¦=< 1 => "=<" is not ADQL 2.1
SELECT ra FROM stars WHERE a = ¦? => "?" is not ADQL 2.1
SELECT ra FROM stars WHERE a = ¦:x => ":" is not ADQL 2.1
SELECT ra ¦/* why */ FROM stars => "/*" is not ADQL 2.1
SELECT ¦0x2F FROM stars => hexadecimal numbers are not ADQL 2.1
SELECT ¦TRUE FROM stars => TRUE is not ADQL 2.1
SELECT ra FROM stars WHERE a = ¦false => FALSE is not ADQL 2.1
SELECT ¦CURRENT_DATE FROM stars => CURRENT_DATE is not ADQL 2.1
SELECT ¦INTERVAL '1' DAY FROM stars => INTERVAL is not ADQL 2.1
SELECT SUM(a) ¦OVER (ORDER BY b) FROM stars => OVER is not ADQL 2.1
SELECT COUNT(*) ¦FILTER (WHERE a = 1) FROM stars => FILTER is not ADQL 2.1
SELECT - ¦-ra FROM stars => a sign stands once before a value
SELECT -¦LOWER(name) FROM stars => a sign needs a number, found text
SELECT ra + ¦LOWER(name) FROM stars => "+" needs numbers, found text
SELECT ¦NULL * 2 FROM stars => "*" needs numbers, found NULL
SELECT ¦POINT(1, 2) || 'x' FROM stars => "||" needs text, found a point
SELECT name || ¦ABS(a) FROM stars => "||" needs text, found a number
SELECT ¦name || 'a' + 1 FROM stars => "+" needs numbers, found text
SELECT (ra¦, dec) FROM stars => lists of values stand only after IN
SELECT (¦SELECT MAX(b) FROM p) FROM stars => a sub-query stands only in FROM, IN and EXISTS
SELECT ra FROM stars WHERE a = (¦SELECT MAX(b) FROM p) => a sub-query stands only in FROM, IN and EXISTS
SELECT ra FROM stars WHERE ¦a => WHERE needs a condition, found a value
SELECT ra FROM stars WHERE ¦CONTAINS(POINT(1, 2), shape) => WHERE needs a condition, found a value
SELECT ra FROM stars WHERE NOT ¦a => NOT needs a condition, found a value
SELECT ra FROM stars WHERE a = 1 AND ¦b => AND needs a condition, found a value
SELECT ra FROM stars WHERE ¦a OR b = 1 => OR needs a condition, found a value
SELECT ra FROM stars GROUP BY ra HAVING ¦ra => HAVING needs a condition, found a value
SELECT ra FROM stars GROUP BY ¦ra = 1 => a condition is not a value
SELECT ra FROM stars GROUP ¦ra => expected BY, found "ra"
SELECT ra FROM stars WHERE a = 1 ¦= 2 => "=" follows a condition, it needs a value
SELECT ra FROM stars WHERE NOT ¦NOT a = 1 => NOT stands once before a condition
SELECT ra FROM stars WHERE a NOT ¦= 1 => expected BETWEEN, IN, LIKE or ILIKE after NOT, found "="
SELECT ra FROM stars WHERE ¦a + 1 IS NULL => IS NULL is asked of a column, not of an expression
SELECT ra FROM stars WHERE a IS ¦TRUE => IS TRUE is not ADQL 2.1
SELECT ra FROM stars WHERE a IS ¦5 => expected NULL, found "5"
SELECT ra FROM stars WHERE a IN (¦) => IN needs at least one value
SELECT ra FROM stars WHERE a IN ¦1, 2 => expected "(", found "1"
SELECT ra FROM stars WHERE a BETWEEN 1 ¦OR 2 => expected AND, found "OR"
SELECT ra FROM stars WHERE a > ¦ALL (SELECT b FROM p) => ALL before a sub-query is not ADQL 2.1
SELECT ra FROM stars WHERE a = ¦ANY (SELECT b FROM p) => ANY before a sub-query is not ADQL 2.1
SELECT ra FROM stars WHERE ¦ABS(a) LIKE 'x' => LIKE needs text, found a number
SELECT ra FROM stars WHERE name LIKE 'x' ¦ESCAPE '!' => ESCAPE is not ADQL 2.1
SELECT ra FROM stars WHERE name ¦SIMILAR TO 'x' => SIMILAR is not ADQL 2.1
SELECT ra FROM stars WHERE ¦EXISTS SELECT 1 FROM p => expected an expression, found "EXISTS"
SELECT ra FROM stars WHERE (a = 1¦ => expected ")", found the end
SELECT ra FROM stars WHERE a = 1¦) => expected the end of the query, found ")"
SELECT ra FROM stars ORDER BY ra ¦NULLS FIRST => NULLS is not ADQL 2.1
SELECT ra FROM stars ORDER ¦ra => expected BY, found "ra"
SELECT ra FROM a ORDER BY ra ¦UNION SELECT ra FROM b => ORDER BY stands at the end of a set operation
SELECT ra FROM a OFFSET 2 ¦UNION SELECT ra FROM b => OFFSET stands at the end of a query
SELECT ra FROM a UNION ¦DISTINCT SELECT ra FROM b => DISTINCT after a set operator is not ADQL 2.1
SELECT ra FROM a UNION ¦b => expected SELECT, found "b"
SELECT ra FROM (¦WITH a AS (SELECT 1 FROM b) SELECT * FROM a) t => WITH stands only at the start of the query
SELECT ra FROM a UNION ¦WITH a AS (SELECT 1 FROM b) SELECT * FROM a => WITH stands only at the start of the query
WITH ¦RECURSIVE a AS (SELECT 1 FROM b) SELECT * FROM a => RECURSIVE is not ADQL 2.1
WITH a¦(x) AS (SELECT 1 FROM b) SELECT * FROM a => names for columns after a name in WITH are not ADQL 2.1
WITH a AS ¦SELECT 1 FROM b SELECT * FROM a => expected "(", found "SELECT"
SELECT ¦foo(1) FROM stars => function "foo" is neither ADQL's nor the service's
SELECT ¦GREATEST(a, b) FROM stars => GREATEST is not a function of ADQL 2.1
SELECT ¦SUBSTRING(name, 1) FROM stars => SUBSTRING is not a function of ADQL 2.1
SELECT ¦"abs"(1) FROM stars => a function's name is one word without quotes
SELECT ¦SQRT(a, b) FROM stars => SQRT has the wrong arguments
SELECT ¦POWER(a) FROM stars => POWER has the wrong arguments
SELECT ¦PI(1) FROM stars => PI has the wrong arguments
SELECT SQRT(¦LOWER(a)) FROM stars => SQRT needs a number, found text
SELECT ABS(¦*) FROM stars => "*" stands only in an aggregate
SELECT ABS(¦DISTINCT a) FROM stars => DISTINCT stands only in an aggregate
SELECT ¦ROUND(a, b) FROM stars => ROUND has the wrong arguments
SELECT ¦ROUND(a, 1, 2) FROM stars => ROUND has the wrong arguments
SELECT ¦TRUNCATE() FROM stars => TRUNCATE has the wrong arguments
SELECT ¦RAND(a) FROM stars => RAND has the wrong arguments
SELECT LOWER(¦ABS(a)) FROM stars => LOWER needs text, found a number
SELECT SUM(¦*) FROM stars => SUM(*) is not ADQL
SELECT COUNT(¦) FROM stars => COUNT needs an argument
SELECT MAX(a¦, b) FROM stars => MAX takes one argument
SELECT COUNT(s.¦*) FROM stars s => "*" cannot stand in an expression
SELECT CAST(a AS ¦FLOAT) FROM stars => "FLOAT" is not a type that ADQL 2.1 casts to
SELECT CAST(a AS ¦NULL) FROM stars => "NULL" is not a type that ADQL 2.1 casts to
SELECT CAST(a AS ¦INT) FROM stars => "INT" is not a type that ADQL 2.1 casts to
SELECT CAST(a AS ¦DOUBLE) FROM stars => "DOUBLE" is not a type that ADQL 2.1 casts to
SELECT CAST(a AS VARCHAR(¦*)) FROM stars => VARCHAR needs a whole number, found "*"
SELECT CAST(a¦, INTEGER) FROM stars => expected AS, found ","
SELECT ¦COALESCE() FROM stars => COALESCE has the wrong arguments
SELECT ¦IN_UNIT(a) FROM stars => IN_UNIT has the wrong arguments
SELECT ¦IN_UNIT(a, unit) FROM stars => IN_UNIT has the wrong arguments
SELECT ¦POINT(1) FROM stars => POINT has the wrong arguments
SELECT ¦POINT(1, 2, 'ICRS') FROM stars => POINT has the wrong arguments
SELECT POINT(1, ¦LOWER(a)) FROM stars => POINT needs a number, found text
SELECT ¦CIRCLE(1, 2, 3, 4) FROM stars => CIRCLE has the wrong arguments
SELECT CIRCLE(¦1, 2) FROM stars => CIRCLE needs a point or a column, found a value
SELECT ¦BOX(1, 2) FROM stars => BOX has the wrong arguments
SELECT ¦POLYGON(1, 2, 3, 4, 5) FROM stars => POLYGON has the wrong arguments
SELECT ¦POLYGON(1, 2, 3, 4) FROM stars => POLYGON has the wrong arguments
SELECT ¦REGION(a) FROM stars => REGION has the wrong arguments
SELECT ¦REGION('a' || 'b') FROM stars => REGION has the wrong arguments
SELECT ¦DISTANCE(p) FROM stars => DISTANCE has the wrong arguments
SELECT DISTANCE(p, ¦CIRCLE(1, 2, 3)) FROM stars => DISTANCE needs a point or a column, found a shape
SELECT COORD1(¦5) FROM stars => COORD1 needs a point or a column, found a value
SELECT AREA(¦5 + 1) FROM stars => AREA needs a shape, found a number
SELECT ¦CONTAINS(p) FROM stars => CONTAINS has the wrong arguments
SELECT CONTAINS(p, ¦LOWER('x')) FROM stars => CONTAINS needs a shape, found text
SELECT CIRCLE('x', ¦2, 3) FROM stars => CIRCLE needs a point or a column, found a value
SELECT ¦REGION('a' 'b') FROM stars => REGION has the wrong arguments
""".strip("\n")
"""``query => message``, with a mark where the error is."""


def valid_queries() -> list[str]:
    queries: list[str] = []
    for line in VALID.splitlines():
        if line.startswith(("FROM", "BY", "'")):
            queries[-1] += "\n" + line
        else:
            queries.append(line)
    return queries


def invalid_queries() -> list[tuple[str, str]]:
    return [(query, message) for query, _, message in (line.partition(" => ") for line in INVALID.splitlines())]


def outcome(work: Callable[[], object]) -> errors.QservError | None:
    """Return the error of ours that some work ends in, None when it ends well."""
    try:
        work()
    except errors.QservError as error:
        return error
    return None


def refusal(query: str) -> errors.AdqlError:
    """Return the error that strict mode refuses a query with."""
    error = outcome(lambda: parse(query, mode=Mode.STRICT))
    assert isinstance(error, errors.AdqlError)
    return error


@pytest.mark.parametrize("query", valid_queries())
def test_adql_is_taken(query: str) -> None:
    check_strict(query, functions=UDFS)
    parse(query)


def test_strict_mode_reads_the_same_tree_as_lenient_mode() -> None:
    for query in valid_queries():
        if not any(name.lower() in query.lower() for name in UDFS - SERVICE_FUNCTIONS):
            assert parse(query, mode=Mode.STRICT).tree == parse(query).tree


@pytest.mark.parametrize(("marked", "message"), invalid_queries())
def test_what_is_no_adql_is_refused_in_its_place(marked: str, message: str) -> None:
    query = marked.replace(MARK, "")
    error = refusal(query)
    assert error.message == message
    assert error.offset == marked.index(MARK)
    assert error.line is not None
    assert error.column is not None


def test_the_lists_are_long_enough() -> None:
    assert len(valid_queries()) >= 100
    assert len(invalid_queries()) >= 100


# the words


def test_the_reserved_words_are_those_of_the_standard() -> None:
    assert len(SQL_RESERVED) == 226
    assert len(ADQL_RESERVED) == 41
    assert not SQL_RESERVED & ADQL_RESERVED
    assert all(word == word.upper() for word in RESERVED)


@pytest.mark.parametrize("word", sorted(RESERVED - {"END-EXEC"}))
def test_no_reserved_word_is_a_name(word: str) -> None:
    for before, after in (("SELECT t.", " FROM t"), ("SELECT a AS ", " FROM t"), ("SELECT a FROM s.", "")):
        assert refusal(before + word.lower() + after).offset == len(before)
    parse(f'SELECT t."{word}" FROM t AS "{word}"', mode=Mode.STRICT)


def test_hints_say_what_to_write() -> None:
    hints = {
        "SELECT a FROM t LIMIT 5": "Write TOP n after SELECT; lenient mode takes LIMIT n.",
        "SELECT a % 2 FROM t": "Write MOD(x, y); lenient mode takes x % y.",
        "SELECT size FROM t": 'Write it between double quotes, as the schema spells it: "size".',
        "SELECT a FROM t WHERE CONTAINS(p, q)": "Compare it: = 1; lenient mode takes it alone.",
        "SELECT SQR(a) FROM t": 'Did you mean "SQRT"?',
        "SELECT POWER(a) FROM t": "It takes 2.",
        "SELECT POINT(1) FROM t": "Write POINT([coosys,] lon, lat).",
        "SELECT MEDIAN(a) FROM t": "Lenient mode takes it.",
        "SELECT SUBSTRING(a, 1, 2) FROM t": "Lenient mode takes it.",
        "SELECT a FROM t;": "Leave it out; lenient mode takes one at the end.",
        "SELECT a AS date FROM t": 'Write it between double quotes, as the schema spells it: "date".',
        "SELECT t.interval FROM t": 'Write it between double quotes, as the schema spells it: "interval".',
        "SELECT a FROM t WHERE d > DATE '2026-01-01'": "Compare a TIMESTAMP column with text: t > '2026-01-31'.",
        "SELECT a FROM t WEHRE a > 3": "Did you mean WHERE?",
        "SELECT a FORM t": "Did you mean FROM?",
        "SELECT a FROM t ODER BY a": "Did you mean ORDER BY?",
        "SELECT a FROM t TOP 5": "Write TOP n after SELECT.",
        "SELECT TOP 5, a FROM t": "Leave the comma out: SELECT TOP n column, column, ...",
        "SELECT a, FROM t": "Leave the comma before it out, or write what is missing between them.",
        "SELECT a**2 FROM t": "Write POWER(x, y) for a power.",
    }
    for query, hint in hints.items():
        assert refusal(query).hint == hint


def test_functions_of_the_service_have_a_prefix() -> None:
    assert {"IVO_HASWORD", "SCISQL_ANGSEP"} <= SERVICE_FUNCTIONS
    assert not {"MEDIAN", "GREATEST", "ABS"} & SERVICE_FUNCTIONS
    parse("SELECT ivo_hasword(a, 'b') FROM t", mode=Mode.STRICT)


LENIENT_TAKES = [
    "SELECT a FROM t LIMIT 5",
    "SELECT a % 2 FROM t",
    "SELECT a FROM t;",
    "SELECT a /* why */ FROM t",
    "SELECT *, a FROM t",
    "SELECT CASE WHEN a = 1 THEN 2 END FROM t",
    "SELECT a FROM t CROSS JOIN u",
    "SELECT TRUE FROM t",
    "SELECT (SELECT MAX(b) FROM u) FROM t",
    "SELECT a FROM t WHERE NOT NOT a = 1",
    "SELECT a FROM t WHERE a + 1 IS NULL",
    "SELECT SUM(a) OVER (ORDER BY b) FROM t",
    "SELECT a FROM t WHERE CONTAINS(p, q)",
    "SELECT a FROM t WHERE a <=> b",
    "SELECT a FROM t WHERE a IS NOT DISTINCT FROM b",
    "SELECT a FROM t WHERE a IS TRUE",
    "SELECT a FROM t WHERE a = 1 && b = 2",
    "SELECT a DIV b FROM t",
    "SELECT a MOD b FROM t",
    "SELECT `a` FROM t",
    "SELECT a FROM (WITH u AS (SELECT a FROM t) SELECT a FROM u) v",
]


@pytest.mark.parametrize("query", LENIENT_TAKES)
def test_what_the_hints_say_of_lenient_mode_is_true(query: str) -> None:
    assert "enient mode takes" in refusal(query).hint
    parse(query)


# any text


def subqueries(condition: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return condition.map(lambda where: f"(SELECT a FROM t WHERE {where})")


_COLUMNS = st.sampled_from(["a", "t.b", "s.t.c", '"size"', "rank"])
_NUMBERS = st.recursive(
    st.one_of(_COLUMNS, st.sampled_from(["1", "2.5", ".5", "1e3", "COUNT(*)", "PI()", "ROUND(a, -2)", "RAND()"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("ABS({})".format),
        inner.map("MAX(DISTINCT {})".format),
        st.tuples(inner, inner).map(lambda two: f"COALESCE({two[0]}, NULL, {two[1]})"),
        inner.map("CAST({} AS DOUBLE PRECISION)".format),
        st.tuples(inner, inner).map(lambda two: f"DISTANCE(1, {two[0]}, 2, {two[1]})"),
    ),
    max_leaves=4,
)
_TEXTS = st.sampled_from(["'x'", "a", "'it''s' || b", "LOWER(a)", "UPPER(a || 'x')", "CAST(a AS VARCHAR(3))"])
_SHAPES = st.sampled_from(["POINT(1, 2)", "CIRCLE('ICRS', a, b, 3)", "a", "BOX(POINT(1, 2), 3, 4)", "REGION('x')"])
_CONDITIONS = st.recursive(
    st.one_of(
        st.tuples(_NUMBERS, st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]), _NUMBERS).map(" ".join),
        st.tuples(_NUMBERS, st.sampled_from(["", "NOT "]), _NUMBERS).map(
            lambda p: f"{p[0]} {p[1]}BETWEEN {p[2]} AND 5"
        ),
        st.tuples(_TEXTS, st.sampled_from(["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"]), _TEXTS).map(" ".join),
        st.tuples(_COLUMNS, st.sampled_from(["IS NULL", "IS NOT NULL"])).map(" ".join),
        st.tuples(_SHAPES, _SHAPES).map(lambda two: f"1 = CONTAINS({two[0]}, {two[1]})"),
        st.tuples(_NUMBERS, _NUMBERS).map(lambda two: f"a IN ({two[0]}, {two[1]})"),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("NOT ({})".format),
        subqueries(inner).map("EXISTS {}".format),
        subqueries(inner).map("a NOT IN {}".format),
    ),
    max_leaves=4,
)
_TABLES = st.recursive(
    st.sampled_from(["t", "s.t", "t AS u", "c.s.t x"]),
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["JOIN", "LEFT OUTER JOIN", "INNER JOIN", "FULL JOIN"]), inner, _CONDITIONS
        ).map(lambda p: f"({p[0]} {p[1]} {p[2]} ON {p[3]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} NATURAL JOIN {two[1]})"),
        subqueries(_CONDITIONS).map("{} AS q".format),
    ),
    max_leaves=3,
)
_ITEMS = st.lists(st.one_of(_NUMBERS, _TEXTS, _NUMBERS.map("{} AS x".format), st.just("t.*")), min_size=1, max_size=3)
_BLOCKS = st.tuples(
    st.sampled_from(["SELECT", "SELECT DISTINCT", "SELECT TOP 5", "SELECT ALL TOP 3"]),
    st.one_of(st.just("*"), _ITEMS.map(", ".join)),
    st.just("FROM"),
    st.lists(_TABLES, min_size=1, max_size=2).map(", ".join),
    st.one_of(st.just(""), _CONDITIONS.map("WHERE {}".format)),
    st.one_of(st.just(""), _NUMBERS.map("GROUP BY {} HAVING COUNT(*) > 1".format)),
).map(" ".join)
_QUERIES = st.tuples(
    st.sampled_from(["", "WITH w AS (SELECT * FROM t) "]),
    st.lists(_BLOCKS, min_size=1, max_size=3).map(" UNION ALL ".join),
    st.sampled_from(["", " ORDER BY 1 DESC, a", " ORDER BY a + 1 OFFSET 3", " OFFSET 10"]),
).map("".join)


@settings(max_examples=300)
@given(_QUERIES)
def test_whatever_follows_the_grammar_is_taken_in_both_modes(query: str) -> None:
    check_strict(query)
    parse(query)


_PIECES = [
    *sorted(RESERVED)[::3],
    *FOREIGN_WORDS,
    *[
        "a",
        "b",
        "t",
        "1",
        "2.5",
        "'x'",
        '"y"',
        "(",
        ")",
        ",",
        ".",
        "*",
        "+",
        "-",
        "/",
        "=",
        "<>",
        "<",
        "||",
        ";",
        "%",
        ":",
        "[",
        "?",
        "/*",
        "--",
    ],
]


@settings(max_examples=600)
@given(_QUERIES, st.integers(0, 200), st.integers(0, 6), st.sampled_from(_PIECES))
def test_what_strict_mode_takes_lenient_mode_takes(query: str, place: int, cut: int, piece: str) -> None:
    text = f"{query[:place]} {piece} {query[place + cut :]}"
    error = outcome(lambda: check_strict(text))
    assert error is None or (error.message and error.render())
    if outcome(lambda: parse(text, mode=Mode.STRICT)) is None:
        assert error is None
        parse(text)


HOSTILE = {
    "parentheses": "SELECT " + "(" * 90 + "a" + ")" * 90 + " FROM t",
    "everything": "SELECT a FROM t WHERE " + "NOT (a = 1 OR b = 2 AND NOT a + 1 * -(" * 45 + "1" + ") > 2)" * 45,
    "sums": "SELECT " + "+".join(["a"] * 4900) + " FROM t",
    "conditions": "SELECT a FROM t WHERE " + " AND ".join(["a=1"] * 2400),
    "signs": "SELECT " + "- " * 4900 + "a FROM t",
    "sub-queries": "SELECT * FROM " + "(SELECT * FROM " * 90 + "t" + "".join(f") t{n}" for n in range(90)),
    "IN of IN": "SELECT a FROM t WHERE " + "a IN (SELECT a FROM t WHERE " * 90 + "a = 1" + ")" * 90,
    "parentheses of tables": "SELECT * FROM " + "(" * 95 + "t NATURAL JOIN u" + ")" * 95,
    "long string": "SELECT a FROM t WHERE b = '" + "x''" * 300_000 + "'",
    "long name": "SELECT " + "a" * 900_000 + "(1) FROM t",
    "delimited names": 'SELECT "' + '""' * 450_000 + '" FROM t',
    "dots": "SELECT " + ".".join(["a"] * 50_000) + " FROM t",
    "comments": "SELECT a FROM t " + "--\n" * 300_000,
    "spaces": "SELECT a FROM t" + " " * 900_000 + "x",
    "numbers": "SELECT a FROM t WHERE a IN (" + ", ".join(["1.5e-3"] * 100_000) + ")",
    "columns": "SELECT " + "a," * 490_000 + "a FROM t",
    "as many columns as can be": "SELECT " + "a," * 124_990 + "a FROM t",
    "calls": "SELECT " + "POWER(1," * 95 + "a" + ")" * 95 + " FROM t",
    "joins": "SELECT a FROM t " + "JOIN t " * 1200 + "ON 1 = 1 " * 1200,
    "quotes": "SELECT a FROM t WHERE b = " + "'" * 99_999,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_end_soon(text: str) -> None:
    started = time.process_time()
    error = outcome(lambda: parse(text, mode=Mode.STRICT))
    assert error is None or len(error.message) + len(error.hint) < 300
    assert time.process_time() - started < 10
