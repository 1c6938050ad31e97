"""A repository whose dataset types have the names of an earlier version: known, refused to runs, converted whole."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from astropy.table import Table
from lsst.daf.butler import Butler, CollectionType, DatasetRef, DatasetType
from psycopg.conninfo import conninfo_to_dict
from support.postgres import TestServer
from support.tiny_survey import CAMERA
from support.workflows import final, job, over, prepared

from qserv_py.cli.main import run as qserv
from qserv_py.errors import PipelineError, RepositoryError
from qserv_py.pipelines.repository.creation import create_repository
from qserv_py.pipelines.repository.former_names import (
    FORMER_NAMES,
    convert_names,
    has_former_names,
    need_present_names,
)
from qserv_py.pipelines.repository.instrument import register_instrument
from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.workflow.control import launch
from qserv_py.pipelines.workflow.submission import Submission, submit

VISITS = (1, 2)
OF_IMAGES, OF_VISITS = ("instrument", "visit", "detector"), ("instrument", "visit")
KINDS = {
    "single_visit_star": OF_IMAGES,
    "source_detector": OF_IMAGES,
    "source": OF_VISITS,
    "transformSourceTable_metadata": OF_VISITS,
}
"""Types of commit 814daa1; ``test_earlier_versions`` runs its code itself."""


def type_of(butler: Butler, name: str, dimensions: tuple[str, ...]) -> DatasetType:
    kind = DatasetType(name, dimensions, "ArrowAstropy", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    return kind


def put(butler: Butler, name: str, dimensions: tuple[str, ...], run: str, visit: int) -> list[DatasetRef]:
    kind = type_of(butler, name, dimensions)
    butler.collections.register(run)
    detectors: list[dict[str, Any]] = [{"detector": n} for n in (0, 1)] if "detector" in dimensions else [{}]
    return [
        butler.put(Table({"name": [name], "visit": [visit]}), kind, instrument="QCam", visit=visit, run=run, **further)
        for further in detectors
    ]


def former_repository(root: str, **place: str) -> list[DatasetRef]:
    """Make a repository as the earlier version would have it; return its datasets."""
    create_repository(root, **place)  # type: ignore[arg-type]
    with opened(root, writeable=True) as butler:
        register_instrument(butler, CAMERA)
        butler.registry.insertDimensionData("day_obs", {"instrument": "QCam", "id": 20261120})
        for visit in VISITS:
            record = {"id": visit, "name": str(visit), "physical_filter": "q_r", "day_obs": 20261120}
            butler.registry.insertDimensionData("visit", {"instrument": "QCam", **record})
        made = [
            ref for visit in VISITS for name, of in KINDS.items() for ref in put(butler, name, of, "u/drp/1", visit)
        ]
        butler.collections.register("chosen", CollectionType.TAGGED)
        butler.registry.associate("chosen", [ref for ref in made if ref.dataId["visit"] == 1])
        butler.collections.register("u/drp", CollectionType.CHAINED)
        butler.collections.redefine_chain("u/drp", ["u/drp/1"])
        return made


def found(root: str, collection: str) -> dict[Any, tuple[Any, ...]]:
    """Return name, data id, run and content of each dataset in a collection, by id."""
    with Butler.from_config(root) as butler:
        info = butler.collections.get_info(collection, include_summary=True)
        kinds = [name for name in info.dataset_types or () if name.startswith(("single", "source", "recal", "transf"))]
        refs = [ref for name in kinds for ref in butler.query_datasets(name, collection, explain=False)]
        return {
            ref.id: (ref.datasetType.name, dict(ref.dataId.required), ref.run, str(butler.get(ref)["name"][0]))
            for ref in refs
        }


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[DatasetRef]]:
    root = tmp_path_factory.mktemp("made") / "repo"
    return root, former_repository(str(root))


@pytest.fixture
def former(made_once: tuple[Path, list[DatasetRef]], tmp_path: Path) -> tuple[str, list[DatasetRef]]:
    """Root and datasets of a repository of a test's own."""
    shutil.copytree(made_once[0], tmp_path / "former")
    return str(tmp_path / "former"), made_once[1]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    server: TestServer = request.getfixturevalue("postgres_server")
    conninfo = conninfo_to_dict(server.create_database())
    query = urlencode({key: str(conninfo[key]) for key in ("host", "port", "passfile")})
    return {"registry": f"postgresql://{conninfo['user']}@/{conninfo['dbname']}?{query}", "namespace": "former"}


def test_all_get_their_names_and_keep_all_else(
    place: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "repo")
    made = former_repository(root, **place)
    before, chosen = found(root, "u/drp/1"), found(root, "chosen")
    assert (len(before), len(chosen)) == (len(made), len(made) // 2)
    with pytest.raises(RepositoryError, match="names that an earlier version gave them") as caught:
        need_present_names(root)
    assert f"`qserv pipeline convert {root}`" in caught.value.hint
    assert qserv(["pipeline", "convert", root]) == 0
    assert "single_visit_star is single_visit_star_unstandardized now: 4 datasets\n" in capsys.readouterr().err
    for collection, earlier in (("u/drp/1", before), ("chosen", chosen)):
        expected = {id: (FORMER_NAMES[name], *further) for id, (name, *further) in earlier.items()}
        assert found(root, collection) == expected
    assert {row[-1] for row in found(root, "u/drp/1").values()} == set(KINDS), "the content is what was written"
    need_present_names(root)
    with opened(root, writeable=True) as butler:
        assert not butler.registry.queryDatasetTypes(list(FORMER_NAMES))
        put(butler, "recalibrated_star", OF_VISITS, "u/drp/2", 1)  # runs go on
    assert qserv(["pipeline", "convert", root]) == 0
    assert "Nothing to convert" in capsys.readouterr().err


def test_what_pipetask_made_meanwhile_joins_it(former: tuple[str, list[DatasetRef]]) -> None:
    root, made = former
    with opened(root, writeable=True) as butler:
        (more,) = put(butler, "recalibrated_star", OF_VISITS, "u/drp/2", 1)
        (same,) = put(butler, "recalibrated_star", OF_VISITS, "u/drp/1", 2)
        with pytest.raises(RepositoryError, match="a former name and, of the same data ids, under today's name"):
            convert_names(butler)
    assert {row[0] for row in found(root, "u/drp/1").values()} == {*KINDS, "recalibrated_star"}
    with opened(root, writeable=True) as butler:
        butler.pruneDatasets([same], disassociate=True, unstore=True, purge=True)
        convert_names(butler)
        ids = {ref.id for ref in butler.query_datasets("recalibrated_star", ["u/drp/2", "u/drp/1"], find_first=False)}
    assert ids == {more.id, *(ref.id for ref in made if ref.datasetType.name == "source")}


KILLED = """
import os, signal, sys
from qserv_py.pipelines.repository import former_names
from qserv_py.pipelines.repository.opening import opened

class Tables(former_names._RegistryTables):
    def rename(self, former, name):
        super().rename(former, name)
        if name == "recalibrated_star":
            os.kill(os.getpid(), signal.SIGKILL)

former_names._RegistryTables = Tables
with opened(sys.argv[1], writeable=True) as butler:
    former_names.convert_names(butler)
"""


def test_a_kill_in_the_middle_leaves_all_or_nothing(former: tuple[str, list[DatasetRef]]) -> None:
    root, made = former
    before = found(root, "u/drp/1")
    done = subprocess.run([sys.executable, "-c", KILLED, root], check=False)
    assert done.returncode == -signal.SIGKILL
    assert found(root, "u/drp/1") == before
    with opened(root, writeable=True) as butler:
        assert has_former_names(butler)
        assert sum(one.datasets for one in convert_names(butler)) == len(made)
    assert found(root, "u/drp/1").keys() == before.keys()


def test_types_of_other_instruments_are_theirs(tmp_path: Path) -> None:
    create_repository(str(tmp_path / "repo"))
    with opened(str(tmp_path / "repo"), writeable=True) as butler:
        for name, dimensions in KINDS.items():
            type_of(butler, name, dimensions)
        assert not has_former_names(butler), "it has no camera of ours"
        butler.registry.removeDatasetType("single_visit_star")
        type_of(butler, "single_visit_star", OF_VISITS)  # as Rubin means it
        register_instrument(butler, CAMERA)
        assert not has_former_names(butler)


@pytest.mark.parametrize("name", ["{root}", "~/former"])
def test_a_run_over_it_is_refused(
    name: str, former: tuple[str, list[DatasetRef]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path(former[0]).parent))
    wanted = Submission(repository=name.format(root=former[0]), pipeline="drp-single-frame", inputs=("QCam/defaults",))
    with pytest.raises(RepositoryError, match="names that an earlier version gave them"):
        submit(wanted)


@pytest.fixture
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.usefixtures("_own_state")
def test_a_run_of_the_earlier_version_is_not_restarted(tmp_path: Path) -> None:
    runs = {}
    for label in ("calibrateImage", "isr"):
        (tmp_path / label).mkdir()
        runs[label] = prepared(tmp_path / label, job("a", "true", quanta={label: 1}), final("true"))
    with pytest.raises(PipelineError, match="names that an earlier version gave to dataset types"):
        launch(runs["calibrateImage"], restart=True)
    launch(runs["isr"], restart=True)  # it has no type that was renamed
    assert over(runs["isr"]).state == "SUCCEEDED"
