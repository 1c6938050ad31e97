"""How fast a FITS table is read, and with how much memory, against astropy and fitsio (where installed). Prints JSON.

The table has an id, a short with a number for NULL, an unsigned int, four reals, two doubles and a text. Each reader
makes all values in a process of its own: ours batch by batch as Arrow, astropy by ``Table.read`` and by ``fits.open``
with a memory map, fitsio by ``fitsio.read``. Times are of the processor; ``ratio`` is theirs to ours.

    python benchmarks/read_fits.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from astropy.io import fits

from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.requests import InputFormat, InputOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--read", nargs=2, metavar=("READER", "FILE"), help="for the processes that this one starts")
    options = parser.parse_args()
    if options.read:
        print(json.dumps(measured(options.read[0], Path(options.read[1]))))
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.fits"
        write(path, options.rows)
        print(json.dumps(compared(path, options.rows)))


def compared(path: Path, rows: int) -> dict[str, object]:
    """Return the figures of all readers."""
    found = {}
    for reader in READERS:
        if reader == "fitsio" and find_spec("fitsio") is None:
            continue
        command = [sys.executable, __file__, "--read", reader, str(path)]
        found[reader] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours = found["qserv_py"]["cpu_s"]
    for figures in found.values():
        figures["ratio"] = round(figures["cpu_s"] / ours, 2)
    return {"benchmark": "read_fits", "rows": rows, "megabytes": path.stat().st_size >> 20, "readers": found}


def write(path: Path, rows: int) -> None:
    """Write the table."""
    random = np.random.default_rng(1)
    columns = [
        fits.Column("id", "K", array=random.integers(0, 2**62, rows), null=-1),
        fits.Column("mag", "I", array=random.integers(-3000, 3000, rows).astype("i2"), null=-32768),
        fits.Column("flags", "J", array=random.integers(0, 2**32, rows, dtype="u4"), bzero=2**31),
        *(fits.Column(f"flux{number}", "E", array=random.normal(size=rows)) for number in range(4)),
        *(fits.Column(name, "D", array=random.random(rows) * 90) for name in ("ra", "dec")),
        fits.Column("name", "20A", array=np.char.add("star ", random.integers(0, 10**9, rows).astype(str))),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)


def measured(reader: str, path: Path) -> dict[str, float]:
    """Return the processor's time and the memory that reading takes."""
    for module in ("astropy.table", "fitsio", "pandas", "qserv_py.ingest.files.fits.reader"):  # Arrow looks for pandas
        if find_spec(module.partition(".")[0]):
            import_module(module)
    memory = peak_kb()
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter()
    READERS[reader](path)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3),
        "more_memory_mb": (peak_kb() - memory) >> 10,
    }


def peak_kb() -> int:
    """Return the most memory that this process had; getrusage also counts that of the one which started it."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])


def by_us(path: Path) -> None:
    reader = open_reader(path, InputFormat.FITS, InputOptions())
    for batch in reader.batches(reader.names):
        assert len(batch.rows.columns) == len(reader.names)


def by_table(path: Path) -> None:
    from astropy.table import Table

    for column in Table.read(path).itercols():
        np.array(column, dtype=column.dtype.newbyteorder("="))


def by_memory_map(path: Path) -> None:
    with fits.open(path, memmap=True) as units:
        for name in units[1].columns.names:
            values = units[1].data[name]
            np.array(values, dtype=values.dtype.newbyteorder("="))


def by_fitsio(path: Path) -> None:
    import fitsio

    assert len(fitsio.read(path))


READERS = {"qserv_py": by_us, "Table.read": by_table, "fits.open": by_memory_map, "fitsio": by_fitsio}


if __name__ == "__main__":
    main()
