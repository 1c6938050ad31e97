"""A Butler repository that an earlier version made goes on after one command; that version's own code makes it here."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lsst.daf.butler import Butler
from support.earlier import EARLIER, ROOT, code_of, environment_of, qserv_of, with_kernels
from support.postgres import private_directory

from qserv_py.pipelines.repository.former_names import FORMER_NAMES

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

SKY = ("--visits", "2", "--detectors", "1", "--size", "512", "--bands", "r", "--stars", "200000")
PIPELINE = ("-i", "QCam/defaults", "-o", "u/me/drp", "-j", "2")
KILLS = 4


@dataclass(frozen=True)
class Place:
    """Where the versions work; what one leaves the other finds."""

    directory: Path

    @property
    def repository(self) -> str:
        return str(self.directory / "repo")

    def qserv(self, code: Path, *arguments: str, exit_code: int = 0) -> str:
        state, cluster = str(self.directory / "state"), str(self.directory / "c")
        return qserv_of(code, *arguments, exit_code=exit_code, XDG_STATE_HOME=state, QSERV_CLUSTER=cluster)

    def run(self, code: Path, pipeline: str, *further: str, exit_code: int = 0) -> str:
        submit = str(self.directory / "submit")
        return self.qserv(
            code, "pipeline", "run", self.repository, "-p", pipeline, *further, "--submit-dir", submit,
            exit_code=exit_code,
        )  # fmt: skip

    def ingest(self, code: Path, *arguments: str, exit_code: int = 0) -> str:
        chosen = ("--collection", "u/me/drp", "--database", "prompt", "--publish")
        return self.qserv(code, "ingest", "butler", self.repository, *chosen, *arguments, exit_code=exit_code)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    directory = private_directory()
    yield Place(directory)
    shutil.rmtree(directory, ignore_errors=True)


def found(repository: str, kinds: Any) -> dict[Any, tuple[Any, ...]]:
    """Return type, data id, run and file of each dataset of the chain, by id."""
    with Butler.from_config(repository) as butler:
        known = butler.registry.queryDatasetTypes(list(kinds))
        refs = [ref for kind in known for ref in butler.query_datasets(kind, "u/me/drp", limit=None, explain=False)]
        return {
            ref.id: (ref.datasetType.name, dict(ref.dataId.required), ref.run, str(butler.getURI(ref))) for ref in refs
        }


def rows_of(repository: str, name: str) -> Any:
    with Butler.from_config(repository, collections="u/me/drp") as butler:
        refs = sorted(butler.query_datasets(name, explain=False), key=lambda ref: int(ref.dataId["visit"]))
        return [butler.get(ref) for ref in refs]


def kill_conversions(place: Place) -> int:
    """Kill some conversions at random moments of the time that one takes; return how many were killed."""
    copy = shutil.copytree(place.repository, place.directory / "copy")
    started = time.monotonic()
    place.qserv(ROOT, "pipeline", "convert", str(copy))
    takes = time.monotonic() - started
    killed = 0
    for _ in range(KILLS):
        command = [sys.executable, "-m", "qserv_py.cli.main", "pipeline", "convert", place.repository]
        process = subprocess.Popen(command, env=environment_of(ROOT), stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(takes / 4, takes))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        names = {row[0] for row in found(place.repository, [*FORMER_NAMES, *FORMER_NAMES.values()]).values()}
        assert names in (set(FORMER_NAMES), set(FORMER_NAMES.values())), "all or none"
    return killed


def test_a_repository_goes_on_after_its_conversion(place: Place) -> None:
    old = with_kernels(code_of(EARLIER, place.directory / "code"))
    sky = str(place.directory / "sky")
    place.qserv(old, "sim", "survey", sky, *SKY, "--flats", "3", "--biases", "3")
    place.qserv(old, "pipeline", "init", place.repository, "--survey", sky)
    place.run(old, "cp", "-i", "QCam/defaults", "-o", "u/me/cp")
    place.qserv(old, "pipeline", "certify-calibs", place.repository, "u/me/cp")
    place.run(old, "drp-single-frame", *PIPELINE, "--by-step")
    try:
        place.qserv(old, "cluster", "init", str(place.directory / "c"), "--workers", "2")
        place.qserv(old, "schema", "prompt")
        place.ingest(old, "--dataset-type", "source")
        count = ("-q", "query", "--format", "csv", "SELECT COUNT(*) AS n, SUM(psfFlux) AS f FROM prompt.Source")
        loaded = place.qserv(old, *count)
        before, rows = found(place.repository, FORMER_NAMES), rows_of(place.repository, "source")
        assert len(rows) == 2

        place.qserv(old, "cluster", "stop")
        place.qserv(ROOT, "cluster", "start")

        said = place.run(ROOT, "drp-single-frame", *PIPELINE, "--by-step", exit_code=1)
        assert f"`qserv pipeline convert {place.repository}`" in said
        # what was loaded under the former name is known without a conversion, too
        assert "0 datasets loaded, 0 rows, 0 images; 2 there before" in place.ingest(ROOT, "--dataset-type", "source")

        killed = kill_conversions(place)
        place.qserv(ROOT, "pipeline", "convert", place.repository)
        assert killed
        after = found(place.repository, FORMER_NAMES.values())
        assert after == {id: (FORMER_NAMES[name], *further) for id, (name, *further) in before.items()}
        for one, other in zip(rows, rows_of(place.repository, "recalibrated_star"), strict=True):
            assert one.colnames == other.colnames
            for name in one.colnames:
                np.testing.assert_array_equal(one[name], other[name])

        with Butler.from_config(place.repository, collections="u/me/drp") as butler:
            for task in ("calibrateImage", "photometricFit", "recalibrateSingleVisitStar"):
                assert butler.get(f"{task}_config"), "settings that were stored are read"

        table = ("--dataset-type", "recalibrated_star", "--table", "Source")
        assert "0 datasets loaded, 0 rows, 0 images; 2 there before" in place.ingest(ROOT, *table)
        assert place.qserv(ROOT, *count) == loaded
        # the pipelines go on, and a visit that is processed again is not loaded a second time
        place.run(ROOT, "drp-single-frame", *PIPELINE, "--by-step")
        assert place.ingest(ROOT, *table, exit_code=6).count("was processed again") == 2
        assert place.qserv(ROOT, *count) == loaded
    finally:
        place.qserv(ROOT, "cluster", "stop")
