"""Statements checked in a second: the whole of ``qserv validate --jsonl`` on one core, in both modes. Prints JSON.

python benchmarks/validate.py [--statements 5000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time

from qserv_py.adql.parse import Mode
from qserv_py.adql.validate import check_collection
from qserv_py.catalog.model import ChildTable, Column, Database, DatabaseState, DirectorTable, Family, Position, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType

QUERIES = [
    "SELECT TOP 10 objectId, ra, dec FROM dr1.Object",
    "SELECT COUNT(*) FROM dr1.Object WHERE c1 BETWEEN 1 AND 2 AND c2 - c3 > 0.5",
    "SELECT objectId, ra, dec, c1 FROM dr1.Object WHERE CONTAINS(POINT(ra, dec), CIRCLE({n}, 2.5, 0.1)) = 1",
    "SELECT objectId FROM dr1.Object WHERE DISTANCE(POINT(ra, dec), POINT({n}, -5)) < 0.01 ORDER BY c1 DESC",
    "SELECT o.objectId, AVG(s.flux) AS mean, COUNT(*) AS n FROM dr1.Object AS o JOIN dr1.Source AS s "
    "ON s.objectId = o.objectId WHERE o.c1 < {n} AND s.band IN ('g', 'r', 'i') GROUP BY o.objectId "
    "HAVING COUNT(*) > 3 ORDER BY mean DESC",
    "SELECT FLOOR(c1 * 10) AS bin, COUNT(*) FROM dr1.Object GROUP BY FLOOR(c1 * 10) ORDER BY bin",
    "SELECT objectId FROM dr1.Object WHERE objectId IN (SELECT objectId FROM dr1.Source WHERE flux > {n})",
    "SELECT t.b, t.n FROM (SELECT band AS b, COUNT(*) AS n FROM dr1.Source GROUP BY band) AS t WHERE t.n > {n}",
    "SELECT objectId, c1 FROM dr1.Object WHERE c1 < 1 UNION ALL SELECT objectId, c2 FROM dr1.Object WHERE c2 > {n}",
    "SELECT objectID, ra FROM dr1.Objekt WHERE c1 < {n}",
    "SELECT objectId, size FROM dr1.Object WHERE c1 < {n}",
    "SELECT objectId FROM dr1.Object WHERE c1 < {n} LIMIT 10",
]


def catalog(columns: int) -> Catalog:
    """Return a catalogue of two tables, one of them wide."""
    wide = [_column(f"c{number}", DataType.DOUBLE) for number in range(columns)]
    position = [_column("ra", DataType.DOUBLE), _column("dec", DataType.DOUBLE)]
    names = {"flux": DataType.DOUBLE, "band": DataType.STRING}
    tables: tuple[Table, ...] = (
        DirectorTable(
            database="dr1",
            name="Object",
            physical="object",
            id="objectId",
            ra=Position(column="ra"),
            dec=Position(column="dec"),
            columns=(_column("objectId", DataType.LONG), *position, *wide),
        ),
        ChildTable(
            database="dr1",
            name="Source",
            physical="source",
            director="Object",
            key="objectId",
            columns=(_column("objectId", DataType.LONG), *(_column(name, kind) for name, kind in names.items())),
        ),
    )
    family = Family(name="dr1", target_rows=100_000, overlap_arcsec=60.0)
    database = Database(name="dr1", physical="dr1", family=family, state=DatabaseState.PUBLISHED, tables=tables)
    return Catalog(version=1, databases=(database,))


def _column(name: str, kind: DataType) -> Column:
    return Column(name=name, physical=name.lower(), datatype=kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=5_000)
    parser.add_argument("--columns", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    lines = [
        json.dumps({"id": number, "adql": QUERIES[number % len(QUERIES)].format(n=number)})
        for number in range(options.statements)
    ]
    collection = ("\n".join(lines) + "\n").encode()
    known = catalog(options.columns)
    figures: dict[str, object] = {"statements": options.statements, "columns_of_the_widest_table": options.columns}
    for mode in Mode:
        for what, names in (("syntax only", None), ("with names", known)):
            rates, problems = [], 0
            for _ in range(options.repeat):
                started = time.perf_counter()
                verdicts = list(check_collection(io.BytesIO(collection), mode=mode, catalog=names))
                rates.append(options.statements / (time.perf_counter() - started))
                problems = sum(verdict.error is not None for verdict in verdicts)
            figures[f"{mode}, {what}"] = {"statements_per_s": round(statistics.median(rates)), "problems": problems}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
