"""What lenient mode takes and refuses by its grammar: clauses in order, operands and operators by turns."""

from __future__ import annotations

import pytest
from support.catalogs import plan, resolved

from qserv_py import errors
from qserv_py.adql.parse import parse

MARK = "¦"

TAKEN = """
SELECT DISTINCT TOP 3 a FROM t
SELECT TOP (3) a FROM t
SELECT ALL a, * FROM t
SELECT a b, c AS d, e AS select, "f g" "h i" FROM t AS u, v w
SELECT a FROM t LIMIT 3 OFFSET 2
SELECT a FROM t OFFSET 2 ROWS LIMIT 3
SELECT a FROM t LIMIT 2, 3
SELECT a FROM (SELECT b AS a FROM t ORDER BY b LIMIT 2) AS u ORDER BY a
(SELECT a FROM t ORDER BY a LIMIT 1) UNION DISTINCT (SELECT b FROM u) ORDER BY 1 LIMIT 4
((SELECT a FROM t) EXCEPT ALL SELECT b FROM u) INTERSECT SELECT c FROM v
SELECT a FROM ((SELECT b FROM t) UNION (SELECT c FROM u)) AS v
SELECT a FROM ((t JOIN u ON t.b = u.b) LEFT JOIN v USING (b, c))
SELECT a FROM t JOIN u JOIN v ON u.b = v.b ON t.b = u.b
SELECT a FROM t JOIN u
SELECT a FROM t CROSS JOIN u NATURAL FULL OUTER JOIN v
WITH t AS (SELECT a FROM u), v AS (SELECT b FROM t) SELECT c FROM t, v
SELECT limit, offset, window, date, time, value, t.from, t.order, t."end" FROM t
SELECT a FROM t WHERE NOT NOT a = 1 AND NOT (b IS NOT NULL OR c IS NULL)
SELECT a FROM t WHERE a NOT IN (1, 'x', NULL) AND b IN (SELECT c FROM u) AND d IN ((SELECT e FROM v))
SELECT a FROM t WHERE a NOT BETWEEN - 1 AND 2 + 3 AND b BETWEEN SYMMETRIC 1 AND 2 AND c ISNULL
SELECT a FROM t WHERE a NOT LIKE 'x' AND b ILIKE 'y' || c AND d LIKE 'z' ESCAPE '!'
SELECT a FROM t WHERE a = NULL OR NULL + 1 > 2 OR b <=> NULL OR c IS DISTINCT FROM NULL
SELECT a FROM t WHERE (a = 1) = (b = 2) AND (a, b) = (1, 2)
SELECT a + - - b * ~c % .5 << 2 >> 1 | 0x1F & 3 # 4 ^ 5 || 'x' FROM t
SELECT mod, div AS e, f mod FROM t
SELECT a DIV -2, b MOD (3), c DIV CASE WHEN d THEN 1 ELSE 2 END, MOD(a, 2) mod, 'double' precision FROM t
SELECT `a`, t.`b c` FROM `d`.`e` AS `t` WHERE a IS NOT TRUE && b IS NOT DISTINCT FROM 3
SELECT a limit, b "row" FROM ((SELECT a, b FROM t) "u" JOIN v window ON u.b = window.b)
SELECT (SELECT 1 FROM t), ((SELECT 1 FROM t) + 2), ((SELECT 1 FROM t) UNION (SELECT 2 FROM t)) FROM u
SELECT CASE WHEN a = 1 THEN 2 WHEN b THEN 3 ELSE 4 END, CASE a WHEN 1 THEN 2 END FROM t
SELECT CAST(a AS DOUBLE PRECISION), b::VARCHAR(3)::TEXT, CAST('x' AS TIMESTAMP), TIMESTAMP '2026-01-31' FROM t
SELECT COUNT(*), COUNT(DISTINCT a), SUM(ALL b), LEFT(c, 1), REPLACE(d, 'x', 'y'), PI() FROM t
SELECT RANK() OVER (ORDER BY a DESC NULLS LAST), SUM(b) OVER (PARTITION BY c ROWS 1 PRECEDING) FROM t
SELECT SUM(b) OVER (ORDER BY a RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), LAG(a) OVER w FROM t
SELECT EXISTS (SELECT 1 FROM t) FROM u WHERE NOT EXISTS (SELECT 1 FROM v WHERE u.a = v.a)
SELECT q3c_poly_query(a, b, ARRAY[1, 2, 3]) FROM t
SELECT é, t.β AS ñ, a$1 FROM t
SELECT a FROM t GROUP BY a, b + 1, 2 HAVING COUNT(*) > 1 ORDER BY COUNT(*) DESC, a ASC
""".strip()
"""Forms that lenient mode reads; whether each is answered is the resolver's business."""


@pytest.mark.parametrize("query", TAKEN.splitlines())
def test_it_is_taken(query: str) -> None:
    parse(query)


REFUSED = """
SELECT a FROM t LIMIT 3 ¦WHERE a = 1 => expected the end of the query, found "WHERE"
SELECT a FROM t ORDER BY a ¦GROUP BY a => expected the end of the query, found "GROUP BY"
SELECT a FROM t HAVING a = 1 ¦GROUP BY a => expected the end of the query, found "GROUP BY"
SELECT a FROM (SELECT a FROM t LIMIT 3 ¦WHERE a = 1) AS u => expected ")", found "WHERE"
WITH t AS (SELECT a FROM u) ¦FROM t SELECT a => expected SELECT, found "FROM"
SELECT a FROM t GROUP BY¦ => expected an expression, found the end
SELECT a FROM t GROUP BY ¦ORDER BY a => expected an expression, found "ORDER BY"
SELECT a FROM t WHERE ¦GROUP BY a => expected an expression, found "GROUP BY"
SELECT ¦FROM t => the select list is empty
SELECT DISTINCT ¦FROM t => the select list is empty
SELECT a¦ => FROM is missing
SELECT a ¦WHERE b = 1 => FROM is missing
SELECT a FROM ¦FROM t => expected a table, found "FROM"
SELECT a FROM t, ¦.u => expected a table, found "."
SELECT a FROM ¦.t => expected a table, found "."
SELECT ¦.a FROM t => expected an expression, found "."
SELECT t.¦.a FROM t => expected a column's name, found "."
SELECT t.¦@ a FROM t => expected a column's name, found "@"
SELECT t.¦5 FROM t => expected a column's name, found "5"
SELECT a FROM ¦'t' => expected a table, found 't'
SELECT a FROM t ¦OUTER JOIN u ON t.a = u.a => expected the end of the query, found "OUTER"
SELECT a FROM t ¦CASE JOIN u => expected the end of the query, found "CASE"
SELECT a FROM t NATURAL JOIN u ¦ON t.a = u.a => ON belongs to no JOIN, or to one that is NATURAL or CROSS
SELECT a FROM t CROSS JOIN u ¦USING (a) => USING belongs to no JOIN, or to one that is NATURAL or CROSS
SELECT a FROM t JOIN u ON t.a = u.a ¦ON t.b = u.b => ON belongs to no JOIN, or to one that is NATURAL or CROSS
SELECT a FROM t WHERE a ¦== 1 => expected an operator, found "=="
SELECT a FROM t WHERE a = ¦= 1 => expected an expression, found "="
SELECT a FROM t WHERE a = b ¦= c => "=" follows a comparison
SELECT a FROM t WHERE a < b ¦< c => "<" follows a comparison
SELECT a FROM t WHERE a > 1 ¦IS TRUE => IS follows a comparison
SELECT a FROM t WHERE a < ¦< b => expected an expression, found "<"
SELECT a FROM t WHERE a > ¦= b => expected an expression, found "="
SELECT a FROM t WHERE ¦! a => expected an expression, found "!"
SELECT a FROM t WHERE a = ¦NOT b => expected an expression, found "NOT"
SELECT a FROM t WHERE a NOT ¦IS NULL => expected BETWEEN, IN, LIKE or ILIKE after NOT, found "IS"
SELECT a FROM t WHERE a IS ¦b => expected NULL, found "b"
SELECT a FROM t WHERE a IS NOT ¦IS NULL => expected NULL, found "IS"
SELECT a FROM t WHERE a BETWEEN 1 ¦2 => expected AND, found "2"
SELECT a FROM t WHERE a BETWEEN 1 ¦&& 2 => expected AND, found "&&"
SELECT a FROM t WHERE a IN ¦b => expected "(", found "b"
SELECT a FROM t WHERE a IN ('g' ¦'r') => a text follows a text
SELECT a * ¦* b FROM t => expected an expression, found "*"
SELECT a AS¦, b FROM t => expected a name for the column, found ","
SELECT a AS ¦1 FROM t => expected a name for the column, found "1"
SELECT a AS ¦% FROM t => expected a name for the column, found "%"
SELECT (MAX ¦a) FROM t => expected ")", found "a"
SELECT MAX(¦SELECT a) FROM t => expected an expression, found "SELECT"
SELECT CASE WHEN a = 1 ¦2 END FROM t => expected THEN, found "2"
SELECT CASE ¦END FROM t => expected an expression, found "END"
SELECT CAST(a ¦) FROM t => expected AS, found ")"
SELECT CAST(a AS ¦) FROM t => expected a type, found ")"
SELECT ¦"" FROM t => a delimited name is empty
SELECT a FROM t AS ¦`` => a delimited name is empty
SELECT ¦2mass FROM t => a number is followed by "m"
SELECT ¦0x1Fg FROM t => a name begins with a letter, found "0"
SELECT ¦1_000 FROM t => a number is followed by "_"
SELECT 1 ¦.5 FROM t => expected FROM, found "."
SELECT a FROM t AS ¦FULL JOIN u => expected a name for the table, found "FULL"
SELECT TOP 3 a FROM t ¦LIMIT 5 => TOP stands already
SELECT a FROM t LIMIT 3 ¦LIMIT 5 => LIMIT stands already
SELECT a FROM t LIMIT 3, 4 ¦OFFSET 5 => OFFSET stands already
SELECT TOP 3 ¦DISTINCT a FROM t => DISTINCT stands before TOP
SELECT a FROM t LIMIT ¦NULL => LIMIT needs a whole number, 0 or more, found "NULL"
SELECT a FROM t LIMIT 1 ¦+ 2 => expected the end of the query, found "+"
SELECT SUM(a) OVER (ORDER BY a ROWS BETWEEN 1 ¦AND CURRENT ROW) FROM t => expected PRECEDING or FOLLOWING, found "AND"
SELECT SUM(a) OVER (PARTITION BY ¦, b) FROM t => expected an expression, found ","
SELECT a FROM t ORDER BY ¦DESC => expected an expression, found "DESC"
SELECT a FROM t ORDER BY a NULLS ¦ASC => expected FIRST or LAST, found "ASC"
SELECT a FROM t ¦ORDER LIMIT 1 => BY is missing after ORDER
SELECT ¦EXISTS (a) FROM t => EXISTS needs a query in parentheses
""".strip()


@pytest.mark.parametrize(("marked", "message"), [case.split(" => ") for case in REFUSED.splitlines()])
def test_it_is_refused_in_its_place(marked: str, message: str) -> None:
    with pytest.raises(errors.AdqlSyntaxError) as caught:
        parse(marked.replace(MARK, ""))
    assert caught.value.message == message
    assert caught.value.offset == marked.index(MARK)


@pytest.mark.parametrize("gap", ["\n", " \r\n  ", "-- a comment\n", "\n-- one\n -- two\n"])
def test_a_text_goes_on_in_a_further_line(gap: str) -> None:
    assert [literal.this for literal in parse(f"SELECT 'a'{gap}'b' FROM t").tree.expressions] == ["ab"]


@pytest.mark.parametrize("gap", [" ", "\t", "/* \n */", "\n /* a comment */ "])
def test_a_text_in_the_same_line_is_another(gap: str) -> None:
    with pytest.raises(errors.AdqlSyntaxError, match="a text follows a text"):
        parse(f"SELECT 'a'{gap}'b' FROM t")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("nObs == 1", "Write =."),
        ("nObs =< 1", "Write <=."),
        ("nObs => 1", "Write >=."),
        ("!extended", "Write NOT, or <> for unequal."),
        ("label REGEXP 'x'", "Write LIKE."),
        ("label = \u2018x\u2019", "Text stands between plain single quotes, 'x', and a name between plain double"),
        ("label = \u201cx\u201d", "Text stands between plain single quotes, 'x', and a name between plain double"),
        ("label = \u00abx\u00bb", "Text stands between plain single quotes, 'x', and a name between plain double"),
        ("label = \u2018x'", "Text stands between plain single quotes, 'x', and a name between plain double"),
        ("ra \u2212 1 > 0", "Write a plain minus: -"),
        ("ra \u2264 1", "Write <=."),
        ("ra > \u20ac", "A name with such characters stands between double quotes."),
        ("select = 1", 'If that is a name, write it between double quotes: "select".'),
        ("ra = 1 LIMIT ALL", "Leave it out for all rows."),
        ("2mass = 1", "A name that begins with a digit stands between double quotes."),
        ("label IN ('g' 'r')", "Put a comma or || between them; a text goes on only in a further line."),
        ("(ra = 1 ORDER BY ra", "The parenthesis that opens at line 1, column 29 is not closed:"),
        ("ra IN (1, 2\n   GROUP BY ra", "The parenthesis that opens at line 1, column 35 is not closed:"),
        ("ra = ABS((1)", "The parenthesis that opens at line 1, column 37 is not closed:"),
        ("ra = \n (SELECT COUNT(* FROM Source)", "The parenthesis that opens at line 2, column 15 is not closed:"),
        ("ra = 1 LIMIT 3 HAVING ra = 1", "The order is SELECT, FROM, WHERE, GROUP BY, HAVING,"),
    ],
)
def test_a_hint_says_what_to_write(written: str, hint: str) -> None:
    with pytest.raises(errors.AdqlSyntaxError) as caught:
        plan(f"SELECT ra FROM Object WHERE {written}")
    assert caught.value.hint.startswith(hint)


def test_reserved_words_are_names_after_a_dot() -> None:
    assert [item.expr.name for item in resolved('SELECT m.select, "select", "m".SELECT FROM Mixed m').query.items] == [
        "select"
    ] * 3
