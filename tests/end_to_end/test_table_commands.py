"""``qserv table``, as a process and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import Done, in_a_process, in_this_process

from qserv_py.czar.cluster import Cluster


def qserv(cluster: Cluster, *arguments: str) -> Done:
    return in_a_process("table", *arguments, cluster=cluster)


@pytest.fixture
def targets(tmp_path: Path) -> str:
    path = tmp_path / "targets.csv"
    path.write_text("id,ra\n1,10.5\n2,11.5\n")
    return str(path)


def test_a_table_from_its_making_to_its_end(cluster: Cluster, targets: str) -> None:
    code, shown, remark = qserv(cluster, "put", "targets", targets, "--user", "tess", "--description", "mine")
    assert (code, shown, remark.split(" and ")[0]) == (0, "", "Table targets of user tess has 2 rows")
    code, _, remark = qserv(cluster, "share", "mydb.Targets", "--user", "tess", "--with", "group:a", "--with", "user:b")
    assert (code, remark) == (0, "Table targets of user tess is shared with group:a, user:b.\n")
    code, shown, _ = qserv(cluster, "list", "--user", "tess", "--format", "json")
    (row,) = json.loads(shown)
    assert (row["table"], row["rows"], row["description"]) == ("targets", 2, "mine")
    assert row["shared with"] == "group:a, user:b"
    assert json.loads(qserv(cluster, "list", "--user", "nobody", "--format", "json")[1]) == []
    code, _, remark = qserv(cluster, "share", "targets", "--user", "tess", "--not-with", "group:a")
    assert (code, remark) == (0, "Table targets of user tess is shared with user:b.\n")
    code, _, remark = qserv(cluster, "drop", "MyDB.targets", "--user", "tess")
    assert (code, remark) == (0, "Table targets of user tess is dropped.\n")
    lines = (cluster.config.czar_dir / "audit.log").read_text().splitlines()
    events = [line["event"] for line in map(json.loads, lines) if line.get("user") == "tess"]
    assert events == ["user_table_put", "user_table_share", "user_table_share", "user_table_drop"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["put", "t", "FILE", "--user", "anonymous"], 1, "is kept for those who are not known"),
        (["put", "select", "FILE", "--user", "tess"], 1, "reserves the word"),
        (["put", "t", "nowhere.csv", "--user", "tess"], 3, "there is no file nowhere.csv"),
        (["put", "t", "FILE"], 2, "Missing option '--user'"),
        (["drop", "t", "--user", "tess"], 3, 'you have no table "t"'),
        (["share", "t", "--user", "tess"], 2, "Give --with or --not-with."),
        (["share", "t", "--user", "tess", "--with", "public"], 1, "can be shared with users and groups"),
    ],
)
def test_errors(cluster: Cluster, targets: str, arguments: list[str], code: int, message: str) -> None:
    given = (targets if text == "FILE" else text for text in arguments)
    got, shown, error = in_this_process("table", *given, cluster=cluster)
    assert (got, shown) == (code, ""), error
    assert message in error
