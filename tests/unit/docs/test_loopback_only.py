"""Tests, and the processes that they start, stay on the loopback and depend on no table that gets old."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from astropy.utils.data import download_file
from support.later import later
from support.secluded import loopback_only

FAR = "192.0.2.1"
"""An address of documentation (RFC 5737): nobody has it."""

STOPPED = "tests stay on the loopback and ask no name server"


def tcp(address: tuple[str, int], family: socket.AddressFamily = socket.AF_INET) -> None:
    with socket.socket(family) as one:
        one.settimeout(1)
        one.connect(address)


def tcp_by_number() -> None:
    with socket.socket() as one:
        one.settimeout(1)
        one.connect_ex((FAR, 80))


def udp() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.sendto(b"x", (FAR, 53))


def listening() -> None:
    with socket.socket() as one:
        one.bind(("192.0.2.1", 0))


WAYS: list[tuple[Callable[[], object], str]] = [
    (lambda: tcp((FAR, 80)), "192.0.2.1, port 80"),
    (lambda: tcp(("::ffff:192.0.2.1", 80), socket.AF_INET6), "::ffff:192.0.2.1, port 80"),
    (lambda: tcp(("2001:db8::1", 80), socket.AF_INET6), "2001:db8::1, port 80"),
    (tcp_by_number, "192.0.2.1, port 80"),
    (udp, "192.0.2.1, port 53"),
    (listening, "192.0.2.1, port 0"),
    (lambda: socket.create_connection(("example.org", 80), 1), '"example.org"'),
    (lambda: socket.getaddrinfo("example.org", 80), '"example.org"'),
    (lambda: socket.gethostbyname("example.org"), '"example.org"'),
    (lambda: socket.gethostbyaddr(FAR), '"192.0.2.1"'),
    (lambda: socket.getnameinfo((FAR, 80), 0), '"192.0.2.1"'),
    (lambda: urllib.request.urlopen("http://example.org/", timeout=1), '"example.org"'),
    (lambda: httpx2.get("https://example.org/", timeout=1), '"example.org"'),
]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A record of the test's own: what it provokes does not fail it."""
    monkeypatch.setenv(loopback_only.RECORD, str(tmp_path / "attempts"))
    return tmp_path / "attempts"


@pytest.mark.parametrize(("reach", "target"), WAYS)
def test_whatever_reaches_out_is_stopped_and_recorded(record: Path, reach: Callable[[], object], target: str) -> None:
    with pytest.raises(RuntimeError, match=STOPPED) as caught:
        reach()
    assert target in str(caught.value)
    assert target in record.read_text()
    assert "test_loopback_only.py" in record.read_text()  # where it was done


def test_asyncio_is_stopped_too(record: Path) -> None:
    with asyncio.Runner() as runner, socket.socket() as one:
        one.setblocking(False)
        with pytest.raises(RuntimeError, match=STOPPED):
            runner.run(runner.get_loop().sock_connect(one, (FAR, 80)))


@pytest.mark.xfail(strict=True, reason="what is caught fails the test, too")
def test_an_attempt_that_somebody_caught_fails_the_test() -> None:
    with suppress(RuntimeError):
        tcp((FAR, 80))


def test_a_child_is_stopped_and_recorded_by_its_parent(record: Path) -> None:
    code = f"import socket; socket.create_connection(({FAR!r}, 80), 1)"
    grandchild = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
    for program in (code, grandchild):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 1
        assert f"reaches for 192.0.2.1, port 80: {STOPPED}" in done.stderr
        assert "192.0.2.1, port 80" in loopback_only.attempts(record)
    assert not record.exists()


def test_the_loopback_and_unix_sockets_are_open(tmp_path: Path) -> None:
    for family, place in ((socket.AF_INET, ("localhost", 0)), (socket.AF_UNIX, str(tmp_path / "s"))):
        with socket.socket(family) as server, socket.socket(family) as client:
            server.bind(place)
            server.listen()
            client.connect(server.getsockname())
    assert socket.getaddrinfo("127.0.0.9", 80)[0][4] == ("127.0.0.9", 80)


ASTROPY = """
from datetime import datetime
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import data, iers
horizon = AltAz(obstime=Time("2026-10-01"), location=EarthLocation.from_geodetic(-70, -30))
SkyCoord(10, 20, unit="deg").transform_to(horizon)
print(iers.conf.auto_download, iers.conf.auto_max_age, data.conf.allow_internet)
print(datetime.now() > datetime(2029, 8, 1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libfaketime is preloaded as on Linux")
def test_astropy_downloads_nothing_and_calls_no_table_old() -> None:
    """Three years after its tables were made, without a warning; here no download either."""
    with later(days=1000) as variables:
        done = subprocess.run(
            [sys.executable, "-c", ASTROPY], capture_output=True, text=True, env=os.environ | variables
        )
    assert done.stderr == ""
    assert done.stdout == "False 36500.0 False\nTrue\n"
    with pytest.raises(OSError, match="allow_internet"):
        download_file("https://example.org/table", cache=False)
