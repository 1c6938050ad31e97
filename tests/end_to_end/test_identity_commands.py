"""``qserv grant``, ``revoke`` and ``token``, as processes and without."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from support.commands import Done, in_a_process, in_this_process
from support.ingested import add_small

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.tokens import verify_token
from qserv_py.errors import AuthenticationError


def qserv(cluster: Cluster, *arguments: str) -> Done:
    return in_this_process(*arguments, cluster=cluster)


@pytest.fixture(scope="module")
def granted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster with a database ``granted``."""
    add_small(cluster, tmp_path_factory.mktemp("granted"), "granted")
    return cluster


def readers(cluster: Cluster) -> list[str]:
    code, shown, _ = qserv(cluster, "grant", "granted", "--list", "--format", "json")
    assert code == 0
    return [row["granted to"] for row in json.loads(shown)]


def audit(cluster: Cluster) -> list[dict[str, object]]:
    return [json.loads(line) for line in (cluster.config.czar_dir / "audit.log").read_text().splitlines()]


def test_grants(granted: Cluster) -> None:
    assert readers(granted) == ["public"]
    code, shown, remark = in_a_process(
        "grant", "Granted", "--to", "group:survey", "--to", "user:alice", cluster=granted
    )
    assert (code, shown) == (0, "")
    assert remark == (
        "granted can be read by group:survey, public, user:alice.\n"
        "It is still public: qserv revoke granted --from public closes it to others.\n"
    )
    assert in_a_process("revoke", "granted", "--from", "public", cluster=granted)[0] == 0
    assert readers(granted) == ["group:survey", "user:alice"]
    code, _, remark = in_a_process("grant", "granted", "--to", "group:survey", cluster=granted)
    assert (code, remark.splitlines()[0]) == (0, "granted was granted to group:survey before.")
    code, _, remark = in_a_process("revoke", "granted", "--from", "public", cluster=granted)
    assert (code, remark.splitlines()[0]) == (0, "granted was not granted to public before.")
    code, _, remark = in_a_process(
        "revoke", "granted", "--from", "group:survey", "--from", "user:alice", cluster=granted
    )
    assert (code, remark) == (0, "granted can be read by the operator alone.\n")
    assert in_a_process("grant", "granted", "--to", "public", cluster=granted)[0] == 0
    changes = [(line["event"], line["grantee"]) for line in audit(granted) if line.get("database") == "granted"]
    assert changes == [
        ("grant", "group:survey"),
        ("grant", "user:alice"),
        ("revoke", "public"),
        ("revoke", "group:survey"),
        ("revoke", "user:alice"),
        ("grant", "public"),
    ]
    assert all(line["by"] for line in audit(granted))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["grant", "granted", "--to", "survey"], 1, 'ERROR: "survey" names nobody whom a database can be granted to'),
        (["grant", "granted", "--to", "public", "--to", "user:"], 1, 'ERROR: "user:": the name is empty'),
        (["grant", "grantd", "--to", "public"], 3, 'HINT: Did you mean "granted"?'),
        (["grant", "nothing", "--list"], 3, 'ERROR: database "nothing" is not known'),
        (["grant", "granted"], 2, "Give a database and --to, or --list."),
        (["grant", "--to", "public"], 2, "Give a database and --to, or --list."),
        (["grant", "granted", "--to", "public", "--list"], 2, "Give --to or --list, not both."),
        (["revoke", "granted"], 2, "Missing option '--from'"),
        (["token", "create", "alice", "--expires", "soon"], 1, 'ERROR: "soon" is not a lifetime'),
        (["token", "create", ""], 1, "ERROR: the user's name is empty"),
        (["token", "create", "alice", "--group", "a\nb"], 1, "ERROR: the group's name has blanks around it or"),
        (["token", "revoke", "000000000000"], 3, 'ERROR: there is no token "000000000000"'),
    ],
)
def test_mistakes(granted: Cluster, arguments: list[str], code: int, message: str) -> None:
    before = readers(granted), qserv(granted, "token", "list", "--format", "json")[1]
    got, _, remark = qserv(granted, *arguments)
    assert got == code
    assert message in remark
    assert (readers(granted), qserv(granted, "token", "list", "--format", "json")[1]) == before


def test_a_token_from_its_making_to_its_end(granted: Cluster, tmp_path: Path) -> None:
    code, shown, remark = qserv(granted, "token", "create", "alice", "--group", "b", "--group", "a", "--note", "n")
    assert code == 0
    token = shown.removesuffix("\n")
    assert "\n" not in token
    assert "user alice, groups a, b is valid until 20" in remark
    assert token not in remark
    token_id = token.split("_")[1]
    code, listed, _ = qserv(granted, "token", "list", "--format", "json")
    (row,) = [row for row in json.loads(listed) if row["id"] == token_id]
    assert (row["user"], row["groups"], row["state"], row["note"]) == ("alice", "a, b", "valid", "n")
    with granted.registry() as registry:
        assert verify_token(registry, token).groups == {"a", "b"}
        code, _, remark = qserv(granted, "token", "revoke", token)
        assert (code, remark) == (0, f"Token {token_id} of user alice is revoked.\n")
        with pytest.raises(AuthenticationError):
            verify_token(registry, token)
    code, _, remark = qserv(granted, "token", "revoke", token_id)
    assert code == 0
    assert "was revoked before" in remark
    events = [line["event"] for line in audit(granted) if line.get("token") == token_id]
    assert events == ["token_create", "token_revoke"]
    log = granted.config.czar_dir / "audit.log"
    assert token.split("_", 2)[2] not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_token_for_ever(granted: Cluster) -> None:
    code, token, remark = qserv(granted, "token", "create", "robot", "--expires", "never")
    assert code == 0
    assert remark.endswith("of user robot is valid for ever. It is not shown again.\n")
    code, _, _ = qserv(granted, "-q", "token", "revoke", token.strip())
    assert code == 0
