"""A text that is asked again takes its kept plan; never when what it reads may be another thing by now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogues import Loaded, load_catalogue
from support.slow_queries import SLOW

from qserv_py.catalog.grants import PUBLIC, Grantee, GranteeKind
from qserv_py.czar import session as session_module
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR, Identity, Proof
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.kept_plans import MOST_CHARACTERS, MOST_CHUNKS, MOST_PLANS, KeptPlans
from qserv_py.czar.session import Session
from qserv_py.errors import QueryCancelledError, UnknownTableError
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import grant, revoke

ALICE = Identity(user="alice", proof=Proof.TOKEN)
BOB = Identity(user="bob", proof=Proof.TOKEN)
QUERIES = (
    "SELECT objectId, coord_ra FROM field.Object WHERE objectId = {id}",
    "SELECT COUNT(*) AS n, SUM(k) AS s FROM field.Object WHERE objectId >= 0",
    "SELECT k, COUNT(*) AS n FROM field.Object GROUP BY k ORDER BY k",
    "SELECT o.objectId, COUNT(*) AS n FROM field.Object AS o JOIN field.Source AS s ON s.objectId = o.objectId"
    " GROUP BY o.objectId ORDER BY o.objectId",
    "SELECT COUNT(*) AS n FROM field.Object AS a JOIN field.Object AS b ON a.k = b.k",
)


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    with Session(cluster) as opened:
        yield opened


def ask(session: Session, adql: str, who: Identity = OPERATOR, **options: object) -> list[dict[str, object]]:
    answer = session.answer(adql, identity=who, **options)  # type: ignore[arg-type]
    return pa.Table.from_batches(list(answer.batches()), schema=answer.schema).to_pylist()


def texts(field: Loaded) -> list[str]:
    return [query.format(id=field.tables["Object"]["objectId"][7].as_py()) for query in QUERIES]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed; a kept plan needs none."""
    seen: list[str] = []
    parse = session_module.parse

    def noting(text: str) -> object:
        seen.append(text)
        return parse(text)

    monkeypatch.setattr(session_module, "parse", noting)
    return seen


def test_many_threads_share_one_plan(session: Session, field: Loaded, cluster: Cluster, parsed: list[str]) -> None:
    queries = texts(field)
    with Session(cluster) as other:
        planned = {query: ask(other, query) for query in queries}
    for query in queries:
        session.plan(query)
    parsed.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda query: (query, ask(session, query)), queries * 8))
    assert all(answer == planned[query] for query, answer in answers)
    assert all(planned.values())
    assert parsed == []


def test_one_of_two_with_the_same_plan_is_cancelled(session: Session) -> None:
    answers = [session.answer(SLOW), session.answer(SLOW)]
    assert answers[0].plan is answers[1].plan
    reading = threading.Event()

    def read() -> str:
        reading.set()
        try:
            list(answers[0].batches())
        except QueryCancelledError:
            return "cancelled"
        return "read"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(read)
        assert reading.wait(60)
        answers[0].cancel()
        assert first.result(60) == "cancelled"
    answers[1].query.cancel.raise_if_cancelled()
    answers[1].cancel()


def test_a_grant_that_was_taken_back_counts_at_once(cluster: Cluster, session: Session, field: Loaded) -> None:
    query = "SELECT COUNT(*) AS n FROM field.Object WHERE objectId > 0"
    reader = Grantee(GranteeKind.USER, "alice")
    with cluster.registry() as registry:
        revoke(registry, "field", PUBLIC)
        grant(registry, "field", reader)
        try:
            assert ask(session, query, ALICE)
            for nobody in (BOB, ANONYMOUS):
                with pytest.raises(UnknownTableError):
                    session.answer(query, identity=nobody)
            revoke(registry, "field", reader)
            with pytest.raises(UnknownTableError):
                session.answer(query, identity=ALICE)
        finally:
            grant(registry, "field", PUBLIC)


def test_a_publishing_ends_what_was_kept(
    cluster: Cluster, session: Session, field: Loaded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch, whole = tmp_path_factory.mktemp("renewed"), field.tables["Object"]
    load_catalogue(cluster, scratch, name="renewed", tables={"Object": whole.slice(0, 60)}, target_rows=30)
    late = whole["objectId"][100].as_py()
    by_id = f"SELECT objectId FROM renewed.Object WHERE objectId = {late}"
    every = "SELECT COUNT(*) AS n FROM renewed.Object WHERE objectId >= 0"
    for _ in range(2):
        assert (ask(session, by_id), ask(session, every)) == ([], [{"n": 60}])
    pq.write_table(whole.slice(60), scratch / "more.parquet")
    with open_destination(cluster, sync=False) as destination:
        run_ingest(destination, database="renewed", table="Object", files=[scratch / "more.parquet"])
        publish_database(destination, "renewed")
    for _ in range(2):
        assert (ask(session, by_id), ask(session, every)) == ([{"objectId": late}], [{"n": len(whole)}])


def test_tables_that_users_keep_and_queries_bring_are_planned_anew(session: Session) -> None:
    owned, described = "SELECT * FROM mydb.t", "SELECT column_name FROM TAP_SCHEMA.columns WHERE table_name = 'mydb.t'"
    for name, who in (("a", ALICE), ("b", ALICE), ("c", BOB)):
        rows = pa.table({name: [1, 2]})
        session.user_tables.create(who, "t", (rows.schema, rows.to_batches()), limits=Limits())
        try:
            assert ask(session, owned, who) == rows.to_pylist()
            assert ask(session, described, who) == [{"column_name": name}]
        finally:
            session.user_tables.drop(who, "t")
        with pytest.raises(UnknownTableError):
            session.answer(owned, identity=who)
        assert ask(session, described, who) == []
    brought = "SELECT * FROM TAP_UPLOAD.t"
    for name in "ab":
        rows = pa.table({name: [1]})
        assert ask(session, brought, uploads={"t": rows}) == rows.to_pylist()
    with pytest.raises(UnknownTableError):
        session.answer(brought)


def test_what_is_kept_is_bounded(session: Session, field: Loaded) -> None:
    plan, kept = session.plan(texts(field)[0]), KeptPlans()
    for number in range(MOST_PLANS + 10):
        kept.keep(str(number), plan)
        kept.get("0")
    found = [number for number in range(MOST_PLANS + 10) if kept.get(str(number))]
    assert found == [0, *range(11, MOST_PLANS + 10)], "the one that is asked for stays"
    kept.keep("x" * (MOST_CHARACTERS + 1), plan)
    assert kept.get("x" * (MOST_CHARACTERS + 1)) is None
    [stage] = plan.stages
    chunks = stage.chunks.repeat(MOST_CHUNKS + 1)  # type: ignore[union-attr]
    kept.keep("large", replace(plan, stages=(replace(stage, chunks=chunks),)))  # type: ignore[arg-type]
    assert kept.get("large") is None
