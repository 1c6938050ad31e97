"""Tables that come with a query: joins with every kind of table, types, errors, and what is left on the workers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn
from astropy.table import Table as AstropyTable
from support.catalogues import Loaded
from support.waiting import wait_until

import qserv_py
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.cluster_servers import start_cluster
from qserv_py.czar.session import Session
from qserv_py.errors import (
    ContributionError,
    EvaluationError,
    LimitError,
    NotFoundError,
    QueryCancelledError,
    UnknownColumnError,
    UnknownTableError,
    UserError,
)
from qserv_py.executor import sent_rows


@pytest.fixture(params=["text", "scratch"])
def db(
    cluster: Cluster, field: Loaded, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[qserv_py.Connection]:
    """A connection that writes rows into statements, and one that copies them to the workers."""
    monkeypatch.setattr(sent_rows, "MAX_TEXT_VALUES", 0 if request.param == "scratch" else 1_000_000)
    with qserv_py.connect(cluster.config.directory) as connection:
        yield connection


def scratch_tables(cluster: Cluster) -> list[str]:
    """Return the scratch relations on all workers."""
    found = []
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo) as connection:
            rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'qserv_scratch'")
            found += [row[0] for row in rows]
    return found


def workers_with_sources(cluster: Cluster) -> list[str]:
    """Return the connections to the workers that have rows of field.Source.

    They need not be all: the cluster is one that other tests fill, too.
    """
    relations = "SELECT count(*) FROM pg_tables WHERE schemaname = 'field' AND tablename LIKE 'source\\_%'"
    found = []
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo) as connection:
            row = connection.execute(relations).fetchone()
            if row and row[0]:
                found.append(conninfo)
    return found


def rows_of(result: qserv_py.Result) -> list[tuple]:
    return sorted(zip(*(column.to_pylist() for column in result.to_arrow().columns), strict=True))


def test_an_upload_alone(db: qserv_py.Connection) -> None:
    table = pa.table({"id": [3, 1, 2, None], "name": ["c", "a'", None, "d"]})
    result = db.query(
        "SELECT id, name FROM TAP_UPLOAD.mine WHERE id >= 2 OR name = 'd' ORDER BY id", uploads={"mine": table}
    )
    assert result.to_arrow().to_pylist() == [{"id": 2, "name": None}, {"id": 3, "name": "c"}, {"id": None, "name": "d"}]
    counted = db.query("SELECT COUNT(*) AS n, MAX(id) AS top FROM tap_upload.MINE", uploads={"mine": table})
    assert rows_of(counted) == [(4, 3)]


def test_every_type_goes_there_and_back(db: qserv_py.Connection) -> None:
    table = pa.table(
        {
            "b": pa.array([True, None], pa.bool_()),
            "i1": pa.array([-1, None], pa.int8()),
            "i4": pa.array([2**31 - 1, None], pa.int32()),
            "u4": pa.array([2**32 - 1, None], pa.uint32()),
            "u8": pa.array([2**63 - 1, None], pa.uint64()),
            "f2": pa.array([np.float16(1.5), None], pa.float16()),
            "f8": pa.array([0.1, None], pa.float64()),
            "s": pa.array(["ü'\"\\", None], pa.large_string()),
            "d": pa.array(["x", None]).dictionary_encode(),
            "t": pa.array([datetime(2026, 11, 20, 1, 2, 3, 4), None], pa.timestamp("ns")),
            "raw": pa.array([b"\x00\xff", None], pa.binary()),
            "none": pa.nulls(2),
        }
    )
    wanted = [
        {name: column[row].as_py() for name, column in zip(table.column_names, table.columns, strict=True)}
        for row in range(2)
    ]
    wanted[0]["t"] = datetime(2026, 11, 20, 1, 2, 3, 4)
    alone = db.query("SELECT * FROM TAP_UPLOAD.t", uploads={"t": table}).to_arrow()
    assert alone.to_pylist() == wanted
    joined = db.query(
        "SELECT u.* FROM field.Object o, TAP_UPLOAD.t u WHERE o.objectId = (SELECT MIN(objectId) FROM field.Object)",
        uploads={"t": table},
    ).to_arrow()
    assert joined.to_pylist() == wanted or joined.to_pylist() == wanted[::-1]


def test_joins_with_every_kind_of_table(db: qserv_py.Connection, field: Loaded) -> None:
    objects, sources, visits = (field.tables[name].to_pylist() for name in ("Object", "Source", "Visit"))
    ids = [row["objectId"] for row in objects[::7]]
    mine = pa.table({"id": [*ids, -5, None], "w": [*range(len(ids)), 100, 101]})
    uploads = {"mine": mine}
    weight = dict(zip(ids, range(len(ids)), strict=True))
    found = rows_of(
        db.query(
            "SELECT o.objectId, u.w FROM field.Object o JOIN TAP_UPLOAD.mine u ON o.objectId = u.id", uploads=uploads
        )
    )
    assert found == sorted(weight.items())
    child = rows_of(
        db.query(
            "SELECT s.sourceId, u.w FROM TAP_UPLOAD.mine AS u, field.Source s WHERE u.id = s.objectId", uploads=uploads
        )
    )
    assert child == sorted((s["sourceId"], weight[s["objectId"]]) for s in sources if s["objectId"] in weight)
    kept = db.query(
        "SELECT COUNT(*) AS n FROM field.Object o LEFT JOIN TAP_UPLOAD.mine u ON o.objectId = u.id WHERE u.w IS NULL",
        uploads=uploads,
    )
    assert rows_of(kept) == [(len(objects) - len(ids),)]
    lost = db.query(
        "SELECT u.w FROM TAP_UPLOAD.mine u LEFT JOIN field.Object o ON o.objectId = u.id WHERE o.objectId IS NULL",
        uploads=uploads,
    )
    assert rows_of(lost) == [(100,), (101,)]
    of_visits = pa.table({"visit": [row["visit"] for row in visits[:3]]})
    ref = db.query("SELECT v.visit FROM field.Visit v NATURAL JOIN TAP_UPLOAD.few", uploads={"few": of_visits})
    assert rows_of(ref) == sorted((row["visit"],) for row in visits[:3])


def test_sub_queries_over_uploads(db: qserv_py.Connection, field: Loaded) -> None:
    ids = field.tables["Object"]["objectId"].to_pylist()[::5]
    uploads = {"mine": pa.table({"id": ids, "w": range(len(ids))})}
    count = "SELECT COUNT(*) AS n FROM field.Object o WHERE "
    for condition, wanted in (
        ("o.objectId IN (SELECT id FROM TAP_UPLOAD.mine)", len(ids)),
        ("o.objectId NOT IN (SELECT id FROM TAP_UPLOAD.mine)", 800 - len(ids)),
        ("EXISTS (SELECT 1 FROM TAP_UPLOAD.mine u WHERE u.id = o.objectId AND u.w > 3)", len(ids) - 4),
        ("(SELECT MAX(w) FROM TAP_UPLOAD.mine) > 3", 800),
        ("(SELECT MAX(u.w) FROM TAP_UPLOAD.mine u WHERE u.id = o.objectId) > 3", len(ids) - 4),
    ):
        assert rows_of(db.query(count + condition, uploads=uploads)) == [(wanted,)], condition
    listed = db.query(
        "WITH few AS (SELECT id FROM TAP_UPLOAD.mine WHERE w < 4)"
        " SELECT f.id FROM few f JOIN field.Object o ON o.objectId = f.id",
        uploads=uploads,
    )
    assert rows_of(listed) == sorted((one,) for one in ids[:4])
    both = db.query("SELECT id FROM TAP_UPLOAD.mine EXCEPT SELECT objectId FROM field.Object", uploads=uploads)
    assert rows_of(both) == []


def test_pruning_by_uploaded_ids(session: Session, field: Loaded) -> None:
    key = field.tables["Object"]["objectId"][3].as_py()
    answer = session.answer(
        "SELECT o.objectId FROM field.Object o WHERE o.objectId IN (SELECT id FROM TAP_UPLOAD.mine)",
        uploads={"mine": pa.table({"id": [key]})},
    )
    assert sum(batch.num_rows for batch in answer.batches()) == 1


def test_odd_tables(db: qserv_py.Connection) -> None:
    empty = pa.table({"id": pa.array([], pa.int64())})
    count = "SELECT COUNT(*) AS n FROM field.Object o {} TAP_UPLOAD.none u ON u.id = o.objectId"
    assert rows_of(db.query(count.format("JOIN"), uploads={"none": empty})) == [(0,)]
    assert rows_of(db.query(count.format("LEFT JOIN"), uploads={"none": empty})) == [(800,)]
    named = pa.table({"Flux": [1.0], "flux": [2], 'odd "name"': ["x"], "ctid": [4], "select": [5]})
    query = 'SELECT u."Flux", u."flux", u."odd ""name""", u.ctid, u."select" FROM TAP_UPLOAD.odd u, field.Object o'
    first = db.query(f"{query} WHERE o.objectId = (SELECT MIN(objectId) FROM field.Object)", uploads={"odd": named})
    assert rows_of(first) == [(1.0, 2, "x", 4, 5)]
    with pytest.raises(UnknownColumnError, match="ambiguous"):
        db.query("SELECT flux FROM TAP_UPLOAD.odd", uploads={"odd": named})
    with pytest.raises(EvaluationError, match="division by zero"):
        db.query("SELECT 1 / (id - id) AS x FROM TAP_UPLOAD.u", uploads={"u": pa.table({"id": [1]})}).to_arrow()


def test_metadata_follows_the_columns(db: qserv_py.Connection) -> None:
    about = {"unit": "deg", "ucd": "pos.eq.ra", "description": "Where."}
    schema = pa.schema([pa.field("ra", pa.float64(), metadata=about)])
    result = db.query("SELECT ra FROM TAP_UPLOAD.u", uploads={"u": pa.table({"ra": [1.0]}, schema=schema)})
    assert (result.columns[0].unit, result.columns[0].ucd, result.columns[0].description) == (
        "deg",
        "pos.eq.ra",
        "Where.",
    )
    again = db.query("SELECT ra FROM TAP_UPLOAD.u", uploads={"u": result.to_arrow()})
    assert again.columns[0].unit == "deg"


def test_tables_of_many_kinds(db: qserv_py.Connection, tmp_path: Path) -> None:
    sky = AstropyTable(
        {"id": MaskedColumn([1, 2, 3], mask=[False, True, False]), "s": [b"a", b"b", b"c"], "x": [0.5, 1.5, 2.5]}
    )
    sky["x"].unit = "deg"
    sky["x"].info.description = "Where."
    wanted = [(1, "a", 0.5), (3, "c", 2.5)]
    plain = AstropyTable({"id": [1, 3], "s": ["a", "c"], "x": [0.5, 2.5]})
    plain["x"].unit = "deg"
    arrow = pa.table({"id": [1, 3], "s": ["a", "c"], "x": [0.5, 2.5]})
    plain.write(tmp_path / "u.fits")
    plain.write(tmp_path / "u.vot", format="votable")
    pq.write_table(arrow, tmp_path / "u.parquet")
    pa_csv.write_csv(arrow, tmp_path / "u.csv")
    files = [tmp_path / f"u.{suffix}" for suffix in ("fits", "vot", "parquet", "csv")]
    for upload in (
        sky,
        arrow,
        arrow.to_batches()[0],
        {"id": [1, 3], "s": ["a", "c"], "x": [0.5, 2.5]},
        str(files[0]),
        *files,
    ):
        result = db.query("SELECT id, s, x FROM TAP_UPLOAD.u WHERE id IS NOT NULL", uploads={"u": upload})
        assert rows_of(result) == wanted, upload
        if str(upload).endswith(("fits", "vot")):
            assert result.columns[2].unit == "deg"
        if upload is sky:
            assert (result.columns[2].unit, result.columns[2].description) == ("deg", "Where.")


def test_mistakes_get_one_message(db: qserv_py.Connection, tmp_path: Path) -> None:
    def fails(upload: object, message: str, *, name: str = "u", kind: type[Exception] = UserError) -> None:
        with pytest.raises(kind, match=message):
            db.query("SELECT 1 AS x FROM TAP_UPLOAD.u", uploads={name: upload})

    one = pa.table({"a": [1]})
    fails(one, '"my stars" cannot name an uploaded table', name="my stars")
    fails(one, "ADQL reserves the word", name="select")
    fails(pa.table([[1], [2]], names=["a", "a"]), 'two columns "a"')
    fails(pa.table([[1]], names=[" "]), "cannot be written in ADQL")
    fails(pa.table({"a": [[1, 2]]}), "of type list<.*, which queries cannot read")
    fails(pa.table({}), "has no columns")
    fails(pa.table({"a": ["x", "y\0"]}), 'column "a" of uploaded table "u", row 2: a text with a zero character')
    fails(pa.table({"a": pa.array([2**63], pa.uint64())}), "row 1: outside")
    fails(17, "is a int, which is no table")
    fails(AstropyTable({"a": [[1, 2], [3, 4]]}), "holds arrays of shape")
    fails(tmp_path / "none.csv", "there is no file", kind=NotFoundError)
    fails(tmp_path / "none.what", "cannot be told from its name")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3\n")
    fails(tmp_path / "bad.csv", "row 2: the line has 1 fields, the header 2", kind=ContributionError)
    with pytest.raises(UserError, match='two uploaded tables are called "a" and "A"'):
        db.query("SELECT 1 AS x FROM TAP_UPLOAD.a", uploads={"a": one, "A": one})
    with pytest.raises(UnknownTableError, match='table "TAP_UPLOAD.v" is not known'):
        db.query("SELECT 1 AS x FROM TAP_UPLOAD.v", uploads={"u": one})
    with pytest.raises(UnknownTableError, match='database "TAP_UPLOAD" is not known'):
        db.query("SELECT 1 AS x FROM TAP_UPLOAD.v")
    with pytest.raises(UnknownTableError, match='table "u" is not known'):
        db.query("SELECT 1 AS x FROM u", uploads={"u": one})


# scratch relations

MANY = pa.table({"id": np.arange(50_000), "w": np.arange(50_000) * 2.0})
JOINED = "SELECT COUNT(*) AS n FROM field.Object o JOIN TAP_UPLOAD.many u ON o.k = u.w"


def test_nothing_is_left_after_a_query(cluster: Cluster, session: Session) -> None:
    answer = session.answer(JOINED, uploads={"many": MANY})
    seen: list[int] = []
    for batch in answer.batches():
        seen += batch["n"].to_pylist()
    assert seen[0] > 0
    assert wait_until(lambda: not scratch_tables(cluster))


def test_nothing_is_left_after_a_cancel_or_an_error(cluster: Cluster, session: Session) -> None:
    slow = "SELECT COUNT(*) AS n FROM field.Source s, TAP_UPLOAD.many u, TAP_UPLOAD.many v WHERE s.flux < u.w + v.w"
    answer = session.answer(slow, uploads={"many": MANY})
    failed: list[BaseException] = []

    def read() -> None:
        try:
            list(answer.batches())
        except QueryCancelledError as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert wait_until(lambda: len(scratch_tables(cluster)) >= len(workers_with_sources(cluster)) > 0, seconds=60)
    finally:
        answer.cancel()
    reader.join(30)
    assert len(failed) == 1
    assert wait_until(lambda: not scratch_tables(cluster))
    with pytest.raises(EvaluationError):
        list(session.answer(JOINED.replace("o.k", "o.k / (o.k - o.k)"), uploads={"many": MANY}).batches())
    assert wait_until(lambda: not scratch_tables(cluster))


def test_queries_at_once_do_not_meet(cluster: Cluster, session: Session) -> None:
    def count(top: int) -> int:
        table = MANY.slice(0, top)
        query = "SELECT COUNT(*) AS n FROM field.Visit v, TAP_UPLOAD.many u, field.Object o WHERE o.objectId = {}"
        key = "(SELECT MIN(objectId) FROM field.Object) AND v.visit = (SELECT MIN(visit) FROM field.Visit)"
        answer = session.answer(query.format(key), uploads={"many": table})
        return next(answer.batches())["n"].to_pylist()[0]

    tops = [5_000 * step for step in range(1, 9)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(count, tops)) == tops
    assert wait_until(lambda: not scratch_tables(cluster))


def test_closing_a_session_drops_what_it_left(cluster: Cluster, field: Loaded) -> None:
    with Session(cluster) as opened:
        rows = opened.answer(
            "SELECT o.objectId, u.id FROM field.Object o, TAP_UPLOAD.many u", uploads={"many": MANY}
        ).batches()
        next(rows)
        assert scratch_tables(cluster)
    assert not scratch_tables(cluster)


def test_scratch_is_bounded(cluster: Cluster, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for worker in cluster.workers:
        monkeypatch.setattr(session._engines.store(worker.name), "_most_bytes", 100_000)
    with pytest.raises(LimitError, match=r'0\.4 MiB of rows would have to be brought to worker "w\d"; 0\.1 MiB may'):
        list(session.answer(JOINED, uploads={"many": MANY}).batches())
    assert wait_until(lambda: not scratch_tables(cluster))


def test_a_dead_czar_is_swept_up_after(cluster: Cluster, session: Session) -> None:
    """A table whose czar holds no lock goes when the next czar comes; that of a living one stays."""
    conninfo = workers_with_sources(cluster)[0]
    with psycopg.connect(conninfo, autocommit=True) as living, psycopg.connect(conninfo, autocommit=True) as connection:
        living.execute("SELECT pg_advisory_lock(hashtext('qserv scratch'), 7)")
        for name in ("q00000007_a", "q00000008_a", "other"):
            connection.execute(f"CREATE UNLOGGED TABLE qserv_scratch.{name} (x int)")
        try:
            list(session.answer(JOINED, uploads={"many": MANY}).batches())
            assert wait_until(lambda: sorted(scratch_tables(cluster)) == ["other", "q00000007_a"])
        finally:
            for name in ("q00000007_a", "q00000008_a", "other"):
                connection.execute(f"DROP TABLE IF EXISTS qserv_scratch.{name}")


def test_rows_that_are_too_wide_are_refused(session: Session) -> None:
    wide = pa.table({f"c{number}": np.arange(2.0) for number in range(1500)})
    with pytest.raises(LimitError, match="cannot hold the rows of the query: row is too big"):
        list(session.answer("SELECT u.* FROM field.Object o, TAP_UPLOAD.u u", uploads={"u": wide}).batches())
    alone = session.answer("SELECT u.* FROM TAP_UPLOAD.u u", uploads={"u": wide})
    assert sum(batch.num_rows for batch in alone.batches()) == 2
    with pytest.raises(LimitError, match="has 1600 columns, at most 1590 are taken"):
        session.plan(
            "SELECT 1 AS x FROM TAP_UPLOAD.u",
            uploads={"u": pa.table([[1]] * 1600, names=[f"c{n}" for n in range(1600)])},
        )


KILLED = """
import sys, numpy as np, pyarrow as pa, qserv_py
many = pa.table({"id": np.arange(50_000), "w": np.arange(50_000) * 2.0})
slow = "SELECT COUNT(*) AS n FROM field.Source s, TAP_UPLOAD.a u, TAP_UPLOAD.b v WHERE s.flux < u.w + v.w"
with qserv_py.connect(sys.argv[1]) as db:
    db.query(slow, uploads={"a": many, "b": many}).to_arrow()
"""


def test_what_a_killed_czar_left_is_swept(cluster: Cluster, field: Loaded) -> None:
    """Killed in the middle of its statements: the servers notice, and the next start of the cluster sweeps."""
    czar = subprocess.Popen([sys.executable, "-c", KILLED, str(cluster.config.directory)])
    # a process of its own takes its time to begin on a busy machine
    assert wait_until(lambda: len(scratch_tables(cluster)) >= 2 * len(workers_with_sources(cluster)) > 0, seconds=90)
    czar.kill()
    czar.wait()
    assert scratch_tables(cluster)

    def is_swept() -> bool:
        start_cluster(cluster.config.directory)
        return not scratch_tables(cluster)

    assert wait_until(is_swept, seconds=60)


def test_a_worker_that_lost_its_connections_takes_rows_again(cluster: Cluster, session: Session) -> None:
    for _ in range(2):
        assert next(session.answer(JOINED, uploads={"many": MANY}).batches())["n"].to_pylist()[0] > 0
        assert wait_until(lambda: not scratch_tables(cluster))
        for conninfo in cluster.admin.values():
            with psycopg.connect(conninfo, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'"
                )


def test_long_lists_of_sub_queries_go_to_scratch(
    cluster: Cluster, field: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_rows, "MAX_TEXT_VALUES", 100)
    sources = field.tables["Source"]
    with qserv_py.connect(cluster.config.directory) as db:
        listed = db.query("SELECT COUNT(*) AS n FROM field.Source WHERE visit IN (SELECT sourceId FROM field.Source)")
        ids = set(sources["sourceId"].to_pylist())
        assert rows_of(listed) == [(sum(visit in ids for visit in sources["visit"].to_pylist()),)]
        joined = db.query(
            "SELECT COUNT(*) AS n FROM field.Source s JOIN"
            " (SELECT flux, MIN(sourceId) AS least FROM field.Source GROUP BY flux) t ON t.least = s.sourceId"
        )
        assert rows_of(joined) == [(len(set(sources["flux"].to_pylist())),)]
