"""``calibrateImage``: one detector of a visit, from electrons to a calibrated image and its measured sources."""

from __future__ import annotations

from typing import Any

import lsst.pex.config as pex
import lsst.pipe.base as base
import numpy as np
from lsst.pipe.base.connectionTypes import Input, Output, PrerequisiteInput
from lsst.utils.timer import timeMethod

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.instrument.exposures import ExposureInfo, mjd
from qserv_py.pipelines.single_frame import calibrate as fits
from qserv_py.pipelines.single_frame import measure as measures
from qserv_py.pipelines.single_frame.calibrate_image import (
    Measured,
    Options,
    background_table,
    calibrate,
    measure_image,
)
from qserv_py.pipelines.single_frame.characterisation import characterise as characters
from qserv_py.pipelines.single_frame.references import references_at
from qserv_py.pipelines.single_frame.tables.summary import Fiducials
from qserv_py.pipelines.tasks.failures import as_quantum_failures
from qserv_py.pipelines.tasks.options import config_class, options_of

_OF_A_DETECTOR = ("instrument", "visit", "detector")
_FIDUCIAL = "fiducial_"


def _table(doc: str, name: str) -> Any:
    return Output(doc=doc, name=name, storageClass="ArrowAstropy", dimensions=_OF_A_DETECTOR)


class CalibrateImageConnections(base.PipelineTaskConnections, dimensions=_OF_A_DETECTOR):
    """What ``calibrateImage`` reads and writes."""

    exposures = Input(
        doc="the visit's exposure, electrons",
        name="post_isr_image",
        storageClass="QExposure",
        dimensions=("instrument", "exposure", "detector"),
        multiple=True,
    )
    references = PrerequisiteInput(
        doc="reference stars",
        name="qcam_ref",
        storageClass="ArrowAstropy",
        dimensions=("htm7",),
        multiple=True,
        minimum=0,
    )
    image = Output(
        doc="nJy, without the sky, with coordinates and PSF",
        name="preliminary_visit_image",
        storageClass="QExposure",
        dimensions=_OF_A_DETECTOR,
    )
    background = _table("mesh of the sky's level and noise, electrons", "preliminary_visit_image_background")
    psf_stars = _table("the PSF's stars as measured", "single_visit_psf_star")
    stars = _table("all sources as measured, electrons and pixels, with positions", "single_visit_star_unstandardized")
    summary = _table("the image in numbers, one row", "preliminary_visit_detector_summary")


CharacteriseConfig = config_class(
    "CharacteriseConfig", characters.Options, module=__name__, doc="Sky, cosmic rays, sources, PSF."
)
MeasureConfig = config_class("MeasureConfig", measures.Options, module=__name__, doc="What is measured.")
CalibrateConfig = config_class(
    "CalibrateConfig", fits.Options, module=__name__, doc="The fits against reference stars."
)
_OfFiducials = config_class(
    "_OfFiducials",
    Fiducials,
    module=__name__,
    doc="What a good night is like.",
    base=base.PipelineTaskConfig,
    prefix=_FIDUCIAL,
    pipelineConnections=CalibrateImageConnections,
)


class CalibrateImageConfig(_OfFiducials, pipelineConnections=CalibrateImageConnections):  # type: ignore[misc, valid-type]
    """How an image is measured and calibrated."""

    characterise = pex.ConfigField(dtype=CharacteriseConfig, doc="Sky, cosmic rays, sources, PSF")
    measure = pex.ConfigField(dtype=MeasureConfig, doc="What is measured")
    calibrate = pex.ConfigField(dtype=CalibrateConfig, doc="The fits against reference stars")

    def options(self) -> Options:
        """Return the configuration as the functions take it."""
        return Options(
            characterise=options_of(self.characterise, characters.Options),
            measure=options_of(self.measure, measures.Options),
            calibrate=options_of(self.calibrate, fits.Options),
            fiducials=options_of(self, Fiducials, prefix=_FIDUCIAL),
        )


class CalibrateImageTask(base.PipelineTask):
    """Electrons to nanojansky, sources and coordinates."""

    ConfigClass = CalibrateImageConfig
    _DefaultName = "calibrateImage"

    def runQuantum(self, butlerQC: Any, inputRefs: Any, outputRefs: Any) -> None:  # noqa: N802, N803
        """Read, run, write; where references do not fit, what pixels alone say is written all the same."""
        inputs = butlerQC.get(inputRefs)
        outputs = base.Struct()
        try:
            with as_quantum_failures():
                self.run(**inputs, outputs=outputs)
        except base.AlgorithmError as error:
            raise base.AnnotatedPartialOutputsError.annotate(error, self, log=self.log) from error
        finally:
            butlerQC.put(outputs, outputRefs)

    @timeMethod
    def run(self, exposures: list[Exposure], references: list[Any], *, outputs: Any) -> Any:
        """Return ``outputs``, filled as far as it went.

        Parameters
        ----------
        exposures
            One.
        references
            Shards of the reference catalogue.
        outputs
            Struct to fill: background, psf_stars, and after the fits image, stars, summary.
        """
        (exposure,) = exposures
        options = self.config.options()
        measured = self._measured(exposure, options)
        outputs.background = background_table(measured.image.sky)
        outputs.psf_stars = measured.table[measured.image.used]
        info = ExposureInfo.of_cards(exposure.header)
        stars = references_at(references, band=info.band, mjd=mjd(info.middle))
        done = calibrate(exposure, measured, stars, options)
        outputs.image, outputs.stars, outputs.summary = done.exposure, done.table, done.summary
        row = done.summary[0]
        for name in ("nAstromStar", "nPhotoStar"):
            self.metadata[name] = int(row[name])
        for name in ("zeroPoint", "zeroPointErr", "seeing", "magLim", "astromOffsetMean", "astromOffsetStd"):
            self.metadata[name] = float(row[name])
        return outputs

    @timeMethod
    def _measured(self, exposure: Exposure, options: Options) -> Measured:
        measured = measure_image(exposure, options)
        self.metadata["sources"] = len(measured.table)
        self.metadata["psf_candidates"] = int(measured.image.candidate.sum())
        self.metadata["psf_stars"] = int(measured.image.used.sum())
        self.metadata["cosmic_ray_pixels"] = measured.image.cosmic_ray_pixels
        self.metadata["fwhm_pixels"] = measured.image.fwhm_pixels
        self.metadata["sky_electrons"] = measured.image.sky.mean_level
        self.metadata["noise_electrons"] = measured.image.sky.mean_noise
        self.metadata["variance_scale"] = float(np.median(measured.image.noise.scales))
        return measured
