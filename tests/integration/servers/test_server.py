"""One embedded server on each PostgreSQL that can be tested here: made, killed, started again, stopped."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support.postgres import TestServer, private_directory, running_server
from support.waiting import wait_until

from qserv_py.errors import ClusterError, ConfigError
from qserv_py.workers import server_programs
from qserv_py.workers.server_address import free_port, port_is_free, socket_directory
from qserv_py.workers.server_programs import Account, blocking_directory, find_programs, server_account
from qserv_py.workers.server_setup import READER, apply_scripts, prepare_server


@pytest.fixture(scope="module")
def mortal() -> Iterator[TestServer]:
    """A server that tests may kill."""
    with running_server() as server:
        yield server


def wait_until_dead(server: TestServer) -> None:
    assert wait_until(lambda: server.server.pid() is None)


def one(conninfo: str, query: str) -> object:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


def test_it_is_set_up_for_us(any_postgres_server: TestServer) -> None:
    conninfo = any_postgres_server.conninfo
    assert one(conninfo, "SHOW server_encoding") == "UTF8"
    assert one(conninfo, "SHOW timezone") == "UTC"
    assert one(conninfo, "SHOW jit") == "off"
    assert one(conninfo, "SELECT datcollate FROM pg_database WHERE datname = current_database()") == "C"
    assert one(conninfo, "SHOW listen_addresses") == "127.0.0.1"


def test_the_reader_reads_what_is_made_later_and_changes_nothing(any_postgres_server: TestServer) -> None:
    conninfo = any_postgres_server.conninfo
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS later; CREATE TABLE later.t AS SELECT 1 AS a")
    reader = make_conninfo(conninfo, user=READER)
    assert one(reader, "SELECT a FROM later.t") == 1
    assert one(reader, "SHOW default_transaction_read_only") == "on"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        one(reader, "CREATE TABLE later.u (a integer)")
    for statement in ("DELETE FROM later.t", "CREATE TABLE later.u (a integer)", "CREATE TABLE public.u (a integer)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one(make_conninfo(reader, options="-c default_transaction_read_only=off"), statement)


def test_nobody_enters_without_the_password(postgres_server: TestServer) -> None:
    for host in ("127.0.0.1", str(postgres_server.server.socket_dir)):
        wrong = make_conninfo(postgres_server.conninfo, host=host, password="wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            one(wrong, "SELECT 1")


def test_setting_up_again_changes_nothing(postgres_server: TestServer) -> None:
    prepare_server(postgres_server.conninfo, reader_password="test")
    apply_scripts(postgres_server.conninfo)
    assert one(make_conninfo(postgres_server.conninfo, user=READER), "SELECT 1") == 1


def test_a_killed_server_starts_again_with_its_data(mortal: TestServer) -> None:
    with psycopg.connect(mortal.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE survivor AS SELECT 1 AS a")
        connection.execute("CHECKPOINT")  # the tests' servers do not flush at commit
        assert mortal.server.pid()
        os.kill(mortal.server.pid() or 0, signal.SIGKILL)  # a session is open: its process is an orphan now
        wait_until_dead(mortal)
        assert (mortal.server.data_dir / "postmaster.pid").exists()
        mortal.server.start()
    assert one(mortal.conninfo, "SELECT a FROM survivor") == 1


def test_a_pid_file_with_the_number_of_a_stranger_is_stale(mortal: TestServer) -> None:
    assert mortal.server.stop()
    pid_file = mortal.server.data_dir / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{mortal.server.data_dir}\n")
    assert mortal.server.pid() is None
    mortal.server.start()
    assert mortal.server.pid() not in (None, os.getpid())
    mortal.server.start()  # runs already


def test_stopping_twice_is_no_error(mortal: TestServer) -> None:
    mortal.server.start()
    assert mortal.server.stop()
    assert not mortal.server.stop()
    assert not list(mortal.server.socket_dir.glob(".s.PGSQL*"))


def test_a_server_that_cannot_start_says_why(mortal: TestServer) -> None:
    mortal.server.stop()
    broken = replace(mortal.server, settings={"shared_buffers": "lots"})
    with pytest.raises(ClusterError, match='PostgreSQL of worker "test" did not start on port') as caught:
        broken.start(timeout_s=20)
    assert 'invalid value for parameter "shared_buffers": "lots"' in caught.value.detail
    assert "server.log" in caught.value.hint
    mortal.server.start()


def test_data_of_another_version_are_refused(mortal: TestServer) -> None:
    mortal.server.stop()
    other = replace(mortal.server, programs=replace(mortal.server.programs, version="99.1"))
    with pytest.raises(ConfigError, match=r"the data of worker test are of PostgreSQL \d+, the programs in .* of 99.1"):
        other.start()
    mortal.server.start()


def test_a_port_in_use_is_not_free(postgres_server: TestServer) -> None:
    assert not port_is_free(postgres_server.server.port)
    assert free_port({postgres_server.server.port}) != postgres_server.server.port


def test_a_long_socket_path_gives_way_to_a_private_directory(tmp_path: Path) -> None:
    account = server_account(tmp_path)
    assert socket_directory(tmp_path, port=25000, account=account) == tmp_path
    deep = tmp_path / ("x" * 100)
    chosen = socket_directory(deep, port=25000, account=account)
    assert len(str(chosen)) < 60
    assert chosen == socket_directory(deep, port=25001, account=account)
    chosen.symlink_to(tmp_path)
    try:
        with pytest.raises(ClusterError, match="the directory for the cluster's sockets, belongs to somebody else"):
            socket_directory(deep, port=25000, account=account)
    finally:
        chosen.unlink()


def test_programs_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch()
    with pytest.raises(ConfigError, match=r"has no initdb and no pg_ctl") as caught:
        find_programs(str(tmp_path), server_account(tmp_path), copy_to=tmp_path / "copy")
    assert "QSERV_PG_BIN" in caught.value.hint


def test_an_old_postgresql_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in ("postgres", "initdb", "pg_ctl"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (tmp_path / name).chmod(0o755)
    me = Account(name="me", uid=os.geteuid(), gid=os.getegid())
    with pytest.raises(ConfigError, match=r"is PostgreSQL 14.9; qserv_py needs 15 or later"):
        find_programs(str(tmp_path), me, copy_to=tmp_path / "copy")


STRANGER = Account(name="stranger", uid=54321, gid=54321)


def test_the_directory_that_blocks_the_way_is_found(request: pytest.FixtureRequest) -> None:
    top = private_directory()
    request.addfinalizer(lambda: shutil.rmtree(top))
    closed = top / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    assert blocking_directory(closed / "inner" / "file", STRANGER) == closed
    closed.chmod(0o711)
    (closed / "inner").chmod(0o711)
    assert blocking_directory(closed / "inner" / "file", STRANGER) is None
    closed.chmod(0o700)
    assert blocking_directory(closed / "inner", Account(name="me", uid=os.geteuid(), gid=os.getegid())) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_root_copies_the_programs_when_the_way_to_them_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    original = server_programs.wheel_bin_dir()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = original.parents[1]
    (closed / package.name).symlink_to(package)
    (closed / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))
    monkeypatch.setattr(server_programs, "wheel_bin_dir", lambda: closed / package.name / "pginstall" / "bin")
    home = private_directory()
    request.addfinalizer(lambda: shutil.rmtree(home))
    found = find_programs("", server_account(home / "pg"), copy_to=home / "programs")
    assert found.bin_dir.is_relative_to(home)
    assert find_programs("", server_account(home / "pg"), copy_to=home / "programs") == found
    with pytest.raises(ClusterError, match=r"cannot reach .*: .* is closed to it"):
        find_programs(str(closed / package.name / "pginstall" / "bin"), server_account(home), copy_to=home / "p")
