"""A table of one's own as ivoa.ObsCore: Rubin's dp02_obscore as a ref table and as a director, and who sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from qserv_py.catalog.grants import PUBLIC
from qserv_py.catalog.model import DirectorTable
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import ANONYMOUS, OPERATOR
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.obscore.standard import COLUMNS, MANDATORY
from qserv_py.czar.session import Session
from qserv_py.errors import ConfigError, UnknownTableError
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import grant, revoke
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.vo.resource_record import cone_capabilities
from qserv_py.vo.server import ServerSettings, serve
from qserv_py.vo.tap.examples import examples

SCHEMA = Path(str(files("lsst.sdm.schemas"))) / "dp02_obscore.yaml"
ROLES = {
    "refimages": {"kind": "ref"},
    "dirimages": {"kind": "director", "id": "obs_publisher_did", "ra": "s_ra", "dec": "s_dec"},
}
PLACES = [(10.0, 0.0), (10.1, 0.05), (200.0, -45.0), (310.0, 60.0)]


def rows() -> pa.Table:
    """Return four images with outlines; what is not set here is NULL."""
    corners = [
        f"POLYGON ICRS {ra - 0.1} {dec - 0.1} {ra + 0.1} {dec - 0.1} {ra + 0.1} {dec + 0.1} {ra - 0.1} {dec + 0.1}"
        for ra, dec in PLACES
    ]
    count = len(PLACES)
    return pa.table(
        {
            "dataproduct_type": ["image"] * count,
            "calib_level": pa.array([2] * count, pa.int32()),
            "obs_collection": ["LSST.DP02"] * count,
            "obs_id": [f"visit-{number}" for number in range(count)],
            "obs_publisher_did": [f"ivo://org.rubinobs/lsst-dp02?{number}" for number in range(count)],
            "s_ra": [ra for ra, _ in PLACES],
            "s_dec": [dec for _, dec in PLACES],
            "s_region": corners,
            "t_min": [60000.0 + number for number in range(count)],
            "lsst_visit": pa.array(range(count), pa.int64()),
        }
    )


@pytest.fixture(scope="module", autouse=True)
def loaded(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same rows in a ref table and in a director table."""
    directory = tmp_path_factory.mktemp("images")
    pq.write_table(rows(), directory / "rows.parquet")
    with open_destination(cluster, sync=False) as destination:
        for name, role in ROLES.items():
            partition = directory / f"{name}.yaml"
            partition.write_text(yaml.safe_dump({"database": name, "tables": {"ObsCore": role}}))
            destination.registry.add_database(read_schema(SCHEMA, partition))
            run_ingest(destination, database=name, table="ObsCore", files=[directory / "rows.parquet"])
            publish_database(destination, name)


def session_with(cluster: Cluster, directory: Path, settings: str) -> Session:
    """Return a session of the cluster with settings of the test's own."""
    for entry in cluster.config.directory.iterdir():
        (directory / entry.name).symlink_to(entry)
    (directory / "settings.yaml").write_text(settings)
    return Session(replace(cluster, config=replace(cluster.config, directory=directory)))


@pytest.fixture(scope="module", params=list(ROLES))
def shown(
    request: pytest.FixtureRequest, cluster: Cluster, loaded: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    """A session in which one of the tables is ivoa.ObsCore."""
    with session_with(
        cluster, tmp_path_factory.mktemp("shown"), f"images: {{obscore: {request.param}.obscore}}"
    ) as session:
        yield session


def asked(session: Session, adql: str) -> list[tuple[object, ...]]:
    batches = list(session.answer(adql).batches())
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_its_rows_are_there_under_the_name_of_the_standard(shown: Session) -> None:
    answer = shown.answer("SELECT * FROM ivoa.ObsCore ORDER BY t_min")
    names = [column.name for column in answer.columns]
    assert set(names) >= set(MANDATORY)
    table = pa.Table.from_batches(list(answer.batches())).rename_columns(names)
    wanted = rows()
    for name in names:
        expected = wanted.column(name).to_pylist() if name in wanted.column_names else [None] * len(PLACES)
        assert table.column(name).to_pylist() == expected, name


def test_columns_that_it_has_not_are_null_wherever_they_are_read(shown: Session) -> None:
    assert asked(shown, "SELECT pol_states, COUNT(*) FROM ivoa.ObsCore GROUP BY pol_states") == [(None, 4)]
    assert asked(shown, "SELECT COUNT(*) FROM ivoa.ObsCore WHERE access_estsize IS NULL AND s_dec < 0") == [(1,)]
    near = (
        "SELECT a.lsst_visit, b.lsst_visit AS other, b.pol_states, a.access_estsize FROM ivoa.ObsCore AS a"
        " JOIN ivoa.ObsCore AS b ON DISTANCE(a.s_ra, a.s_dec, b.s_ra, b.s_dec) < 0.5 AND a.lsst_visit < b.lsst_visit"
    )
    assert asked(shown, near) == [(0, 1, None, None)]


def test_regions_and_positions_are_asked_for(shown: Session) -> None:
    inside = "SELECT lsst_visit FROM ivoa.ObsCore WHERE CONTAINS(POINT(10.05, 0), s_region) = 1 ORDER BY lsst_visit"
    assert asked(shown, inside) == [(0,), (1,)]
    cone = "SELECT lsst_visit FROM ivoa.ObsCore WHERE CONTAINS(POINT(s_ra, s_dec), CIRCLE(200, -45, 1)) = 1"
    assert asked(shown, cone) == [(2,)]
    of_id = "SELECT lsst_visit FROM ivoa.ObsCore WHERE obs_publisher_did = 'ivo://org.rubinobs/lsst-dp02?3'"
    assert asked(shown, of_id) == [(3,)]
    joined = "SELECT COUNT(*) FROM ivoa.ObsCore AS o JOIN dirimages.ObsCore AS d ON d.obs_id = o.obs_id"
    assert asked(shown, joined) == [(4,)]


def test_it_is_described_as_the_standard_has_it(shown: Session) -> None:
    described = "SELECT column_name, utype, unit, ucd, std FROM tap_schema.columns WHERE table_name = 'ivoa.ObsCore'"
    found = {str(name): rest for name, *rest in asked(shown, described)}
    for column in COLUMNS:
        if column.utype and column.name in found:
            assert found[column.name] == [column.utype, column.unit or None, column.ucd, 1], column.name
    assert found["lsst_patch"][0] is None
    assert asked(shown, "SELECT table_name, utype FROM tap_schema.tables WHERE schema_name = 'ivoa'") == [
        ("ivoa.ObsCore", "ivo://ivoa.net/std/obscore#table-1.1")
    ]
    [column] = shown.answer("SELECT s_region FROM ivoa.ObsCore").columns
    assert (column.xtype, column.utype) == ("adql:REGION", "obscore:Char.SpatialAxis.Coverage.Support.Area")


def test_plans_and_documents_know_it(shown: Session) -> None:
    assert "ivoa.ObsCore" in shown.explain("SELECT pol_states FROM ivoa.ObsCore WHERE s_ra > 5")
    names = frozenset({"ivoa", *ROLES})
    catalog = shown.catalog_with_chunks(names).restricted_to(names)  # other tests load theirs
    [first, *_] = [example for example in examples(catalog) if example.table == "ivoa.ObsCore"] or [None]
    [database] = catalog.find_databases("ivoa", exact=True)
    [table] = database.tables
    cones = [element.findtext("interface/accessURL") for element in cone_capabilities("http://x", catalog, most_rows=9)]
    if isinstance(table, DirectorTable):
        assert first is not None
        assert len(asked(shown, first.adql)) > 0
        assert "http://x/cone/ivoa.ObsCore?" in cones
    else:
        assert first is None
        assert "http://x/cone/ivoa.ObsCore?" not in cones


def test_a_name_without_a_database_means_the_tables_themselves(shown: Session) -> None:
    with pytest.raises(UnknownTableError, match=r"(?m)is ambiguous: dirimages.ObsCore, refimages.ObsCore$"):
        shown.answer("SELECT * FROM ObsCore")


def test_whoever_may_not_read_its_database_does_not_see_it(cluster: Cluster, tmp_path: Path) -> None:
    settings = "images: {obscore: refimages.ObsCore}"
    with session_with(cluster, tmp_path, settings) as session, cluster.registry() as registry:
        count = "SELECT COUNT(*) FROM ivoa.ObsCore"
        assert [batch.to_pylist() for batch in session.answer(count, identity=ANONYMOUS).batches()]
        revoke(registry, "refimages", PUBLIC)
        try:
            with pytest.raises(UnknownTableError, match='database "ivoa" is not known'):
                session.answer(count, identity=ANONYMOUS)
            assert asked(session, count) == [(4,)], "the operator sees it"
        finally:
            grant(registry, "refimages", PUBLIC)


def test_a_wrong_name_in_the_settings_costs_only_obscore(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = '"refimages.Obscoer" as obscore; database "refimages" has no such table'
    with session_with(cluster, tmp_path, "images: {obscore: refimages.Obscoer}") as session:
        assert asked(session, "SELECT COUNT(*) FROM refimages.ObsCore") == [(4,)]
        for identity in (OPERATOR, ANONYMOUS):
            with pytest.raises(UnknownTableError, match='database "ivoa" is not known'):
                session.answer("SELECT COUNT(*) FROM ivoa.ObsCore", identity=identity)
        # databases of other tests may have images, which another message tells of
        [message] = [message for message in caplog.messages if message.startswith("there is no ivoa.ObsCore")]
        assert message.startswith(f"there is no ivoa.ObsCore: settings.yaml names {said}. Did you mean")
        with pytest.raises(ConfigError, match=said) as caught:
            session.check_settings()
        assert caught.value.hint == 'Did you mean "ObsCore"?'
    (tmp_path / "later").mkdir()
    with session_with(cluster, tmp_path / "later", "images: {obscore: nothing.yet}") as session:
        assert "ivoa" not in {database.name for database in session.catalog().databases}
        session.check_settings()


def test_settings_that_break_while_a_session_runs_cost_only_obscore(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with session_with(cluster, tmp_path, "images: {obscore: refimages.ObsCore}") as session:
        assert asked(session, "SELECT COUNT(*) FROM ivoa.ObsCore") == [(4,)]
        (tmp_path / "settings.yaml").write_text("images: {obscore: 7")
        with cluster.registry() as registry:
            revoke(registry, "refimages", PUBLIC)
            grant(registry, "refimages", PUBLIC)  # the catalogue has changed
        assert asked(session, "SELECT COUNT(*) FROM refimages.ObsCore") == [(4,)]
        assert "ivoa" not in {database.name for database in session.catalog().databases}
    assert sum("there is no ivoa.ObsCore: " in message for message in caplog.messages) == 1


def test_a_service_does_not_start_with_a_table_that_cannot_be_it(cluster: Cluster, tmp_path: Path) -> None:
    settings = "images: {obscore: refimages.Obscoer}"
    with session_with(cluster, tmp_path, settings) as session, pytest.raises(ConfigError, match="has no such table"):
        serve(session.cluster, settings=ServerSettings(port=0))
