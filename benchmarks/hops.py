"""Through how many of our files a query goes, from its text to the bytes of a VOTable, when it is asked a second time.

Twice: to the letter, which takes the kept plan, and with a blank at its end, which is planned anew.

A file is entered when a function of it is called. A move is a call into another file and the return from it, together
one; each item that a generator of another file is asked for is such a call. Generated code is left out; threads count
that begin while the query runs. Prints one JSON document.

    python benchmarks/hops.py [--cluster DIR]

Without a cluster it makes a demo of 20,000 objects in a temporary directory and removes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import FrameType

from cone import demo_cluster

import qserv_py
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.formats import find_format
from qserv_py.czar.session import Session

QUERIES = {
    "id look-up": "SELECT objectId, coord_ra, coord_dec FROM dr1.Object WHERE objectId = {id}",
    "groups over the sky": "SELECT band, COUNT(*) AS n, AVG(psfFlux) AS mean FROM dr1.Source GROUP BY band",
    "cone, join by key, order": "SELECT o.objectId, s.psfFlux FROM dr1.Object AS o JOIN dr1.Source AS s"
    " ON s.objectId = o.objectId WHERE DISTANCE(o.coord_ra, o.coord_dec, 6, -72) < 0.1 ORDER BY s.psfFlux",
}
ROOT = Path(qserv_py.__file__).resolve().parents[1]


class Hops:
    """Counts while it is the profile function of all threads."""

    def __init__(self) -> None:
        self.entered: Counter[str] = Counter()
        self.moves = 0
        self._ours: dict[str, str] = {}

    def _file(self, frame: FrameType | None) -> str:
        """Return the file of a frame below our root; empty for others'."""
        if frame is None:
            return ""
        name = frame.f_code.co_filename
        if name not in self._ours:
            path = Path(name).resolve()
            ours = (
                not name.startswith("<")
                and path.is_relative_to(ROOT)
                and ".venv" not in path.parts
                and "benchmarks" not in path.parts
            )
            self._ours[name] = str(path.relative_to(ROOT)) if ours else ""
        return self._ours[name]

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Count one event."""
        if event != "call":
            return
        here, there = self._file(frame), self._file(frame.f_back)
        if here:
            self.entered[here] += 1
        if here and there and here != there:
            self.moves += 1


def hops_of(session: Session, adql: str, *, first: str) -> Hops:
    """Return what a query goes through after another text of it was asked."""
    votable = find_format("votable")
    for _ in votable.write(session.answer(first).stream(("QUERY", first))):
        pass
    counted = Hops()
    threading.setprofile(counted)
    sys.setprofile(counted)
    try:
        for _ in votable.write(session.answer(adql).stream(("QUERY", adql))):
            pass
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return counted


def measure(directory: Path) -> dict[str, object]:
    """Return the figures of the queries."""
    figures: dict[str, object] = {"benchmark": "hops"}
    with Session(open_cluster(directory)) as session:
        first = b"".join(
            find_format("csv").write(session.answer("SELECT MIN(objectId) AS id FROM dr1.Object").stream())
        )
        known = int(first.split()[-1])
        for name, adql in QUERIES.items():
            text = adql.format(id=known)
            for way, first in (("planned anew", f"{text} "), ("kept plan", text)):
                counted = hops_of(session, text, first=first)
                folders = Counter(str(Path(file).parent) for file in counted.entered)
                found = {"files": len(counted.entered), "moves": counted.moves, "folders": dict(folders)}
                figures[f"{name}, {way}"] = found
    return figures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster")
    options = parser.parse_args()
    with demo_cluster(20_000) if options.cluster is None else nullcontext(Path(options.cluster)) as directory:
        print(json.dumps(measure(directory), indent=1))


if __name__ == "__main__":
    main()
