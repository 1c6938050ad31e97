"""``photometricFit`` and ``astrometricFit``: zero points and coordinates of all visits, solved together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lsst.pipe.base as base
import numpy as np
from astropy.table import vstack
from lsst.pipe.base.connectionTypes import PrerequisiteInput
from lsst.utils.timer import timeMethod

from qserv_py.pipelines.calibration import astrometry, photometry
from qserv_py.pipelines.calibration.stars import Options as StarOptions
from qserv_py.pipelines.calibration.stars import Stars, bright_stars
from qserv_py.pipelines.single_frame.references import no_references, proper_motions, references_at
from qserv_py.pipelines.tasks.failures import as_quantum_failures
from qserv_py.pipelines.tasks.options import config_class, options_of
from qserv_py.pipelines.tasks.visit_summaries import table_output, tables_input

_STARS = "sources of detectors, with positions by the visits' own fits"
_SUMMARIES = "summaries of visits by their own fits"


def _references() -> Any:
    return PrerequisiteInput(
        doc="reference stars",
        name="qcam_ref",
        storageClass="ArrowAstropy",
        dimensions=("htm7",),
        multiple=True,
        minimum=0,
        lookupFunction=_shards_of_visits,
    )


def _shards_of_visits(dataset_type: Any, registry: Any, data_id: Any, collections: Any) -> list[Any]:
    """Return the shards of the reference catalogue that visits lie on: a survey's quantum has no region to ask by."""
    found = registry.queryDatasets(
        dataset_type, collections=collections, findFirst=True, dataId=data_id, dimensions=["visit"]
    )
    return sorted(set(found))  # a shard comes once for each visit on it


class PhotometricFitConnections(base.PipelineTaskConnections, dimensions=("instrument", "physical_filter")):
    """What ``photometricFit`` reads and writes."""

    stars = tables_input(_STARS, "single_visit_star_unstandardized", ("instrument", "visit", "detector"), defer=True)
    summaries = tables_input(_SUMMARIES, "preliminary_visit_summary", ("instrument", "visit"))
    references = _references()
    fit = table_output("one row a detector of a visit", "visit_photometric_fit", ("instrument", "physical_filter"))


_StarsConfig = config_class(
    "_StarsConfig",
    StarOptions,
    module=__name__,
    doc="Which stars are taken.",
    base=base.PipelineTaskConfig,
    pipelineConnections=PhotometricFitConnections,
)

PhotometricFitConfig = config_class(
    "PhotometricFitConfig",
    photometry.Options,
    module=__name__,
    doc="How zero points are solved.",
    base=_StarsConfig,
    pipelineConnections=PhotometricFitConnections,
)


class _SurveyTask(base.PipelineTask):
    """Reads the stars of all images."""

    def images(self, stars: list[Any], summaries: list[Any]) -> tuple[Any, Stars]:
        """Return one summary of all images, and their bright stars, read one table at a time."""
        rows = vstack(summaries, metadata_conflicts="silent") if len(summaries) > 1 else summaries[0]
        rows.sort(["visitId", "detector"])
        place = {(int(row["visitId"]), int(row["detector"])): number for number, row in enumerate(rows)}

        def tables() -> Iterator[tuple[int, int, Any]]:
            # In one order, so that the same inputs give the same bits.
            for handle in sorted(stars, key=lambda one: (int(one.dataId["visit"]), int(one.dataId["detector"]))):
                key = int(handle.dataId["visit"]), int(handle.dataId["detector"])
                if key in place:
                    yield place[key], key[0], handle.get()

        return rows, bright_stars(tables(), options_of(self.config, StarOptions))

    def record(self, table: Any, summary: Any) -> None:
        """Keep the numbers of a fit in the task's metadata."""
        self.metadata["images"], self.metadata["images_fitted"] = len(summary), len(table)
        for name, value in table.meta.items():
            self.metadata[name] = float(value) if isinstance(value, float) else int(value)


class PhotometricFitTask(_SurveyTask):
    """Zero points of all images of a filter (ubercal)."""

    ConfigClass = PhotometricFitConfig
    _DefaultName = "photometricFit"

    @timeMethod
    def run(self, stars: list[Any], summaries: list[Any], references: list[Any]) -> Any:
        """Return the zero points of all images that have enough stars."""
        with as_quantum_failures():
            summary, seen = self.images(stars, summaries)
            known = (
                references_at(references, band=str(summary["band"][0]), mjd=float(np.mean(summary["expMidptMJD"])))
                if references
                else no_references()
            )
            options = options_of(self.config, photometry.Options)
            table = photometry.solve_zero_points(seen, summary, known, options)
        self.record(table, summary)
        return base.Struct(fit=table)


class AstrometricFitConnections(base.PipelineTaskConnections, dimensions=("instrument",)):
    """What ``astrometricFit`` reads and writes."""

    stars = tables_input(_STARS, "single_visit_star_unstandardized", ("instrument", "visit", "detector"), defer=True)
    summaries = tables_input(_SUMMARIES, "preliminary_visit_summary", ("instrument", "visit"))
    references = _references()
    fit = table_output("one row a detector of a visit", "visit_astrometric_fit", ("instrument",))


AstrometricFitConfig = config_class(
    "AstrometricFitConfig",
    astrometry.Options,
    module=__name__,
    doc="How coordinates are solved.",
    base=_StarsConfig,
    pipelineConnections=AstrometricFitConnections,
)


class AstrometricFitTask(_SurveyTask):
    """Coordinates of all images."""

    ConfigClass = AstrometricFitConfig
    _DefaultName = "astrometricFit"

    @timeMethod
    def run(self, stars: list[Any], summaries: list[Any], references: list[Any]) -> Any:
        """Return the coordinates of all images that have enough stars."""
        with as_quantum_failures():
            summary, seen = self.images(stars, summaries)
            mjd = float(np.mean(summary["expMidptMJD"]))
            known = references_at(references, band=None, mjd=mjd) if references else no_references()
            options = options_of(self.config, astrometry.Options)
            motions = proper_motions(references, known)
            table = astrometry.solve_coordinates(seen, summary, known, options, motions=motions)
        self.record(table, summary)
        return base.Struct(fit=table)
