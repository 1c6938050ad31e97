"""Datasets of a Butler repository to rows of a database on the embedded cluster."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from lsst.daf.butler import DatasetType
from support.butler_repository import FakeRepository, detector_sources, make_repository, source_id, sources
from support.ingested import check_parts

from qserv_py.catalog.part import PartRole
from qserv_py.cli.main import run as run_command
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import (
    ContributionError,
    NotFoundError,
    QservError,
    RepositoryError,
    TransactionStateError,
    UserError,
)
from qserv_py.ingest.butler.inputs import make_inputs
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.butler.repository import Repository, open_repository
from qserv_py.ingest.butler.requests import ButlerRequest, Failure, Reprocessed, Tally
from qserv_py.ingest.butler.run import DatasetIngest
from qserv_py.ingest.butler.watch import watch
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.registry.snapshots import parts_of


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[FakeRepository]:
    made = make_repository(tmp_path / "repo")
    yield made
    made.close()


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


@pytest.fixture
def opened(repository: FakeRepository) -> Iterator[Repository]:
    with open_repository(str(repository.path)) as found:
        yield found


@pytest.fixture
def database(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    name = request.node.name.removeprefix("test_").partition("[")[0][:30]
    with cluster.registry() as registry:
        registry.add_database(prompt_database(name))
    return name


@pytest.fixture(scope="module")
def errors_database(cluster: Cluster) -> str:
    with cluster.registry() as registry:
        registry.add_database(prompt_database("wrong_requests"))
    return "wrong_requests"


def load(
    destination: Destination, opened: Repository, tmp_path: Path, database: str, collection: str, **further: object
) -> tuple[Tally, list[Failure]]:
    """Ingest what is in a collection; return what came of it."""
    failures: list[Failure] = []
    settings: dict[str, object] = {"dataset_type": "source", "rejects_dir": tmp_path, **further}
    request = ButlerRequest(collection=collection, database=database, **settings)  # type: ignore[arg-type]
    ingest = DatasetIngest(destination, opened, request, failed=failures.append)
    ingest.run()
    check_parts(destination, destination.registry.database(database))
    return ingest.tally, failures


def ids_in(destination: Destination, database: str) -> list[int]:
    """Return the ids of all committed sources, sorted."""
    found: list[int] = []
    for part in parts_of(destination.registry, database, tables=["Source"], roles=[PartRole.CHUNK]):
        found += pq.ParquetFile(destination.file_of(part)).read(["sourceId"]).column(0).to_pylist()
    return sorted(found)


def ids_of(*visits: int, rows: int = 50) -> list[int]:
    return sorted(source_id(v, detector, n) for v in visits for detector in range(2) for n in range(rows // 2))


def test_source_of_a_run(
    cluster: Cluster,
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    database: str,
    tmp_path: Path,
) -> None:
    ids = repository.process([1, 2, 3], "run1")
    repository.put_visit_tables([1, 2, 3], "run1")
    tally, failures = load(destination, opened, tmp_path, database, "run1")
    assert (tally.datasets, tally.rows, tally.images, failures) == (3, 150, 6, [])
    assert ids_in(destination, database) == ids_of(1, 2, 3)
    for dataset_type, rows in (("visit_table", 3), ("visit_detector_table", 6)):
        tally, failures = load(destination, opened, tmp_path, database, "run1", dataset_type=dataset_type)
        assert (tally.rows, failures) == (rows, [])
    publish_database(destination, database)
    assert answers(
        cluster,
        f"SELECT s.visit, COUNT(*) AS n, MAX(v.expTime) AS t FROM {database}.Source AS s"
        f" JOIN {database}.Visit AS v ON v.visit = s.visit GROUP BY s.visit ORDER BY s.visit",
    ) == [(1, 50, 30.0), (2, 50, 30.0), (3, 50, 30.0)]
    assert len(ids) == 3


def test_again_and_grown(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1, 2], "run1")
    assert load(destination, opened, tmp_path, database, "run1")[0].datasets == 2
    tally, _ = load(destination, opened, tmp_path, database, "run1")
    assert (tally.datasets, tally.there_before) == (0, 2)
    repository.process([3], "run1")
    tally, _ = load(destination, opened, tmp_path, database, "run1", where="instrument = 'Fake' AND visit > 2")
    assert (tally.datasets, tally.there_before) == (1, 0)
    assert load(destination, opened, tmp_path, database, "run1")[0].datasets == 0
    assert ids_in(destination, database) == ids_of(1, 2, 3)


def test_in_two_collections(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1, 2], "run1")
    repository.process([3], "run2")
    repository.chain("both", ["run2", "run1"])
    assert load(destination, opened, tmp_path, database, "run1")[0].datasets == 2
    tally, _ = load(destination, opened, tmp_path, database, "both")
    assert (tally.datasets, tally.there_before) == (1, 2)
    assert ids_in(destination, database) == ids_of(1, 2, 3)


def test_many_super_transactions(
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qserv_py.ingest.butler.run.DATASETS_AT_ONCE", 2)
    monkeypatch.setattr("qserv_py.ingest.butler.run.DATASETS_IN_LOOK", 3)
    monkeypatch.setattr("qserv_py.ingest.butler.run._PAGE", 2)
    repository.process(range(1, 9), "run1", rows=4)
    tally, failures = load(destination, opened, tmp_path, database, "run1")
    assert (tally.datasets, failures) == (8, [])
    assert ids_in(destination, database) == ids_of(*range(1, 9), rows=4)


def test_two_at_the_same_time(
    cluster: Cluster, repository: FakeRepository, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qserv_py.ingest.butler.run.DATASETS_AT_ONCE", 2)
    repository.process(range(1, 9), "run1", rows=10)
    tallies: list[Tally] = []

    def one(number: int) -> None:
        with open_destination(cluster, sync=False) as destination, open_repository(str(repository.path)) as opened:
            request = ButlerRequest(collection="run1", dataset_type="source", database=database, rejects_dir=tmp_path)
            ingest = DatasetIngest(destination, opened, request)
            ingest.run()
            tallies.append(ingest.tally)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.datasets for tally in tallies) == 8
    assert [tally.failed for tally in tallies] == [0, 0]
    with open_destination(cluster, sync=False) as destination:
        assert ids_in(destination, database) == ids_of(*range(1, 9), rows=10)


def test_a_dataset_is_committed_once(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    """What two processes would do that look at the same moment and do not take turns."""
    repository.process([1], "run1")
    request = ButlerRequest(
        collection="run1", dataset_type="source", database=database, reprocessed=Reprocessed.ADD, rejects_dir=tmp_path
    )
    assert DatasetIngest(destination, opened, request).run() == 1
    late = DatasetIngest(destination, opened, request)
    [ref] = opened.datasets("run1", "source")
    with pytest.raises(TransactionStateError, match="brings a dataset whose rows its table has already") as caught:
        late._load(make_inputs(opened, [ref], late._table, [10**9], ExitStack()), keep_known=True)
    assert str(ref.id) in caught.value.detail
    check_parts(destination, destination.registry.database(database))
    assert ids_in(destination, database) == ids_of(1)


def test_a_type_that_was_renamed_is_the_same_type(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    """``recalibrated_star`` was ``source`` before: rows of a visit that came under one name do not come again."""
    repository.process([1], "run1")
    load(destination, opened, tmp_path, database, "run1")
    kind = DatasetType(
        "recalibrated_star", ("instrument", "visit"), "ArrowAstropy", universe=repository.butler.dimensions
    )
    repository.butler.registry.registerDatasetType(kind)
    repository.add_visits([2])
    for visit in (1, 2):
        repository.put(sources(visit), "recalibrated_star", "run2", visit=visit)
    opened.refresh()
    tally, [failure] = load(
        destination, opened, tmp_path, database, "run2", dataset_type="recalibrated_star", table="Source"
    )
    assert (tally.datasets, tally.failed) == (1, 1), "visit 2 is new"
    assert 'was processed again: table "' in failure.error.render()
    assert 'has the rows of run "run1"' in failure.error.render()


def test_reprocessed(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    first = repository.process([1, 2], "run1")
    load(destination, opened, tmp_path, database, "run1")
    repository.process([1, 3], "run2", rows=80, seed=1)
    repository.chain("both", ["run2", "run1"])

    tally, [failure] = load(destination, opened, tmp_path, database, "both")
    assert (tally.datasets, tally.failed) == (1, 1), "visit 3 is new"
    text = failure.error.render()
    assert 'dataset "source" of instrument Fake, visit 1 in run "run2"' in text
    assert 'was processed again: table "reprocessed.Source" has the rows of run "run1"' in text
    assert str(first[1]) in text
    assert ids_in(destination, database) == sorted(ids_of(1, 2) + ids_of(3, rows=80))

    tally, failures = load(destination, opened, tmp_path, database, "both", reprocessed=Reprocessed.KEEP)
    assert (tally.datasets, tally.passed_over, failures) == (0, 1, [])
    assert ids_in(destination, database) == sorted(ids_of(1, 2) + ids_of(3, rows=80))

    tally, failures = load(destination, opened, tmp_path, database, "both", reprocessed=Reprocessed.ADD)
    assert (tally.datasets, tally.rows, tally.rows_passed_over, failures) == (1, 30, 50, [])
    assert ids_in(destination, database) == sorted(ids_of(2) + ids_of(1, 3, rows=80))


def test_visit_tables_that_grow(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1, 2, 3], "run1", rows=2)
    repository.put_visit_tables([1, 2], "run1")
    repository.put_visit_tables([1, 2, 3], "run2")
    for dataset_type, rows in (("visit_table", 1), ("visit_detector_table", 2)):
        load(destination, opened, tmp_path, database, "run1", dataset_type=dataset_type)
        tally, failures = load(
            destination, opened, tmp_path, database, "run2", dataset_type=dataset_type, reprocessed=Reprocessed.ADD
        )
        assert (tally.rows, tally.rows_passed_over, failures) == (rows, 2 * rows, [])
        table = {"visit_table": "Visit", "visit_detector_table": "VisitDetector"}[dataset_type]
        parts = parts_of(destination.registry, database, tables=[table])
        assert sum(part.rows for part in parts) == 3 * rows


def test_a_key_of_two_columns(destination: Destination, database: str, tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    rows = {"visitId": [1, 1, 1], "detector": [0, 1, 0], "band": ["g"] * 3}
    pq.write_table(pa.table(rows), path)
    with pytest.raises(ContributionError, match="1 of 3 rows rejected") as caught:
        run_ingest(destination, database=database, table="VisitDetector", files=[path], rejects_dir=tmp_path)
    assert "visitId, detector: another row of these files has this id (row 3)" in caught.value.detail
    pq.write_table(pa.table(rows).slice(0, 2), path)
    run_ingest(destination, database=database, table="VisitDetector", files=[path], rejects_dir=tmp_path)
    with pytest.raises(ContributionError, match="2 of 2 rows rejected") as caught:
        run_ingest(destination, database=database, table="VisitDetector", files=[path], rejects_dir=tmp_path)
    assert "has a row of this key already" in caught.value.detail


def test_pruned(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1, 2], "run1")
    load(destination, opened, tmp_path, database, "run1")
    repository.process([3, 4], "run1")
    refs = {ref.dataId["visit"]: ref for ref in repository.butler.query_datasets("source", "run1")}
    prune = repository.butler.pruneDatasets
    prune([refs[1]], purge=True, unstore=True, disassociate=True)  # gone altogether
    prune([refs[2], refs[3]], disassociate=False, unstore=True)  # only the files
    tally, [failure] = load(destination, opened, tmp_path, database, "run1")
    assert (tally.datasets, tally.there_before) == (1, 1)
    assert failure.error.message == (
        f'dataset "source" of instrument Fake, visit 3 in run "run1" ({refs[3].id}) has no file'
    )
    assert ids_in(destination, database) == ids_of(1, 2, 4), "the catalogue keeps what it has"
    repository.butler.removeRuns(["run1"])
    repository.process([5], "run1")
    assert load(destination, opened, tmp_path, database, "run1")[0].datasets == 1
    assert ids_in(destination, database) == ids_of(1, 2, 4, 5)


def test_the_rest_goes_on(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1, 2], "run1")
    repository.add_visits(range(3, 10))
    without, wrong, extra, outside = sources(3), sources(4), sources(5), sources(6)
    without.remove_column("dec")
    repository.put(without, "source", "run1", visit=3)
    wrong.replace_column("psfFlux", Table({"psfFlux": np.ones((50, 3))})["psfFlux"])
    repository.put(wrong, "source", "run1", visit=4)
    extra["colour"] = 1.0
    repository.put(extra, "source", "run1", visit=5)
    outside["ra"][7] = 400
    repository.put(outside, "source", "run1", visit=6)
    damaged = repository.put_sources(7, "run1")
    Path(repository.butler.getURI(damaged).ospath).write_bytes(b"PAR1 this is no Parquet PAR1")
    repository.put_sources(8, "run1")
    torn = Path(repository.butler.getURI(repository.put_sources(9, "run1")).ospath)
    whole = torn.read_bytes()
    torn.write_bytes(whole[:4] + bytes([0xFF]) * (len(whole) // 3) + whole[4 + len(whole) // 3 :])  # the end is whole
    tally, failures = load(destination, opened, tmp_path, database, "run1")
    assert (tally.datasets, tally.failed) == (3, 6)
    assert ids_in(destination, database) == ids_of(1, 2, 8)
    texts = {text.split("visit ")[1][0]: text for text in (failure.error.render() for failure in failures)}
    assert 'has no column "dec", which table "the_rest_goes_on.Source" needs in every row' in texts["3"]
    assert 'dataset "source" of instrument Fake, visit 4' in texts["4"]
    assert 'column "psfFlux" of ' in texts["4"]
    assert "holds lists of up to 3 elements, not single values" in " ".join(texts["4"].split())
    assert 'has a column "colour" that table "the_rest_goes_on.Source" does not have' in texts["5"]
    assert "1 of 50 rows rejected" in texts["6"]
    assert "right ascension is not in [0, 360) degrees (row 8)" in texts["6"]
    for visit in "79":
        assert f'dataset "source" of instrument Fake, visit {visit} in run "run1"' in texts[visit].splitlines()[0]
        assert "cannot be read" in texts[visit].splitlines()[0]
    assert all("HINT" in texts[visit] for visit in "5679")
    tally, failures = load(
        destination, opened, tmp_path, database, "run1", ignore_extra=True, max_rejects=1, reprocessed=Reprocessed.ADD
    )
    assert (tally.datasets, len(failures)) == (2, 4)
    missing = source_id(6, 0, 7)
    assert ids_in(destination, database) == sorted({*ids_of(1, 2, 5, 6, 8)} - {missing})


def test_other_dataset_types(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.add_visits([1, 2, 3, 4])
    for detector in range(2):
        rows = detector_sources(1, detector, rows=25)
        rows.remove_columns(["visit", "detector"])  # the data id says them
        repository.put(rows, "source_detector", "run1", visit=1, detector=detector)
    frame = sources(2).to_pandas()
    frame.index = frame.index[::-1]  # without a name it is no data
    repository.put(frame, "source_frame", "run1", visit=2)
    arrow = repository.butler.get(repository.put_sources(3, "run1"), storageClass="ArrowTable")
    repository.put(arrow, "source_arrow", "run1", visit=3)
    repository.put(sources(4, rows=0), "source", "empty", visit=4)
    for dataset_type, collection, datasets, rows in (
        ("source_detector", "run1", 2, 50),
        ("source_frame", "run1", 1, 50),
        ("source_arrow", "run1", 1, 50),
        ("source", "empty", 1, 0),
    ):
        tally, failures = load(
            destination, opened, tmp_path, database, collection, dataset_type=dataset_type, table="Source"
        )
        assert (tally.datasets, tally.rows, failures) == (datasets, rows, [])
        again, _ = load(destination, opened, tmp_path, database, collection, dataset_type=dataset_type, table="Source")
        assert again.datasets == 0
    assert ids_in(destination, database) == ids_of(1, 2, 3)
    found = []
    for part in parts_of(destination.registry, database, tables=["Source"], roles=[PartRole.CHUNK]):
        held = pq.ParquetFile(destination.file_of(part)).read(["sourceId", "visit", "detector", "band"])
        found += list(zip(*(column.to_pylist() for column in held.columns), strict=True))
    assert {(visit, detector, band) for _, visit, detector, band in found} == {
        (visit, detector, "g") for visit in (1, 2, 3) for detector in range(2)
    }
    assert all(row[0] == source_id(row[1], row[2], row[0] % 1_000_000) for row in found)


def test_what_was_not_measured_is_null(
    cluster: Cluster,
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    database: str,
    tmp_path: Path,
) -> None:
    rows = sources(1)
    rows["psfFlux"][:3] = np.nan
    repository.add_visits([1])
    repository.put(rows, "source", "run1", visit=1)
    load(destination, opened, tmp_path, database, "run1")
    publish_database(destination, database)
    counted = f"SELECT COUNT(*) AS n, COUNT(psfFlux) AS measured, MAX(psfFlux) AS top FROM {database}.Source"
    assert answers(cluster, counted) == [(50, 47, rows["psfFlux"][3:].max())]
    assert answers(cluster, f"SELECT COUNT(*) AS n FROM {database}.Source WHERE psfFlux > 1e30") == [(0,)]


def test_read_by_the_butler(
    repository: FakeRepository, opened: Repository, destination: Destination, database: str, tmp_path: Path
) -> None:
    repository.process([1], "run1")
    [ref] = opened.datasets("run1", "source")
    table = destination.registry.database(database).table("Source")
    with ExitStack() as files:
        [direct] = make_inputs(opened, [ref], table, [7], files)
        assert direct.path is not None
        through = replace(direct, path=None)
        assert (through.open().names, through.open().total_rows) == (direct.open().names, 50)
        names = direct.open().names
        [one] = direct.open().batches(names)
        [other] = through.open().batches(names)
        assert one.rows.to_pydict() == other.rows.to_pydict()
        assert one.rows.column("datasetNumber").to_pylist() == [7] * 50


def test_files_in_an_object_store(
    destination: Destination, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.delenv("S3_ENDPOINT_URL", raising=False)
    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="night")
        made = make_repository(tmp_path / "repo", datastore="s3://night/files")
        made.process([1, 2], "run1")
        with open_repository(str(made.path)) as opened:
            tally, failures = load(destination, opened, tmp_path, database, "run1")
        made.close()
    assert (tally.datasets, tally.rows, failures) == (2, 100, [])
    assert ids_in(destination, database) == ids_of(1, 2)
    assert list(copies.iterdir()) == [], "local copies go"


@pytest.mark.parametrize(
    ("settings", "error", "text", "hint"),
    [
        ({"collection": "run2"}, NotFoundError, 'has no collection "run2"', 'Did you mean "run1"?'),
        ({"dataset_type": "sourc"}, NotFoundError, 'has no dataset type "sourc"', 'Did you mean "source"?'),
        (
            {"dataset_type": "recalibrated_star", "table": "Source"},
            NotFoundError,
            'has no dataset type "recalibrated_star"',
            'Our pipelines call it "source" in this repository',
        ),
        ({"dataset_type": "visit_image"}, UserError, "holds StructuredDataDict, which is no table", "ArrowAstropy"),
        ({"where": "visit >"}, UserError, "cannot be understood", "instrument"),
        ({"where": "visit > 1"}, UserError, "cannot be understood", "instrument"),
        ({"where": "colour > 1"}, UserError, "cannot be understood", "instrument"),
        ({"dataset_type": "source_detector", "table": None}, NotFoundError, "is called like", "--table"),
        ({"table": "Sorce"}, NotFoundError, 'has no table "Sorce"', 'Did you mean "Source"?'),
        ({"database": "nowhere"}, NotFoundError, 'database "nowhere" is not known', ""),
    ],
)
def test_wrong_requests(
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    errors_database: str,
    settings: dict[str, object],
    error: type[QservError],
    text: str,
    hint: str,
) -> None:
    repository.process([1], "run1", rows=2)
    chosen: dict[str, object] = {"collection": "run1", "dataset_type": "source", "table": "Source"}
    request = ButlerRequest(**{**chosen, "database": errors_database, **settings})  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        DatasetIngest(destination, opened, request).run()
    assert text in caught.value.message
    assert hint in caught.value.hint


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no Butler repository in") as caught:
        Repository(str(tmp_path))
    assert "butler.yaml" in caught.value.hint
    (tmp_path / "butler.yaml").write_text("registry: {db: 'postgresql+psycopg://127.0.0.1:1/none'}\n")
    with pytest.raises(RepositoryError, match="cannot be read"):
        Repository(str(tmp_path))


def test_watch(cluster: Cluster, repository: FakeRepository, opened: Repository, database: str, tmp_path: Path) -> None:
    stop, waits = threading.Event(), []
    request = ButlerRequest(
        collection="night", dataset_type="source", database=database, publish=True, rejects_dir=tmp_path
    )

    def waiting(seconds: float, error: QservError | None) -> None:
        waits.append((seconds, None if error is None else error.message))
        match len(waits):
            case 2:
                repository.process([1], "run1")
                repository.chain("night", ["run1"])
            case 5:
                repository.process([2, 3], "run2")
                repository.chain("night", ["run2", "run1"])
            case 7:
                stop.set()

    with open_destination(cluster, sync=False) as destination:
        ingest = DatasetIngest(destination, opened, request)
        watch(ingest, stop, waiting=waiting, first_wait_s=0.01, longest_wait_s=0.03)
        missing = f'the repository {repository.path} has no collection "night"'
        assert waits[:2] == [(0.01, missing), (0.02, missing)]
        assert waits[2:] == [(0.01, None), (0.02, None), (0.03, None), (0.01, None), (0.02, None)]
        assert (ingest.tally.datasets, ingest.tally.snapshot) == (3, 2)
        assert ids_in(destination, database) == ids_of(1, 2, 3)
        assert all(part.snapshot for part in parts_of(destination.registry, database))


def answers(cluster: Cluster, query: str) -> list[tuple[object, ...]]:
    with Session(cluster) as session:
        return [tuple(row.values()) for batch in session.answer(query).batches() for row in batch.to_pylist()]


def test_provenance(
    cluster: Cluster,
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    database: str,
    tmp_path: Path,
) -> None:
    ids = repository.process([1, 2], "u/night/run1")
    load(destination, opened, tmp_path, database, "u/night/run1")
    of_here = f"database_name = '{database}'"
    assert f"{database}.Source" not in {
        name for (name,) in answers(cluster, "SELECT table_name FROM tap_schema.tables")
    }
    publish_database(destination, database)
    assert answers(
        cluster,
        "SELECT d.dataset_id, d.run, d.dataset_type, d.data_id, d.row_count, COUNT(*) AS n, MIN(s.visit) AS v"
        f" FROM {database}.Source AS s JOIN butler.Dataset AS d ON d.dataset_number = s.datasetNumber WHERE {of_here}"
        " GROUP BY d.dataset_id, d.run, d.dataset_type, d.data_id, d.row_count ORDER BY v",
    ) == [(str(ids[n]), "u/night/run1", "source", f'{{"visit": {n}, "instrument": "Fake"}}', 50, 50, n) for n in (1, 2)]
    [(ingested,)] = answers(cluster, f"SELECT MAX(ingest_time) AS t FROM butler.Dataset WHERE {of_here}")
    assert isinstance(ingested, datetime)
    assert abs(ingested - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)


def test_rows_lead_to_their_images(
    cluster: Cluster,
    repository: FakeRepository,
    opened: Repository,
    destination: Destination,
    database: str,
    tmp_path: Path,
) -> None:
    repository.process([1, 2], "run1")
    better = repository.put_images(2, "run2", dataset_type="visit_image")
    repository.chain("all", ["run2", "run1"])
    load(destination, opened, tmp_path, database, "all")
    publish_database(destination, database)
    found = answers(
        cluster,
        "SELECT s.sourceId, o.obs_publisher_did, o.dataproduct_subtype, o.obs_collection, CONTAINS(POINT(s.ra, s.dec),"
        f" o.s_region) AS inside FROM {database}.Source AS s JOIN ivoa.ObsCore AS o ON o.lsst_visit = s.visit"
        f" AND o.lsst_detector = s.detector WHERE o.obs_collection = '{database}' ORDER BY s.sourceId",
    )
    assert [row[0] for row in found] == ids_of(1, 2)
    assert {(row[3], row[4]) for row in found} == {(database, 1)}, "each lies on its image"
    last = [row for row in found if row[0] >= source_id(2, 1, 0)]
    assert {row[1:3] for row in last} == {
        (f"ivo://unregistered.example/qserv?id={better[1].id}", "lsst.visit_image")
    }, "the best image of a visit"
    assert {row[2] for row in found} == {"lsst.visit_image", "lsst.preliminary_visit_image"}


def test_the_command(
    cluster: Cluster,
    repository: FakeRepository,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    repository.process([1, 2], "run1")
    repository.add_visits([3])
    bad = repository.butler.getURI(repository.put_sources(3, "run1"))
    Path(bad.ospath).write_bytes(b"")
    settings = ["--collection", "run1", "--dataset-type", "source", "--database", database]
    command = ["--cluster", str(cluster.config.directory), "ingest", "butler", str(repository.path), *settings]
    assert run_command(command) == 6, "done in part"
    said = capsys.readouterr()
    assert said.out == ""
    assert 'ERROR: dataset "source" of instrument Fake, visit 3 in run "run1"' in said.err
    assert "cannot be read" in said.err
    assert "2 datasets loaded, 100 rows, 4 images; 1 failed; qserv publish the_command makes them visible." in said.err
    assert "Traceback" not in said.err
    Path(bad.ospath).unlink()
    repository.butler.removeRuns(["run1"])
    repository.process([4], "run1")
    assert run_command([*command, "--publish"]) == 0
    assert "1 dataset loaded, 50 rows, 2 images; published as snapshot 1." in capsys.readouterr().err
    assert run_command([*command[:-1], "nowhere"]) == 3
    assert 'ERROR: database "nowhere" is not known' in capsys.readouterr().err
    assert run_command([*command[:4], str(tmp_path / "none"), *settings]) == 3
    assert "HINT: A repository is a directory with butler.yaml" in capsys.readouterr().err


def test_the_schema_under_another_name(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["schema", "prompt", "--database", "mine", "--write", str(tmp_path / "made")]) == 0
    said = capsys.readouterr().err
    felis, partition = tmp_path / "made" / "prompt.yaml", tmp_path / "made" / "prompt-partition.yaml"
    assert said == f"Wrote {felis} and {partition}; qserv schema load {felis} --partition {partition} loads them.\n"
    made = read_schema(felis, partition)
    assert (made.name, made.family.name, made.family.min_order) == ("mine", "mine", 6)
    shipped = prompt_database("prompt")
    assert [(table.name, table.kind) for table in made.tables] == [(table.name, table.kind) for table in shipped.tables]
    place = ["--cluster", str(cluster.config.directory)]
    assert run_command([*place, "schema", "prompt", "--database", "night1"]) == 0
    assert run_command([*place, "schema", "prompt", "--database", "night1"]) == 1
    assert 'there is a database "night1" already' in capsys.readouterr().err
    assert run_command([*place, "schema", "prompt", "--database", "ivoa"]) == 1
