"""Templates to statements: names of chunk tables, ranges cut to the chunk, values of earlier stages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.catalogs import catalog, plan, resolved

from qserv_py.adql.tree import Select
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.partitioner import ranges
from qserv_py.planner.build import with_access
from qserv_py.planner.plan.query_plan import KeyLookup, ShardStage, values_slots
from qserv_py.planner.plan.slots import SpatialSlot
from qserv_py.planner.sky import keys
from qserv_py.planner.writing.dialects import DUCKDB, POSTGRES, quoted
from qserv_py.planner.writing.fill import MAX_RANGES, chunk_queries
from qserv_py.planner.writing.statement import ChunkStatement
from qserv_py.planner.writing.written_rows import MAX_IN_PLACE, StageRows, write_rows


def statements(query: str, *rows: StageRows) -> list[str]:
    """Return the statements of the last shard stage."""
    found = plan(query)
    stage = [stage for stage in found.stages if isinstance(stage, ShardStage)][-1]
    inputs = dict(zip(values_slots(stage), rows, strict=True))
    written = write_rows(stage, inputs)
    return [written.prefix + made.sql for made in chunk_queries(stage, catalog(), written)]


def test_each_chunk_has_its_table_and_generation() -> None:
    texts = statements("SELECT ra FROM Object")
    assert len(texts) == 120
    assert '"dr1"."object_1_0" AS' in texts[0]
    assert '"dr1"."object_2_152_g2" AS' in texts[80]


def test_a_chunk_without_rows_of_a_table_is_an_empty_relation() -> None:
    texts = statements("SELECT objectId FROM Object WHERE objectId IN (SELECT objectId FROM Source)")
    assert '"dr1"."source_1_0"' in texts[0]
    assert '(SELECT CAST(NULL AS bigint) AS "objectid" WHERE FALSE) AS "source"' in texts[1]


def test_every_row_of_the_region_is_asked_for_in_exactly_one_way() -> None:
    found = plan("SELECT objectId FROM Object WHERE DISTANCE(ra, dec, 45, 45) < 40")
    [stage] = found.stages
    assert isinstance(stage, ShardStage)
    [slot] = [piece for piece in stage.template.pieces if isinstance(piece, SpatialSlot)]
    assert not len(ranges.difference(slot.inside, slot.maybe))
    texts = [made.sql for made in chunk_queries(stage, catalog())]
    assert any("TRUE" in text and "qserv.distance" not in text for text in texts), "a chunk wholly inside has no test"
    assert any("qserv.distance" in text and "BETWEEN" in text for text in texts)


def test_values_are_typed_and_quoted() -> None:
    values = StageRows(columns=((1, None, 1),))
    [text, *_] = statements("SELECT objectId FROM Object WHERE nObs IN (SELECT visit FROM Source)", values)
    assert "IN (CAST(1::bigint AS bigint), CAST(NULL AS bigint))" in text
    hostile = StageRows(columns=(("x'); DROP TABLE a; --", None), (3, 4)))
    counted = "(SELECT band, COUNT(*) AS n FROM Source GROUP BY band)"
    query = f"SELECT s.ccd, t.n FROM Source s, {counted} t WHERE t.band = s.band"
    [text, *_] = statements(query, hostile)
    assert "CAST('x''); DROP TABLE a; --' AS text), CAST(3::bigint AS bigint))" in text


def test_no_values() -> None:
    [text, *_] = statements("SELECT objectId FROM Object WHERE nObs IN (SELECT visit FROM Source)", StageRows(((),)))
    assert "IN (SELECT CAST(NULL AS bigint) WHERE FALSE)" in text


@given(st.text(st.characters(exclude_characters="\0")))
def test_quotes(text: str) -> None:
    assert quoted(text)[1:-1].replace('""', "").count('"') == 0
    assert POSTGRES.literal(text, DataType.TEXT)[1:-1].replace("''", "").count("'") == 0


def test_many_ranges_are_made_few() -> None:
    query = "SELECT objectId FROM Object WHERE " + " OR ".join(
        f"DISTANCE(ra, dec, {n}, {n % 80}) < 0.5" for n in range(80)
    )
    for text in statements(query):
        assert text.count(" BETWEEN ") <= 2 * MAX_RANGES


def test_ids_that_a_query_asks_for() -> None:
    def lookups(condition: str) -> list[KeyLookup]:
        return keys.wanted_keys(resolved(f"SELECT objectId FROM Object WHERE {condition}"))

    assert lookups("objectId = 7") == [KeyLookup(database="dr1", director="Object", values=(7,))]
    assert lookups("-7 = objectId")[0].values == (-7,)
    assert lookups("objectId IN (1, 2.0)")[0].values == (1, 2)
    assert lookups("objectId = 7 AND objectId IN (SELECT objectId FROM Source WHERE objectId = 8)")[1].values == (8,)
    between = KeyLookup(database="dr1", director="Object", low=3, high=9)
    assert lookups("objectId BETWEEN 3 AND 12 AND objectId < 10 AND 1 <= objectId") == [between]
    assert lookups("objectId > 7") == [KeyLookup(database="dr1", director="Object", low=8)]
    for none in (
        "objectId <> 7",
        "objectId = 7 OR ra > 1",
        "objectId = 7.5",
        "NOT objectId = 7",
        "objectId IN (1, ra)",
    ):
        assert lookups(none) == []


def test_aliases_stay_different_whatever_their_length() -> None:
    long = "é" * 60
    query = resolved(f'SELECT 1 AS x FROM Visit AS "{long}a", Visit AS "{long}b", Visit AS "{long}c"').query
    assert isinstance(query, Select)
    aliases = [part.split('"')[1] for part in ChunkStatement(POSTGRES).select(query).split(" AS ")[2:]]
    assert len({alias.encode()[:63] for alias in aliases}) == 3


def test_plans_count_their_chunks() -> None:
    found = plan("SELECT objectId FROM Object WHERE objectId = 45")
    assert (found.chunks, found.chunks_known) == (1, 120)
    assert np.array_equal(found.stages[0].chunks, [0])  # type: ignore[union-attr]
    of_a_ref_table = plan("SELECT visit FROM Visit")
    assert (of_a_ref_table.chunks, of_a_ref_table.chunks_known) == (1, 1)


def test_a_long_list_stands_once_before_the_chunk_queries() -> None:
    query = "SELECT objectId FROM Object WHERE nObs IN (SELECT ccd FROM Source)"
    few, many = StageRows((tuple(range(3)),)), StageRows((tuple(range(MAX_IN_PLACE + 1)),))
    assert "IN (CAST(0 AS smallint), CAST(1 AS smallint)" in statements(query, few)[0]
    text = statements(query, many)[0]
    assert text.startswith('WITH "s1" AS MATERIALIZED (SELECT * FROM (VALUES (CAST(0 AS smallint)), (1), (2)')
    assert text.endswith('"object"."nobs" IN (SELECT "ccd" FROM "s1"))')


def test_an_access_path_can_be_chosen_anew_for_what_a_stage_asks() -> None:
    visits = "nObs IN (SELECT visit FROM Visit)"
    found = plan(f"SELECT objectId FROM Object WHERE DISTANCE(ra, dec, 45, 45) < 1 AND {visits}")
    [stage] = [stage for stage in found.stages if isinstance(stage, ShardStage)]
    unread = replace(stage, access=None)
    with pytest.raises(InternalError, match="stage s1 has no access path"):
        values_slots(unread)
    again = with_access(unread)
    assert isinstance(again, ShardStage)
    assert again.access is not stage.access
    ours, theirs = (list(chunk_queries(one, catalog())) for one in (again, stage))
    assert ours == theirs


def test_each_dialect_writes_the_tree_of_a_stage_in_its_own_words() -> None:
    [stage] = plan("SELECT CAST(label AS BIGINT) AS n, ra / 0.5 AS x FROM Object").stages
    assert isinstance(stage, ShardStage)
    ours, other = (ChunkStatement(dialect).template(stage.select).pieces[0] for dialect in (POSTGRES, DUCKDB))
    assert ours == (
        'SELECT CAST(qserv.whole_number("object"."label") AS bigint) AS "n", ("object"."ra" / 0.5::float8) AS "x" FROM '
    )
    assert other == (
        'SELECT CAST(qserv_whole_number("object"."label") AS BIGINT) AS "n", '
        'qserv_divide("object"."ra", 0.5::DOUBLE) AS "x" FROM '
    )
