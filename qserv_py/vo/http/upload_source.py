"""Uploads of a request: parts of its form, or what is at a URL that the operator allows, as files for the query.

With a URL a stranger could make this server ask another one. So the operator names the hosts, no address outside of the
public network is ever asked, whatever name leads to it, and the connection goes to the address that was checked.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qserv_py.cancelling import Cancel
from qserv_py.czar.identity.fetch import fetch, url_problem
from qserv_py.czar.queries.checked_uploads import upload_sources
from qserv_py.errors import TooLargeError, UserError
from qserv_py.vo.http.parameters import Parameters

FETCH_S = 60.0
"""Seconds that the tables of one request may take to be fetched, all of them together."""

Resolver = Callable[[str, int], list[Any]]


@dataclass(frozen=True, slots=True)
class UploadSource:
    """Where the tables of a request come from."""

    parameters: Parameters
    hosts: tuple[str, ...]
    """Hosts that URLs may name, lower case."""

    most_bytes: int
    """Bytes that one fetched table may have."""

    resolve: Resolver = socket.getaddrinfo
    cancel: Cancel = field(default_factory=Cancel)
    """Ends the fetching."""

    def save(self, directory: Path) -> dict[str, Path]:
        """Write the tables that UPLOAD names into files of a directory, which is made when there are any.

        Parameters
        ----------
        directory
            Where the files go, each under its table's name.

        Raises
        ------
        UserError
            If UPLOAD is wrong, names a part that the form does not have, or a URL that is not fetched.
        TooLargeError
            If a fetched table is too large.
        QservError
            The reason for which it was cancelled.
        """
        found = {}
        ends = time.monotonic() + FETCH_S
        for name, uri in upload_sources(self.parameters.all("UPLOAD")).items():
            directory.mkdir(parents=True, exist_ok=True)
            found[name] = directory / name
            scheme, _, part = uri.partition(":")
            if scheme.lower() == "param":
                self._copy(name, part, found[name])
            else:
                self._fetch(name, uri, found[name], timeout_s=max(0.1, ends - time.monotonic()))
        return found

    def _copy(self, name: str, part: str, target: Path) -> None:
        source = self.parameters.files.get(part)
        if source is None:
            raise UserError(
                f'UPLOAD "{name}" is to come as part "{part[:60]}" of the form, which is not there',
                hint="Send the form as multipart/form-data with a file of that name.",
            )
        source.file.seek(0)
        with open(target, "wb") as sink:
            shutil.copyfileobj(source.file, sink, 1 << 20)

    def _fetch(self, name: str, url: str, target: Path, *, timeout_s: float) -> None:
        address = self._address(name, url)
        try:
            with open(target, "wb") as sink:
                status = fetch(
                    url,
                    sink,
                    most_bytes=self.most_bytes,
                    timeout_s=timeout_s,
                    address=address,
                    cancel=self.cancel,
                )
                size = sink.tell()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.cancel.raise_if_cancelled()
            raise UserError(f'UPLOAD "{name}": {url[:80]} does not answer', detail=type(error).__name__) from error
        if status != 200:
            raise UserError(f'UPLOAD "{name}": {url[:80]} answers with HTTP status {status}')
        if size > self.most_bytes:
            raise TooLargeError(f'UPLOAD "{name}" has more than {self.most_bytes} bytes')

    def _address(self, name: str, url: str) -> str:
        """Return the address to connect to, which is a public one."""
        hint = f"Send the table with the query: UPLOAD={name},param:{name}."
        refusal = UserError(f'UPLOAD "{name}": "{url[:80]}" is not fetched by this service', hint=hint)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise refusal from None
        is_plain = parts.scheme == "http"
        if host not in self.hosts or url_problem(f"https{url[4:]}" if is_plain else url, with_query=True):
            raise refusal
        try:
            addresses = [str(found[4][0]) for found in self.resolve(host, port)]
        except OSError:
            raise UserError(f'UPLOAD "{name}": there is no host "{host}"', hint=hint) from None
        if not addresses or not all(ip_address(address).is_global for address in addresses):
            raise refusal
        return addresses[0]
