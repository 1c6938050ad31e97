"""A whole cluster: made or not at all, killed and started again, two side by side."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.cluster import running_cluster
from support.postgres import DEBIAN_POSTGRES, FAST_SETTINGS, private_directory
from support.schemas import small_database
from support.waiting import wait_until

from qserv_py.config import CLUSTER_FILE, ClusterConfig
from qserv_py.czar.cluster import Cluster, open_cluster
from qserv_py.czar.cluster_init import MARKER, init_cluster, remove_cluster
from qserv_py.czar.cluster_servers import changing, cluster_status, start_cluster, stop_cluster
from qserv_py.errors import ClusterError, ConfigError, NotFoundError
from qserv_py.registry import transactions
from qserv_py.registry.transactions import TransactionState


@pytest.fixture(scope="module", params=["default", "debian-15"])
def mortal(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster of two workers that tests may kill, on each PostgreSQL that can be tested here."""
    debian = request.param == "debian-15"
    if debian and not (DEBIAN_POSTGRES / "initdb").exists():
        pytest.skip(f"Debian's PostgreSQL 15 is not installed in {DEBIAN_POSTGRES}")
    with running_cluster(workers=2, postgres_bin=str(DEBIAN_POSTGRES) if debian else "") as made:
        yield made


def pids(cluster: Cluster) -> list[int | None]:
    return [server.pid for server in cluster_status(cluster.config.directory)]


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists())


def test_it_runs_and_the_handle_leads_to_it(cluster: Cluster) -> None:
    assert open_cluster(cluster.config.directory) == cluster
    assert all(server.running for server in cluster_status(cluster.config.directory))
    with cluster.registry() as registry:
        assert registry.workers() == cluster.workers
    for worker in cluster.workers:
        with psycopg.connect(worker.conninfo) as connection:
            assert connection.execute("SELECT current_user, current_database()").fetchone() == ("qserv_reader", "qserv")
        with psycopg.connect(cluster.admin[worker.name]) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("qserv",)


def test_passwords_stand_in_one_private_file(cluster: Cluster) -> None:
    directory = cluster.config.directory
    assert cluster.config.passfile.stat().st_mode & 0o077 == 0
    passwords = [line.rsplit(":", 1)[1] for line in cluster.config.passfile.read_text().splitlines()]
    assert len(set(passwords)) == 2
    texts = [(directory / CLUSTER_FILE).read_text(), cluster.registry_conninfo, *cluster.admin.values()]
    texts += [Path(server.log_file).read_text() for server in cluster_status(directory)]
    assert not [text for text in texts for password in passwords if password in text]
    assert not list(directory.rglob("initdb.*"))


def test_killed_servers_start_again(mortal: Cluster) -> None:
    before = pids(mortal)
    kill(before[1])
    assert pids(mortal) == [before[0], None]
    start_cluster(mortal.config.directory)
    after = pids(mortal)
    assert after[0] == before[0]
    assert after[1] not in (None, before[1])


def test_stop_and_start_keep_what_is_there(mortal: Cluster) -> None:
    with psycopg.connect(mortal.admin["w2"]) as connection:
        connection.execute("CREATE TABLE qserv.kept AS SELECT 7 AS a")
    assert stop_cluster(mortal.config.directory) == ("w1", "w2")
    assert stop_cluster(mortal.config.directory) == ()
    assert pids(mortal) == [None, None]
    assert start_cluster(mortal.config.directory) == mortal
    with psycopg.connect(mortal.workers[1].conninfo) as connection:
        assert connection.execute("SELECT a FROM qserv.kept").fetchone() == (7,)


def test_a_port_that_was_taken_meanwhile_is_changed(mortal: Cluster) -> None:
    directory = mortal.config.directory
    stop_cluster(directory)
    old = ClusterConfig.load(directory).workers[0].port
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", old))
        squatter.listen()
        started = start_cluster(directory)
    assert started.config.workers[0].port != old
    assert started.config.workers[1] == mortal.config.workers[1]
    with started.registry() as registry:
        assert registry.workers() == started.workers


def test_two_clusters_live_side_by_side(cluster: Cluster, mortal: Cluster) -> None:
    start_cluster(mortal.config.directory)
    assert all(pids(cluster))
    assert all(pids(mortal))


def test_one_process_changes_a_cluster_at_a_time(cluster: Cluster) -> None:
    with (
        changing(cluster.config.directory),
        pytest.raises(ClusterError, match="another qserv process is starting or stopping the cluster in"),
    ):
        start_cluster(cluster.config.directory)


@pytest.fixture
def place() -> Iterator[Path]:
    directory = private_directory()
    yield directory
    if (directory / "c" / CLUSTER_FILE).exists():
        remove_cluster(directory / "c")
    for path in directory.glob("*"):
        path.unlink() if path.is_file() else path.rmdir()
    directory.rmdir()


def init(place: Path, **further: object) -> Cluster:
    return init_cluster(place / "c", workers=1, settings=FAST_SETTINGS, sync=False, **further)  # type: ignore[arg-type]


def test_a_failed_init_leaves_nothing(place: Path) -> None:
    with pytest.raises(ClusterError, match="did not start"):
        init_cluster(place / "c", workers=2, settings={"shared_buffers": "lots"}, sync=False)
    assert not (place / "c").exists()
    (place / "c").mkdir()
    with pytest.raises(ClusterError, match="did not start"):
        init_cluster(place / "c", workers=2, settings={"shared_buffers": "lots"}, sync=False)
    assert list((place / "c").iterdir()) == []


def test_what_a_killed_init_left_is_removed(place: Path) -> None:
    first = init(place)
    os.replace(place / "c" / CLUSTER_FILE, place / "c" / MARKER)  # as if it had been killed before its last step
    (orphan,) = (first.config.worker_dir("w1") / "pg" / "postmaster.pid").read_text().splitlines()[:1]
    second = init(place)
    assert second.registry_conninfo != first.registry_conninfo
    assert not Path(f"/proc/{orphan}/cwd").exists()


def test_init_takes_no_directory_with_something_in_it(place: Path) -> None:
    (place / "thing").touch()
    with pytest.raises(ConfigError, match="exists and is not an empty directory"):
        init_cluster(place, workers=1)
    assert (place / "thing").exists()
    init(place)
    with pytest.raises(ConfigError, match=r"there is a cluster in .* already") as caught:
        init(place)
    assert "qserv cluster start" in caught.value.hint
    with pytest.raises(ConfigError, match="a cluster has 1 to 64 workers, not 0"):
        init_cluster(place / "d", workers=0)


def test_removing_stops_and_removes(place: Path) -> None:
    made = init(place)
    (pid,) = pids(made)
    remove_cluster(place / "c")
    assert not (place / "c").exists()
    assert not Path(f"/proc/{pid}/cwd").exists()
    with pytest.raises(NotFoundError, match="there is no cluster in"):
        remove_cluster(place / "c")


def test_a_cluster_of_another_layout_is_refused(place: Path) -> None:
    path = place / CLUSTER_FILE
    path.write_text(json.dumps({"version": 99}))
    with pytest.raises(ConfigError, match="has layout version 99, this program reads 1"):
        open_cluster(place)
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        open_cluster(place)


def test_a_cluster_in_a_deep_directory_has_its_sockets_elsewhere() -> None:
    top = private_directory()
    deep = top / ("d" * 120)
    made = init_cluster(deep, workers=1, settings=FAST_SETTINGS, sync=False)
    (server,) = cluster_status(deep)
    try:
        assert not server.socket_dir.startswith(str(top))
        with made.registry() as registry:
            assert registry.workers() == made.workers
    finally:
        remove_cluster(deep)
    assert not Path(server.socket_dir).exists()
    top.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_root_is_told_when_the_servers_account_cannot_reach_the_directory(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ClusterError, match=r"which runs PostgreSQL for root, cannot reach .*closed is closed to it"):
        init_cluster(closed / "c", workers=1)
    assert list(closed.iterdir()) == []


def test_starting_ends_the_ingests_of_the_dead_and_leaves_those_of_the_living(mortal: Cluster, tmp_path: Path) -> None:
    mortal = start_cluster(mortal.config.directory)  # an earlier test may have moved its ports
    with mortal.registry() as registry:
        registry.add_database(small_database(tmp_path))
        with mortal.registry() as dead:
            killed = transactions.begin_transaction(dead, "small")
        living = transactions.begin_transaction(registry, "small")
        start_cluster(mortal.config.directory)
        states = [transactions.transaction(registry, number).state for number in (killed, living)]
        registry.drop_database("small")
    assert states == [TransactionState.ABORTED, TransactionState.OPEN]
