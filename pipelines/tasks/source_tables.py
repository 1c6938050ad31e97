"""``recalibrateSingleVisitStar``: measurements of a visit to rows of DP1's Source, by the visit's final calibration."""

from __future__ import annotations

from typing import Any

import lsst.pex.config as pex
import lsst.pipe.base as base
from lsst.pipe.base.connectionTypes import Input, Output
from lsst.utils.timer import timeMethod

from qserv_py.pipelines.single_frame.tables.source_table import source_table, visit_source_table
from qserv_py.pipelines.tasks.failures import as_quantum_failures


class TransformSourceTableConnections(base.PipelineTaskConnections, dimensions=("instrument", "visit")):
    """What ``recalibrateSingleVisitStar`` reads and writes.

    One quantum does all detectors of a visit: a detector takes milliseconds, a quantum costs fifty.
    """

    measured = Input(
        doc="sources as measured",
        name="single_visit_star_unstandardized",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
        deferLoad=True,
    )
    summary = Input(
        doc="final summary", name="visit_summary", storageClass="ArrowAstropy", dimensions=("instrument", "visit")
    )
    detectors = Output(
        doc="rows of DP1's Source, by detector",
        name="recalibrated_star_detector",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit", "detector"),
        multiple=True,
    )
    sources = Output(
        doc="rows of DP1's Source",
        name="recalibrated_star",
        storageClass="ArrowAstropy",
        dimensions=("instrument", "visit"),
    )

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        if not config.do_detectors:
            del self.detectors


class TransformSourceTableConfig(base.PipelineTaskConfig, pipelineConnections=TransformSourceTableConnections):
    """What is written."""

    do_detectors = pex.Field(dtype=bool, default=True, doc="Write a table of each detector beside that of the visit?")


class TransformSourceTableTask(base.PipelineTask):
    """Electrons and pixels to nanojansky and degrees."""

    ConfigClass = TransformSourceTableConfig
    _DefaultName = "recalibrateSingleVisitStar"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:  # noqa: N802, N803
        """Read one detector after the other, write each and all."""
        inputs = butlerQC.get(inputRefs)
        with as_quantum_failures():
            made = self.run(**inputs)
        if self.config.do_detectors:
            for ref in outputRefs.detectors:
                if ref.dataId["detector"] in made.detectors:
                    butlerQC.put(made.detectors[ref.dataId["detector"]], ref)
        butlerQC.put(made.sources, outputRefs.sources)

    @timeMethod
    def run(self, measured: list[Any], summary: Any) -> Any:
        """Return the rows of each detector, and of the visit.

        Parameters
        ----------
        measured
            Handles of the tables of detectors.
        summary
            Of the visit; detectors that it lacks are left out.
        """
        rows = {int(row["detector"]): row for row in summary}
        detectors = {}
        for handle in sorted(measured, key=lambda one: int(one.dataId["detector"])):
            number = int(handle.dataId["detector"])
            if number in rows:
                detectors[number] = source_table(handle.get(), rows[number])
        if not detectors:
            raise base.NoWorkFound("no detector of this visit is in its summary")
        sources = visit_source_table(list(detectors.values()))
        self.metadata["sources"], self.metadata["detectors"] = len(sources), len(detectors)
        return base.Struct(detectors=detectors, sources=sources)
