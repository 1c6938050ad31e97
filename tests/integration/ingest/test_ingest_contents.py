"""The same file twice: a table that no key tells takes it once, whatever it is called and however many try at once."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ingested import Shards, add_small, objects
from support.ingested import ingest as ingest_rows

from qserv_py.catalog.model import Database
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.errors import ContributionError
from qserv_py.ingest import run
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.transactions import unfinished_transactions

HEADER = "sourceId,objectId,mjd,visit\n"


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


@pytest.fixture
def database(destination: Destination, cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    made = add_small(cluster, tmp_path, f"c{abs(hash(request.node.nodeid)) % 10**9}")
    ingest_rows(destination, tmp_path, made.name, "Object", objects(20, seed=1))
    return made


def ingest(
    destination: Destination,
    database: Database,
    table: str,
    *files: Path,
    again: bool = False,
    max_rejects: int = 0,
) -> int:
    done = run_ingest(
        destination,
        database=database.name,
        table=table,
        files=files,
        options=InputOptions(again=again),
        rejects_dir=files[0].parent,
        max_rejects=max_rejects,
    )
    return done.rows_loaded


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_same_content_is_refused(
    destination: Destination, database: Database, cluster: Cluster, tmp_path: Path
) -> None:
    bad = write(tmp_path / "bad.csv", HEADER + "1,5,60000,1\n2,99,60000,1\n")
    for _ in range(2):  # an ingest that failed has loaded nothing: the file may be tried again
        with pytest.raises(ContributionError, match="1 of 2 rows rejected"):
            ingest(destination, database, "Source", bad)
    one = write(tmp_path / "one.csv", HEADER + "1,5,60000,1\n")
    other = write(tmp_path / "other.csv", HEADER + "1,5,60000,2\n")
    assert ingest(destination, database, "Source", one) == 1
    renamed = Path(shutil.copy(one, tmp_path / "renamed.csv"))
    with pytest.raises(ContributionError) as caught:
        ingest(destination, database, "Source", other, renamed)
    assert caught.value.message == (f'{renamed}: table "Source" has the rows of this file already; nothing was loaded')
    assert f"loaded {one} on " in caught.value.detail
    assert "--again" in caught.value.hint
    new = write(tmp_path / "new.csv", HEADER + "1,5,60000,3\n")
    with pytest.raises(ContributionError, match="new copy.csv: its content is that of .*new.csv; nothing was loaded"):
        ingest(destination, database, "Source", new, Path(shutil.copy(new, tmp_path / "new copy.csv")))
    assert unfinished_transactions(destination.registry, database=database.name) == ()
    packed = tmp_path / "one.csv.gz"
    packed.write_bytes(gzip.compress(one.read_bytes()))
    assert ingest(destination, database, "Source", other, packed) == 2, "another content, the same rows or not"
    assert ingest(destination, database, "Source", one, renamed, again=True) == 2
    with pytest.raises(ContributionError, match='table "Source" has the rows of this file already'):
        ingest(destination, database, "Source", one)
    publish_database(destination, database.name)
    assert len(Shards(cluster, database).rows("Source", ["sourceId"])) == 5


def test_files_that_brought_no_rows_do_not_count(destination: Destination, database: Database, tmp_path: Path) -> None:
    """Headers alone are alike, and a file whose rows were all turned away has not been loaded."""
    empty = [write(tmp_path / f"empty{number}.csv", HEADER) for number in range(3)]
    early = write(tmp_path / "early.csv", HEADER + "1,100,60000,1\n")
    assert ingest(destination, database, "Source", *empty) == 0
    assert ingest(destination, database, "Source", early, empty[0], max_rejects=1) == 0
    new = write(tmp_path / "object.csv", "objectId,ra,dec\n100,1,1\n")
    ingest(destination, database, "Object", new)
    assert ingest(destination, database, "Source", early) == 1
    with pytest.raises(ContributionError, match='table "Source" has the rows of this file already'):
        ingest(destination, database, "Source", early)


def test_each_table_by_itself(destination: Destination, database: Database, tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.csv", "truthId,ra,dec\nt,1,1\n")
    match = write(tmp_path / "match.csv", "objectId,truthId\n5,t\n")
    visit = write(tmp_path / "visit.csv", "visit,band\n1,u\n")
    ingest(destination, database, "Truth", truth)
    assert ingest(destination, database, "ObjectMatch", match) == 1
    with pytest.raises(ContributionError, match='table "ObjectMatch" has the rows of this file already'):
        ingest(destination, database, "ObjectMatch", match)
    ingest(destination, database, "Visit", visit)
    for table, file in (("Truth", truth), ("Visit", visit)):  # their keys say more
        with pytest.raises(ContributionError, match="1 of 1 row rejected"):
            ingest(destination, database, table, file)


def test_two_ingests_at_once(
    cluster: Cluster, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found that the file is new before either commits: one of them is refused all the same."""
    file = write(tmp_path / "s.csv", HEADER + "1,5,60000,1\n2,6,60000,1\n")
    both = threading.Barrier(2, timeout=60)
    commit = run.commit_transaction

    def together(*arguments: object, **further: object) -> object:
        both.wait()
        return commit(*arguments, **further)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "commit_transaction", together)
    outcomes: list[int | str] = []

    def work(number: int) -> None:
        mine = tmp_path / str(number)
        mine.mkdir()
        try:
            with open_destination(cluster, sync=False) as own:
                outcomes.append(ingest(own, database, "Source", Path(shutil.copy(file, mine))))
        except ContributionError as error:
            outcomes.append("already" if "has the rows of this file already" in error.message else error.message)

    threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [2, "already"]
    with open_destination(cluster, sync=False) as opened:
        publish_database(opened, database.name)
    assert Shards(cluster, database).rows("Source", ["sourceId"]) == [(1,), (2,)]
