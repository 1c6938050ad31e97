"""Mutated statements sent through the reader of ADQL in both modes: no error may escape that is not the user's.

python benchmarks/mutated_statements.py --seed 1 --count 50000 --log /tmp/mutated.jsonl

Statement number n of a seed is the same whenever it is drawn. The log, JSON lines, says how far the run came and what
it found: an error that is none of the user's, a message of too many characters, or more than two seconds of CPU.
Started again with the same log it goes on. The exit code is 1 when there are faults.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.mutations import draw, fault

_REPORT_EVERY = 500


def run(seed: int, count: int, log: Path) -> int:
    """Judge the statements that the log does not have yet; return how many faults it has in all."""
    done, faults = _read(log, seed)
    with log.open("a", encoding="utf-8") as file:
        for number in range(done, count):
            text = draw(seed, number)
            if wrong := fault(text):
                faults += 1
                _write(file.write, {"seed": seed, "number": number, "fault": wrong, "text": text})
            if number % _REPORT_EVERY == _REPORT_EVERY - 1 or number == count - 1:
                _write(file.write, {"seed": seed, "done": number + 1})
                file.flush()
    return faults


def _write(write: Callable[[str], object], record: dict[str, object]) -> None:
    write(json.dumps(record) + "\n")


def _read(log: Path, seed: int) -> tuple[int, int]:
    """Return how far the run of a seed came, and how many faults it had found by then."""
    done, numbers = 0, set()
    for record in _records(log):
        if record.get("seed") == seed:
            done = max(done, record.get("done", 0))
            numbers.add(record.get("number", -1))
    return done, sum(0 <= number < done for number in numbers)


def _records(log: Path) -> Iterator[dict[str, int]]:
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # a line that the end of a run cut off


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="statements in all, those of earlier runs among them")
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    faults = run(options.seed, options.count, options.log)
    print(f"{options.count} statements of seed {options.seed}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
