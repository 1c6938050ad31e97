"""MySQL's operators in both engines: as its manual has them, and as PostgreSQL's own words for the same have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engines import Engines, open_engines
from support.postgres import TestServer

from qserv_py.adql.functions.text import HEX_OF_BYTES
from qserv_py.catalog.types import DataType
from qserv_py.planner.plan.query_plan import MergeStage
from qserv_py.planner.plan.slots import StageColumn


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


def told(engines: Engines, sql: str, values: dict[str, Any]) -> Any:
    """Return what PostgreSQL makes of a text that was written for it; an error of the data is the text "error"."""
    try:
        row = engines.connection.execute(sql.encode(), values).fetchone()  # type: ignore[call-overload]
    except psycopg.errors.DataError:
        return "error"
    return row[0]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        # the examples of the manuals of MySQL 8 and of MariaDB, TRUE for their 1 where a condition answers
        ("5 DIV 2", 2),
        ("-5 DIV 2", -2),
        ("5 DIV -2", -2),
        ("-5 DIV -2", 2),
        ("300 DIV 7", 42),
        ("253 MOD 7", 1),
        ("29 MOD 9", 2),
        ("1 + 34.5 MOD 3", 2.5),
        ("-29 MOD 9", -2),
        ("1 <=> 1", True),
        ("NULL <=> NULL", True),
        ("1 <=> NULL", False),
        ("10 LIKE '1%'", True),
        ("1 = 1 && 0 = 1", False),
        ("HEX(255)", "FF"),
        ("hex(401)", "191"),
        ("HEX('abc')", "616263"),
        ("HEX(-1)", "FFFFFFFFFFFFFFFF"),
        ("HEX(NULL)", None),
        # where ours is another
        ("5 DIV 0", "error"),
        ("5 MOD 0", "error"),
        ("'a' || 'b'", "ab"),
        # how they bind
        ("1 + 9 DIV 2 * 3", 13),
        ("7 MOD 4 - 10 DIV 3", 0),
        ("2 * 7 DIV 4", 3),
        ("NOT 1 = 0 && 1 = 1", True),
        ("1 = 1 OR 1 = 1 && 1 = 0", True),
        ("1 + 1 <=> 2", True),
        ("NOT 1 <=> NULL", True),
        ("DIV(9007199254740993, 1)", 9007199254740993),
        ("9007199254740993 DIV -1", -9007199254740993),
        ("7.9 DIV 2", 3),
        ("-7.9 DIV 2", -3),
        ("1e300 DIV 1", "error"),
    ],
)
def test_as_the_manuals_have_it(engines: Engines, expression: str, wanted: Any) -> None:
    assert engines.both(expression, {}) == (wanted, wanted)


_values = {
    "nObs": st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1), st.integers(-3, 3)),
    "objectId": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3)),
    "ra": st.one_of(st.none(), st.sampled_from([0.0, -0.0, float("nan"), 1.0, -2.0]), st.floats(-1e17, 1e17)),
    "gFlux": st.one_of(st.none(), st.floats(-1e5, 1e5, width=32)),
    "extended": st.one_of(st.none(), st.booleans()),
    "label": st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
}


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        ("objectId DIV nObs", "div(%(objectId)s::bigint::numeric, %(nObs)s::int)::bigint"),
        ("nObs DIV objectId", "div(%(nObs)s::int, %(objectId)s::bigint::numeric)::bigint"),
        ("nObs MOD objectId", "mod(%(nObs)s::int, %(objectId)s::bigint)"),
        ("objectId MOD 7 + nObs", "mod(%(objectId)s::bigint, 7) + %(nObs)s::int"),
        ("nObs <=> objectId", "%(nObs)s::int IS NOT DISTINCT FROM %(objectId)s::bigint"),
        ("ra IS DISTINCT FROM nObs", "%(ra)s::float8 IS DISTINCT FROM %(nObs)s::int"),
        ("ra <=> ra", "%(ra)s::float8 IS NOT DISTINCT FROM %(ra)s::float8"),
        ("nObs IS NOT DISTINCT FROM 2", "%(nObs)s::int IS NOT DISTINCT FROM 2"),
        ("NOT 2 <=> nObs", "%(nObs)s::int IS DISTINCT FROM 2"),
        ("label <=> label || ''", "%(label)s::text IS NOT DISTINCT FROM %(label)s::text"),
        ("extended <=> 1", "%(extended)s::bool IS NOT DISTINCT FROM TRUE"),
        ("extended <=> (nObs > 0)", "%(extended)s::bool IS NOT DISTINCT FROM (%(nObs)s::int > 0)"),
        ("extended IS TRUE", "%(extended)s::bool IS TRUE"),
        ("(nObs > 0) IS NOT FALSE", "(%(nObs)s::int > 0) IS NOT FALSE"),
        ("extended IS UNKNOWN", "%(extended)s::bool IS UNKNOWN"),
        ("HEX(objectId)", "upper(to_hex(%(objectId)s::bigint))"),
        ("HEX(nObs)", "upper(to_hex(%(nObs)s::int::bigint))"),
        ("HEX(label)", "upper(encode(convert_to(%(label)s::text, 'UTF8'), 'hex'))"),
        ("objectId LIKE '%%1_'", "%(objectId)s::bigint::text LIKE '%%1_'"),
        ("nObs NOT LIKE '-%%'", "%(nObs)s::int::text NOT LIKE '-%%'"),
        ("gFlux LIKE '%%.5'", "%(gFlux)s::real::text LIKE '%%.5'"),
        ("SIGN(ra) ILIKE '1'", "sign(%(ra)s::float8)::text ILIKE '1'"),
    ],
)
def test_as_postgresql_says_it(engines: Engines, expression: str, sql: str) -> None:
    used = {name: values for name, values in _values.items() if name in expression}

    @settings(max_examples=60, deadline=None)
    @given(st.fixed_dictionaries(used))
    def check(row: dict[str, Any]) -> None:
        wanted = told(engines, f"SELECT {sql}", row)
        assert engines.both(expression.replace("%%", "%"), row) == (wanted, wanted)

    check()


def test_bytes_in_hexadecimal(engines: Engines) -> None:
    in_postgres = HEX_OF_BYTES.sql([r"'\x00ff5c'::bytea"], duckdb=False)
    in_duckdb = HEX_OF_BYTES.sql([r"'\x00\xFF\x5C'::BLOB"], duckdb=True)
    found = engines.connection.execute(f"SELECT {in_postgres}".encode()).fetchone()
    columns = (StageColumn(label="x", type=DataType.TEXT),)
    stage = MergeStage(name="m", sql=f"SELECT {in_duckdb} AS x", columns=columns, reads=())
    [batch] = list(engines.merge.run(stage))
    assert found is not None
    assert (found[0], batch.to_pydict()["x"]) == ("00FF5C", ["00FF5C"])
