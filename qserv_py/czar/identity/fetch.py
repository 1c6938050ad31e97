"""Reading what is at a URL, such as the JSON of an issuer of tokens, within bounds whatever the other side does.

No redirect is followed and no proxy variable is looked at: what is asked is the URL that the operator wrote, or one
that the issuer's own document names. The exchange ends at a deadline, also with a server that sends a byte a second.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from io import BytesIO
from ipaddress import ip_address
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from qserv_py.cancelling import Cancel
from qserv_py.errors import IdentityProviderError

MAX_BYTES = 256 * 1024
TIMEOUT_S = 5.0
CONNECT_S = 10.0
"""Seconds that a server may take to accept a connection."""


def fetch_json(url: str, *, ca_file: str = "", timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Return the JSON object at a URL.

    Parameters
    ----------
    url
        One that ``url_problem`` finds nothing wrong with.
    ca_file
        PEM file of certificate authorities; empty for the system's.
    timeout_s
        Seconds for connecting, and as many again for the exchange.

    Raises
    ------
    IdentityProviderError
        If nothing answers in time, or the answer is not one JSON object of at most ``MAX_BYTES``.
    """
    sink = BytesIO()
    try:
        status = fetch(url, sink, most_bytes=MAX_BYTES, ca_file=ca_file, timeout_s=timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise IdentityProviderError(f"{url} does not answer", detail=f"{type(error).__name__}: {error}") from error
    body = sink.getvalue()
    if status != 200:
        raise IdentityProviderError(f"{url} answers with HTTP status {status}")
    if len(body) > MAX_BYTES:
        raise IdentityProviderError(f"{url} has more than {MAX_BYTES} bytes")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IdentityProviderError(f"{url} is not JSON", detail=str(error)) from error
    if not isinstance(data, dict):
        raise IdentityProviderError(f"{url} is not a JSON object")
    return data


def fetch(
    url: str,
    sink: BinaryIO,
    *,
    most_bytes: int,
    timeout_s: float,
    ca_file: str = "",
    address: str = "",
    cancel: Cancel | None = None,
) -> int:
    """Write what is at a URL into a sink, cut off behind ``most_bytes`` and one; return the HTTP status.

    Parameters
    ----------
    url
        One that ``url_problem`` finds nothing wrong with.
    sink
        Where the bytes go.
    most_bytes
        Bytes that are wanted.
    timeout_s
        Seconds for connecting (at most ``CONNECT_S``), and as many again for the exchange.
    ca_file
        PEM file of certificate authorities; empty for the system's.
    address
        Where to connect to instead of asking for the host's address.
    cancel
        Ends the exchange, too.

    Raises
    ------
    OSError, http.client.HTTPException, ValueError
        If nothing answers in time, or not as a server should, or it was cancelled.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    context = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "https" else None
    late = threading.Event()
    cancel = cancel or Cancel()
    cancel.raise_if_cancelled()
    connect_s = min(timeout_s, CONNECT_S)
    with socket.create_connection((address or host, port), timeout=connect_s) as plain, plain.dup() as guard:
        plain.settimeout(timeout_s)

        # Timeouts of sockets are for one read; the end of the whole is a shutdown from outside. TLS takes the first
        # descriptor away from ``plain``, hence the second.
        def end() -> None:
            late.set()
            with suppress(OSError):
                guard.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(timeout_s, end)
        timer.start()
        connection = http.client.HTTPConnection(host, port)
        try:
            with cancel.calling(end):
                connection.sock = context.wrap_socket(plain, server_hostname=host) if context else plain
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("GET", path, headers={"Accept": "*/*", "User-Agent": "qserv_py"})
                with connection.getresponse() as response:
                    left = most_bytes + 1
                    while left and (piece := response.read(min(left, 1 << 20))):
                        left -= len(piece)
                        sink.write(piece)
        except (OSError, http.client.HTTPException) as error:
            if late.is_set():
                raise TimeoutError(f"it took more than {timeout_s:g} s") from error
            raise
        finally:
            timer.cancel()
            timer.join()
            connection.close()
    if late.is_set():  # an answer that was cut off at the deadline may look complete
        raise TimeoutError(f"it took more than {timeout_s:g} s")
    return response.status


def url_problem(url: str, *, with_query: bool = False) -> str:
    """Return why a URL is not one that is asked for tokens' keys, as the end of a sentence; empty when it is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"is not a URL: {url!r}"
    if parts.scheme not in {"http", "https"} or not host or not url.isascii() or not url.isprintable() or " " in url:
        return f"is not an https URL: {url!r}"
    if (parts.query and not with_query) or parts.fragment or parts.username is not None:
        return f"must have no user, query or fragment: {url!r}"
    if parts.scheme == "http" and not is_loopback(host):
        return f"must begin with https: only an issuer on this machine may do without, and {host} is not"
    return ""


def is_loopback(host: str) -> bool:
    """Tell whether a host of a URL is this machine, by what is written; no name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
