"""What the Butler asks of an image in memory: a component of it, or a box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from lsst.daf.butler import StorageClassDelegate

from qserv_py.errors import ImageFileError
from qserv_py.pipelines.images.cutout import bbox_within, cut_exposure, cut_plane
from qserv_py.pipelines.images.exposure import Exposure


class _ImageDelegate(StorageClassDelegate):  # type: ignore[misc]
    def can_accept(self, inMemoryDataset: Any) -> bool:
        return isinstance(inMemoryDataset, self.storageClass.pytype)

    def getComponent(self, composite: Any, componentName: str) -> Any:
        """Return a component, None where the image has none."""
        if componentName not in self.storageClass.components:
            raise AttributeError(f'{type(composite).__name__} has no component "{componentName}"')
        return getattr(composite, componentName)


class RawDelegate(_ImageDelegate):
    """For ``QRaw``."""


class ExposureDelegate(_ImageDelegate):
    """For ``QExposure``."""

    def handleParameters(
        self,
        inMemoryDataset: Exposure,
        parameters: Mapping[str, Any] | None = None,
    ) -> Exposure:
        """Return the box that the parameter ``bbox`` asks for."""
        bbox = _bbox(parameters)
        return (
            inMemoryDataset
            if bbox is None
            else cut_exposure(inMemoryDataset, bbox_within(bbox, inMemoryDataset.image.shape))
        )


class PlaneDelegate(_ImageDelegate):
    """For ``QPlane``, the pixels of one plane."""

    def handleParameters(
        self,
        inMemoryDataset: npt.NDArray[np.generic],
        parameters: Mapping[str, Any] | None = None,
    ) -> npt.NDArray[np.generic]:
        """Return the box that the parameter ``bbox`` asks for."""
        bbox = _bbox(parameters)
        return inMemoryDataset if bbox is None else cut_plane(inMemoryDataset, bbox_within(bbox, inMemoryDataset.shape))


def _bbox(parameters: Mapping[str, Any] | None) -> Any:
    unknown = set(parameters or {}) - {"bbox"}
    if unknown:
        raise ImageFileError(
            f'an image has no parameter "{min(unknown)}"', hint="bbox=(x0, y0, x1, y1) is the only one."
        )
    return (parameters or {}).get("bbox")
