"""pyarrow without pandas: not loaded for arrays of one's own, there for those who ask for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from qserv_py.cli.plain_arrow import leave_pandas_out

leave_pandas_out()
import pyarrow as pa

table = pa.table({"a": [1, 2]})
assert "pandas" not in sys.modules
assert list(table.to_pandas()["a"]) == [1, 2]
import pandas

leave_pandas_out()
assert pa.Table.from_pandas(pandas.DataFrame({"b": [3]})).to_pydict() == {"b": [3]}
"""


def test_pandas_is_loaded_when_it_is_asked_for() -> None:
    pytest.importorskip("pandas")
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
