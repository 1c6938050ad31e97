"""Summaries of visits put together and updated, and DP1's tables of visits out of them."""

from __future__ import annotations

from typing import Any

import lsst.pex.config as pex
import lsst.pipe.base as base
from lsst.pipe.base.connectionTypes import Input, Output
from lsst.utils.timer import timeMethod

from qserv_py.pipelines.single_frame.tables.visit_tables import (
    updated_summary,
    visit_detector_table,
    visit_summary,
    visit_table,
)
from qserv_py.pipelines.tasks.failures import as_quantum_failures


def table_output(doc: str, name: str, dimensions: tuple[str, ...]) -> Any:
    """Return the connection of a table that is written."""
    return Output(doc=doc, name=name, storageClass="ArrowAstropy", dimensions=dimensions)


def tables_input(
    doc: str, name: str, dimensions: tuple[str, ...], *, multiple: bool = True, defer: bool = False
) -> Any:
    """Return the connection of tables that are read."""
    return Input(
        doc=doc, name=name, storageClass="ArrowAstropy", dimensions=dimensions, multiple=multiple, deferLoad=defer
    )


class ConsolidateVisitSummaryConnections(base.PipelineTaskConnections, dimensions=("instrument", "visit")):
    """What ``consolidateVisitSummary`` reads and writes."""

    rows = tables_input(
        "summaries of detectors", "preliminary_visit_detector_summary", ("instrument", "visit", "detector")
    )
    summary = table_output("one row a detector", "preliminary_visit_summary", ("instrument", "visit"))


class ConsolidateVisitSummaryConfig(base.PipelineTaskConfig, pipelineConnections=ConsolidateVisitSummaryConnections):
    """Nothing to configure."""


class ConsolidateVisitSummaryTask(base.PipelineTask):
    """Rows of detectors to the table of a visit; detectors that failed are not in it."""

    ConfigClass = ConsolidateVisitSummaryConfig
    _DefaultName = "consolidateVisitSummary"

    @timeMethod
    def run(self, rows: list[Any]) -> Any:
        """Return the summary of a visit."""
        with as_quantum_failures():
            table = visit_summary(rows)
        self.metadata["detectors"] = len(table)
        return base.Struct(summary=table)


class UpdateVisitSummaryConnections(base.PipelineTaskConnections, dimensions=("instrument", "visit")):
    """What ``updateVisitSummary`` reads and writes."""

    preliminary = tables_input(
        "summary of the visit by its own fits", "preliminary_visit_summary", ("instrument", "visit"), multiple=False
    )
    photometry = tables_input(
        "zero points over all visits", "visit_photometric_fit", ("instrument", "physical_filter"), multiple=False
    )
    astrometry = tables_input("coordinates over all visits", "visit_astrometric_fit", ("instrument",), multiple=False)
    summary = table_output("final summary of the visit", "visit_summary", ("instrument", "visit"))

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        for name in ("photometry", "astrometry"):
            if not getattr(config, f"do_{name}"):
                delattr(self, name)


class UpdateVisitSummaryConfig(base.PipelineTaskConfig, pipelineConnections=UpdateVisitSummaryConnections):
    """Which fits over visits are used."""

    do_photometry = pex.Field(dtype=bool, default=True, doc="Take zero points from the fit over all visits?")
    do_astrometry = pex.Field(dtype=bool, default=True, doc="Take coordinates from the fit over all visits?")


class UpdateVisitSummaryTask(base.PipelineTask):
    """The fits over all visits become the visit's."""

    ConfigClass = UpdateVisitSummaryConfig
    _DefaultName = "updateVisitSummary"

    @timeMethod
    def run(self, preliminary: Any, photometry: Any = None, astrometry: Any = None) -> Any:
        """Return the final summary of a visit; a detector that a fit left out keeps what it had."""
        table = updated_summary(preliminary, photometry=photometry, astrometry=astrometry)
        self.metadata["detectors"] = len(table)
        self.metadata["detectors_with_photometry"] = int(sum(table["photometricFit"]))
        self.metadata["detectors_with_astrometry"] = int(sum(table["astrometricFit"]))
        return base.Struct(summary=table)


class MakeVisitTableConnections(base.PipelineTaskConnections, dimensions=("instrument",)):
    """What ``makeVisitTable`` reads and writes."""

    summaries = tables_input("final summaries", "visit_summary", ("instrument", "visit"))
    table = table_output("DP1's Visit", "visit_table", ("instrument",))


class MakeVisitTableConfig(base.PipelineTaskConfig, pipelineConnections=MakeVisitTableConnections):
    """Nothing to configure."""


class MakeVisitTableTask(base.PipelineTask):
    """Summaries to DP1's Visit."""

    ConfigClass = MakeVisitTableConfig
    _DefaultName = "makeVisitTable"

    @timeMethod
    def run(self, summaries: list[Any]) -> Any:
        """Return the table of visits."""
        return base.Struct(table=visit_table(summaries))


class MakeVisitDetectorTableConnections(base.PipelineTaskConnections, dimensions=("instrument",)):
    """What ``makeVisitDetectorTable`` reads and writes."""

    summaries = tables_input("final summaries", "visit_summary", ("instrument", "visit"))
    table = table_output("DP1's CcdVisit, DP2's VisitDetector", "visit_detector_table", ("instrument",))


class MakeVisitDetectorTableConfig(base.PipelineTaskConfig, pipelineConnections=MakeVisitDetectorTableConnections):
    """Nothing to configure."""


class MakeVisitDetectorTableTask(base.PipelineTask):
    """Summaries to DP1's CcdVisit."""

    ConfigClass = MakeVisitDetectorTableConfig
    _DefaultName = "makeVisitDetectorTable"

    @timeMethod
    def run(self, summaries: list[Any]) -> Any:
        """Return the table of detectors of visits."""
        return base.Struct(table=visit_detector_table(summaries))
