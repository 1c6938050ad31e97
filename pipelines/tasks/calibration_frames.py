"""``cpBias``, ``cpDark``, ``cpFlat``, ``cpDefects``: the calibrations of a detector from its calibration exposures.

Each takes the exposures of its own kind from all that the data query selects, so one graph makes all of them. Each
exposure is read when its turn comes; see ``detrending.combination`` for why memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import lsst.pex.config as pex
import lsst.pipe.base as base
import numpy as np
from lsst.pipe.base.connectionTypes import Input, Output, PrerequisiteInput
from lsst.utils.timer import timeMethod

from qserv_py.errors import CalibrationError
from qserv_py.pipelines.images.exposure import Exposure, HeaderValue
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.kernels.isr import MaskedImage
from qserv_py.pipelines.single_frame.detrending.combination import clipped_mean
from qserv_py.pipelines.single_frame.detrending.defects import defects_of
from qserv_py.pipelines.single_frame.detrending.flat_fields import as_response, normalised
from qserv_py.pipelines.single_frame.detrending.signature import Calibrations, as_masked_image, without_signature
from qserv_py.pipelines.tasks.failures import as_quantum_failures
from qserv_py.pipelines.tasks.isr import checked_info


def any_camera(dataset_type: Any, registry: Any, data_id: Any, collections: Any) -> list[Any]:
    """Return the camera for a task whose quanta have no time: the instrument's one that is always valid."""
    instrument = base.Instrument.fromName(data_id["instrument"], registry)
    run = instrument.makeUnboundedCalibrationRunName()
    found = registry.findDataset(dataset_type, data_id, collections=[run])
    return [] if found is None else [found]


def raws_input() -> Any:
    """Return the connection of calibration exposures."""
    return Input(
        doc="calibration exposures",
        name="raw",
        storageClass="QRaw",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
        deferLoad=True,
    )


def camera_input() -> Any:
    """Return the connection of the camera for quanta without a time."""
    return PrerequisiteInput(
        doc="description of the camera",
        name="camera",
        storageClass="QCamera",
        dimensions=("instrument",),
        isCalibration=True,
        lookupFunction=any_camera,
    )


def calibration(name: str, *, dimensions: tuple[str, ...] = ("instrument", "detector"), made: bool) -> Any:
    """Return the connection of a combined calibration that is made, or that an earlier task of the graph made."""
    kind = Output if made else Input
    storage_class = "ArrowAstropy" if name == "defects" else "QExposure"
    return kind(
        doc=f"combined {name}", name=name, storageClass=storage_class, dimensions=dimensions, isCalibration=True
    )


class _OfOneKind(base.PipelineTaskConnections, dimensions=("instrument", "detector")):
    """Drops exposures of other kinds than ``kind`` from a quantum's raws."""

    kind: ClassVar[str] = ""

    def adjustQuantum(self, inputs: Any, outputs: Any, label: str, data_id: Any) -> tuple[Any, Any]:  # noqa: N802
        """Keep the raws of the task's kind; without any there is no quantum."""
        connection, refs = inputs["raws"]
        kept = [ref for ref in refs if ref.dataId.records["exposure"].observation_type == self.kind]
        if not kept:
            raise base.NoWorkFound(f"{label}: no {self.kind} exposure for {data_id}")
        adjusted = {"raws": (connection, kept)}
        super().adjustQuantum({**inputs, **adjusted}, outputs, label, data_id)
        return adjusted, {}


class CpBiasConnections(_OfOneKind, dimensions=("instrument", "detector")):
    """What ``cpBias`` reads and writes."""

    kind = "bias"
    raws, camera, bias = raws_input(), camera_input(), calibration("bias", made=True)


class CpDarkConnections(_OfOneKind, dimensions=("instrument", "detector")):
    """What ``cpDark`` reads and writes."""

    kind = "dark"
    raws, camera = raws_input(), camera_input()
    bias, dark = calibration("bias", made=False), calibration("dark", made=True)


class CpFlatConnections(_OfOneKind, dimensions=("instrument", "detector", "physical_filter")):
    """What ``cpFlat`` reads and writes."""

    kind = "flat"
    raws, camera = raws_input(), camera_input()
    bias, dark = calibration("bias", made=False), calibration("dark", made=False)
    flat = calibration("flat", dimensions=("instrument", "detector", "physical_filter"), made=True)


class CombineConfig(base.PipelineTaskConfig, pipelineConnections=CpBiasConnections):
    """How exposures are combined."""

    clip = pex.RangeField(dtype=float, default=4.0, min=1.0, doc="Widths from the median beyond which a pixel is out")
    least_exposures = pex.RangeField(dtype=int, default=3, min=1, doc="Exposures at the least")


class CpBiasConfig(CombineConfig, pipelineConnections=CpBiasConnections):
    """Of ``cpBias``."""


class CpDarkConfig(CombineConfig, pipelineConnections=CpDarkConnections):
    """Of ``cpDark``."""


class CpFlatConfig(CombineConfig, pipelineConnections=CpFlatConnections):
    """Of ``cpFlat``."""


class _CombineTask(base.PipelineTask):
    """Exposures of one kind to one calibration."""

    ConfigClass = CombineConfig
    made: ClassVar[str]

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:  # noqa: N802, N803
        """Read, run, write; raws are read one by one."""
        inputs = butlerQC.get(inputRefs)
        with as_quantum_failures():
            combined = self.run(**inputs, detector=butlerQC.quantum.dataId["detector"])
        butlerQC.put(base.Struct(**{self.made: combined}), outputRefs)

    @timeMethod
    def run(
        self,
        raws: list[Any],
        camera: Camera,
        detector: int,
        *,
        bias: Exposure | None = None,
        dark: Exposure | None = None,
    ) -> Exposure:
        """Return the combined calibration of a detector.

        Raises
        ------
        CalibrationError
            If there are too few exposures.
        """
        if len(raws) < self.config.least_exposures:
            raise CalibrationError(
                f"{len(raws)} {self.made} exposures of detector {detector}; {self.config.least_exposures} are needed"
            )
        raws = sorted(raws, key=lambda raw: int(raw.dataId["exposure"]))
        calibrations = Calibrations(bias=bias, dark=dark)
        frames = self._frames(raws, camera, detector, calibrations)
        combined = clipped_mean(frames, clip=self.config.clip)
        self.metadata["exposures"], self.metadata["clipped_pixels"] = combined.images, combined.clipped
        image = self.finished(combined.image)
        self.metadata["median"] = float(np.nanmedian(image.image))
        header: dict[str, HeaderValue] = {
            "DETECTOR": int(detector),
            "IMGTYPE": self.made,
            "NEXP": combined.images,
            "FIRSTEXP": int(raws[0].dataId["exposure"]),
            "LASTEXP": int(raws[-1].dataId["exposure"]),
        }
        return Exposure(image=image.image, variance=image.variance, mask=image.mask, header=header)

    def _frames(
        self, raws: list[Any], camera: Camera, detector: int, calibrations: Calibrations
    ) -> Iterator[MaskedImage]:
        for handle in raws:
            raw = handle.get()
            info = checked_info(raw, exposure=int(handle.dataId["exposure"]), detector=detector)
            frame = without_signature(raw, camera.detector(detector), calibrations=calibrations, dark_s=info.dark_s)
            yield self.scaled(as_masked_image(frame), info.dark_s)

    def scaled(self, frame: MaskedImage, dark_s: float) -> MaskedImage:
        """Return an exposure in the unit of the calibration."""
        return frame

    def finished(self, image: MaskedImage) -> MaskedImage:
        """Return the combined image as a calibration."""
        return image


class CpBiasTask(_CombineTask):
    """Bias exposures to the bias, electrons."""

    ConfigClass = CpBiasConfig
    _DefaultName = "cpBias"
    made = "bias"


class CpDarkTask(_CombineTask):
    """Dark exposures to the dark current, electrons per second."""

    ConfigClass = CpDarkConfig
    _DefaultName = "cpDark"
    made = "dark"

    def scaled(self, frame: MaskedImage, dark_s: float) -> MaskedImage:
        """Return electrons per second."""
        if not dark_s > 0:
            raise CalibrationError(f"a dark exposure of {dark_s} s")
        return MaskedImage(
            image=(frame.image / np.float32(dark_s)).astype(np.float32),
            variance=(frame.variance / np.float32(dark_s**2)).astype(np.float32),
            mask=frame.mask,
        )


class CpFlatTask(_CombineTask):
    """Flat exposures of one filter to the response, 1 in the mean."""

    ConfigClass = CpFlatConfig
    _DefaultName = "cpFlat"
    made = "flat"

    def scaled(self, frame: MaskedImage, dark_s: float) -> MaskedImage:
        """Return the exposure in units of its own level."""
        return normalised(frame)

    def finished(self, image: MaskedImage) -> MaskedImage:
        """Return a response of mean 1; pixels that see next to nothing are bad."""
        return as_response(image)


class CpDefectsConnections(base.PipelineTaskConnections, dimensions=("instrument", "detector")):
    """What ``cpDefects`` reads and writes."""

    dark = calibration("dark", made=False)
    flats = Input(
        doc="flats of all filters",
        name="flat",
        storageClass="QExposure",
        dimensions=("instrument", "detector", "physical_filter"),
        isCalibration=True,
        multiple=True,
    )
    defects = calibration("defects", made=True)


class CpDefectsConfig(base.PipelineTaskConfig, pipelineConnections=CpDefectsConnections):
    """What a defect is."""

    response = pex.RangeField(
        dtype=float, default=0.2, min=0.0, doc="A pixel whose response differs from its surroundings' by more is bad"
    )
    hot = pex.RangeField(dtype=float, default=10.0, min=0.0, doc="A pixel with more dark electrons per second is bad")


class CpDefectsTask(base.PipelineTask):
    """Dark and flats to a table of boxes."""

    ConfigClass = CpDefectsConfig
    _DefaultName = "cpDefects"

    @timeMethod
    def run(self, dark: Exposure, flats: list[Exposure]) -> Any:
        """Return the defects of a detector."""
        table = defects_of(dark, flats, response=self.config.response, hot=self.config.hot)
        self.metadata["boxes"] = len(table)
        self.metadata["pixels"] = int(np.sum(table["width"] * table["height"]))
        return base.Struct(defects=table)
