"""A look-up is answered though scans and jobs would hold every place on the workers for minutes."""

from __future__ import annotations

import threading
import time

from support.catalogues import Loaded
from support.cluster import count_statements
from support.slow_queries import SLOW
from support.waiting import AT_ONCE_S, wait_until

from qserv_py.czar.answer import Answer
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import OPERATOR
from qserv_py.czar.queries.running import QueryKind
from qserv_py.czar.session import Session
from qserv_py.errors import QueryCancelledError
from qserv_py.executor.turns import Priority

PLACES = 4


def ask(session: Session, adql: str, kind: QueryKind) -> Answer:
    return session.answer(adql, query=session.queries.make(kind=kind, identity=OPERATOR, text=adql))


def read(answer: Answer) -> None:
    try:
        list(answer.batches())
    except QueryCancelledError:
        return


def test_a_look_up_finds_a_place(cluster: Cluster, field: Loaded) -> None:
    with Session(cluster, slots=2, connections=PLACES) as session:
        keys = session.answer("SELECT TOP 5 objectId FROM field.Object ORDER BY objectId").batches()
        found = [key for batch in keys for key in batch.column(0).to_pylist()]
        slow = [ask(session, SLOW, kind) for kind in [QueryKind.JOB] * 3 + [QueryKind.SYNC] * 3]
        assert {answer.query.priority for answer in slow} == {Priority.JOB, Priority.SCAN}
        readers = [threading.Thread(target=read, args=(answer,), daemon=True) for answer in slow]
        for reader in readers:
            reader.start()
        workers = len(set(session.catalog_with_chunks(["field"]).families["field"].workers.tolist()))
        assert wait_until(lambda: count_statements(cluster) == workers * (PLACES - 1)), "the last one is kept"
        for key in found:
            answer = ask(session, f"SELECT COUNT(*) FROM field.Source WHERE objectId = {key}", QueryKind.SYNC)
            assert answer.query.priority is Priority.LOOK_UP
            began = time.monotonic()
            assert sum(batch.num_rows for batch in answer.batches()) == 1
            assert time.monotonic() - began < AT_ONCE_S
        assert all(reader.is_alive() for reader in readers)
        for answer in slow:
            answer.cancel()
        for reader in readers:
            reader.join(20)
            assert not reader.is_alive()
