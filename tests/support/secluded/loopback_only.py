"""Keep the processes of the tests on this machine: no socket beyond the loopback, no question to a name server.

`seclude` is called by tests/conftest.py. It guards the process itself and, through ``PYTHONPATH``, every Python process
started from it (sitecustomize.py beside this file). The guard is an audit hook: it sees what all libraries written in
Python do, and cannot be taken off. What libraries in C and other programs reach for is seen where there is no network:
``unshare -n bash -c 'ip link set lo up; make unit'``.

A caller may catch our error and go on, and a child has no test to fail. So each attempt is also written into a file,
and conftest.py fails the test in which the file grew. Only the standard library is imported here, and little of it:
this runs at the start of every child.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

RECORD = "LOOPBACK_ONLY_RECORD"
"""Variable that names the file of the attempts."""

_FOLDER = str(Path(__file__).resolve().parent)
_OWN_NAMES = frozenset({"", "localhost", "ip6-localhost"})


class NetworkReachedError(RuntimeError):
    """A test, or what it tests, reached for the network."""


def seclude(record: Path) -> None:
    """Guard this process and its children; ``record`` is the file into which attempts are written."""
    os.environ[RECORD] = str(record)
    os.environ["ASTROPY_CONFIG_DIR"] = _FOLDER
    # Astropy's wheel knows the leap seconds until half a year after it was made.
    os.environ["PYTHONWARNINGS"] = "ignore:leap-second file is expired"
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([_FOLDER, *(path for path in paths if path not in {"", _FOLDER})])
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # a proxy on this machine leads out of it, too
    install()


def attempts(record: Path) -> str:
    """Return what was written into a record since the last call."""
    if not record.exists():
        return ""
    text = record.read_text()
    record.unlink()
    return text


def install() -> None:
    """Guard this process; a second call does nothing."""
    if not hasattr(sys, "_loopback_only"):
        sys._loopback_only = True  # type: ignore[attr-defined]
        sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    reached = check(*arguments) if check else ""
    if reached:
        message = f"{event} reaches for {reached}: tests stay on the loopback and ask no name server"
        _write(message)
        raise NetworkReachedError(message)


def _write(message: str) -> None:
    import traceback

    if RECORD in os.environ:
        stack = "".join(traceback.format_stack(limit=40)[:-2])
        with open(os.environ[RECORD], "a") as record:
            record.write(f"{message}\nprocess {os.getpid()}, {' '.join(sys.argv)[:200]}:\n{stack}\n")


def _address(_socket: Any, address: Any, *_: Any) -> str:
    """Return the host of a socket's address that is not on this machine; unix and netlink sockets are."""
    if isinstance(address, tuple) and address and isinstance(address[0], str | bytes):
        host = _text(address[0])
        return "" if _is_here(host) else f"{host}, port {address[1]}"
    return ""


def _name(host: Any, *_: Any) -> str:
    """Return the name that a name server would be asked for; numbers are not asked for."""
    name = _text(host)
    return "" if _is_here(name) or _number(name) is not None else f'the address of "{name}"'


def _number_of_name(host: Any) -> str:
    """Return the address whose name would be asked for."""
    name = _text(host[0] if isinstance(host, tuple) else host)
    return "" if _is_here(name) else f'the name of "{name}"'


_CHECKS = {
    "socket.bind": _address,
    "socket.connect": _address,
    "socket.getaddrinfo": _name,
    "socket.gethostbyaddr": _number_of_name,
    "socket.gethostbyname": _name,
    "socket.getnameinfo": _number_of_name,
    "socket.sendmsg": _address,
    "socket.sendto": _address,
}


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host or "")


def _is_here(host: str) -> bool:
    address = _number(host)
    if address is None:
        return host in _OWN_NAMES
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _number(host: str) -> Any:
    import ipaddress

    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
