"""Parts of the ingest from a Butler that need no cluster: choosing, reading, describing, waiting; rows of ObsCore."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.butler_repository import ConvexPolygon, LonLat, UnitVector3d, square

from qserv_py.catalog.model import CzarTable
from qserv_py.czar.obscore.images import ImageAccess, obscore_table
from qserv_py.czar.tables.czar_tables import CzarTables
from qserv_py.demo.pixels import TABLES, ingest_request
from qserv_py.errors import ClusterError, ConfigError, NotFoundError, QservError, RepositoryError, UserError
from qserv_py.extras import import_extra
from qserv_py.ingest.butler.images import _outline
from qserv_py.ingest.butler.inputs import DatasetReader
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.butler.requests import ButlerRequest
from qserv_py.ingest.butler.run import choose_table
from qserv_py.ingest.butler.watch import watch
from qserv_py.ingest.files.reader import MalformedRows, RawBatch

IMAGE = (
    "prompt",
    "01a1",
    "visit_image",
    "QCam",
    7,
    3,
    "V7",
    "q_r",
    "r",
    "field",
    30.0,
    60000.0,
    60000.1,
    1.0,
    2.0,
    0.1,
)


def test_an_extra_that_is_not_installed() -> None:
    assert import_extra("json") is __import__("json")
    with pytest.raises(ConfigError, match=r'the package of "lsst_of_nobody\.daf"') as caught:
        import_extra("lsst_of_nobody.daf")
    assert caught.value.hint == "pip install 'qserv-py[pipelines]' brings it."


@pytest.mark.parametrize(
    ("dataset_type", "table", "found"),
    [
        ("source", None, "Source"),
        ("visit_table", None, "Visit"),
        ("visit_detector_table", None, "VisitDetector"),
        ("source_detector", "source", "Source"),
    ],
)
def test_the_table_of_a_dataset_type(dataset_type: str, table: str | None, found: str) -> None:
    request = ButlerRequest(collection="c", dataset_type=dataset_type, database="prompt", table=table)
    assert choose_table(prompt_database("prompt"), request).name == found


@pytest.mark.parametrize(("dataset_type", "table"), TABLES)
def test_the_demo_says_which_table_each_of_its_datasets_fills(dataset_type: str, table: str) -> None:
    request = ingest_request(dataset_type, table)
    assert request.dataset_type == dataset_type
    assert choose_table(prompt_database(request.database), request).name == table


def test_no_table_of_a_dataset_type() -> None:
    request = ButlerRequest(collection="c", dataset_type="source_detector", database="prompt")
    with pytest.raises(NotFoundError) as caught:
        choose_table(prompt_database("prompt"), request)
    assert caught.value.hint == "--table says which it is, one of Source, Visit, VisitDetector."


class Rows:
    """A reader of rows in memory."""

    def __init__(self, table: pa.Table, *, size: int) -> None:
        self._table, self._size = table, size
        self.names: tuple[str, ...] = tuple(table.column_names)
        self.total_rows: int | None = table.num_rows
        self.malformed = MalformedRows()
        self.described: dict[str, dict[str, str]] = {}
        self.types = {about.name: about.type for about in table.schema}
        self.notes = ()

    def batches(self, names: Sequence[str]) -> Iterator[RawBatch]:
        first = 1
        for batch in self._table.select(list(names)).to_batches(max_chunksize=self._size):
            yield RawBatch(np.arange(first, first + batch.num_rows), batch)
            first += batch.num_rows


@given(
    values=st.lists(st.floats(allow_infinity=True) | st.none(), min_size=1, max_size=30),
    own=st.sets(st.sampled_from(["visit", "Detector", "x", "__index_level_0__"]), min_size=1),
    size=st.integers(1, 40),
    data=st.data(),
)
def test_added_columns(values: list[float | None], own: set[str], size: int, data: st.DataObject) -> None:
    table = pa.table({name: pa.array(values, pa.float64()) for name in sorted(own)})
    added = {"visit": 5, "detector": 3, "datasetNumber": 9}
    reader = DatasetReader("it", Rows(table, size=size), added)
    present = {name.lower() for name in own}
    assert set(reader.names) == (own - {"__index_level_0__"}) | {name for name in added if name not in present}
    if not own - {"__index_level_0__"}:
        return
    names = data.draw(st.permutations(reader.names).map(lambda names: names[: data.draw(st.integers(1, len(names)))]))
    rows = pa.Table.from_batches([batch.rows for batch in reader.batches(names)])
    assert rows.column_names == list(names)
    for name in names:
        expected = values if name in own else [added[name]] * len(values)
        assert [repr(value) for value in rows.column(name).to_pylist()] == [repr(value) for value in expected]
        assert reader.types[name] == rows.schema.field(name).type


def test_outlines() -> None:
    centre, field, corners = _outline(square(359.95, -0.05, 0.1))
    assert centre is not None
    assert (centre[0] + 180) % 360 == pytest.approx(180), "across the end of right ascension"
    assert centre[1] == pytest.approx(0, abs=1e-9)
    assert field == pytest.approx(0.1414, abs=1e-3)
    assert corners is not None
    assert corners[0::2] == pytest.approx((359.95, 0.05, 0.05, 359.95))
    pole = [UnitVector3d(LonLat.fromDegrees(ra, 89.0)) for ra in (0, 120, 240)]
    centre, field, corners = _outline(ConvexPolygon(pole))
    assert centre is not None
    assert centre[1] == pytest.approx(90)
    assert field == pytest.approx(2)
    assert corners == pytest.approx((0, 89, 120, 89, 240, 89))
    assert _outline(None) == (None, None, None)
    circle = ConvexPolygon(pole).getBoundingCircle()
    centre, field, corners = _outline(circle)
    assert centre is not None
    assert (centre[1], field, corners) == (pytest.approx(90), pytest.approx(2), None)


def rows_of(tables: CzarTables) -> list[dict[str, Any]]:
    [table] = tables.database.tables
    assert isinstance(table, CzarTable)
    assert tables.sizes[table.qualified][0] == tables.rows[table.qualified].num_rows
    rows: list[dict[str, Any]] = tables.rows[table.qualified].to_pylist()
    return rows


def test_rows_of_obscore() -> None:
    strange = ("other", "01a2", "raw", "Cam", 8, None, "V8", "H-alpha", "ha", None, *[None] * 6)
    images = [(*IMAGE, "POLYGON ICRS 1 2 3 4 5 6"), (*strange, None)]
    calls = []

    def read() -> list[tuple[Any, ...]]:
        calls.append(1)
        return images

    access = ImageAccess(identifier="ivo://example.org/sky", links="https://x.org/links", facility="Here")
    tables = obscore_table(2, read, access)
    assert calls == [], "nobody has asked"
    one, other = rows_of(tables)
    assert one["obs_publisher_did"] == "ivo://example.org/sky?id=01a1"
    assert one["access_url"] == "https://x.org/links?ID=ivo%3A%2F%2Fexample.org%2Fsky%3Fid%3D01a1"
    assert (one["calib_level"], one["lsst_detector"], one["facility_name"]) == (2, 3, "Here")
    assert (one["em_min"], one["em_max"]) == (pytest.approx(552e-9), pytest.approx(691e-9))
    assert one["obs_title"] == "visit_image of QCam, visit 7, detector 3"
    assert (other["calib_level"], other["lsst_detector"], other["obs_title"]) == (1, None, "raw of Cam, visit 8")
    assert all(other[name] is None for name in ("em_min", "em_max", "s_region", "s_ra", "t_min", "target_name"))
    rows_of(tables)
    assert calls == [1], "read once"
    [bare] = rows_of(obscore_table(1, lambda: [(*IMAGE, None)], ImageAccess()))
    assert (bare["access_url"], bare["access_format"], bare["facility_name"]) == (None, None, None)
    assert rows_of(obscore_table(0, list, ImageAccess())) == []
    with pytest.raises(KeyError):
        tables.rows["ivoa.other"]


class Script:
    """An ingest that does what a script says."""

    def __init__(self, *steps: int | QservError) -> None:
        self._steps = list(steps)

    def run(self) -> int:
        step = self._steps.pop(0)
        if isinstance(step, QservError):
            raise step
        return step


def waits_of(*steps: int | QservError) -> list[float]:
    stop, waits = threading.Event(), list[float]()

    def waiting(seconds: float, error: QservError | None) -> None:
        assert (error is None) == isinstance(steps[len(waits)], int)
        waits.append(seconds)
        if len(waits) == len(steps):
            stop.set()

    watch(Script(*steps), stop, waiting=waiting, first_wait_s=0.001, longest_wait_s=0.004)  # type: ignore[arg-type]
    return [round(seconds * 1000) for seconds in waits]


def test_waits_grow_until_something_comes() -> None:
    assert waits_of(0, 0, 0, 0, 3, 0, 0) == [1, 2, 4, 4, 1, 2, 4]
    assert waits_of(NotFoundError("x"), RepositoryError("x"), ClusterError("x"), 1, 0) == [1, 2, 4, 1, 2]


def test_what_waiting_cannot_mend_ends_the_watch() -> None:
    with pytest.raises(UserError):
        waits_of(0, UserError("wrong"))
