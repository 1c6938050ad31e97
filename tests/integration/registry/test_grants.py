"""Grants in the registry, and sessions that answer several identities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.catalogues import load_catalogue
from support.schemas import small_database
from support.sky import catalogue
from support.whole_catalog import whole_catalog

from qserv_py.catalog.grants import PUBLIC, parse_grantee
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import ANONYMOUS, Identity, Proof
from qserv_py.czar.session import Session
from qserv_py.errors import NotFoundError, UnknownTableError
from qserv_py.registry.connection import Registry
from qserv_py.registry.grants import grant, revoke
from qserv_py.registry.migrations import apply_migrations, known_migrations

SURVEY = parse_grantee("group:survey")
ALICE = Identity(user="alice", groups=frozenset({"survey"}), proof=Proof.TOKEN)
BOB = Identity(user="bob", groups=frozenset({"other"}), proof=Proof.OIDC)


def test_grants_are_kept_and_raise_the_version_once(registry: Registry, tmp_path: Path) -> None:
    registry.add_database(small_database(tmp_path, name="Small"))
    assert registry.database("small").readers == {PUBLIC}
    version = registry.catalog_version()
    now, changed = grant(registry, "SMALL", SURVEY)
    assert (now.name, now.readers, changed) == ("Small", {PUBLIC, SURVEY}, True)
    assert whole_catalog(registry).databases[0].readers == {PUBLIC, SURVEY}
    assert registry.catalog_version() == version + 1
    assert grant(registry, "Small", SURVEY) == (now, False)
    assert revoke(registry, "Small", parse_grantee("user:survey")) == (now, False)
    assert registry.catalog_version() == version + 1
    for grantee in (PUBLIC, SURVEY):
        now, changed = revoke(registry, "Small", grantee)
        assert changed
    assert now.readers == frozenset()
    assert registry.catalog_version() == version + 3
    for change in (grant, revoke):
        with pytest.raises(NotFoundError, match='database "smal" is not known'):
            change(registry, "smal", PUBLIC)


def test_grants_go_with_their_database(registry: Registry, tmp_path: Path) -> None:
    registry.add_database(small_database(tmp_path))
    grant(registry, "small", SURVEY)
    registry.drop_database("small")
    registry.add_database(small_database(tmp_path))
    assert registry.database("small").readers == {PUBLIC}


def test_databases_of_an_older_registry_stay_public(database: str) -> None:
    add = (
        "INSERT INTO family (name, target_rows, min_order, max_order, overlap_arcsec) VALUES ('f', 1, 0, 1, 0);"
        "INSERT INTO catalog_database (family_id, name, physical, description, felis) VALUES (1, 'old', 'old', '', '')"
    )
    with psycopg.connect(database, autocommit=True) as connection:
        apply_migrations(connection, migrations=known_migrations()[:1])
        connection.execute(add)
        apply_migrations(connection)
    with Registry(database) as registry:
        assert registry.database("old").readers == {PUBLIC}


@pytest.fixture
def session(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Two published databases: ``open`` is public, ``closed`` is of a group."""
    for seed, name in enumerate(("opened", "closed")):
        tables = catalogue(seed, "sparse", count=60)
        load_catalogue(cluster, tmp_path_factory.mktemp(name), name=name, tables=tables, target_rows=30)
    with Session(cluster) as made, cluster.registry() as registry:
        revoke(registry, "closed", PUBLIC)
        grant(registry, "closed", SURVEY)
        yield made


def count(session: Session, database: str, **named: Identity) -> int:
    (batch,) = session.answer(f"SELECT COUNT(*) AS n FROM {database}.Object WHERE k >= 0", **named).batches()
    return int(batch["n"][0].as_py())


def test_a_session_answers_each_identity_from_what_it_may_read(session: Session) -> None:
    assert count(session, "closed") == count(session, "closed", identity=ALICE) == 60
    for who in (ANONYMOUS, BOB):
        assert count(session, "opened", identity=who) == 60
        for ask in (session.answer, session.plan, session.explain):
            with pytest.raises(UnknownTableError, match='database "closed" is not known') as caught:
                ask("SELECT * FROM closed.Object", identity=who)
            assert "closed" not in caught.value.hint.replace("closed.", "")
        assert "closed" not in {database.name for database in session.catalog(who).databases}


def test_nobody_is_shown_the_names_of_a_closed_database(session: Session) -> None:
    def shown(statement: str, who: Identity) -> list[str]:
        return [str(name) for batch in session.answer(statement, identity=who).batches() for name in batch[0]]

    for who, databases in ((ALICE, {"closed", "opened"}), (BOB, {"opened"}), (ANONYMOUS, {"opened"})):
        assert set(shown("SHOW DATABASES", who)) >= databases
        seen = "".join(shown("SHOW DATABASES", who) + shown("SHOW FULL TABLES", who) + shown("SHOW TABLES", who))
        assert ("closed" in seen) == ("closed" in databases)
        assert "objectId" in shown("DESCRIBE opened.Object", who)
    assert "closed.Object" in shown("SHOW TABLES FROM closed LIKE 'Obj%'", ALICE)
    assert "objectId" in shown("DESCRIBE closed.Object", ALICE)
    for statement in ("SHOW TABLES FROM closed", "SHOW COLUMNS FROM closed.Object", "DESC closed.Object"):
        with pytest.raises(UnknownTableError, match='database "closed" is not known') as caught:
            shown(statement, BOB)
        assert "closed" not in caught.value.hint


def test_a_grant_counts_from_the_next_query_on(session: Session, cluster: Cluster) -> None:
    with pytest.raises(UnknownTableError):
        count(session, "closed", identity=BOB)
    with cluster.registry() as registry:
        grant(registry, "closed", parse_grantee("user:bob"))
        assert count(session, "closed", identity=BOB) == 60
        revoke(registry, "closed", parse_grantee("user:bob"))
    with pytest.raises(UnknownTableError):
        count(session, "closed", identity=BOB)


def test_identities_that_see_the_same_share_one_catalogue(session: Session) -> None:
    assert session.catalog(ANONYMOUS) is session.catalog(BOB)
    assert session.catalog(ALICE) is not session.catalog(BOB)
    assert session.catalog(ANONYMOUS) is session.catalog(ANONYMOUS)
