"""An issuer of OpenID Connect on the loopback, well-behaved until a test says otherwise."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

DISCOVERY = "/.well-known/openid-configuration"
AUDIENCE = "qserv"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
_KINDS = ((rsa.RSAPrivateKey, RSAAlgorithm), (ec.EllipticCurvePrivateKey, ECAlgorithm), (object, OKPAlgorithm))


def jwk_of(key: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as an issuer lists it."""
    kind = next(algorithm for private, algorithm in _KINDS if isinstance(key, private))
    entry = kind.to_jwk(key.public_key(), as_dict=True)
    return {**entry, **({} if kid is None else {"kid": kid}), **more}


@dataclass(eq=False)
class Issuer:
    """A running issuer."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=list)
    """What it lists under ``/keys``."""

    discovery: dict[str, Any] = field(default_factory=dict)
    """What differs in its discovery document."""

    raw: dict[str, bytes] = field(default_factory=dict)
    """Bodies that are sent as they are, by path."""

    status: dict[str, int] = field(default_factory=dict)
    drip_s: float = 0.0
    """Seconds between two bytes of a body."""

    delay_s: float = 0.0
    """Seconds before an answer begins."""

    requests: list[str] = field(default_factory=list)
    """Paths that were asked for."""

    stopped: threading.Event = field(default_factory=threading.Event)

    def body(self, path: str) -> bytes:
        if path in self.raw:
            return self.raw[path]
        if path == DISCOVERY:
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}).encode()
        return json.dumps({"keys": self.keys}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return claims of a token that is right; a change to None leaves a claim out."""
        now = int(time.time())
        right = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, "groups": ["survey"]}
        return {name: value for name, value in {**right, **changes}.items() if value is not None}

    def token(self, *, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "rsa", **changes: Any) -> str:
        """Return a signed token."""
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers=headers)


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.requests.append(self.path)
        issuer.stopped.wait(issuer.delay_s)
        body = issuer.body(self.path)
        try:
            self.send_response(issuer.status.get(self.path, 200))
            self.send_header("Location", f"{issuer.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not issuer.drip_s:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if issuer.stopped.wait(issuer.drip_s):
                    return
        except OSError:  # the reader has had enough
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_issuer(context: Any = None) -> Iterator[Issuer]:
    """Run an issuer with one RSA key; with an SSL context it speaks https."""
    issuer = Issuer(keys=[jwk_of(RSA_KEY, "rsa", use="sig", alg="RS256")])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"issuer": issuer}))
    server.daemon_threads = False
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    issuer.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
