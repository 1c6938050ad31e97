"""Windows whose keys are expressions that may fail for a row: against one plain PostgreSQL."""

from __future__ import annotations

import pytest
from support.plain import table_differences
from support.servers import Servers

from qserv_py.errors import EvaluationError

KEYS = {
    "rFlux - gFlux": "",
    "gFlux / (ABS(rFlux) + 1000)": "",
    "n % 7": "",
    "n DIV 3": "n / 3",
    "SQRT(ABS(gFlux))": "",
    "LOG10(ABS(rFlux) + 1)": "LOG(ABS(rFlux) + 1)",
    "POWER(n, 2)": "",
    "n / (ABS(k) + 1)": "",
    "CAST(CAST(n AS VARCHAR) AS INTEGER)": "",
}
"""ADQL, and how PostgreSQL says it where that is not the same."""

WINDOWS = (
    "SELECT objectId, RANK() OVER (ORDER BY {0}) AS r FROM clustered.Object",
    "SELECT objectId, COUNT(*) OVER (PARTITION BY {0}) AS c FROM clustered.Object",
    "SELECT k, RANK() OVER (ORDER BY SUM({0})) AS r FROM clustered.Object GROUP BY k",
)


@pytest.mark.parametrize("window", WINDOWS, ids=["order", "partition", "groups"])
@pytest.mark.parametrize("key", KEYS)
def test_windows_agree(servers: Servers, key: str, window: str) -> None:
    expected = servers.plain.execute(window.format(KEYS[key] or key).encode(), binary=True).fetchall()
    table = servers.sharded.query(window.format(key)).to_arrow()
    assert table.num_rows
    assert not table_differences(table, expected, ordered=False)


@pytest.mark.parametrize("key", ["n / (n - n)", "SQRT(-1 - ABS(n))", "LOG10(n - n)"])
def test_a_key_that_fails_is_told(servers: Servers, key: str) -> None:
    with pytest.raises(EvaluationError, match=r"division by zero|square root|logarithm"):
        servers.sharded.query(f"SELECT RANK() OVER (ORDER BY {key}) AS r FROM clustered.Object").to_arrow()


def test_rows_can_be_numbered_in_no_order(servers: Servers) -> None:
    text = "SELECT ROW_NUMBER() OVER (ORDER BY r) AS i FROM (SELECT RAND() AS r FROM clustered.Object) AS t"
    table = servers.sharded.query(text).to_arrow()
    assert sorted(table["i"].to_pylist()) == list(range(1, table.num_rows + 1))
