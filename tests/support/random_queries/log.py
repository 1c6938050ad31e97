"""The log of a long run: a line of JSON for each query, and what all of them say together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What became of one draw."""

    seed: str
    """``SEED:NUMBER``; the same draw with the same code."""

    text: str
    """A hash of the query."""

    end: str
    """``rows`` and ``empty`` agree, ``fails`` on both sides, ``differs``; ``repeated`` was not asked."""

    seconds: float = 0.0
    """For all of it, drawing and comparing too."""

    ours_s: float = 0.0
    theirs_s: float = 0.0
    failure: str = ""
    difference: str = ""
    shrunk: str = ""
    """A shorter query that differs, too, with both texts."""

    @property
    def number(self) -> int:
        """Number of the draw."""
        return int(self.seed.rpartition(":")[2])


def mend_log(path: Path) -> None:
    """Leave out a last line that was cut off."""
    if path.exists():
        kept = path.read_bytes().rpartition(b"\n")
        with path.open("r+b") as file:
            file.truncate(len(kept[0]) + len(kept[1]))


def read_log(path: Path, seed: str) -> list[Entry]:
    """Return the entries of one seed."""
    if not path.exists():
        return []
    entries = [Entry(**json.loads(line)) for line in path.read_text().splitlines()]
    return [entry for entry in entries if entry.seed.startswith(f"{seed}:")]


def append_entry(path: Path, entry: Entry) -> None:
    """Write one entry; several processes may."""
    with path.open("a") as file:
        file.write(json.dumps({name: value for name, value in asdict(entry).items() if value}) + "\n")


def summary(entries: Iterable[Entry], *, processes: int) -> str:
    """Return what a run found."""
    found = list(entries)
    asked = [entry for entry in found if entry.end != "repeated"]
    if not asked:
        return "no queries"
    ends = Counter(entry.end for entry in asked)
    seconds = sum(entry.seconds for entry in found)
    lines = [
        f"{len(asked)} queries, {len({entry.text for entry in asked})} of them distinct;"
        f" of {len(found)} draws {_share(len(found) - len(asked), len(found))} thrown away as repeated",
        f"empty answers {_share(ends['empty'], len(asked))}, evaluations that fail {ends['fails']}",
        f"{len(asked) * processes / max(seconds, 1e-9):.1f} queries/s by {processes} processes, set-up left out;"
        f" ours {_mean(entry.ours_s for entry in asked)}, plain {_mean(entry.theirs_s for entry in asked)}",
        "failures: " + ", ".join(f"{kind} {count}" for kind, count in _failures(asked).most_common()),
        "slowest:",
        *(f"  {e.ours_s:.2f} s {e.seed}" for e in sorted(asked, key=lambda e: -e.ours_s)[:10]),
        f"{ends['differs']} differences",
        *(f"{e.seed}\n{e.difference}\n{e.shrunk}" for e in asked if e.end == "differs"),
    ]
    return "\n".join(lines)


def _failures(entries: Iterable[Entry]) -> Counter[str]:
    return Counter(entry.failure for entry in entries if entry.failure)


def _share(some: int, of: int) -> str:
    return f"{100 * some / max(of, 1):.1f} %"


def _mean(seconds: Iterable[float]) -> str:
    values = list(seconds)
    return f"{1000 * sum(values) / max(len(values), 1):.1f} ms"
