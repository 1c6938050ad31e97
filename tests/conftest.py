"""Fixtures that all tests may use."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import astropy.utils.data
import pytest
from astropy.utils import iers
from hypothesis import HealthCheck, settings
from support.catalogues import load_catalogue
from support.cluster import running_cluster
from support.postgres import DEBIAN_POSTGRES, TestServer, running_server
from support.secluded import loopback_only
from support.servers import Servers, both_servers
from support.sky import catalogue
from support.tap_server import TapServer
from support.tap_server import running_server as running_tap_server

from qserv_py.czar.cluster import Cluster

# The default run is the same every time, on a machine of any speed; `make test-long` sets QSERV_TEST_RANDOM and looks
# for what nobody has seen.
_ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, database=None, **_ANY_SPEED)
settings.register_profile("random", **_ANY_SPEED)
settings.load_profile("random" if os.environ.get("QSERV_TEST_RANDOM") == "1" else "same")


_ATTEMPTS = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """No test depends on the network or on today's date: this process stays on the loopback, and so do its children.

    Astropy is imported already, without its file of settings (support/secluded/astropy.cfg), so it is told here, too.

    What is compiled is kept, whatever the caller set: hundreds of children would each compile all modules again.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.disable()  # until all tests are collected
    directory = Path(tempfile.mkdtemp(prefix="qs-loopback-"))
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))
    config.stash[_ATTEMPTS] = directory / "attempts"
    loopback_only.seclude(config.stash[_ATTEMPTS])
    iers.conf.auto_download = False
    iers.conf.auto_max_age = None
    astropy.utils.data.conf.allow_internet = False


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives to the end: modules, tests and their parameters, millions of objects."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test in which something reached for the network, whoever caught the error."""
    result = yield
    if reached := loopback_only.attempts(item.config.stash[_ATTEMPTS]):
        pytest.fail(reached, pytrace=False)
    return result


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    """One private PostgreSQL server for the session (of each xdist worker)."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session", params=["default", "debian-15"])
def any_postgres_server(request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """Each PostgreSQL that can be tested here: the default one and Debian's 15 where it is installed."""
    if request.param == "default":
        yield request.getfixturevalue("postgres_server")
        return
    if not (DEBIAN_POSTGRES / "initdb").exists():
        pytest.skip(f"Debian's PostgreSQL 15 is not installed in {DEBIAN_POSTGRES}")
    with running_server(str(DEBIAN_POSTGRES)) as server:
        yield server


@pytest.fixture
def database(postgres_server: TestServer) -> Iterator[str]:
    """Connection string of an empty database of the test's own."""
    conninfo = postgres_server.create_database()
    yield conninfo
    postgres_server.drop_database(conninfo)


@pytest.fixture
def shard(postgres_server: TestServer) -> Iterator[str]:
    """Connection string of a database that is set up as a worker's."""
    conninfo = postgres_server.create_shard()
    yield conninfo
    postgres_server.drop_database(conninfo)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One running cluster of three workers for the session (of each xdist worker); databases in it are the test's."""
    with running_cluster() as made:
        yield made


@pytest.fixture(scope="session")
def servers(
    cluster: Cluster, postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """The made-up catalogues on the session's cluster and in one plain PostgreSQL."""
    with both_servers(cluster, postgres_server, tmp_path_factory.mktemp("catalogues")) as both:
        yield both


@pytest.fixture(scope="session")
def tap(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TapServer]:
    """A server of TAP over the session's cluster, with the catalogue "clustered"."""
    tables = catalogue(0, "clustered", count=600)
    load_catalogue(cluster, tmp_path_factory.mktemp("tap"), name="clustered", tables=tables, target_rows=25)
    with running_tap_server(cluster, "--json-logs", "--upload-from", "tables.example.org") as server:
        yield server
