"""The same answer read by each client in each format has the same names, units, values and NULLs: those that went in.

What went in are the tables that were loaded; DuckDB joins them in memory, by the same query.
"""

from __future__ import annotations

import gc
import io
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from support.answer_cases import Sample, found_as
from support.answer_readers import masked, plain, typed
from support.catalogues import loaded
from support.tap_server import TapServer

import qserv_py
from qserv_py.catalog.types import DataType
from qserv_py.czar.cluster import Cluster

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyvo
    from astroquery.utils.tap.core import TapPlus

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

TYPES = {
    "objectId": DataType.LONG,
    "coord_ra": DataType.DOUBLE,
    "B-V": DataType.DOUBLE,
    "rFlux": DataType.FLOAT,
    "wild": DataType.DOUBLE,
    "n": DataType.INT,
    "k": DataType.SHORT,
    "isPrimary": DataType.BOOLEAN,
    "objectId_2": DataType.LONG,
    "band": DataType.CHAR,
    "seenAt": DataType.TIMESTAMP,
    "N_2": DataType.DOUBLE,
    "label": DataType.STRING,
}
"""Names and types of the answer; ``label`` has characters beyond ASCII."""

UNITS = ["", "deg", "nJy", "nJy", "", "", "", "", "", "", "", "deg", ""]
ADQL = (
    'SELECT o.objectId, o.coord_ra, o.gFlux AS "B-V", o.rFlux, o.wild, o.n, o.k, o.isPrimary, s.objectId, s.band, '
    'seenAt, o.coord_dec AS "N", o.label FROM clustered.Object o JOIN clustered.Source s ON o.objectId = s.objectId '
    "WHERE s.sourceId < 900 ORDER BY sourceId"
)
IN_ASCII = ADQL.replace(", o.label", "")

Read = tuple[list[str], list[str] | None, dict[str, list[Any]]]
"""Names, units where the format has them, values."""


@pytest.fixture(autouse=True, scope="module")
def _sockets_are_closed() -> Iterator[None]:
    """Let Python find what clients leave open while nobody minds."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def truth(tap: TapServer) -> dict[str, list[Any]]:
    with duckdb.connect() as db:
        db.sql("CREATE SCHEMA clustered")
        for name, rows in loaded("clustered").tables.items():
            db.register(f"rows_of_{name}", rows)
            db.sql(f"CREATE VIEW clustered.{name} AS SELECT * FROM rows_of_{name}")
        found = db.sql(ADQL).fetchall()
    assert len(found) > 250
    return {
        name: [same(value, Sample(kind, ())) for value in values]
        for (name, kind), values in zip(TYPES.items(), zip(*found, strict=True), strict=True)
    }


def same(value: Any, sample: Sample) -> Any:
    """Return a value as all clients can tell it: times in ISO 8601, NULL for NaN and for an empty text."""
    made = plain(value)
    if isinstance(made, datetime):
        made = made.isoformat(timespec="microseconds")
    if isinstance(made, str):
        made = typed(made, sample)
    if isinstance(made, float) and sample.type.is_integer:  # of a CSV file, with NULLs among them
        made = None if np.isnan(made) else int(made)
    return masked(found_as(made, sample), sample)


def of_astropy(table: Table) -> Read:
    units = [str(one.unit or "") for one in table.itercols()]
    return table.colnames, units, {name: list(table[name]) for name in table.colnames}


def of_csv(read: Read) -> Read:
    """Leave out the units, which CSV has no place for."""
    return read[0], None, read[2]


def of_arrow(table: pa.Table) -> Read:
    units = [(field.metadata or {}).get(b"unit", b"").decode() for field in table.schema]
    return table.column_names, units, {name: table[name].to_pylist() for name in table.column_names}


def of_pandas(frame: pd.DataFrame) -> Read:
    return list(frame.columns), None, {name: list(frame[name]) for name in frame.columns}


def of_polars(frame: pl.DataFrame) -> Read:
    return frame.columns, None, {name: frame[name].to_list() for name in frame.columns}


def fetched(tap: TapServer, adql: str, format: str) -> io.BytesIO:
    reply = tap.query(adql, RESPONSEFORMAT=format)
    assert reply.status_code == 200, reply.text
    return io.BytesIO(reply.content)


def astroquery(tap: TapServer, how: str, adql: str, format: str) -> Read:
    launch = getattr(TapPlus(url=tap.tap), how)
    read = of_astropy(launch(adql.replace("SELECT", "SELECT TOP 5000", 1), output_format=format).get_results())
    return of_csv(read) if format == "csv" else read


def local(cluster: Cluster) -> Any:
    return qserv_py.connect(str(cluster.config.directory))


FORMATS: dict[str, Callable[[TapServer, str], Read]] = {
    **{
        f"astropy, {name}": lambda tap, adql, name=name: of_astropy(
            Table.read(fetched(tap, adql, name), format=name.split("/")[0])
        )
        for name in ("votable", "votable/b", "votable/td", "fits")
    },
    **{
        f"astroquery {how}, {name}": lambda tap, adql, how=how, name=name: astroquery(tap, how, adql, name)
        for how in ("launch_job", "launch_job_async")
        for name in ("votable", "csv", "json")  # it reads FITS only as gzip, and has no other name for TABLEDATA
    },
    "pyvo run_sync": lambda tap, adql: of_astropy(pyvo.dal.TAPService(tap.tap).run_sync(adql).to_table()),
    "pyvo run_async": lambda tap, adql: of_astropy(pyvo.dal.TAPService(tap.tap).run_async(adql).to_table()),
    "pandas, csv": lambda tap, adql: of_pandas(pd.read_csv(fetched(tap, adql, "csv"))),
    "pandas, tsv": lambda tap, adql: of_pandas(pd.read_csv(fetched(tap, adql, "tsv"), delimiter="\t")),
    "pandas, parquet": lambda tap, adql: of_pandas(pd.read_parquet(fetched(tap, adql, "parquet"))),
    "polars, csv": lambda tap, adql: of_polars(pl.read_csv(fetched(tap, adql, "csv"))),
    "polars, parquet": lambda tap, adql: of_polars(pl.read_parquet(fetched(tap, adql, "parquet"))),
    "polars, arrow": lambda tap, adql: of_polars(pl.read_ipc_stream(fetched(tap, adql, "arrow"))),
    "pyarrow, csv": lambda tap, adql: of_csv(of_arrow(pa.csv.read_csv(fetched(tap, adql, "csv")))),
    "pyarrow, parquet": lambda tap, adql: of_arrow(pq.read_table(fetched(tap, adql, "parquet"))),
    "pyarrow, arrow": lambda tap, adql: of_arrow(pa.ipc.open_stream(fetched(tap, adql, "arrow")).read_all()),
    "our client": lambda tap, adql: of_arrow(qserv_py.connect(tap.root, token="").query(adql).to_arrow()),
}  # fmt: skip


def agree(read: Read, truth: dict[str, list[Any]], *, null_is_false: bool = False) -> None:
    names, units, values = read
    known = [name for name in TYPES if name in names or name != "label"]
    assert names == known
    assert units is None or units == UNITS[: len(known)]
    for name in names:
        found = [same(value, Sample(TYPES[name], ())) for value in values[name]]
        wanted = truth[name]
        if null_is_false and TYPES[name] is DataType.BOOLEAN:
            wanted = [bool(value) for value in wanted]
        assert found == wanted, name


@pytest.mark.parametrize("client", FORMATS)
def test_a_client_of_the_service(client: str, tap: TapServer, truth: dict[str, list[Any]]) -> None:
    is_fits = client.endswith("fits")
    agree(FORMATS[client](tap, IN_ASCII if is_fits else ADQL), truth, null_is_false=is_fits)


def test_fits_says_what_it_cannot_hold(tap: TapServer) -> None:
    reply = tap.query(ADQL, RESPONSEFORMAT="fits")
    assert reply.status_code == 400
    assert "column \"label\" holds 'Ångström', which a text of FITS cannot hold" in reply.text


def test_python_on_this_machine(tap: TapServer, cluster: Cluster, truth: dict[str, list[Any]]) -> None:
    with local(cluster) as db:
        result = db.query(ADQL)
        agree(of_arrow(result.to_arrow()), truth)
        agree(of_astropy(result.to_astropy()), truth)
        agree(of_pandas(result.to_pandas()), truth)
        agree(of_polars(result.to_polars()), truth)


@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed: make test-clients does it")
@pytest.mark.parametrize("sync", ["true", "false"])
def test_stilts(sync: str, tap: TapServer, truth: dict[str, list[Any]]) -> None:
    command = ["stilts", "tapquery", f"tapurl={tap.tap}", f"adql={ADQL}", f"sync={sync}", "ofmt=votable-binary2-inline"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    table = Table.read(io.BytesIO(done.stdout), format="votable", use_names_over_ids=True)
    agree(of_astropy(table), truth)
