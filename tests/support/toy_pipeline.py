"""A pipeline that needs no images: tasks over detectors, visits and a night, and a repository for them.

Each task can be told to take its time and to fail while a file exists; it writes a line into a ledger when it runs, so
that tests see what ran twice.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import astropy.units as u
import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
from astropy.table import Table, vstack
from astropy.time import Time
from lsst.daf.butler import Butler, DatasetType, Timespan
from lsst.pipe.base import connectionTypes
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

INSTRUMENT = "ToyCam"
DAY = 20260101
INPUT = "ToyCam/raw/all"
PIPELINE = """\
description: A toy.
instrument: support.toy_pipeline.ToyCam
tasks:
  toyIsr:
    class: support.toy_pipeline.ToyIsrTask
    config:
      {settings}
  toyMeasure:
    class: support.toy_pipeline.ToyMeasureTask
    config:
      {settings}
  toyVisit: support.toy_pipeline.ToyVisitTask
  toyNight: support.toy_pipeline.ToyNightTask
subsets:
  single:
    subset: [toyIsr, toyMeasure]
    description: What needs one detector.
  together:
    subset: [toyVisit, toyNight]
    description: What needs several.
steps:
  - label: single
    dimensions: [instrument, exposure, detector]
  - label: together
    dimensions: [instrument]
"""


class ToyCam(pipe_base.Instrument):
    """A camera of a few detectors."""

    @classmethod
    def getName(cls) -> str:  # noqa: N802 - Rubin's name
        return INSTRUMENT

    def register(self, registry: Any, *, update: bool = False) -> None:
        del registry, update

    def getRawFormatter(self, dataId: Any) -> Any:  # noqa: N802, N803 - Rubin's names
        raise NotImplementedError


class Trouble(pex_config.Config):  # type: ignore[misc]
    """What a task can be told to do beside its work."""

    seconds = pex_config.Field(dtype=float, default=0.0, doc="Time that a quantum takes.")
    detector = pex_config.Field(dtype=int, default=-1, doc="Detector that the rest is about; -1 for all.")
    fails_while = pex_config.Field(dtype=str, default="", doc="The task fails while this file exists.")
    kills_while = pex_config.Field(dtype=str, default="", doc="Its process is killed while this file exists.")
    ledger = pex_config.Field(dtype=str, default="", doc="Gets a line for each time that the task runs.")

    def happen(self, label: str, visit: int, detector: int) -> None:
        """Take the time, write the line, and fail if that is wished."""
        if self.ledger:
            with open(self.ledger, "a") as file:
                file.write(f"{label} {visit} {detector}\n")
        time.sleep(self.seconds)
        if self.detector in (-1, detector):
            if self.kills_while and os.path.exists(self.kills_while):
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fails_while and os.path.exists(self.fails_while):
                raise RuntimeError(f"{label} was told to fail")


class ToyIsrConnections(pipe_base.PipelineTaskConnections, dimensions=("instrument", "exposure", "detector")):  # type: ignore[misc,call-arg]
    raw = connectionTypes.Input(
        doc="Raw.", name="raw", storageClass="StructuredDataDict", dimensions=("instrument", "exposure", "detector")
    )
    image = connectionTypes.Output(
        doc="Image.",
        name="toy_image",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "exposure", "detector"),
    )


class ToyIsrConfig(pipe_base.PipelineTaskConfig, pipelineConnections=ToyIsrConnections):  # type: ignore[misc,call-arg]
    trouble = pex_config.ConfigField(dtype=Trouble, doc="What goes wrong.")


class ToyIsrTask(pipe_base.PipelineTask):  # type: ignore[misc]
    """Subtracts a bias of one."""

    ConfigClass = ToyIsrConfig
    _DefaultName = "toyIsr"

    def run(self, raw: dict[str, Any]) -> pipe_base.Struct:
        self.config.trouble.happen("toyIsr", raw["exposure"], raw["detector"])
        return pipe_base.Struct(image={**raw, "value": raw["value"] - 1})


class ToyMeasureConnections(pipe_base.PipelineTaskConnections, dimensions=("instrument", "visit", "detector")):  # type: ignore[misc,call-arg]
    images = connectionTypes.Input(
        doc="Images.",
        name="toy_image",
        storageClass="StructuredDataDict",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
    )
    sources = connectionTypes.Output(
        doc="Sources.",
        name="toy_source_detector",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
    )


class ToyMeasureConfig(pipe_base.PipelineTaskConfig, pipelineConnections=ToyMeasureConnections):  # type: ignore[misc,call-arg]
    trouble = pex_config.ConfigField(dtype=Trouble, doc="What goes wrong.")


class ToyMeasureTask(pipe_base.PipelineTask):  # type: ignore[misc]
    """Finds one source in each image."""

    ConfigClass = ToyMeasureConfig
    _DefaultName = "toyMeasure"

    def run(self, images: list[dict[str, Any]]) -> pipe_base.Struct:
        self.config.trouble.happen("toyMeasure", images[0]["exposure"], images[0]["detector"])
        columns = {name: [image[name] for image in images] for name in ("exposure", "detector", "value")}
        return pipe_base.Struct(sources=Table(columns, meta={"toy": "yes"}))


class ToyVisitConnections(pipe_base.PipelineTaskConnections, dimensions=("instrument", "visit")):  # type: ignore[misc,call-arg]
    tables = connectionTypes.Input(
        doc="Sources.",
        name="toy_source_detector",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
    )
    visit_table = connectionTypes.Output(
        doc="Sources.", name="toy_source", storageClass="ArrowAstropy", dimensions=("instrument", "visit")
    )


class ToyVisitConfig(pipe_base.PipelineTaskConfig, pipelineConnections=ToyVisitConnections):  # type: ignore[misc,call-arg]
    pass


class ToyVisitTask(pipe_base.PipelineTask):  # type: ignore[misc]
    """Puts the sources of a visit together."""

    ConfigClass = ToyVisitConfig
    _DefaultName = "toyVisit"

    def run(self, tables: list[Table]) -> pipe_base.Struct:
        table = vstack(tables, metadata_conflicts="silent")
        table.sort("detector")
        return pipe_base.Struct(visit_table=table)


class ToyNightConnections(pipe_base.PipelineTaskConnections, dimensions=("instrument",)):  # type: ignore[misc,call-arg]
    tables = connectionTypes.Input(
        doc="Sources.",
        name="toy_source",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit"),
        multiple=True,
    )
    total = connectionTypes.Output(
        doc="Sum.", name="toy_total", storageClass="StructuredDataDict", dimensions=("instrument",)
    )


class ToyNightConfig(pipe_base.PipelineTaskConfig, pipelineConnections=ToyNightConnections):  # type: ignore[misc,call-arg]
    pass


class ToyNightTask(pipe_base.PipelineTask):  # type: ignore[misc]
    """Adds everything up."""

    ConfigClass = ToyNightConfig
    _DefaultName = "toyNight"

    def run(self, tables: list[Table]) -> pipe_base.Struct:
        rows = sum(len(table) for table in tables)
        return pipe_base.Struct(total={"sum": float(sum(table["value"].sum() for table in tables)), "rows": rows})


def write_pipeline(path: Path, **trouble: object) -> Path:
    """Write the pipeline, with the same trouble for both tasks over detectors; return its path."""
    lines = [f"trouble.{name}: {value!r}" for name, value in trouble.items()] or ["trouble.seconds: 0.0"]
    path.write_text(PIPELINE.format(settings="\n      ".join(lines)))
    return path


def make_repository(root: Path, *, visits: int, detectors: int) -> Path:
    """Make a repository with a raw for each visit and detector; return its root."""
    Butler.makeRepo(str(root))
    with Butler.from_config(str(root), writeable=True) as butler:
        _register(butler, visits, detectors)
        raw = DatasetType(
            "raw", ("instrument", "exposure", "detector"), "StructuredDataDict", universe=butler.dimensions
        )
        butler.registry.registerDatasetType(raw)
        butler.collections.register(INPUT)
        for visit in range(visits):
            for detector in range(detectors):
                value = {"exposure": DAY * 100 + visit, "detector": detector, "value": 100.0 * visit + detector}
                butler.put(value, raw, instrument=INSTRUMENT, exposure=value["exposure"], detector=detector, run=INPUT)
    return root


def _register(butler: Butler, visits: int, detectors: int) -> None:
    registry = butler.registry
    name = {"instrument": INSTRUMENT}
    limits = {"visit_max": 2**40, "exposure_max": 2**40, "detector_max": 1000}
    registry.insertDimensionData(
        "instrument",
        {"name": INSTRUMENT, "class_name": f"{ToyCam.__module__}.ToyCam", "visit_system": 0, **limits},
    )
    for detector in range(detectors):
        registry.insertDimensionData(
            "detector", {**name, "id": detector, "full_name": f"D{detector}", "purpose": "SCIENCE"}
        )
    registry.insertDimensionData("physical_filter", {**name, "name": "toy_r", "band": "r"})
    registry.insertDimensionData("visit_system", {**name, "id": 0, "name": "one-to-one"})
    begin = Time("2026-01-01T03:00:00", scale="tai")
    night = Timespan(begin - 1 * u.day, begin + 1 * u.day)
    registry.insertDimensionData("day_obs", {**name, "id": DAY, "timespan": night})
    region = ConvexPolygon(
        [UnitVector3d(LonLat.fromDegrees(ra, dec)) for ra, dec in ((10, 0), (10.4, 0), (10.4, 0.4), (10, 0.4))]
    )
    for number in range(visits):
        identity = DAY * 100 + number
        common = {**name, "id": identity, "physical_filter": "toy_r", "day_obs": DAY, "seq_num": number}
        common["timespan"] = Timespan(begin + number * 40 * u.s, begin + (number * 40 + 30) * u.s)
        registry.insertDimensionData("group", {**name, "name": f"g{identity}"})
        registry.insertDimensionData(
            "exposure", {**common, "obs_id": f"T{identity}", "group": f"g{identity}", "observation_type": "science"}
        )
        registry.insertDimensionData("visit", {**common, "name": f"T{identity}", "region": region})
        registry.insertDimensionData("visit_definition", {**name, "visit": identity, "exposure": identity})
        registry.insertDimensionData("visit_system_membership", {**name, "visit": identity, "visit_system": 0})
        registry.insertDimensionData(
            "visit_detector_region",
            *({**name, "visit": identity, "detector": detector, "region": region} for detector in range(detectors)),
        )
