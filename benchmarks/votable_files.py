"""How fast VOTables are read, and with how much memory, against astropy and stilts. Prints JSON.

Each reader reads the same rows (an id, seven reals, an int, a text) in each serialisation, in a process of its own; the
growth of its memory is that of the reader. astropy reads fewer rows, as it is slower and keeps them all; its memory is
that of those rows. stilts is timed without its start. Ratios are of the processor's time, which a busy machine does not
change much.

    python benchmarks/votable_files.py [--rows 500000] [--astropy-rows 50000]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from formats import BATCH_ROWS, COLUMNS, batch, seconds_of

SMALL_ROWS = 1000
SERIALIZATIONS = {"TABLEDATA": "votable/td", "BINARY": "votable/b", "BINARY2": "votable"}


def write(path: Path, format: str, rows: int) -> None:
    """Write some rows as a VOTable."""
    from qserv_py.czar.formats import find_format
    from qserv_py.czar.formats.stream import ResultStream

    one = batch(min(rows, BATCH_ROWS))
    batches = (one for _ in range(max(rows // BATCH_ROWS, 1)))
    with open(path, "wb") as file:
        for chunk in find_format(format).write(ResultStream(columns=COLUMNS, schema=one.schema, batches=batches)):
            file.write(chunk)


def read_ours(path: Path) -> int:
    """Return the number of rows."""
    from qserv_py.ingest.files.votable.reader import VotableReader
    from qserv_py.ingest.requests import InputOptions

    reader = VotableReader(path, InputOptions())
    return sum(rows.rows.num_rows for rows in reader.batches(reader.names))


def read_by_astropy(path: Path) -> int:
    """Return the number of rows."""
    from astropy.io.votable import parse_single_table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return len(parse_single_table(path).array)


READERS = {"ours": read_ours, "astropy": read_by_astropy}


def peak_mb() -> int:
    """Return the most memory that this process had, in MB; getrusage would count that of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) >> 10


def measure(reader: str, path: Path, small: Path) -> dict[str, float]:
    """Read a file, report the speed and the memory; runs in a process of its own.

    ``small`` is read before, so that imports do not count.
    """
    READERS[reader](small)
    before = peak_mb()
    start, start_cpu = time.perf_counter(), time.process_time()
    rows = READERS[reader](path)
    seconds, seconds_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "rows_per_s": round(rows / seconds),
        "rows_per_cpu_s": round(rows / seconds_cpu),
        "memory_growth_mb": peak_mb() - before,
    }


def stilts_speed(path: Path, small: Path, rows: int) -> int | None:
    """Return the rows a second of stilts, not counting its start; None if it is not here or cannot be told."""
    if shutil.which("stilts") is None:
        return None

    def read_s(source: Path) -> float:
        command = ["stilts", "tpipe", f"in={source}", "ifmt=votable", "omode=discard"]
        return seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))

    start_s, whole_s = read_s(small), read_s(path)
    return round((rows - SMALL_ROWS) / (whole_s - start_s)) if whole_s > 1.2 * start_s else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--astropy-rows", type=int, default=BATCH_ROWS)
    parser.add_argument("--only", nargs=3, help="reader, file and small file of one measurement")
    arguments = parser.parse_args()
    if arguments.only:
        reader, path, small = arguments.only
        print(json.dumps(measure(reader, Path(path), Path(small))))
        return
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as place:
        for name, format in SERIALIZATIONS.items():
            files = {
                count: Path(place) / f"{count}.vot" for count in (SMALL_ROWS, arguments.rows, arguments.astropy_rows)
            }
            for count, path in files.items():
                write(path, format, count)

            def by(reader: str, path: Path, small: Path) -> dict[str, float]:
                command = [sys.executable, __file__, "--only", reader, str(path), str(small)]
                made: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                return made

            small = files[SMALL_ROWS]
            ours = by("ours", files[arguments.rows], small)
            astropy = by("astropy", files[arguments.astropy_rows], small)
            found[name] = {
                "ours": ours,
                "astropy": astropy,
                "stilts_rows_per_s": stilts_speed(files[arguments.rows], small, arguments.rows),
                "ours_over_astropy": round(ours["rows_per_cpu_s"] / astropy["rows_per_cpu_s"], 1),
            }
    print(json.dumps({"benchmark": "votable_files", "rows": arguments.rows, **found}, indent=2))


if __name__ == "__main__":
    main()
