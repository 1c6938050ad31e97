"""Long queries of one address do not keep the short ones of others waiting."""

from __future__ import annotations

import threading
import time

from support.cluster import count_statements
from support.identified import get_from
from support.tap_server import TapServer
from support.waiting import wait_until

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import OPERATOR
from qserv_py.czar.queries.cancel_orders import cancel_query, queries_of
from qserv_py.czar.queries.limits import ServiceLimits

VISITS = ", ".join(f"clustered.Visit v{number}" for number in range(10))
SCAN = f"SELECT COUNT(*) FROM clustered.Object o, {VISITS} WHERE v0.visit + v9.visit + o.objectId = -1"
"""Endless on each of the many chunks of a table."""


def test_look_ups_do_not_wait_behind_scans(tap: TapServer, cluster: Cluster) -> None:
    ids = tap.query("SELECT TOP 3 objectId FROM clustered.Object ORDER BY objectId", FORMAT="csv-no-header").text
    running = ServiceLimits().sync_running
    scans = [
        threading.Thread(target=get_from, args=("127.0.5.1", f"{tap.tap}/sync"), kwargs={"params": {"QUERY": SCAN}})
        for _ in range(running + 4)
    ]
    with cluster.registry() as registry:
        for scan in scans:
            scan.start()
        assert wait_until(lambda: len(queries_of(registry, OPERATOR)) == len(scans))
        assert wait_until(lambda: count_statements(cluster) > 0)
        assert {entry.priority for entry in queries_of(registry, OPERATOR)} == {1}
        for object_id in ids.split():
            began = time.monotonic()
            query = f"SELECT objectId FROM clustered.Object WHERE objectId = {object_id}"
            reply = get_from("127.0.5.2", f"{tap.tap}/sync", params={"QUERY": query, "FORMAT": "csv-no-header"})
            assert (reply.status_code, reply.text.split()) == (200, [object_id])
            assert time.monotonic() - began < 10
        for entry in (entry for entry in queries_of(registry, OPERATOR) if entry.text == SCAN):
            cancel_query(registry, entry.query_id, OPERATOR)
        for scan in scans:
            scan.join(20)
            assert not scan.is_alive()
    assert wait_until(lambda: count_statements(cluster) == 0)
