"""``qserv validate``, as a process and without: against a cluster, and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import in_a_process, in_this_process
from support.ingested import add_small

from qserv_py.czar.cluster import Cluster


@pytest.fixture(scope="module")
def published(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster whose database ``checked`` is published, without rows, and whose ``unready`` is not."""
    for name in ("checked", "unready"):
        directory = tmp_path_factory.mktemp(name)
        add_small(cluster, directory, name)
    assert in_this_process("publish", "checked", cluster=cluster)[0] == 0
    return cluster


def test_names_are_those_of_the_cluster(published: Cluster) -> None:
    right = "SELECT o.objectId, COUNT(*) AS n FROM checked.Object AS o GROUP BY o.objectId"
    assert in_this_process("validate", right, cluster=published) == (0, "", "The query is valid.\n")
    for described in ("SHOW TABLES FROM checked", "SELECT table_name FROM tap_schema.tables"):
        assert in_this_process("validate", described, cluster=published) == (0, "", "The query is valid.\n")
    code, shown, _ = in_this_process("validate", "SELECT objectId FROM checked.Objekt", cluster=published)
    assert code == 7
    assert shown.startswith('ADQL line 1, column 22: table "checked.Objekt" is not known\n')
    assert 'HINT: Did you mean "checked.Object"?' in shown
    code, shown, _ = in_this_process("validate", "SELECT objectId FROM unready.Object", cluster=published)
    assert code == 7
    assert 'database "unready" is not published' in shown


def test_a_collection_against_a_cluster(published: Cluster, tmp_path: Path) -> None:
    lines = [
        {"id": "right", "adql": "SELECT TOP 3 objectId FROM checked.Object"},
        {"id": "column", "adql": "SELECT objctId FROM checked.Object"},
        {"id": "lenient", "adql": "SELECT objectId FROM checked.Object LIMIT 3"},
    ]
    collection = "\n".join([*map(json.dumps, lines), '{"id": "cut'])
    (tmp_path / "queries.jsonl").write_text(collection)
    arguments = ("validate", "--mode", "strict", "--jsonl")
    code, shown, remark = in_this_process(*arguments, str(tmp_path / "queries.jsonl"), cluster=published)
    assert code == 7
    assert remark == "4 statements, 3 with problems.\n"
    records = [json.loads(line) for line in shown.splitlines()]
    assert [(record["id"], record["ok"]) for record in records] == [
        ("right", True),
        ("column", False),
        ("lenient", False),
        (None, False),
    ]
    assert records[1]["error"] == {
        "code": "unknown_column",
        "line": 1,
        "column": 8,
        "message": '"Object" has no column "objctId"',
        "hint": 'Did you mean "objectId"?',
    }
    assert records[3]["error"]["message"].startswith("line 4, column 8 is not JSON: ")
    assert in_a_process(*arguments, "-", cluster=published, text=collection.encode()) == (code, shown, remark)


def test_the_cluster_may_be_named_before_or_after_the_command(published: Cluster) -> None:
    directory = str(published.config.directory)
    query = "SELECT objectId FROM checked.Object"
    assert in_a_process("validate", "--cluster", directory, query)[0] == 0
    assert in_a_process("--cluster", directory, "validate", query)[0] == 0


def test_the_grammar_needs_no_cluster() -> None:
    query = "SELECT anything FROM anywhere"
    assert in_a_process("validate", "--syntax-only", query) == (0, "", "The query is valid.\n")
    code, shown, remark = in_this_process("validate", query)
    assert (code, shown) == (2, "")
    assert remark.startswith("ERROR: no cluster was named")
