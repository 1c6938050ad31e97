"""``isr``: a raw exposure of one detector without the instrument's signature."""

from __future__ import annotations

from typing import Any

import lsst.pex.config as pex
import lsst.pipe.base as base
import numpy as np
from lsst.pipe.base.connectionTypes import Input, Output, PrerequisiteInput
from lsst.utils.timer import timeMethod

from qserv_py.errors import CalibrationError, ImageFileError
from qserv_py.pipelines.images.exposure import Exposure, RawImage
from qserv_py.pipelines.images.wcs_cards import wcs_of
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.single_frame.detrending.signature import Calibrations, without_signature
from qserv_py.pipelines.tasks.failures import as_quantum_failures
from qserv_py.pipelines.workflow.logs import NOT_IN_GRAPH

_CALIBRATIONS = ("bias", "dark", "flat", "defects")


def calibration_input(name: str, dimensions: tuple[str, ...], storage_class: str = "QExposure") -> Any:
    """Return the connection of a calibration that is looked up by the time of the exposure.

    The middleware would refuse the whole graph where one is missing; so the task does it, for its own quantum.
    """
    return PrerequisiteInput(
        doc=f"{name} that is valid at the time of the exposure",
        name=name,
        storageClass=storage_class,
        dimensions=dimensions,
        isCalibration=True,
        minimum=0,
    )


class IsrConnections(base.PipelineTaskConnections, dimensions=("instrument", "exposure", "detector")):
    """What ``isr`` reads and writes."""

    raw = Input(doc="raw exposure", name="raw", storageClass="QRaw", dimensions=("instrument", "exposure", "detector"))
    camera = PrerequisiteInput(
        doc="description of the camera",
        name="camera",
        storageClass="QCamera",
        dimensions=("instrument",),
        isCalibration=True,
    )
    bias = calibration_input("bias", ("instrument", "detector"))
    dark = calibration_input("dark", ("instrument", "detector"))
    flat = calibration_input("flat", ("instrument", "detector", "physical_filter"))
    defects = calibration_input("defects", ("instrument", "detector"), "ArrowAstropy")
    post_isr_image = Output(
        doc="electrons, with variance and mask",
        name="post_isr_image",
        storageClass="QExposure",
        dimensions=("instrument", "exposure", "detector"),
    )

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        for name in _CALIBRATIONS:
            if not getattr(config, f"do_{name}"):
                delattr(self, name)


class IsrConfig(base.PipelineTaskConfig, pipelineConnections=IsrConnections):
    """Which calibrations ``isr`` applies."""

    do_bias = pex.Field(dtype=bool, default=True, doc="Subtract the bias?")
    do_dark = pex.Field(dtype=bool, default=True, doc="Subtract the dark current?")
    do_flat = pex.Field(dtype=bool, default=True, doc="Divide by the flat?")
    do_defects = pex.Field(dtype=bool, default=True, doc="Mask defects, where the repository has a table of them?")


class IsrTask(base.PipelineTask):
    """Raw counts to electrons."""

    ConfigClass = IsrConfig
    _DefaultName = "isr"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:  # noqa: N802, N803
        """Read, run, write."""
        inputs = butlerQC.get(inputRefs)
        with as_quantum_failures():
            outputs = self.run(**inputs, data_id=butlerQC.quantum.dataId)
        butlerQC.put(outputs, outputRefs)

    @timeMethod
    def run(
        self,
        raw: RawImage,
        camera: Camera,
        data_id: Any,
        *,
        bias: Exposure | None = None,
        dark: Exposure | None = None,
        flat: Exposure | None = None,
        defects: Any = None,
    ) -> Any:
        """Return ``post_isr_image`` of one detector.

        Raises
        ------
        CalibrationError
            If a calibration that the configuration asks for is missing.
        ImageFileError
            If the header is not that of the exposure that was asked for.
        """
        for name, value in (("bias", bias), ("dark", dark), ("flat", flat)):
            if value is None and getattr(self.config, f"do_{name}"):
                raise CalibrationError(
                    f"no {name} for exposure {data_id['exposure']}, detector {data_id['detector']} {NOT_IN_GRAPH}",
                    hint=f"Certify one for that time and run the pipeline anew, or with -c isr:do_{name}=False.",
                )
        info = checked_info(raw, exposure=data_id["exposure"], detector=data_id["detector"])
        detector = camera.detector(int(data_id["detector"]))
        calibrations = Calibrations(bias=bias, dark=dark, flat=flat, defects=defects)
        wcs = wcs_of(raw.header, name=f"raw of exposure {info.exposure}")
        image = without_signature(raw, detector, calibrations=calibrations, dark_s=info.dark_s, wcs=wcs)
        for plane in (Plane.BAD, Plane.SAT, Plane.SUSPECT):
            self.metadata[f"{str(plane.name).lower()}_pixels"] = int(np.sum((image.mask & plane) != 0))
        self.metadata["median_electrons"] = float(np.median(image.image))
        return base.Struct(post_isr_image=image)


def checked_info(raw: RawImage, *, exposure: int, detector: int) -> ExposureInfo:
    """Return what the header says of the exposure.

    Raises
    ------
    ImageFileError
        If a card is missing or wrong, or the file is of another exposure or detector.
    """
    place = f"header of exposure {exposure}, detector {detector}"
    info = ExposureInfo.of_cards(raw.header, place=place)
    found = raw.header.get("DETECTOR")
    if info.exposure != exposure or found != detector:
        raise ImageFileError(
            f"{place} is that of exposure {info.exposure}, detector {found}",
            hint="The file was ingested as what it is not: ingest it anew by its header.",
        )
    return info
