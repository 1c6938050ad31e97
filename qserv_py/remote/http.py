"""Requests to a service: one connection each, errors as ours, a token that is shown to that service alone."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from defusedxml.ElementTree import ParseError, fromstring

from qserv_py import errors
from qserv_py.errors import AuthenticationError, ClusterError, ConfigError, NotFoundError, QservError, UserError

ERROR_HEADER = "X-Qserv-Error"
"""Header in which a service names the code of an error."""

CONNECT_S = 30.0
FORM = "application/x-www-form-urlencoded"
MOST_TEXT = 64 << 20
"""Bytes of a document; results are streamed."""


Parameters = Mapping[str, object] | str | None


class Service:
    """A TAP service.

    Parameters
    ----------
    url
        Its address, with or without ``/tap``.
    token
        What proves who asks; empty for nobody.
    """

    def __init__(self, url: str, *, token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f'"{url}" is not the address of a service', hint="Write it like http://127.0.0.1:8080.")
        if token and parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ConfigError(f"a token is not sent to {url}, as anybody on the way could read it", hint="Use https.")
        self.url = url.rstrip("/").removesuffix("/tap")
        self._parts = urlsplit(self.url)
        self._token = token

    @contextmanager
    def request(
        self,
        method: str,
        path: str,
        parameters: Parameters = None,
        *,
        files: Mapping[str, bytes] | None = None,
        wait_s: float = CONNECT_S,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and yield the reply, whose body is read by whoever asked.

        Parameters
        ----------
        method
            GET, POST or DELETE.
        path
            Below the service's address.
        parameters
            Sent as a form by POST, else in the address; a text is sent as JSON.
        files
            Sent with the form, by the name of their part.
        wait_s
            Seconds that the service may be silent.

        Raises
        ------
        QservError
            The service's error, of the class that its code names; ClusterError if it cannot be reached.
        """
        body, kind = _body(parameters, files or {})
        target = self._parts.path + path + (f"?{body.decode()}" if body and method != "POST" else "")
        headers = {"User-Agent": "qserv_py", "Accept": "*/*"}
        if method == "POST":
            headers["Content-Type"] = kind
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connect(wait_s)
        try:
            connection.request(method, target, body if method == "POST" else None, headers)
            reply = connection.getresponse()
            if reply.status >= 400:
                raise self._error(reply)
            yield reply
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(f"{self.url} does not answer", detail=f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def text(self, method: str, path: str, parameters: Parameters = None, *, wait_s: float = CONNECT_S) -> bytes:
        """Send a request and return the body of the reply."""
        with self.request(method, path, parameters, wait_s=wait_s) as reply:
            return reply.read(MOST_TEXT)

    def location(self, path: str, parameters: Mapping[str, object], *, files: Mapping[str, bytes] | None = None) -> str:
        """Post a form and return the address to which the reply leads, below the service's."""
        with self.request("POST", path, parameters, files=files, wait_s=300) as reply:
            reply.read(MOST_TEXT)
            found = reply.getheader("Location", "")
        return "/tap/" + found.rpartition("/tap/")[2]

    def _error(self, reply: http.client.HTTPResponse) -> QservError:
        error = _error(reply)
        if isinstance(error, AuthenticationError):
            error.hint = _SHOWN if self._token else _NOT_SHOWN
        return error

    def _connect(self, wait_s: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=wait_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=wait_s)


_NOT_SHOWN = "Set QSERV_TOKEN to your token, or give connect() in Python token=...; who runs the service makes one."
_SHOWN = "QSERV_TOKEN, or token=... of connect(), is what the service was shown; who runs it makes another one."


def _body(parameters: Parameters, files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Return the body of a request and its type."""
    if isinstance(parameters, str):
        return parameters.encode(), "application/json"
    known = {name: str(value) for name, value in (parameters or {}).items() if value is not None}
    if not files:
        return urlencode(known).encode(), FORM
    edge = secrets.token_hex(20)
    parts = [(f'name="{name}"', value.encode()) for name, value in known.items()]
    parts += [(f'name="{name}"; filename="{name}"', content) for name, content in files.items()]
    written = (
        f"--{edge}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode() + content for said, content in parts
    )
    return b"\r\n".join([*written, f"--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


def _error(reply: http.client.HTTPResponse) -> QservError:
    """Return the error that a reply tells of."""
    body = reply.read(MOST_TEXT)
    text = _votable_text(body) or _json_text(body) or f"the service answers with HTTP status {reply.status}"
    kinds: dict[int, type[QservError]] = {
        400: UserError,
        401: AuthenticationError,
        404: NotFoundError,
        503: ClusterError,
    }
    other = kinds.get(reply.status, UserError if reply.status < 500 else QservError)
    return told_error(text, code=reply.getheader(ERROR_HEADER, ""), other=other)


def told_error(text: str, *, code: str, other: type[QservError] = QservError) -> QservError:
    """Return the error of a rendered text and its code; of class ``other`` where no class has the code."""
    message, _, hint = text.partition("\nHINT: ")
    message, _, detail = message.partition("\nDETAIL: ")
    kind = _by_code().get(code, other)
    made = kind.__new__(kind)
    QservError.__init__(made, message, detail=detail, hint=hint)
    made.__dict__ |= {"text": "", "offset": None, "reason": message, "challenges": (), "retry_after_s": 0.0}
    return made


def _votable_text(body: bytes) -> str:
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError):
        return ""
    infos = [element for element in root.iter() if element.get("name") == "QUERY_STATUS"]
    return (infos[-1].text or "").strip() if infos else ""


def _json_text(body: bytes) -> str:
    """Return an error of the JSON API as the other parts of a service tell it."""
    try:
        record = json.loads(body)["error"]
        place = f"ADQL line {record['line']}, column {record['column']}: " if record.get("line") else ""
        hint = f"\nHINT: {record['hint']}" if record.get("hint") else ""
        return f"{place}{record['message']}{hint}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _by_code() -> dict[str, type[QservError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, QservError)]
    return {kind.code: kind for kind in kinds}
