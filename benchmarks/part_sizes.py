"""What the size of a part costs a scan: the same rows as many small Parquet files and as few large ones.

The rows are those of `qserv demo`, sorted by healpix29 and written as workers/parts.py writes parts. A layout is
FILE/GROUP, rows of a file and of a row group; "one" is one file of all rows. A row group smaller than its file is what
several chunks in a file would be. A further table has many columns, for what a column costs in each file. DuckDB (two
threads) and pyarrow run every query on all layouts in turn, and each answer is compared with that of the first layout.
Figures are medians in milliseconds, of the clock and of the processor; load of the machine hardly changes the latter.
Prints one JSON document.

    python benchmarks/part_sizes.py [--objects 3000000] [--source-rows 6000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from qserv_py.catalog.model import Column, DirectorTable, Position, Table
from qserv_py.catalog.types import DataType
from qserv_py.demo.survey import Survey, draw_block
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.workers.parts import PartWriter, part_schema

THREADS = 2
DEMO = Path(__file__).parent.parent / "qserv_py" / "demo"
LAYOUTS = (
    "8000/8000",
    "30000/30000",
    "100000/100000",
    "300000/300000",
    "1000000/1000000",
    "one/8000",
    "one/30000",
    "one/100000",
    "one/300000",
    "one/1000000",
    "100000/8000",
    "300000/30000",
    "1000000/8000",
    "1000000/100000",
)
WIDE_LAYOUTS = ("1000/1000", "3000/3000", "8000/8000", "30000/30000", "100000/100000", "100000/8000", "one/100000")

OBJECT_QUERIES = {
    "filter, count": "SELECT COUNT(*) FROM {files} WHERE g_psfMag - r_psfMag > 0.6 AND r_psfMag < 22",
    "filter, group by": """SELECT floor(r_psfMag) AS bin, COUNT(*), AVG(g_psfMag - r_psfMag) FROM {files}
        WHERE g_psfMag - r_psfMag BETWEEN 0.2 AND 1.2 AND detect_isIsolated GROUP BY 1 ORDER BY 1""",
    "map of order 6": "SELECT healpix29 >> 46 AS cell, COUNT(*), AVG(r_psfMag) FROM {files} GROUP BY 1 ORDER BY 1",
    "2 of 40 columns": "SELECT AVG(i_psfFlux), AVG(ebv) FROM {files}",
    "12 of 40 columns": "SELECT "
    + ", ".join(f"AVG({band}_psfFlux), AVG({band}_psfFluxErr)" for band in "ugrizy")
    + " FROM {files}",
    "10 highest": "SELECT objectId, r_psfMag FROM {files} ORDER BY r_psfMag, objectId LIMIT 10",
}
SOURCE_QUERIES = {
    "group by": """SELECT band, COUNT(*), AVG(psfFlux), AVG(psfFluxErr) FROM {files} WHERE psfFlux > 1000 AND
        NOT pixelFlags_bad GROUP BY band ORDER BY band""",
    "light curves": """SELECT COUNT(*), SUM(n) FROM (SELECT objectId, COUNT(*) AS n, AVG(psfFlux) AS f FROM {files}
        GROUP BY objectId) t WHERE f > 1000""",
}
WIDE_QUERIES = {"2 columns": "SELECT AVG(f1), AVG(f2) FROM {files}"}
LOOK_UP = "SELECT COUNT(*), MIN(objectId) FROM {files} WHERE healpix29 = {cell} AND objectId = {id}"


@dataclass(frozen=True, kw_only=True)
class Written:
    """The files of a layout."""

    files: tuple[Path, ...]
    file_rows: int
    group_rows: int
    bytes: int
    write_s: float


def survey_rows(objects: int, source_rows: int) -> tuple[pa.Table, pa.Table]:
    """Return rows of ``Object`` and ``Source``, sorted by ``healpix29`` that sources take from their object."""
    survey = Survey(objects=objects)
    blocks = [draw_block(survey, block) for block in range(survey.blocks)]
    found = pa.concat_tables([block[0] for block in blocks])
    sources = pa.concat_tables([block[1] for block in blocks]).slice(0, source_rows)
    cells = healpix29_of(found["coord_ra"].to_numpy(), found["coord_dec"].to_numpy())
    first = found["objectId"][0].as_py()
    source_cells = cells[sources["objectId"].to_numpy() - first]
    return _sorted(found, cells), _sorted(sources, source_cells)


def _sorted(rows: pa.Table, cells: np.ndarray[Any, Any]) -> pa.Table:
    rows = rows.append_column(pa.field("healpix29", pa.int64(), nullable=False), pa.array(cells))
    return rows.take(pa.array(np.argsort(cells, kind="stable")))


def wide_table(columns: int) -> Table:
    """Return a table of so many floats."""
    ids = [
        Column(name=name, physical=name.lower(), datatype=datatype, nullable=False, hidden=name == "healpix29")
        for name, datatype in (("objectId", DataType.LONG), ("ra", DataType.DOUBLE), ("dec", DataType.DOUBLE))
    ]
    floats = [Column(name=f"f{n}", physical=f"f{n}", datatype=DataType.FLOAT) for n in range(columns)]
    cell = Column(name="healpix29", physical="healpix29", datatype=DataType.LONG, nullable=False, hidden=True)
    return DirectorTable(
        database="wide",
        name="Wide",
        physical="wide",
        columns=(*ids, *floats, cell),
        id="objectId",
        ra=Position(column="ra"),
        dec=Position(column="dec"),
    )


def wide_rows(table: Table, rows: int) -> pa.Table:
    """Return random rows of a wide table."""
    rng = np.random.default_rng(5)
    arrays: dict[str, Any] = {"objectId": np.arange(rows), "ra": rng.uniform(0, 360, rows)}
    arrays["dec"] = rng.uniform(-90, 90, rows)
    for column in table.columns:
        if column.datatype is DataType.FLOAT:
            arrays[column.name] = rng.standard_normal(rows, dtype=np.float32)
    arrays["healpix29"] = np.sort(rng.integers(0, 12 << 58, rows))
    return pa.table(arrays)


def write_layout(directory: Path, table: Table, rows: pa.Table, layout: str) -> Written:
    """Write rows as a layout says."""
    said_file, said_group = layout.split("/")
    file_rows = rows.num_rows if said_file == "one" else min(int(said_file), rows.num_rows)
    group_rows = int(said_group)
    place = directory / layout.replace("/", "-")
    place.mkdir()
    files = []
    started = time.process_time()
    for number, first in enumerate(range(0, rows.num_rows, file_rows)):
        path = place / f"{number:05d}.parquet"
        with PartWriter(path, table, sync=False) as writer:
            here = rows.slice(first, file_rows)
            for start in range(0, here.num_rows, group_rows):
                writer.write(here.slice(start, group_rows))
        files.append(path)
    return Written(
        files=tuple(files),
        file_rows=file_rows,
        group_rows=group_rows,
        bytes=sum(path.stat().st_size for path in files),
        write_s=round(time.process_time() - started, 2),
    )


def duckdb_reader(query: str, files: Sequence[Path]) -> Callable[[], object]:
    """Return a call that answers a query over some files with DuckDB."""
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute("LOAD parquet")
    connection.execute("SET parquet_metadata_cache = true")
    names = ", ".join(f"'{path}'" for path in files)
    text = query.replace("{files}", f"read_parquet([{names}])")
    return lambda: connection.execute(text).fetchall()


def pyarrow_reader(files: Sequence[Path], columns: Sequence[str]) -> Callable[[], object]:
    """Return a call that averages columns of some files with pyarrow."""
    dataset = ds.dataset([str(path) for path in files], format="parquet")

    def answer() -> object:
        found = dataset.to_table(columns=list(columns))
        return [pc.mean(found[name]).as_py() for name in columns]

    return answer


def timed(call: Callable[[], object]) -> tuple[object, float, float]:
    """Return an answer, and milliseconds of the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return answer, 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def alternate(calls: dict[str, Callable[[], object]], *, rounds: int, times: int = 1) -> dict[str, dict[str, float]]:
    """Run calls in turn, and return the medians of each; raise when one answers differently."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    expected: object = None
    for turn in range(rounds + 1):
        for name, call in calls.items():
            for _ in range(times):
                answer, wall, cpu = timed(call)
                expected = answer if expected is None else expected
                if not same(answer, expected):
                    raise SystemExit(f"{name} answers {answer}, not {expected}")
                if turn:  # the first one warms up
                    seen[name].append((wall, cpu))
    return {
        name: {
            "ms": round(statistics.median(wall for wall, _ in figures), 2),
            "cpu_ms": round(statistics.median(cpu for _, cpu in figures), 2),
        }
        for name, figures in seen.items()
    }


def same(one: object, other: object) -> bool:
    """Tell whether two answers are equal, but for the last digits of sums of floats."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5)
    return one == other


def measure(
    table: Table,
    rows: pa.Table,
    *,
    layouts: Sequence[str],
    queries: dict[str, str],
    columns: Sequence[str],
    rounds: int,
    scratch: Path,
) -> dict[str, object]:
    """Return the figures of one table."""
    place = scratch / table.physical
    place.mkdir()
    rows = rows.cast(part_schema(table))
    written = {layout: write_layout(place, table, rows, layout) for layout in layouts}
    found: dict[str, object] = {
        "rows": rows.num_rows,
        "columns": rows.num_columns,
        "layouts": {
            layout: {"files": len(one.files), "bytes": one.bytes, "write_cpu_s": one.write_s}
            for layout, one in written.items()
        },
    }
    for name, query in queries.items():
        calls = {layout: duckdb_reader(query, one.files) for layout, one in written.items()}
        found[f"duckdb: {name}"] = alternate(calls, rounds=rounds)
    calls = {layout: pyarrow_reader(one.files, columns) for layout, one in written.items()}
    found["pyarrow: 2 columns"] = alternate(calls, rounds=rounds)
    found |= look_ups(rows, written, rounds=rounds)
    return found


def look_ups(rows: pa.Table, written: dict[str, Written], *, rounds: int) -> dict[str, object]:
    """Return the figures of looking for one id whose cell is known, in all files and in the one file that has it."""
    place = rows.num_rows * 2 // 3
    cell, number = rows["healpix29"][place].as_py(), rows["objectId"][place].as_py()
    query = LOOK_UP.replace("{cell}", str(cell)).replace("{id}", str(number))
    whole = {layout: duckdb_reader(query, one.files) for layout, one in written.items()}
    alone = {
        layout: duckdb_reader(query, [one.files[place // one.file_rows]])
        for layout, one in written.items()
        if rows.num_rows <= one.file_rows or _is_inside(rows, cell, one.file_rows)
    }
    return {
        "duckdb: id in all files": alternate(whole, rounds=rounds),
        "duckdb: id in its file": alternate(alone, rounds=rounds, times=10),
    }


def _is_inside(rows: pa.Table, cell: int, file_rows: int) -> bool:
    """Tell whether all rows of a cell are in one file."""
    cells = rows["healpix29"].to_numpy()
    low, high = np.searchsorted(cells, cell, "left"), np.searchsorted(cells, cell, "right")
    return bool(low // file_rows == (high - 1) // file_rows)


def measured(options: argparse.Namespace, scratch: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the figures of each table; the files of a table are removed before the next."""
    database = read_schema(DEMO / "survey.yaml", DEMO / "survey-partition.yaml")
    objects, sources = survey_rows(options.objects, options.source_rows)
    wide = wide_table(options.wide_columns)
    jobs: list[tuple[Table, pa.Table, Sequence[str], dict[str, str], Sequence[str]]] = [
        (database.table("Object"), objects, LAYOUTS, OBJECT_QUERIES, ("i_psfFlux", "ebv")),
        (database.table("Source"), sources, LAYOUTS, SOURCE_QUERIES, ("psfFlux", "psfFluxErr")),
        (wide, wide_rows(wide, options.wide_rows), WIDE_LAYOUTS, WIDE_QUERIES, ("f1", "f2")),
    ]
    for table, rows, layouts, queries, columns in jobs:
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            yield (
                table.name,
                measure(
                    table,
                    rows,
                    layouts=layouts,
                    queries=queries,
                    columns=columns,
                    rounds=options.rounds,
                    scratch=Path(name),
                ),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=3_000_000)
    parser.add_argument("--source-rows", type=int, default=6_000_000, help="the first so many of five an object")
    parser.add_argument("--wide-columns", type=int, default=500)
    parser.add_argument("--wide-rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--scratch", type=Path, help="directory for the files, some 6 GB; by default that of the system"
    )
    options = parser.parse_args()
    pa.set_cpu_count(THREADS)
    with tempfile.TemporaryDirectory(prefix="qb", dir=options.scratch) as name:
        tables = dict(measured(options, Path(name)))
    print(json.dumps({"benchmark": "part_sizes", "threads": THREADS, "tables": tables}))


if __name__ == "__main__":
    main()
