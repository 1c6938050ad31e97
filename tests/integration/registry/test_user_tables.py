"""Tables that users keep: made, read, shared, dropped, within their space; and what crashes leave."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from support.catalogues import Loaded, load_catalogue
from support.sky import catalogue

from qserv_py.catalog.grants import PUBLIC, parse_grantee
from qserv_py.config import USER_TABLES_DIR
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR, Identity, Proof
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.session import Session
from qserv_py.czar.user_tables.user_table_files import sweep_files
from qserv_py.czar.user_tables.user_tables import UserTables
from qserv_py.errors import AuthenticationError, LimitError, NotFoundError, UnknownTableError, UserError
from qserv_py.registry.connection import Registry
from qserv_py.registry.user_tables import list_user_tables

ROWS = pa.table(
    {
        "objectId": pa.array([1, 2, None], pa.int64()),
        "Mag": pa.array([1.5, None, 3.5], pa.float32()),
        "label": ["a", "b", None],
    },
    schema=pa.schema(
        [
            pa.field("objectId", pa.int64()),
            pa.field("Mag", pa.float32(), metadata={"unit": "mag", "ucd": "phot.mag", "description": "how bright"}),
            pa.field("label", pa.string()),
        ]
    ),
)
LIMITS = Limits()


def person(name: str, *groups: str) -> Identity:
    return Identity(user=name, groups=frozenset(groups), proof=Proof.TOKEN)


ALICE, BOB, CAROL = person("alice", "survey"), person("bob", "survey"), person("carol")


def batches(table: pa.Table = ROWS) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    return table.schema, table.to_batches()


@pytest.fixture
def tables(registry_database: str, tmp_path: Path) -> Iterator[UserTables]:
    with Registry(registry_database) as registry:
        yield UserTables(registry, tmp_path)


@pytest.fixture
def files(tables: UserTables, tmp_path: Path) -> Path:
    return tmp_path / USER_TABLES_DIR


def test_rows_are_added_by_the_names_of_their_columns(tables: UserTables, files: Path) -> None:
    before = tables.create(ALICE, "stars", batches(), limits=LIMITS, description="mine")
    tables.share(ALICE, "stars", parse_grantee("user:bob"))
    more = pa.table({"MAG": pa.array([7, 8]), "OBJECTID": pa.array([10, 20], pa.int32())})
    after = tables.append(ALICE, "Stars", batches(more), limits=LIMITS)
    assert (after.rows, after.columns, after.description) == (5, before.columns, "mine")
    assert after.shared_with == {parse_grantee("user:bob")}
    (database,) = tables.databases(ALICE)
    assert database.rows["mydb.stars"].to_pydict() == {
        "objectid": [1, 2, None, 10, 20],
        "mag": [1.5, None, 3.5, 7.0, 8.0],
        "label": ["a", "b", None, None, None],
    }
    assert [path.name for path in files.iterdir()] == [after.file]
    assert after.bytes == (files / after.file).stat().st_size == tables.kept_bytes(ALICE)


def test_rows_that_do_not_fit_leave_a_table_as_it_was(tables: UserTables, files: Path) -> None:
    before = tables.create(ALICE, "stars", batches(), limits=LIMITS)
    wrong = [
        (pa.table({"nope": [1]}), UserError, 'table "mydb.stars" has no column "nope"'),
        (pa.table({"mag": [1.0], "MAG": [2.0]}), UserError, 'two columns "MAG"'),
        (pa.table({"objectId": [1], "mag": ["x"]}), UserError, 'column "Mag" of table "mydb.stars", row 4'),
    ]
    for rows, error, message in wrong:
        with pytest.raises(error, match=message):
            tables.append(ALICE, "stars", batches(rows), limits=LIMITS)
    with pytest.raises(LimitError, match=f"may have {before.bytes} bytes in all; they have 0"):
        tables.append(ALICE, "stars", batches(), limits=Limits(user_table_bytes=before.bytes))
    for other in (BOB, ANONYMOUS):
        with pytest.raises(NotFoundError, match='you have no table "stars"'):
            tables.append(other, "stars", batches(), limits=LIMITS)
    assert tables.find(ALICE, "stars") == before
    assert [path.name for path in files.iterdir()] == [before.file]


def test_of_two_that_add_rows_at_the_same_moment_one_is_told(tables: UserTables, files: Path) -> None:
    tables.create(ALICE, "stars", batches(), limits=LIMITS)
    first = tables.find(ALICE, "stars")

    def slow() -> Iterator[pa.RecordBatch]:
        tables.append(ALICE, "stars", batches(), limits=LIMITS)
        yield from ROWS.to_batches()

    with pytest.raises(UserError, match='"stars" was changed by another request meanwhile'):
        tables.append(ALICE, "stars", (ROWS.schema, slow()), limits=LIMITS)
    after = tables.find(ALICE, "stars")
    assert (first.rows, after.rows) == (3, 6)
    assert [path.name for path in files.iterdir()] == [after.file]


def test_a_table_is_kept_as_it_was_given(tables: UserTables, files: Path) -> None:
    made = tables.create(ALICE, "stars", batches(), limits=LIMITS, description="mine")
    assert (made.owner, made.name, made.rows, made.description, made.shared_with) == (
        "alice",
        "stars",
        3,
        "mine",
        set(),
    )
    assert [(c.name, c.physical, c.unit, c.ucd, c.description) for c in made.columns] == [
        ("objectId", "objectid", "", "", ""),
        ("Mag", "mag", "mag", "phot.mag", "how bright"),
        ("label", "label", "", "", ""),
    ]
    assert [entry.name for entry in files.iterdir()] == [made.file]
    assert made.bytes == (files / made.file).stat().st_size
    assert (files / made.file).stat().st_mode & 0o777 == 0o600
    (held,) = tables.databases(ALICE)
    assert held.sizes == {"mydb.stars": (3, made.bytes)}
    assert held.rows["mydb.stars"].to_pylist() == ROWS.rename_columns(["objectid", "mag", "label"]).to_pylist()


def test_owners_do_not_see_each_other(tables: UserTables) -> None:
    for who in (ALICE, BOB):
        tables.create(who, "t", batches(), limits=LIMITS)
    for who in (ALICE, BOB):
        assert [table.owner for table in tables.tables(who)] == [who.user]
    assert tables.tables(CAROL) == tables.tables(ANONYMOUS) == tables.tables(OPERATOR) == ()
    assert tables.databases(ANONYMOUS) == ()
    tables.drop(ALICE, "T")
    assert tables.tables(ALICE) == ()
    assert len(tables.tables(BOB)) == 1
    for who in (ALICE, CAROL):
        with pytest.raises(NotFoundError, match='you have no table "t"'):
            tables.drop(who, "t")


def test_sharing(tables: UserTables) -> None:
    tables.create(ALICE, "t", batches(), limits=LIMITS)
    survey, carol = parse_grantee("group:survey"), parse_grantee("user:carol")
    assert tables.share(ALICE, "T", survey).shared_with == {survey}
    assert tables.share(ALICE, "t", survey).shared_with == {survey}
    assert [table.name for table in tables.tables(BOB)] == ["t"]
    assert [held.database.name for held in tables.databases(BOB)] == ["mydb_alice"]
    assert tables.tables(CAROL) == tables.tables(person("survey")) == tables.tables(ANONYMOUS) == ()
    assert tables.share(ALICE, "t", carol).shared_with == {survey, carol}
    assert [table.owner for table in tables.tables(CAROL)] == ["alice"]
    assert tables.share(ALICE, "t", survey, shared=False).shared_with == {carol}
    assert tables.tables(BOB) == ()
    for act in (tables.drop, tables.find):
        with pytest.raises(NotFoundError):  # reading is not owning
            act(CAROL, "t")
    with pytest.raises(NotFoundError, match='you have no table "t"'):
        tables.share(CAROL, "t", survey)
    with pytest.raises(UserError, match="shared with users and groups, not with public"):
        tables.share(ALICE, "t", PUBLIC)
    tables.drop(ALICE, "t")
    tables.create(ALICE, "t", batches(), limits=LIMITS)
    assert tables.tables(CAROL) == ()  # a new table of the name is another table


@pytest.mark.parametrize("who", [ANONYMOUS, OPERATOR], ids=lambda who: str(who.proof))
def test_tables_need_an_owner(tables: UserTables, who: Identity) -> None:
    with pytest.raises(AuthenticationError, match="for users who are known"):
        tables.create(who, "t", batches(), limits=LIMITS)


@pytest.mark.parametrize("name", ["", "1t", "a b", "a.b", "../t", "select", "t;", "é"])
def test_names_that_cannot_be(tables: UserTables, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a table"):
        tables.create(ALICE, name, batches(), limits=LIMITS)
    assert tables.tables(ALICE) == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.table({}), "has no columns"),
        (pa.table([[1], [2]], names=["a", "a"]), 'has two columns "a"'),
        (pa.table({"a": [[1, 2]]}), "which queries cannot read"),
        (pa.table({"a": pa.array([0, 2**63], pa.uint64())}), 'column "a" of table "mydb.t", row 2'),
    ],
)
def test_rows_that_cannot_be(tables: UserTables, files: Path, rows: pa.Table, message: str) -> None:
    with pytest.raises(UserError, match=message):
        tables.create(ALICE, "t", batches(rows), limits=LIMITS)
    assert tables.tables(ALICE) == ()
    assert not files.exists() or not list(files.iterdir())


def test_a_wrong_value_is_named_by_its_row_in_the_table(tables: UserTables) -> None:
    good = pa.record_batch({"a": pa.array([1, 2, 3], pa.uint64())})
    bad = pa.record_batch({"a": pa.array([4, 2**64 - 1], pa.uint64())})
    with pytest.raises(UserError, match="row 5"):
        tables.create(ALICE, "t", (good.schema, [good, bad]), limits=LIMITS)


def test_a_name_is_taken_whatever_its_case(tables: UserTables, files: Path) -> None:
    tables.create(ALICE, "Stars", batches(), limits=LIMITS)
    with pytest.raises(UserError, match='you have a table "sTARS" already'):
        tables.create(ALICE, "sTARS", batches(), limits=LIMITS)
    assert len(list(files.iterdir())) == 1


def test_many_at_once_under_one_name(tables: UserTables, files: Path) -> None:
    def make(_: int) -> bool:
        try:
            tables.create(ALICE, "t", batches(), limits=LIMITS)
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(make, range(16))) == 1
    assert len(list(files.iterdir())) == len(tables.tables(ALICE)) == 1


def numbers(count: int) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    table = pa.table({"x": pa.array(range(count), pa.int64())})
    return table.schema, table.to_batches(max_chunksize=1000)


def test_space_is_bounded(tables: UserTables, files: Path) -> None:
    limits = Limits(user_table_bytes=100_000)
    tables.create(ALICE, "a", numbers(8_000), limits=limits)
    held = tables.kept_bytes(ALICE)
    assert 64_000 < held < 100_000
    with pytest.raises(LimitError, match=f"your tables may have 100000 bytes in all; they have {held}, and this one"):
        tables.create(ALICE, "b", numbers(8_000), limits=limits)
    assert len(list(files.iterdir())) == 1
    tables.create(BOB, "b", numbers(8_000), limits=limits)
    tables.drop(ALICE, "a")
    assert tables.kept_bytes(ALICE) == 0
    tables.create(ALICE, "b", numbers(8_000), limits=limits)


def test_space_is_bounded_while_rows_come(tables: UserTables) -> None:
    """An endless stream ends at the limit, not with the disk."""
    read = 0

    def endless() -> Iterator[pa.RecordBatch]:
        nonlocal read
        while True:
            read += 1
            yield numbers(1000)[1][0]

    with pytest.raises(LimitError, match="your tables may have"):
        tables.create(ALICE, "t", (numbers(1)[0], endless()), limits=Limits(user_table_bytes=100_000))
    assert read < 20


def test_space_is_bounded_for_many_at_once(tables: UserTables, registry_database: str, tmp_path: Path) -> None:
    limits = Limits(user_table_bytes=200_000)

    def make(number: int) -> bool:
        with Registry(registry_database) as registry:
            try:
                UserTables(registry, tmp_path).create(ALICE, f"t{number}", numbers(8_000), limits=limits)
            except LimitError:
                return False
            return True

    with ThreadPoolExecutor(6) as threads:
        made = sum(threads.map(make, range(12)))
    assert 0 < made <= 3
    assert tables.kept_bytes(ALICE) <= 200_000


def test_rows_that_fail_on_their_way_leave_nothing(tables: UserTables, files: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield from ROWS.to_batches()
        raise RuntimeError("the query failed")

    with pytest.raises(RuntimeError):
        tables.create(ALICE, "t", (ROWS.schema, failing()), limits=LIMITS)
    assert tables.tables(ALICE) == ()
    assert list(files.iterdir()) == []
    tables.create(ALICE, "t", (ROWS.schema, []), limits=LIMITS)
    assert tables.databases(ALICE)[0].rows["mydb.t"].num_rows == 0


# Crashes

KILLED = """
import sys, time
from pathlib import Path
import pyarrow as pa
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.user_tables.user_tables import UserTables
from qserv_py.registry.connection import Registry

batch = pa.record_batch({"x": list(range(1000))})
def rows():
    yield batch
    print("half", flush=True)
    time.sleep(60)

alice = Identity(user="alice", proof=Proof.TOKEN)
with Registry(sys.argv[1]) as registry:
    UserTables(registry, Path(sys.argv[2])).create(alice, "t", (batch.schema, rows()), limits=Limits())
"""


def test_what_a_killed_process_leaves_is_swept(
    tables: UserTables, files: Path, registry_database: str, tmp_path: Path
) -> None:
    whole = tables.create(ALICE, "whole", batches(), limits=LIMITS)
    maker = subprocess.Popen(
        [sys.executable, "-c", KILLED, registry_database, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert maker.stdout is not None
    with maker.stdout:
        assert maker.stdout.readline() == "half\n"
        (half,) = {entry.name for entry in files.iterdir()} - {whole.file}
        old(files / half)
        with Registry(registry_database) as registry:
            assert sweep_files(registry, tmp_path) == ()  # it is being written
            maker.send_signal(signal.SIGKILL)
            maker.wait()
            assert [table.name for table in tables.tables(ALICE)] == ["whole"]
            assert sweep_files(registry, tmp_path) == (half,)
            assert sweep_files(registry, tmp_path) == ()
    assert [entry.name for entry in files.iterdir()] == [whole.file]
    assert tables.create(ALICE, "t", batches(), limits=LIMITS).rows == 3


def old(path: Path, *, ago_s: float = 3600) -> None:
    os.utime(path, (time.time() - ago_s, time.time() - ago_s))


def test_the_sweep_keeps_what_is_a_tables_or_new_or_locked(
    tables: UserTables, files: Path, registry_database: str
) -> None:
    made = tables.create(ALICE, "t", batches(), limits=LIMITS)
    old(files / made.file)
    for name in ("new.arrow", "locked.arrow", "left.arrow", "notes.txt"):
        (files / name).write_bytes(b"x")
        old(files / name, ago_s=0 if name == "new.arrow" else 3600)  # by our clock, not the kernel's (support/later.py)
    with Registry(registry_database) as registry, open(files / "locked.arrow", "rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert sweep_files(registry, files.parent) == ("left.arrow",)
        assert sweep_files(registry, files.parent / "nowhere") == ()
    assert {entry.name for entry in files.iterdir()} == {made.file, "new.arrow", "locked.arrow", "notes.txt"}


# Queries


@pytest.fixture(scope="module")
def field(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    tables = catalogue(9, "sparse", count=300)
    return load_catalogue(cluster, tmp_path_factory.mktemp("kept"), name="kept", tables=tables, target_rows=60)


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    with Session(cluster) as made:
        yield made
        with cluster.registry() as registry:
            for table in list_user_tables(registry, owner=None):
                made.user_tables.drop(person(table.owner), table.name)


def ask(session: Session, adql: str, who: Identity) -> pa.Table:
    answer = session.answer(adql, identity=who)
    return pa.Table.from_batches(list(answer.batches()), schema=answer.schema)


def test_a_result_is_kept_and_joined(session: Session) -> None:
    answer = session.answer("SELECT objectId, gFlux AS flux FROM kept.Object WHERE k = 1", identity=ALICE)
    made = session.user_tables.create(ALICE, "bright", (answer.schema, answer.batches()), limits=LIMITS)
    assert made.columns[1].unit == "nJy"
    joined = ask(
        session,
        "SELECT COUNT(*) AS n, MIN(o.k) AS low, MAX(o.k) AS high FROM mydb.bright AS b"
        " JOIN kept.Object AS o ON o.objectId = b.objectId",
        ALICE,
    )
    assert joined.to_pylist() == [{"n": made.rows, "low": 1, "high": 1}]
    assert made.rows > 10
    assert ask(session, "SELECT COUNT(*) AS n FROM MyDB.BRIGHT", ALICE)["n"].to_pylist() == [made.rows]


def test_tables_that_are_kept_are_shown_to_their_owner(session: Session) -> None:
    session.user_tables.create(ALICE, "listed", batches(), limits=LIMITS)
    assert "mydb.listed" in ask(session, "SHOW TABLES FROM mydb", ALICE)["table_name"].to_pylist()
    assert "mydb.listed" in ask(session, "show tables like 'list%'", ALICE)["table_name"].to_pylist()
    columns = ask(session, "DESCRIBE mydb.listed", ALICE)
    assert columns["column_name"].to_pylist() == ["objectId", "Mag", "label"]
    assert columns["unit"].to_pylist() == [None, "mag", None]
    assert "mydb.listed" not in ask(session, "SHOW TABLES", BOB)["table_name"].to_pylist()
    with pytest.raises(UnknownTableError):
        ask(session, "DESCRIBE mydb.listed", BOB)


def test_a_table_of_another_is_one_that_is_not_there(session: Session) -> None:
    queries = ("SELECT * FROM mydb.secret", "SELECT * FROM mydb_alice.secret", "SELECT * FROM secret")
    session.user_tables.create(BOB, "own", batches(), limits=LIMITS)

    def messages() -> list[str]:
        found = []
        for query in queries:
            for who in (BOB, CAROL, ANONYMOUS, OPERATOR):
                with pytest.raises(UnknownTableError) as caught:
                    session.answer(query, identity=who)
                found.append(caught.value.render())
        return found

    before = messages()
    session.user_tables.create(ALICE, "secret", batches(), limits=LIMITS)
    assert messages() == before
    with pytest.raises(UnknownTableError) as caught:
        session.answer("SELECT * FROM mydb.owm", identity=BOB)
    assert caught.value.hint == 'Did you mean "mydb.own"?'


@pytest.mark.parametrize("owner", ["alice", "http://cilogon.org/serverA/users/7", 'a"b', "Ålice x" * 20])
def test_shared_tables_are_read_under_their_owners_name(session: Session, owner: str) -> None:
    maker = person(owner)
    session.user_tables.create(maker, "t", batches(), limits=LIMITS)
    session.user_tables.share(maker, "t", parse_grantee("group:survey"))
    session.user_tables.create(BOB, "t", batches(ROWS.slice(0, 1)), limits=LIMITS)
    name = '"mydb_' + owner.replace('"', '""') + '"'
    query = f"SELECT COUNT(*) AS n FROM {name}.t AS a JOIN mydb.t AS b ON a.objectId = b.objectId"
    assert ask(session, query, BOB)["n"].to_pylist() == [1]
    assert ask(session, f"SELECT COUNT(*) AS n FROM {name}.t", BOB)["n"].to_pylist() == [3]
    with pytest.raises(UnknownTableError):
        session.answer(query, identity=CAROL)


def test_a_table_that_is_dropped_is_read_to_its_end(session: Session) -> None:
    session.user_tables.create(ALICE, "t", numbers(200_000), limits=LIMITS)
    rows = session.answer("SELECT x FROM mydb.t", identity=ALICE).batches()
    count = next(rows).num_rows
    session.user_tables.drop(ALICE, "t")
    assert count + sum(batch.num_rows for batch in rows) == 200_000
    late = session.user_tables
    late.create(ALICE, "t", numbers(10), limits=LIMITS)
    answer = session.answer("SELECT x FROM mydb.t", identity=ALICE)
    late.drop(ALICE, "t")
    with pytest.raises(UserError, match='table "mydb.t" was dropped or changed while the query began'):
        list(answer.batches())


def test_threads_make_read_and_drop_at_once(session: Session) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(3):
                session.user_tables.create(ALICE, f"t{number}", numbers(500), limits=LIMITS)
                got = ask(session, f"SELECT SUM(x) AS s FROM mydb.t{number}", ALICE)
                assert got["s"].to_pylist() == [500 * 499 // 2]
                session.user_tables.drop(ALICE, f"t{number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert session.user_tables.tables(ALICE) == ()
