"""Tokens of an issuer: right ones, every kind of wrong one, and issuers that do not behave."""

from __future__ import annotations

import base64
import datetime
import hmac
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from support.issuer import (
    AUDIENCE,
    DISCOVERY,
    EC_KEY,
    ED_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    Issuer,
    jwk_of,
    running_issuer,
)
from support.waiting import AT_ONCE_S

from qserv_py.czar.identity import fetch, issuer_keys
from qserv_py.czar.identity.fetch import fetch_json
from qserv_py.czar.identity.identity import Proof
from qserv_py.czar.identity.issuer_keys import FRESH_S, RETRY_S, STALE_S, IssuerKeys
from qserv_py.czar.identity.oidc import OidcVerifier
from qserv_py.czar.identity.settings import OidcSettings
from qserv_py.errors import AuthenticationError, IdentityProviderError


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def verifier(issuer: Issuer, clock: Clock | None = None, **settings: Any) -> OidcVerifier:
    chosen = OidcSettings(issuer=issuer.url, audience=(AUDIENCE, "tap"), **settings)
    return OidcVerifier(chosen, IssuerKeys(chosen, clock=clock or Clock()))


def test_a_right_token_stands_for_its_user(issuer: Issuer) -> None:
    check = verifier(issuer)
    identity = check.verify(issuer.token())
    assert (identity.user, identity.groups, identity.proof) == ("alice", {"survey"}, Proof.OIDC)
    assert check.verify(issuer.token(sub="bob", aud=["x", "tap"])).user == "bob"
    assert issuer.requests == [DISCOVERY, "/keys"]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA_KEY, "RS256"), (RSA_KEY, "PS512"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")],
    ids=["RS256", "PS512", "ES256", "EdDSA"],
)
def test_algorithms(issuer: Issuer, key: Any, algorithm: str) -> None:
    issuer.keys = [jwk_of(OTHER_RSA_KEY, "other"), jwk_of(key, "mine")]
    check = verifier(issuer, algorithms=(algorithm,))
    assert check.verify(issuer.token(key=key, algorithm=algorithm, kid="mine")).user == "alice"
    assert check.verify(issuer.token(key=key, algorithm=algorithm, kid=None)).user == "alice"


@pytest.mark.parametrize(
    ("claims", "claim", "groups"),
    [
        ({"groups": ["survey", "survey/pi"]}, "groups", {"survey", "survey/pi"}),  # Indigo IAM
        ({"wlcg.groups": ["/survey", "/survey/pi"]}, "wlcg.groups", {"survey", "survey/pi"}),  # the same, WLCG profile
        ({"groups": ["/survey/pi"]}, "groups", {"survey/pi"}),  # Keycloak, full paths
        ({"realm_access": {"roles": ["survey"]}}, "realm_access.roles", {"survey"}),  # Keycloak, roles
        ({"resource_access": {"qserv": {"roles": ["a"]}}}, "resource_access.qserv.roles", {"a"}),
        ({"isMemberOf": ["CO:members:all", "survey"]}, "isMemberOf", {"CO:members:all", "survey"}),  # CILogon
        ({"isMemberOf": [{"name": "survey", "id": 7}, {"id": 8}]}, "isMemberOf", {"survey"}),  # CILogon for Rubin
        ({"isMemberOf": "survey"}, "isMemberOf", {"survey"}),
        ({"isMemberOf": "a;survey"}, "isMemberOf", {"a;survey"}),
        ({"groups": []}, "groups", set()),
        ({"groups": None}, "groups", set()),
        ({"groups": {"survey": True}}, "groups", set()),
        ({"groups": [1, None, ["survey"], " ", "a\nb", "x" * 300, "ok"]}, "groups", {"ok"}),
        ({"groups": ["survey"]}, "groups.0", set()),
        ({"groups": ["survey"]}, "", set()),
    ],
)
def test_groups_in_the_shapes_of_providers(
    issuer: Issuer, claims: dict[str, Any], claim: str, groups: set[str]
) -> None:
    assert verifier(issuer, groups_claim=claim).verify(issuer.token(**claims)).groups == groups


WRONG_CLAIMS = [
    ({"aud": "other"}, "the token is meant for another service"),
    ({"aud": ["other", "qserv2"]}, "the token is meant for another service"),
    ({"aud": None}, "the token lacks a claim"),
    ({"aud": 5}, "the token is"),
    ({"exp": datetime.timedelta(minutes=-2)}, "the token has expired"),
    ({"exp": None}, "the token lacks a claim"),
    ({"exp": "soon"}, "the token is not valid"),
    ({"exp": float("inf")}, "the token is not valid"),
    ({"exp": float("nan")}, "the token is not valid"),
    ({"nbf": datetime.timedelta(minutes=10)}, "the token is not valid yet"),
    ({"iat": datetime.timedelta(minutes=10)}, "the token is not valid yet"),
    ({"iss": "https://other.example.org"}, "the token is of another issuer"),
    ({"iss": None}, "the token is of another issuer"),
    ({"iss": ["x"]}, "the token is of another issuer"),
    ({"sub": None}, "the token has no user's name in its claim"),
    ({"sub": ""}, "the token has no user's name in its claim"),
    ({"sub": "a\nb"}, "the token has no user's name in its claim"),
    ({"sub": "anonymous"}, "the token has no user's name in its claim"),
    ({"sub": 7}, "the token is not valid"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_CLAIMS, ids=[str(changes) for changes, _ in WRONG_CLAIMS])
def test_wrong_claims(issuer: Issuer, changes: dict[str, Any], message: str) -> None:
    # a time counts from the test, not from its collection: runs are long, and workers collect at different seconds
    changes = {
        claim: int(time.time() + value.total_seconds()) if isinstance(value, datetime.timedelta) else value
        for claim, value in changes.items()
    }
    token = issuer.token(**changes) if "iss" not in changes and "sub" not in changes else signed(issuer, changes)
    with pytest.raises(AuthenticationError, match=message):
        verifier(issuer).verify(token)


def signed(issuer: Issuer, changes: dict[str, Any]) -> str:
    """Return a token that is signed rightly, also over claims that the library would not write."""
    return raw_token({"alg": "RS256", "kid": "rsa", "typ": "JWT"}, issuer.claims(**changes))


def raw_token(header: dict[str, Any], claims: Any) -> str:
    head, body = (base64url(json.dumps(part).encode()) for part in (header, claims))
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    return f"{head}.{body}." + base64url(algorithm.sign(f"{head}.{body}".encode(), RSA_KEY))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_clock_of_the_issuer_may_be_a_little_off(issuer: Issuer) -> None:
    check = verifier(issuer)
    now = int(time.time())
    assert check.verify(issuer.token(exp=now - 30, iat=now + 30, nbf=now + 30)).user == "alice"
    with pytest.raises(AuthenticationError, match="has expired"):
        verifier(issuer, leeway_s=0).verify(issuer.token(exp=now - 30))


def test_none_is_no_algorithm(issuer: Issuer) -> None:
    for name in ("none", "None", "NONE", ""):
        head, body = base64url(json.dumps({"alg": name, "kid": "rsa"}).encode()), issuer.token().split(".")[1]
        for signature in ("", "AAAA"):
            with pytest.raises(AuthenticationError, match="signed in a way that is not allowed|not valid"):
                verifier(issuer).verify(f"{head}.{body}.{signature}")


@pytest.mark.parametrize("kid", ["rsa", None])
def test_the_public_key_is_no_secret(issuer: Issuer, kid: str | None) -> None:
    """HS256 with the public key: whoever can read the issuer's keys could sign."""
    public = RSA_KEY.public_key()
    texts = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(issuer.keys[0]).encode(),
    ]
    head = base64url(json.dumps({"alg": "HS256", **({} if kid is None else {"kid": kid})}).encode())
    body = issuer.token().split(".")[1]
    for secret in texts:
        signature = base64url(hmac.digest(secret, f"{head}.{body}".encode(), "sha256"))
        with pytest.raises(AuthenticationError, match="signed in a way that is not allowed"):
            verifier(issuer).verify(f"{head}.{body}.{signature}")


def test_a_symmetric_key_that_the_issuer_lists_is_not_used(issuer: Issuer) -> None:
    issuer.keys = [{"kty": "oct", "kid": "rsa", "k": base64url(b"x" * 32), "alg": "HS256"}, *issuer.keys]
    assert verifier(issuer).verify(issuer.token()).user == "alice"
    token = jwt.encode(issuer.claims(), b"x" * 32, algorithm="HS256", headers={"kid": "rsa"})
    with pytest.raises(AuthenticationError, match="not allowed"):
        verifier(issuer).verify(token)


def test_signatures_of_others(issuer: Issuer) -> None:
    check = verifier(issuer)
    right = issuer.token()
    head, body, signature = right.split(".")
    other = base64url(json.dumps(issuer.claims(sub="eve")).encode())
    wrong = [
        issuer.token(key=OTHER_RSA_KEY),
        f"{head}.{other}.{signature}",
        f"{head}.{body}.{base64url(b'x' * 256)}",
        issuer.token(key=EC_KEY, algorithm="ES256"),
        issuer.token(key=OTHER_RSA_KEY, kid=None),
    ]
    for token in wrong:
        with pytest.raises(AuthenticationError, match="not signed with a key of the issuer"):
            check.verify(token)
    assert check.verify(right).user == "alice"


def test_a_key_in_the_token_itself_is_not_believed(issuer: Issuer) -> None:
    headers = {"kid": "rsa", "jwk": jwk_of(OTHER_RSA_KEY, "rsa"), "jku": f"{issuer.url}/evil"}
    token = jwt.encode(issuer.claims(), OTHER_RSA_KEY, algorithm="RS256", headers=headers)
    with pytest.raises(AuthenticationError, match="not signed with a key of the issuer"):
        verifier(issuer).verify(token)
    assert "/evil" not in issuer.requests


MALFORMED = [
    "",
    "..",
    "a.b.c",
    "x" * 16000,
    "é.é.é",
    f"{base64url(b'[1]')}.{base64url(b'{}')}.AAAA",
    f"{base64url(b'{')}.{base64url(b'{}')}.AAAA",
    f"{base64url(b'[' * 9000)}.{base64url(b'{}')}.AAAA",
    f"{base64url(json.dumps({'alg': ['RS256']}).encode())}.{base64url(b'{}')}.AAAA",
    f"{base64url(json.dumps({'alg': 'RS256', 'kid': 5}).encode())}.{base64url(b'{}')}.AAAA",
    f"{base64url(json.dumps({'alg': 'RS256'}).encode())}.{base64url(b'[]')}.AAAA",
    f"{base64url(json.dumps({'alg': 'RS256'}).encode())}.{base64url(b'{' * 9000)}.AAAA",
]


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_tokens(issuer: Issuer, token: str) -> None:
    with pytest.raises(AuthenticationError):
        verifier(issuer).verify(token)
    assert issuer.requests == []


def test_a_header_that_must_be_understood_and_is_not(issuer: Issuer) -> None:
    token = raw_token({"alg": "RS256", "kid": "rsa", "crit": ["http://example.org/x"]}, issuer.claims())
    with pytest.raises(AuthenticationError, match="not valid"):
        verifier(issuer).verify(token)


# Rotation


def test_a_new_key_is_found_when_a_token_names_it(issuer: Issuer, clock: Clock) -> None:
    check = verifier(issuer, clock)
    check.verify(issuer.token())
    issuer.keys = [jwk_of(OTHER_RSA_KEY, "new")]
    new = issuer.token(key=OTHER_RSA_KEY, kid="new")
    with pytest.raises(AuthenticationError):  # the issuer was asked a moment ago
        check.verify(new)
    clock.now += RETRY_S
    assert check.verify(new).user == "alice"
    with pytest.raises(AuthenticationError, match="not signed with a key"):
        check.verify(issuer.token())  # of the key that has gone
    assert issuer.requests == [DISCOVERY, "/keys"] * 2


def test_unknown_keys_do_not_make_a_flood(issuer: Issuer, clock: Clock) -> None:
    check = verifier(issuer, clock)
    check.verify(issuer.token())
    for number in range(50):
        clock.now += 1.0
        with pytest.raises(AuthenticationError):
            check.verify(issuer.token(kid=f"unknown {number}"))
    assert issuer.requests.count("/keys") == 2
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            check.verify(issuer.token(iss="https://elsewhere.example.org"))
    assert issuer.requests.count("/keys") == 2


def test_keys_are_read_again_every_hour(issuer: Issuer, clock: Clock) -> None:
    check = verifier(issuer, clock)
    check.verify(issuer.token())
    clock.now += FRESH_S - 1
    check.verify(issuer.token())
    assert issuer.requests.count("/keys") == 1
    issuer.keys = [jwk_of(OTHER_RSA_KEY, "new")]
    clock.now += 2
    with pytest.raises(AuthenticationError):  # a key that was taken back stops to count
        check.verify(issuer.token())
    assert issuer.requests.count("/keys") == 2


def test_known_keys_outlive_an_issuer_that_is_away_for_a_while(issuer: Issuer, clock: Clock) -> None:
    check = verifier(issuer, clock)
    check.verify(issuer.token())
    issuer.status[DISCOVERY] = 503
    clock.now += STALE_S - 1
    assert check.verify(issuer.token()).user == "alice"
    with pytest.raises(IdentityProviderError, match="cannot be checked at the moment"):
        check.verify(issuer.token(kid="new"))
    clock.now += 2
    with pytest.raises(IdentityProviderError, match="cannot be checked at the moment"):
        check.verify(issuer.token())
    issuer.status.clear()
    clock.now += RETRY_S
    assert check.verify(issuer.token()).user == "alice"


def test_many_threads_ask_once(issuer: Issuer) -> None:
    issuer.delay_s = 0.1
    check = verifier(issuer)
    with ThreadPoolExecutor(16) as threads:
        users = list(threads.map(lambda _: check.verify(issuer.token()).user, range(32)))
    assert users == ["alice"] * 32
    assert issuer.requests == [DISCOVERY, "/keys"]


def test_a_slow_issuer_does_not_hold_up_who_has_a_known_key(issuer: Issuer, clock: Clock) -> None:
    check = verifier(issuer, clock)
    check.verify(issuer.token())
    clock.now += FRESH_S + 1
    issuer.delay_s = 60.0
    slow = threading.Thread(target=check.verify, args=(issuer.token(),))
    slow.start()
    while len(issuer.requests) < 3:
        time.sleep(0.005)
    started = time.perf_counter()
    assert check.verify(issuer.token()).user == "alice"
    assert time.perf_counter() - started < AT_ONCE_S
    issuer.stopped.set()
    slow.join()


# Issuers that do not behave


def unusable(issuer: Issuer, **settings: Any) -> None:
    with pytest.raises(IdentityProviderError, match="cannot be checked at the moment"):
        verifier(issuer, **settings).verify(issuer.token())


@pytest.mark.parametrize(
    ("discovery", "logged"),
    [
        ({"issuer": "https://other.example.org"}, "calls itself 'https://other.example.org'"),
        ({"issuer": None}, "calls itself None"),
        ({"jwks_uri": None}, "names no URL of its keys"),
        ({"jwks_uri": "http://keys.example.org/"}, "names no URL of its keys"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no URL of its keys"),
        ({"jwks_uri": "http://127.0.0.1:1/\r\nX: y"}, "names no URL of its keys"),
        ({"jwks_uri": "http://127.0.0.1:1/"}, "does not answer"),
    ],
)
def test_discovery_is_not_believed_blindly(
    issuer: Issuer, discovery: dict[str, Any], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.discovery = discovery
    unusable(issuer)
    assert logged in caplog.text
    assert "/keys" not in issuer.requests


@pytest.mark.parametrize("path", [DISCOVERY, "/keys"])
@pytest.mark.parametrize(
    ("body", "logged"),
    [
        (b" " * (fetch.MAX_BYTES + 1), "has more than 262144 bytes"),
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
    ],
    ids=["huge", "empty", "html", "bytes", "deep", "list"],
)
def test_documents_that_are_none(
    issuer: Issuer, path: str, body: bytes, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.raw[path] = body
    unusable(issuer)
    assert logged in caplog.text


WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)
USELESS = [
    "rsa",
    {},
    {"kty": "RSA", "kid": "rsa"},
    {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": 5},
    {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "rsa"},
    jwk_of(WEAK, "rsa"),
    jwk_of(RSA_KEY, "rsa", use="enc"),
    jwk_of(RSA_KEY, "rsa", key_ops=["encrypt"]),
    jwk_of(RSA_KEY, "rsa", alg="RSA-OAEP"),
    jwk_of(RSA_KEY, "rsa") | {"kid": 7},
    jwk_of(ec.generate_private_key(ec.SECP256K1()), "rsa"),
    jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True) | {"kid": "rsa"},
]


@pytest.mark.parametrize("entry", USELESS, ids=range(len(USELESS)))
def test_keys_that_cannot_be_used_are_passed_over(issuer: Issuer, entry: Any, caplog: pytest.LogCaptureFixture) -> None:
    right = issuer.keys
    issuer.keys = [entry, *right]
    assert verifier(issuer).verify(issuer.token()).user == "alice"
    issuer.keys = [entry]
    unusable(issuer)
    assert "has no key that can be used, of 1" in caplog.text


def test_a_key_is_used_for_its_own_algorithm_only(issuer: Issuer) -> None:
    issuer.keys = [jwk_of(RSA_KEY, "rsa", alg="RS256"), jwk_of(EC_KEY, "ec")]
    check = verifier(issuer, algorithms=("RS256", "RS512", "ES256", "ES384"))
    assert check.verify(issuer.token()).user == "alice"
    with pytest.raises(AuthenticationError, match="not signed with a key"):
        check.verify(issuer.token(algorithm="RS512"))


def test_a_list_of_very_many_keys(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    issuer.keys = issuer.keys * (issuer_keys.MAX_KEYS + 1)
    unusable(issuer)
    assert "is not a list of at most 64 keys" in caplog.text


def test_redirects_are_not_followed(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    issuer.status["/keys"] = 302
    unusable(issuer)
    assert "answers with HTTP status 302" in caplog.text
    assert "/elsewhere" not in issuer.requests


def test_an_issuer_that_never_answers_costs_a_bounded_time(issuer: Issuer) -> None:
    issuer.delay_s = 60.0
    started = time.perf_counter()
    with pytest.raises(IdentityProviderError, match="does not answer") as caught:
        fetch_json(f"{issuer.url}/keys", timeout_s=0.3)
    assert time.perf_counter() - started < AT_ONCE_S
    assert "0.3 s" in caught.value.detail or "timed out" in caught.value.detail


def test_an_issuer_that_sends_a_byte_now_and_then_costs_a_bounded_time(issuer: Issuer) -> None:
    issuer.drip_s = 0.05
    started = time.perf_counter()
    with pytest.raises(IdentityProviderError, match="does not answer") as caught:
        fetch_json(f"{issuer.url}/keys", timeout_s=0.4)
    assert time.perf_counter() - started < AT_ONCE_S
    assert "it took more than 0.4 s" in caught.value.detail


def test_what_is_no_http(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(IdentityProviderError, match="does not answer") as caught:
            fetch_json(url)
        thread.join()
    assert "BadStatusLine" in caught.value.detail
    with pytest.raises(IdentityProviderError, match="does not answer"):
        fetch_json(url)  # nobody listens there now


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one PEM file."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer of the tests")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(EC_KEY.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(EC_KEY, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "issuer.pem"
    key = EC_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(key + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls_issuer(certificate: Path) -> Iterator[Issuer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_issuer(context) as running:
        yield running


def test_https_with_an_authority_of_the_operators(tls_issuer: Issuer, certificate: Path) -> None:
    assert verifier(tls_issuer, ca_file=str(certificate)).verify(tls_issuer.token()).user == "alice"


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    unusable(tls_issuer)
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_keys_of_an_https_issuer_are_not_read_without_tls(
    tls_issuer: Issuer, issuer: Issuer, certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls_issuer.discovery = {"jwks_uri": f"{issuer.url}/keys"}
    unusable(tls_issuer, ca_file=str(certificate))
    assert "without https" in caplog.text
    assert issuer.requests == []


def test_a_tls_handshake_that_never_ends_costs_a_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        started = time.perf_counter()
        with pytest.raises(IdentityProviderError, match="does not answer"):
            fetch_json(url, timeout_s=0.3)
        assert time.perf_counter() - started < AT_ONCE_S
