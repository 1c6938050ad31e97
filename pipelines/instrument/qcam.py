"""QCam for Rubin's middleware: what the Butler's dimensions must know of it, and which formatter reads its raws."""

from __future__ import annotations

from typing import Any

from lsst.daf.butler import FormatterV2, Registry
from lsst.pipe.base import Instrument
from lsst.utils.introspection import get_full_type_name

from qserv_py.pipelines.images.formatters import RawFormatter
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.exposures import EXPOSURES_A_DAY
from qserv_py.pipelines.instrument.layout import INSTRUMENT, MOST_DETECTORS, make_camera

VISIT_SYSTEM = 0
"""The only one: an exposure is a visit."""

_VISIT_MAX = 2100_01_01 * EXPOSURES_A_DAY
_DETECTOR_MAX = MOST_DETECTORS + 1


class QCam(Instrument):  # type: ignore[misc]
    """The instrument.

    Parameters
    ----------
    collection_prefix
        Of the names of its collections; its own name by default.
    camera
        Its detectors and filters; as many as the demo has by default.
    """

    def __init__(self, collection_prefix: str | None = None, *, camera: Camera | None = None) -> None:
        super().__init__(collection_prefix=collection_prefix)
        self.camera = camera or make_camera()

    @classmethod
    def getName(cls) -> str:  # noqa: N802
        """Return its name in data ids."""
        return INSTRUMENT

    def register(self, registry: Registry, *, update: bool = False) -> None:
        """Register the instrument, its detectors, filters and visit system; what is there already must be the same.

        Parameters
        ----------
        registry
            Of the repository.
        update
            Whether what is there and differs is changed.
        """
        name = self.getName()
        with registry.transaction():
            own = {"visit_max": _VISIT_MAX, "exposure_max": _VISIT_MAX, "detector_max": _DETECTOR_MAX}
            own |= {"visit_system": VISIT_SYSTEM, "class_name": get_full_type_name(self)}
            registry.syncDimensionData("instrument", {"name": name, **own}, update=update)
            for detector in self.camera.detectors:
                record: dict[str, Any] = {"instrument": name, "id": detector.id, "full_name": detector.name}
                record |= {"name_in_raft": detector.name, "raft": name, "purpose": "SCIENCE"}
                registry.syncDimensionData("detector", record, update=update)
            for one in self.camera.filters:
                record = {"instrument": name, "name": one.physical_filter, "band": one.band}
                registry.syncDimensionData("physical_filter", record, update=update)
            record = {"instrument": name, "id": VISIT_SYSTEM, "name": "one-to-one"}
            registry.syncDimensionData("visit_system", record, update=update)

    def getRawFormatter(self, dataId: Any) -> type[FormatterV2]:  # noqa: N802, N803
        """Return what reads a raw file."""
        return RawFormatter
