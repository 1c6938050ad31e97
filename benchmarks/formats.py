"""How fast each format is written, and with how much memory, against astropy's writers and stilts. Prints JSON.

Each format writes the same rows (an id, seven reals, an int, a text) into nothing, in a process of its own; the growth
of its memory is that of the writer. The peers write fewer rows, as they are slower. ``rows_per_s`` is by the clock,
``rows_per_cpu_s`` by the processor's time, which a busy machine does not change much.

    python benchmarks/formats.py [--rows 2000000] [--peer-rows 20000]
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io.votable import from_table
from astropy.table import Table

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import FORMATS, find_format
from qserv_py.czar.formats.compression import CODINGS, compressed
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.executor.arrow import answer_schema

BATCH_ROWS = 50_000
TYPES = {
    "id": DataType.LONG,
    "ra": DataType.DOUBLE,
    "dec": DataType.DOUBLE,
    **{f"flux{number}": DataType.FLOAT for number in range(3)},
    "sky": DataType.DOUBLE,
    "depth": DataType.DOUBLE,
    "visits": DataType.INT,
    "band": DataType.STRING,
}
COLUMNS = [OutputColumn(name=name, datatype=kind, unit="deg" * (name in {"ra", "dec"})) for name, kind in TYPES.items()]


def batch(rows: int) -> pa.RecordBatch:
    """Return some rows, the same every time; a tenth of the fluxes is NULL."""
    random = np.random.default_rng(1)
    values: list[Any] = [random.integers(0, 2**60, rows), random.random(rows) * 360, random.random(rows) * 180 - 90]
    values += [random.normal(1000, 10, rows).astype("f4") for _ in range(3)]
    values += [random.normal(20, 1, rows) for _ in range(2)]
    values += [random.integers(0, 100, rows).astype("i4"), random.choice(list("ugrizy"), rows)]
    arrays = [
        pa.array(made, mask=random.random(rows) < 0.1 if name.startswith("flux") else None)
        for name, made in zip(TYPES, values, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=answer_schema(COLUMNS))


def write(name: str, rows: int) -> dict[str, float]:
    """Write rows, report the speed and the memory; runs in a process of its own."""
    one = batch(BATCH_ROWS)
    name, _, coding = name.partition("+")

    def chunks(count: int) -> Iterator[bytes]:
        batches = (one for _ in range(count // BATCH_ROWS))
        made = find_format(name).write(ResultStream(columns=COLUMNS, schema=one.schema, batches=batches))
        return compressed(made, coding) if coding else made

    for _ in chunks(BATCH_ROWS):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, start_cpu = time.perf_counter(), time.process_time()
    size = sum(len(chunk) for chunk in chunks(rows))
    seconds, seconds_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "rows_per_s": round(rows / seconds),
        "rows_per_cpu_s": round(rows / seconds_cpu),
        "bytes_per_row": round(size / rows, 1),
        "memory_growth_mb": grown >> 10,
    }


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def astropy_speeds(rows: int) -> dict[str, int]:
    """Return the rows a second of astropy."""
    table = Table.from_pandas(batch(rows).to_pandas())
    table["band"] = table["band"].astype(str)
    document = from_table(table)

    def votable(serialization: str) -> Callable[[], None]:
        return lambda: document.to_xml(io.BytesIO(), tabledata_format=serialization)

    work: dict[str, Callable[[], object]] = {
        "votable": votable("binary2"),
        "votable/b": votable("binary"),
        "votable/td": votable("tabledata"),
        "fits": lambda: table.write(io.BytesIO(), format="fits"),
        "csv": lambda: table.write(io.StringIO(), format="ascii.csv"),
        "html": lambda: table.write(io.StringIO(), format="ascii.html"),
    }
    return {name: round(rows / seconds_of(one)) for name, one in work.items()}


def stilts_speeds(rows: int) -> dict[str, int]:
    """Return the rows a second of stilts that reads FITS, not counting its start; empty if it is not here."""
    if shutil.which("stilts") is None:
        return {}
    formats = {"votable": "votable-binary2-inline", "votable/td": "votable-tabledata", "fits": "fits", "csv": "csv"}
    with tempfile.TemporaryDirectory() as place:
        paths = {}
        for name, count in (("none", BATCH_ROWS), ("some", rows)):
            paths[name] = Path(place) / f"{name}.fits"
            one = batch(BATCH_ROWS)
            batches = (one for _ in range(count // BATCH_ROWS))
            stream = ResultStream(columns=COLUMNS, schema=one.schema, batches=batches)
            paths[name].write_bytes(b"".join(find_format("fits").write(stream)))

        def copy_s(source: str, kind: str) -> float:
            command = ["stilts", "tcopy", f"in={paths[source]}", "ifmt=fits", f"out={place}/out", f"ofmt={kind}"]
            return seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))

        speeds = {}
        for name, kind in formats.items():
            start_s, whole_s = copy_s("none", kind), copy_s("some", kind)
            if whole_s > 1.5 * start_s:  # else the machine is too busy, or the rows too few, to tell them apart
                speeds[name] = round((rows - BATCH_ROWS) / (whole_s - start_s))
        return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--peer-rows", type=int, default=20_000)
    parser.add_argument("--only", help="write this format and nothing else")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(write(arguments.only, arguments.rows)))
        return
    names = [known.name for known in FORMATS if "no-header" not in known.name]
    ours = {}
    for name in [*names, *(f"votable+{coding}" for coding in CODINGS)]:
        command = [sys.executable, __file__, "--rows", str(arguments.rows), "--only", name]
        ours[name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    peers = {"astropy": astropy_speeds(arguments.peer_rows), "stilts": stilts_speeds(arguments.rows // 2)}
    ratios = {
        f"ours_over_{peer}": {name: round(ours[name]["rows_per_s"] / speed, 2) for name, speed in speeds.items()}
        for peer, speeds in peers.items()
    }
    print(json.dumps({"benchmark": "formats", "rows": arguments.rows, "ours": ours, **peers, **ratios}, indent=2))


if __name__ == "__main__":
    main()
