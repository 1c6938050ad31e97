"""Which tables can be ivoa.ObsCore, and what is said of those that cannot."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from qserv_py.catalog.model import Database
from qserv_py.catalog.snapshot import Catalog, DatabaseVersion
from qserv_py.cli.data import butler_commands
from qserv_py.czar.obscore.brought import MAY_BE_ABSENT, brought_obscore
from qserv_py.czar.obscore.standard import COLUMNS, MANDATORY
from qserv_py.czar.tables.service_tables import ServiceTables
from qserv_py.errors import ConfigError
from qserv_py.registry.connection import Registry
from qserv_py.registry.schema_files.felis_schema import read_schema

SCHEMA = (files("lsst.sdm.schemas") / "dp02_obscore.yaml").read_text()
CHILD = "{kind: child, director: ObsCore, key: obs_id}"


def database(directory: Path, text: str = SCHEMA, *, role: str = "{kind: ref}") -> Database:
    felis, partition = directory / "obscore.yaml", directory / "partition.yaml"
    felis.write_text(text)
    partition.write_text(f"database: dp02\ntables:\n  ObsCore: {role}\n")
    return read_schema(felis, partition)


def published(made: Database) -> Catalog:
    return with_published(Catalog(version=1, databases=()), made, snapshot=3)


def with_published(catalog: Catalog, made: Database, *, snapshot: int) -> Catalog:
    version = DatabaseVersion(database_id=len(catalog.databases), version=1, family=1, snapshot=snapshot)
    versions = MappingProxyType({**catalog.versions, made.name: version})
    return replace(catalog, databases=(*catalog.databases, made), versions=versions)


def test_the_standard_has_thirty_columns_that_must_be_there() -> None:
    assert len(MANDATORY) == 30, "ObsCore 1.1, table 1"
    assert set(MANDATORY) > MAY_BE_ABSENT
    assert all(column.nullable for column in COLUMNS if column.name in MAY_BE_ABSENT)


def test_the_table_of_rubin_can_be_it(tmp_path: Path) -> None:
    catalog = published(database(tmp_path))
    shown = brought_obscore(catalog, "DP02.obscore")
    assert shown is not None
    [table] = shown.database.tables
    assert (table.qualified, shown.database.physical, shown.database.shown_from) == ("ivoa.ObsCore", "dp02", "dp02")
    assert {column.name for column in table.columns if column.absent} == {"access_estsize", "pol_states"}
    assert shown.added_to(catalog).published == {"dp02": 3, "ivoa": 3}


def test_a_database_that_is_not_published_has_none(tmp_path: Path) -> None:
    made = database(tmp_path)
    assert brought_obscore(Catalog(version=1, databases=(made,)), "dp02.ObsCore") is None
    assert brought_obscore(Catalog(version=1, databases=()), "dp02.ObsCore") is None


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("name: s_ra", "name: ra", r'"dp02.ObsCore" cannot be ivoa.ObsCore, as settings.yaml says: it has no s_ra$'),
        ("name: t_m", "name: tt_m", r"it has no t_min, t_max$"),
        ("name: obs_publisher_did", "name: did", r"it has no obs_publisher_did$"),
        ("ivoa:unit: s\n", "ivoa:unit: min\n", r'its column "t_exptime" is in "min", not in "s"$'),
        ("datatype: int\n", "datatype: double\n", r'its column "calib_level" is double, not int$'),
        ("datatype: double\n", "datatype: timestamp\n", r'its column "\w+" is timestamp, not double$'),
    ],
)
def test_a_table_that_does_not_follow_the_standard_is_refused(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in SCHEMA
    with pytest.raises(ConfigError, match=f"(?m){message}"):
        brought_obscore(published(database(tmp_path, SCHEMA.replace(right, wrong))), "dp02.ObsCore")


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='database "dp02" has no such table') as caught:
        brought_obscore(published(database(tmp_path)), "dp02.Obscore2")
    assert caught.value.hint == 'Did you mean "ObsCore"?'


def test_who_ingests_images_is_told_that_they_are_not_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    for named, said in (
        ("", ""),
        ("dp02.ObsCore", "ivoa.ObsCore is dp02.ObsCore, as settings.yaml says: images of a Butler are not in it.\n"),
    ):
        butler_commands._say_where_images_are_not(named)
        assert capsys.readouterr().err == said


class ImagesOfOne:
    """A registry in which the published database "prompt" has two images."""

    def look_up(self, _statement: str, **_values: Any) -> list[tuple[object, ...]]:
        return [("prompt", 5, 2)]


def test_a_table_of_the_settings_takes_the_place_of_the_images_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = published(database(tmp_path))
    prompt = Database(name="prompt", physical="prompt", family=catalog.databases[0].family, tables=())
    catalog = with_published(catalog, prompt, snapshot=1)
    registry = cast("Registry", ImagesOfOne())

    def served() -> list[str]:
        shown = ServiceTables(registry, tmp_path).visible(catalog)
        return [f"{one.database.name} of {one.database.shown_from or 'the registry'}" for one in shown]

    with caplog.at_level(logging.WARNING):
        assert served() == ["butler of the registry", "ivoa of the registry"]
        assert caplog.messages == []
        (tmp_path / "settings.yaml").write_text("images: {obscore: dp02.ObsCore}")
        assert served() == ["butler of the registry", "ivoa of dp02"]
        assert caplog.messages == [
            "ivoa.ObsCore is dp02.ObsCore, as settings.yaml says: the images of prompt are not in it"
        ]
        (tmp_path / "settings.yaml").write_text("images: {obscore: later.ObsCore}")
        assert served() == ["butler of the registry"], "the name is that of the settings, there or not"
