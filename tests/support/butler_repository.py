"""A small Butler repository of a made-up instrument: visits with regions, tables of sources, and images beside them.

Made with ``lsst.daf.butler`` alone, so that tests of ingest need no pipeline. A visit is a square on the sky that two
detectors share; sources are drawn from a seed, and their ids are packed from visit, detector and number.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import astropy.units as u
import numpy as np
from astropy.table import Table, vstack
from astropy.time import Time

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the Butler's dependencies, while they are imported
    from lsst.daf.butler import Butler, CollectionType, Config, DatasetRef, DatasetType, Timespan
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

INSTRUMENT = "Fake"
DETECTORS = 2
DAY = 20260101
SIDE = 0.1
"""Degrees of a detector."""

_START = Time("2026-01-01T03:00:00", scale="tai")


@dataclass
class FakeRepository:
    """A repository and what makes its datasets."""

    path: Path
    butler: Any

    def add_visits(self, visits: Iterable[int]) -> None:
        """Add visits with their regions; visit n is at ra 10 + n / 2."""
        registry = self.butler.registry
        for visit in visits:
            ra = 10.0 + visit / 2
            begin = _START + visit * 40 * u.s
            record = {
                "instrument": INSTRUMENT,
                "id": visit,
                "name": f"F{visit}",
                "physical_filter": "f_g",
                "day_obs": DAY,
            }
            record |= {"seq_num": visit, "exposure_time": 30.0, "target_name": "field", "observation_reason": "test"}
            record |= {"science_program": "test", "azimuth": 0.0, "zenith_angle": 30.0}
            record |= {"region": square(ra, 0.0, DETECTORS * SIDE), "timespan": Timespan(begin, begin + 30 * u.s)}
            registry.syncDimensionData("visit", record)
            for detector in range(DETECTORS):
                region = {"instrument": INSTRUMENT, "visit": visit, "detector": detector}
                region |= {"region": square(ra + detector * SIDE, 0.0, SIDE)}
                registry.syncDimensionData("visit_detector_region", region)

    def put(self, table: Any, dataset_type: str, run: str, **data_id: object) -> DatasetRef:
        """Write a dataset of any type into a run, which is made when needed."""
        self.butler.collections.register(run)
        return self.butler.put(table, dataset_type, run=run, **({"instrument": INSTRUMENT} | data_id))

    def put_sources(self, visit: int, run: str, *, rows: int = 50, seed: int = 0, first: int = 0) -> DatasetRef:
        """Write the sources of a visit."""
        return self.put(sources(visit, rows=rows, seed=seed, first=first), "source", run, visit=visit)

    def put_images(self, visit: int, run: str, *, dataset_type: str = "preliminary_visit_image") -> list[DatasetRef]:
        """Write what stands for the images of a visit."""
        return [
            self.put({"pixels": 0}, dataset_type, run, visit=visit, detector=detector) for detector in range(DETECTORS)
        ]

    def process(self, visits: Sequence[int], run: str, *, rows: int = 50, seed: int = 0) -> dict[int, UUID]:
        """Write images and sources of some visits, as a run of a pipeline does; return the ids of the source tables."""
        self.add_visits(visits)
        ids = {}
        for visit in visits:
            self.put_images(visit, run)
            ids[visit] = self.put_sources(visit, run, rows=rows, seed=seed).id
        return ids

    def put_visit_tables(self, visits: Sequence[int], run: str) -> None:
        """Write the tables of all visits and of all their images."""
        self.put(visit_table(visits), "visit_table", run)
        self.put(visit_detector_table(visits), "visit_detector_table", run)

    def chain(self, name: str, runs: Sequence[str]) -> None:
        """Make or change a chain of collections."""
        self.butler.collections.register(name, CollectionType.CHAINED)
        self.butler.collections.redefine_chain(name, list(runs))

    def close(self) -> None:
        """Close the registry."""
        self.butler.close()


def make_repository(path: Path, *, datastore: str = "") -> FakeRepository:
    """Make an empty repository with the instrument and the dataset types; ``datastore`` is where its files go."""
    if datastore:
        return FakeRepository(path=path, butler=_made(path, Config({"datastore": {"root": datastore}})))
    shutil.copytree(_empty(), path, dirs_exist_ok=True)
    return FakeRepository(path=path, butler=Butler.from_config(str(path), writeable=True))


@cache
def _empty() -> Path:
    """Return the directory of a repository to copy: to make one takes a second, and it names no path of its own."""
    directory = Path(tempfile.mkdtemp(prefix="qs-repository-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    _made(directory / "repo", None).close()
    return directory / "repo"


def _made(path: Path, config: Config | None) -> Butler:
    """Make a repository with the instrument and the dataset types; return its Butler."""
    Butler.makeRepo(str(path), config=config)
    butler = Butler.from_config(str(path), writeable=True)
    registry = butler.registry
    instrument = {"name": INSTRUMENT, "detector_max": DETECTORS, "visit_max": 2**40, "exposure_max": 2**40}
    registry.syncDimensionData("instrument", {**instrument, "class_name": "fake.Instrument"})
    for detector in range(DETECTORS):
        registry.syncDimensionData("detector", {"instrument": INSTRUMENT, "id": detector, "full_name": f"D{detector}"})
    registry.syncDimensionData("physical_filter", {"instrument": INSTRUMENT, "name": "f_g", "band": "g"})
    day = Timespan(_START - 1 * u.day, _START + 1 * u.day)
    registry.syncDimensionData("day_obs", {"instrument": INSTRUMENT, "id": DAY, "timespan": day})
    visit, image, instrument_wide = ("instrument", "visit"), ("instrument", "visit", "detector"), ("instrument",)
    for name, dimensions, storage_class in (
        ("source", visit, "ArrowAstropy"),
        ("source_detector", image, "ArrowAstropy"),
        ("source_arrow", visit, "ArrowTable"),
        ("source_frame", visit, "DataFrame"),
        ("visit_table", instrument_wide, "ArrowAstropy"),
        ("visit_detector_table", instrument_wide, "ArrowAstropy"),
        ("preliminary_visit_image", image, "StructuredDataDict"),
        ("visit_image", image, "StructuredDataDict"),
    ):
        registry.registerDatasetType(DatasetType(name, dimensions, storage_class, universe=butler.dimensions))
    return butler


def square(ra: float, dec: float, side: float) -> ConvexPolygon:
    """Return a square of the sky by its lower left corner."""
    corners = ((ra, dec), (ra + side, dec), (ra + side, dec + side), (ra, dec + side))
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners])


def source_id(visit: int, detector: int, number: int) -> int:
    """Return the packed id of a source."""
    return (visit * 1000 + detector) * 1_000_000 + number


def sources(visit: int, *, rows: int = 50, seed: int = 0, first: int = 0) -> Table:
    """Return sources of a visit, with some values masked, from ``first`` on of each detector."""
    return vstack(
        [detector_sources(visit, n, rows=rows // DETECTORS, seed=seed, first=first) for n in range(DETECTORS)]
    )


def detector_sources(visit: int, detector: int, *, rows: int, seed: int = 0, first: int = 0) -> Table:
    """Return sources of one image."""
    random = np.random.default_rng([seed, visit, detector])
    ra, dec = random.uniform(0, SIDE, (2, rows))
    made = Table(masked=True)
    made["sourceId"] = [source_id(visit, detector, first + number) for number in range(rows)]
    made["visit"] = np.full(rows, visit, dtype=np.int64)
    made["detector"] = np.full(rows, detector, dtype=np.int32)
    made["ra"] = (10.0 + visit / 2 + detector * SIDE + ra) * u.deg
    made["dec"] = dec * u.deg
    made["psfFlux"] = random.lognormal(8, 1, rows) * u.nJy
    made["psfFluxErr"] = random.uniform(10, 20, rows)
    made["psfFluxErr"].mask = random.random(rows) < 0.1
    made["psfFlux_flag"] = random.random(rows) < 0.1
    return made


def visit_table(visits: Sequence[int]) -> Table:
    """Return one row a visit."""
    return Table(
        {
            "visit": np.array(visits, dtype=np.int64),
            "physical_filter": ["f_g"] * len(visits),
            "band": ["g"] * len(visits),
            "ra": [10.0 + visit / 2 for visit in visits],
            "dec": np.zeros(len(visits)),
            "expTime": np.full(len(visits), 30.0),
        }
    )


def visit_detector_table(visits: Sequence[int]) -> Table:
    """Return one row an image."""
    images = [(visit, detector) for visit in visits for detector in range(DETECTORS)]
    return Table(
        {
            "visitId": np.array([visit for visit, _ in images], dtype=np.int64),
            "detector": np.array([detector for _, detector in images], dtype=np.int64),
            "band": ["g"] * len(images),
            "zeroPoint": np.full(len(images), 31.4, dtype=np.float32),
            "xSize": np.full(len(images), 512),
        }
    )
