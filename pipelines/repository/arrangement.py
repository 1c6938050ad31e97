"""Step 9: collections, and the one that pipelines read by default."""

from __future__ import annotations

from lsst.daf.butler import Butler, CollectionType

from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.opening import register_collection
from qserv_py.pipelines.repository.report import StepReport
from qserv_py.pipelines.repository.skymap import RUN as SKYMAPS


def default_collections() -> dict[str, CollectionType]:
    """Return the collections that every repository has, with their types; the last one chains the others."""
    instrument = QCam()
    return {
        instrument.makeDefaultRawIngestRunName(): CollectionType.RUN,
        instrument.makeCalibrationCollectionName(): CollectionType.CALIBRATION,
        instrument.makeRefCatCollectionName(): CollectionType.CHAINED,
        SKYMAPS: CollectionType.RUN,
        instrument.makeUmbrellaCollectionName(): CollectionType.CHAINED,
    }


def arrange_collections(butler: Butler) -> StepReport:
    """Make the collections that are missing, and chain them in ``QCam/defaults``.

    Further collections that somebody put into the chain stay there, behind ours.
    """
    report = StepReport(what="collections")
    wanted = default_collections()
    *parts, umbrella = wanted
    for name, kind in wanted.items():
        if register_collection(butler, name, kind):
            report.new += 1
        else:
            report.kept += 1
    present = butler.collections.get_info(umbrella).children
    chain = (*parts, *(name for name in present if name not in parts))
    if present != chain:
        butler.collections.redefine_chain(umbrella, chain)
    return report
