"""Twelve queries at a time that bring rows together: a process holds no more than it may, the others are refused."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogues import Loaded
from support.waiting import wait_until

from qserv_py.catalog.grants import PUBLIC
from qserv_py.client.connection import Connection
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.formats import find_format
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.czar.queries.request import QueryRequest
from qserv_py.czar.queries.running import QueryKind
from qserv_py.czar.queries.written import WrittenQuery
from qserv_py.czar.session import Session
from qserv_py.errors import LimitError
from qserv_py.executor.budget import Budget
from qserv_py.executor.runner import ShardRun
from qserv_py.registry.grants import grant
from qserv_py.registry.jobs import UwsPhase

JOIN = "SELECT COUNT(*) AS n FROM field.Source a JOIN field.Object b ON a.visit = b.k + {number} WHERE a.sourceId >= 0"
"""No chunk alone can answer it, so both sides come together."""


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    with Session(cluster, connections=8) as opened:
        yield opened


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Free what nobody refers to at once, and cycles not at all."""
    gc.disable()
    yield
    gc.enable()


def count(session: Session, number: int) -> list[int]:
    (batch,) = session.answer(JOIN.format(number=number)).batches()
    found: list[int] = batch["n"].to_pylist()
    return found


def test_what_a_query_holds_is_counted_and_given_back(session: Session) -> None:
    answer = session.answer(JOIN.format(number=0))
    assert list(answer.batches())
    account = answer.query.rows_held
    assert account.most > 0
    assert (account.taken, session.queries.rows_held.taken) == (0, 0)


def test_one_query_is_bounded(session: Session) -> None:
    session.queries.rows_held = Budget("rows", 1 << 30, setting="process_bytes", each=1000, each_setting="query_bytes")
    with pytest.raises(LimitError, match="of rows would have to be held for one query") as caught:
        count(session, 0)
    assert '"query_bytes" in settings.yaml' in caught.value.hint
    assert session.queries.rows_held.taken == 0


@pytest.mark.usefixtures("without_collector")
def test_rows_of_a_refused_query_go_though_its_error_is_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[weakref.ref[pa.RecordBatch]] = []
    batches = ShardRun.batches

    def noted(run: ShardRun) -> Iterator[pa.RecordBatch]:
        for batch in batches(run):
            came.append(weakref.ref(batch))
            yield batch

    monkeypatch.setattr(ShardRun, "batches", noted)
    session.queries.rows_held = Budget("rows", 1 << 30, setting="process_bytes", each=20_000)
    answer = session.answer(JOIN.format(number=0))
    with pytest.raises(LimitError) as caught:
        list(answer.batches())
    assert len(came) > 1, "it held some when it was refused"
    assert caught.value.message
    assert wait_until(lambda: not any(batch() is not None for batch in came))


def test_twelve_at_a_time_hold_no_more_than_the_process_may(session: Session) -> None:
    answer = session.answer(JOIN.format(number=0))
    list(answer.batches())
    one = answer.query.rows_held.most
    expected = {number: count(session, number) for number in range(12)}
    session.queries.rows_held = held = Budget("rows", 4 * one, setting="process_bytes")
    together = threading.Barrier(12)

    def ask(number: int) -> str:
        together.wait()
        try:
            found = count(session, number)
        except LimitError as error:
            return error.render()
        return "answered" if found == expected[number] else f"wrong: {found}"

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(ask, range(12)))
    assert outcomes.count("answered") >= 4, "as many as there is room for"
    for refusal in set(outcomes) - {"answered"}:
        assert "of rows would have to be held at a time" in refusal
        assert '"process_bytes" in settings.yaml' in refusal
    assert held.highest <= 4 * one
    assert held.taken == 0
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda _: count(session, 0), range(3))) == [expected[0]] * 3, "three have room"
    assert count(session, 3) == expected[3], "there is room again"
    other = held.account()
    other.take(4 * one - 1)
    with pytest.raises(LimitError, match="of rows would have to be held at a time"):
        count(session, 3)


def test_uploaded_tables_are_counted_as_long_as_the_query_runs(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    pq.write_table(pa.table({"k": list(range(1000))}), path)
    ada = Identity(user="ada", proof=Proof.TOKEN)
    adql = "SELECT COUNT(*) AS n FROM TAP_UPLOAD.mine m JOIN field.Object o ON o.k = m.k"

    def ask() -> tuple[int, int]:
        query = session.queries.make(kind=QueryKind.SYNC, identity=ada, text=adql)
        request = QueryRequest(adql=adql, format=find_format("csv"), maxrec=5)
        with session.queries.running(query):
            written = WrittenQuery(
                IdentifiedSession(session), query, request, most_bytes=1 << 20, uploads={"mine": path}
            )
            held = query.rows_held.taken
            return held, len(b"".join(written.result(request.format)))

    with session.cluster.registry() as registry:
        grant(registry, "field", PUBLIC)
    held, size = ask()
    assert held >= 8000
    assert size > 0
    assert session.queries.rows_held.taken == 0
    session.queries.rows_held = Budget("rows", 7999, setting="process_bytes")
    with pytest.raises(LimitError, match='uploaded table "mine" takes [0-9]+ bytes in memory: more than 0.0 MiB'):
        ask()
    assert session.queries.rows_held.taken == 0


def test_the_copies_that_go_to_the_workers_are_counted(session: Session) -> None:
    mine = pa.table({"k": list(range(20_000))})
    asked = session.answer(
        "SELECT COUNT(*) AS n FROM TAP_UPLOAD.mine m JOIN field.Object o ON o.k = m.k", uploads={"mine": mine}
    )
    assert list(asked.batches())
    assert asked.query.rows_held.most >= mine.nbytes
    assert session.queries.rows_held.taken == 0


def test_the_rows_of_a_fits_file_are_counted_while_it_is_made(session: Session) -> None:
    session.queries.spilled = held = Budget("results", 1 << 30, setting="spill_bytes")
    made = find_format("fits").write(session.answer("SELECT objectId, coord_ra FROM field.Object").stream())
    assert len(b"".join(made)) > held.highest > 600 * 16
    assert held.taken == 0
    session.queries.spilled = Budget("results", 1000, setting="spill_bytes")
    made = find_format("fits").write(session.answer("SELECT objectId, coord_ra FROM field.Object").stream())
    with pytest.raises(LimitError, match="more than 0.0 MiB of results would have to be held") as caught:
        next(made)
    assert '"spill_bytes" in settings.yaml' in caught.value.hint
    assert session.queries.spilled.taken == 0


def test_results_of_jobs_of_a_connection_are_counted_until_they_are_deleted(session: Session) -> None:
    db = Connection(session)
    job = db.submit("SELECT objectId, coord_ra FROM field.Object")
    rows = job.result().to_arrow()
    assert session.queries.spilled.taken >= rows.nbytes
    job.delete()
    job.delete()
    assert session.queries.spilled.taken == 0
    session.queries.spilled = Budget("results", 1000, setting="spill_bytes")
    job = db.submit("SELECT objectId, coord_ra FROM field.Object")
    with pytest.raises(LimitError, match="of results would have to be held"):
        job.wait()
    assert job.state.phase is UwsPhase.ERROR
    job.delete()
    assert session.queries.spilled.taken == 0
