"""settings.yaml: what it says, and that nothing that is misspelt goes unnoticed."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_network
from pathlib import Path

import pytest

from qserv_py.czar.identity.identity import ANONYMOUS, Identity, Proof
from qserv_py.czar.identity.limits import LIMIT_NAMES, LimitRules, Limits
from qserv_py.czar.identity.settings import ALGORITHMS, IdentitySettings, OidcSettings, ProxySettings
from qserv_py.czar.obscore.images import ImageAccess
from qserv_py.czar.queries.shares import MemorySettings
from qserv_py.czar.settings.settings_file import Settings, read_settings
from qserv_py.czar.settings.vo_resource import VoResource
from qserv_py.errors import ConfigError

FULL = """\
identity:
  realm: sky survey
  oidc:
    issuer: https://iam.example.org/realms/sky
    audience: [qserv, tap]
    user_claim: preferred_username
    groups_claim: realm_access.roles
    algorithms: RS256
    leeway_s: 5
    ca_file: {ca_file}
  proxy:
    addresses: [10.0.0.7, "fd00::/8"]
    user_header: X-User
    groups_header: X-Groups
memory: {{process_bytes: 4_000_000_000, query_bytes: 500_000_000}}
limits:
  default: {{concurrent_jobs: 3, rows: 1_000}}
  anonymous: {{rows: 10, execution_s: 60}}
  groups:
    survey: {{rows: 5_000, upload_bytes: 7}}
    "pi's": {{rows: 2_000, upload_bytes: 9}}
  users:
    alice: {{rows: 1}}
publication:
  identifier: ivo://example.org/qserv/sky
  title: The sky
  publisher: Example
  description: All of it.
  contact_name: Ada
  contact_email: ada@example.org
  reference_url: https://example.org
  created: 2026-11-20
  wavebands: [Optical, X-ray]
images:
  links: https://data.example.org/links
  facility: Example Observatory
  obscore: dr1.ObsCore
"""


def settings(directory: Path, text: str) -> Settings:
    (directory / "settings.yaml").write_text(text)
    return read_settings(directory)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.touch()
    read = settings(tmp_path, FULL.format(ca_file=ca_file))
    assert read.identity == IdentitySettings(
        realm="sky survey",
        oidc=OidcSettings(
            issuer="https://iam.example.org/realms/sky",
            audience=("qserv", "tap"),
            user_claim="preferred_username",
            groups_claim="realm_access.roles",
            algorithms=("RS256",),
            leeway_s=5,
            ca_file=str(ca_file),
        ),
        proxy=ProxySettings(
            addresses=(ip_network("10.0.0.7"), ip_network("fd00::/8")), user_header="X-User", groups_header="X-Groups"
        ),
    )
    assert read.limits.users == {"alice": {"rows": 1}}
    assert read.memory == MemorySettings(process_bytes=4_000_000_000, query_bytes=500_000_000)
    assert read.images == ImageAccess(
        identifier="ivo://example.org/qserv/sky",
        links="https://data.example.org/links",
        facility="Example Observatory",
        obscore="dr1.ObsCore",
    )
    assert read.publication == VoResource(
        identifier="ivo://example.org/qserv/sky",
        title="The sky",
        publisher="Example",
        description="All of it.",
        contact_name="Ada",
        contact_email="ada@example.org",
        reference_url="https://example.org",
        created=date(2026, 11, 20),
        wavebands=("Optical", "X-ray"),
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}", "identity: {}", "limits: {}", "limits: {default: {}}"])
def test_what_is_not_said_is_the_default(tmp_path: Path, text: str) -> None:
    assert read_settings(tmp_path) == Settings()
    read = settings(tmp_path, text)
    assert read.identity == IdentitySettings()
    assert read.identity.oidc is read.identity.proxy is None
    assert read.limits.limits_for(ANONYMOUS) == Limits()


OIDC = "identity:\n  oidc:\n    audience: q\n    issuer: {}\n"
PUBLISHED = (
    "publication: {{identifier: ivo://x.org/q, title: t, publisher: p, description: d, contact_name: n,"
    " contact_email: a@b, reference_url: 'https://x', created: 2026-11-20, {}}}"
)
WRONG = [
    ("memory: {process: 1}", 'key "process" of "memory" is not known; did you mean "process_bytes"?'),
    ("memory: {spill_bytes: 1000}", "spill_bytes is a whole number from 16777216 to"),
    ("memory: {process_bytes: 4 GiB}", "not '4 GiB'; 4 GiB is 4_294_967_296"),
    ("memory: {query_bytes: 1.5GB}", "not '1.5GB'; 1.5GB is 1_500_000_000"),
    ("memory: {query_bytes: a lot}", "not 'a lot'"),
    ("limits: {default: {result_bytes: 10M}}", "not '10M'; 10M is 10_000_000"),
    ("publication: {}", '"publication" needs "identifier"'),
    ("images: {link: https://x.org}", 'key "link" of "images" is not known; did you mean "links"?'),
    ("images: {links: http://x.org}", "links "),
    ("images: {obscore: ObsCore}", "obscore is DATABASE.TABLE, not 'ObsCore'"),
    ("images: {obscore: [a.b, c.d]}", "obscore is one text, not a list"),
    ("images: {facility: 7}", "facility is a text, not 7"),
    (PUBLISHED.format("wavebands: optical"), 'did you mean "Optical"?'),
    (PUBLISHED.format("short_name: more than sixteen"), "short_name has 1 to 16 characters, not 17"),
    (PUBLISHED.format("subject: x"), 'did you mean "subjects"?'),
    (PUBLISHED.format("short_name: s").replace("ivo://x.org/q", "https://x.org/q"), "identifier is of the form ivo://"),
    (PUBLISHED.format("short_name: s").replace("ivo://x.org/q", "ivo://x.org"), "identifier is of the form ivo://"),
    (
        PUBLISHED.format("short_name: s").replace("2026-11-20", "yesterday"),
        "created is a day such as 2026-11-20, not 'yesterday'",
    ),
    (PUBLISHED.format("short_name: s").replace("a@b", "nobody"), "contact_email is an e-mail address"),
    (PUBLISHED.format("short_name: s").replace("https://x", "x.org"), "reference_url is an http or https URL"),
    ("x", "settings.yaml, line 1: the file must be a mapping (key: value), not a text"),
    ("identity:", 'settings.yaml, line 1: "identity" must be a mapping (key: value), not nothing'),
    ("identity: {}\nlimit: {}", 'line 2: key "limit" of the file is not known; did you mean "limits"?'),
    ("limits: {default: {}}\nlimits: {}", '"limits" stands in line 1 already'),
    ("limits:\n  default:\n    row: 5", 'line 3: key "row" of "default" is not known; did you mean "rows"?'),
    ("limits: {default: {rows: 0}}", "rows is a whole number from 1 to"),
    ("limits: {default: {rows: -1}}", "rows is a whole number from 1 to"),
    ("limits: {default: {rows: 1.5}}", "not 1.5"),
    ("limits: {default: {rows: true}}", "not True"),
    ("limits: {default: {rows: '5'}}", "not '5'"),
    ("limits: {default: {rows: 1e99}}", "rows is a whole number"),
    ("limits: {default: {rows: null}}", "not None"),
    ("limits: {users: [alice]}", '"users" must be a mapping (key: value), not a list'),
    ("limits: {users: {12: {rows: 1}}}", "the name 12 in users is not a text; put it in quotes"),
    ("limits: {groups: {' x': {rows: 1}}}", "in groups has blanks around it"),
    ("limits: {user: {}}", 'did you mean "users"?'),
    ("identity: {oidc: {issuer: 'https://x'}}", '"oidc" needs "audience"'),
    ("identity: {oidc: {audience: x}}", '"oidc" needs "issuer"'),
    ("identity: {oidc: {audience: x, isuer: y}}", 'did you mean "issuer"?'),
    (OIDC.format("http://iam.example.org"), "line 4: issuer must begin with https: only an issuer on this machine"),
    (OIDC.format("http://localhost.example.org"), "must begin with https"),
    (OIDC.format("http://127.0.0.1.example.org/"), "must begin with https"),
    (OIDC.format("http://localhost@example.org/"), "must have no user"),
    (OIDC.format("ftp://localhost/"), "is not an https URL"),
    (OIDC.format("iam.example.org"), "is not an https URL"),
    (OIDC.format("'https://'"), "is not an https URL"),
    (OIDC.format("'https://[::1'"), "is not a URL"),
    (OIDC.format("https://x:port/"), "is not a URL"),
    (OIDC.format("https://x/?a=b"), "must have no user, query or fragment"),
    (OIDC.format("[https://x, https://y]"), "issuer is one text, not a list"),
    (OIDC.format("5"), "issuer is a text, not 5"),
    (OIDC.format("https://x") + "    algorithms: HS256", "line 5: algorithms HS256 cannot be allowed"),
    (OIDC.format("https://x") + "    algorithms: [RS256, none]", "line 5: algorithms none cannot be allowed"),
    (OIDC.format("https://x") + "    algorithms: []", "algorithms is a text, not []"),
    (OIDC.format("https://x") + "    algorithms: rs256", 'did you mean "RS256"?'),
    (OIDC.format("https://x") + "    leeway_s: 301", "leeway_s is a whole number from 0 to 300, not 301"),
    (OIDC.format("https://x") + "    ca_file: /nowhere/ca.pem", "ca_file names no file"),
    (OIDC.format("https://x") + "    groups_claim: ''", "groups_claim is empty"),
    ("identity: {proxy: {}}", '"proxy" needs "addresses"'),
    ("identity: {proxy: {addresses: 0.0.0.0/0}}", "addresses trusts everybody"),
    ("identity: {proxy: {addresses: ['::/0']}}", "addresses trusts everybody"),
    ("identity: {proxy: {addresses: gateway}}", "addresses is an address or a network"),
    ("identity: {proxy: {addresses: 10.0.0.1/8}}", "addresses is an address or a network"),
    ("identity: {proxy: {addresses: 10.0.0.1, user_header: 'X: Y'}}", "user_header is the name of a header"),
    ("identity: {realm: 'a\"b'}", "realm has letters, digits, blanks"),
    ("identity: [", "this is not YAML"),
    ("a: &a [*a]", "values are nested too deeply"),
    ("!!python/object/apply:os.system ['true']", "this is not YAML"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[text for text, _ in WRONG])
def test_mistakes_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    assert message in caught.value.message
    assert str(tmp_path / "settings.yaml") in caught.value.message
    assert caught.value.hint == "Mend the file, or move it away: without it the defaults count."


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, "identity: {relm: x}\nlimits: {default: {rows: 0}}")
    assert 'line 1: key "relm"' in caught.value.message
    assert "line 2: rows is" in caught.value.detail


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:8000/x", "http://[::1]:5", "https://iam.x/"])
def test_issuers_that_may_be_named(tmp_path: Path, url: str) -> None:
    read = settings(tmp_path, OIDC.format(f"'{url}'"))
    assert read.identity.oidc is not None
    assert read.identity.oidc.issuer == url


def test_no_algorithm_that_can_be_allowed_is_symmetric() -> None:
    assert not [name for name in ALGORITHMS if name.upper().startswith(("HS", "NONE", "A", "DIR"))]
    assert set(OidcSettings(issuer="", audience=()).algorithms) <= set(ALGORITHMS)


def user(name: str, *groups: str) -> Identity:
    return Identity(user=name, groups=frozenset(groups), proof=Proof.TOKEN)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (ANONYMOUS, {"rows": 10, "execution_s": 60, "concurrent_jobs": 3}),
        (user("bob"), {"rows": 1000, "concurrent_jobs": 3}),
        (user("bob", "other"), {"rows": 1000, "concurrent_jobs": 3}),
        (user("bob", "survey"), {"rows": 5000, "upload_bytes": 7, "concurrent_jobs": 3}),
        (user("bob", "survey", "pi's"), {"rows": 5000, "upload_bytes": 9, "concurrent_jobs": 3}),
        (user("alice", "survey"), {"rows": 1, "upload_bytes": 7, "concurrent_jobs": 3}),
        (user("survey"), {"rows": 1000, "concurrent_jobs": 3}),
    ],
)
def test_whose_limits_hold(tmp_path: Path, identity: Identity, expected: dict[str, int]) -> None:
    (tmp_path / "ca").touch()
    rules = settings(tmp_path, FULL.format(ca_file=tmp_path / "ca")).limits
    assert rules.limits_for(identity) == Limits(**expected)


def test_limits_of_no_rules_are_the_defaults() -> None:
    assert LimitRules().limits_for(user("alice", "survey")) == Limits()
    assert all(getattr(Limits(), name) >= 1 for name in LIMIT_NAMES)


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("fd00::1", True),
        ("::ffff:10.0.0.7", True),
        ("::ffff:10.0.0.8", False),
        ("127.0.0.1", False),
        ("", False),
        (None, False),
        ("proxy", False),
        ("10.0.0.7, 10.0.0.8", False),
    ],
)
def test_which_peers_are_the_proxy(peer: str | None, trusted: bool) -> None:
    proxy = ProxySettings(addresses=(ip_network("10.0.0.7"), ip_network("fd00::/8")))
    assert proxy.trusts(peer) is trusted
