"""A simulated survey in a Butler repository: everything is taken, and sources are where the visits' regions are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lsst.daf.butler import Butler
from lsst.sphgeom import LonLat, UnitVector3d
from support.simulated import SMALL

from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.repository.whole import Place, init_repository
from qserv_py.pipelines.survey.run import simulate_survey


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("survey") / "survey"
    simulate_survey(SMALL, directory)
    return directory


@pytest.fixture(scope="module")
def butler(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    root = str(tmp_path_factory.mktemp("repository") / "repo")
    for report in init_repository(Place(root=root), survey=survey):
        assert not report.problems, report.summary()
    with opened(root) as butler:
        yield butler


def test_every_image_is_there(butler: Butler) -> None:
    counts = {"science": 3, "bias": 2, "dark": 1, "flat": 4}
    for kind, exposures in counts.items():
        where = f"exposure.observation_type = '{kind}'"
        assert len(butler.query_datasets("raw", collections="QCam/defaults", where=where)) == 2 * exposures


def test_sources_lie_in_the_region_of_their_visit_and_detector(butler: Butler, survey: Path) -> None:
    regions = {
        (record.visit, record.detector): record.region
        for record in butler.query_dimension_records("visit_detector_region", instrument="QCam")
    }
    sources = pq.read_table(survey / "truth" / "sources")
    assert len(regions) == 6
    for row in sources.to_pylist():
        point = UnitVector3d(LonLat.fromDegrees(row["ra"], row["dec"]))
        assert regions[row["exposure"], row["detector"]].contains(point)


def test_references_are_found_for_a_visit(butler: Butler, survey: Path) -> None:
    visit = pq.read_table(survey / "truth" / "visits.parquet")["visit"][0].as_py()
    where = f"visit = {visit} AND detector = 1"
    shards = butler.query_datasets("qcam_ref", collections="QCam/defaults", instrument="QCam", where=where)
    rows = [butler.get(shard) for shard in shards]
    assert sum(len(shard) for shard in rows) > 0
    assert {"id", "ra", "dec", "epoch_mjd", "r_flux"} <= set(rows[0].colnames)


def test_the_camera_is_that_of_the_survey(butler: Butler) -> None:
    assert butler.get("camera", instrument="QCam", collections="QCam/defaults") == SMALL.camera()
