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
from qserv_py.pipelines.single_frame import characterise as characters
from qserv_py.pipelines.single_frame import measure as measures
from qserv_py.pipelines.single_frame.calibrate_image import (
    Measured,
    Options,
    background_table,
    calibrate,
    measure_image,
)
from qserv_py.pipelines.single_frame.references import references_at
from qserv_py.pipelines.single_frame.summary import Fiducials
from qserv_py.pipelines.tasks.failures import as_quantum_failures

_OF_A_DETECTOR = ("instrument", "visit", "detector")


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


class CharacteriseConfig(pex.Config):
    """Sky, cosmic rays, sources, PSF."""

    fwhm_guess_pixels = pex.RangeField(dtype=float, default=4.0, min=1.0, max=20.0, doc="Of the PSF, to begin with")
    mesh_pixels = pex.RangeField(dtype=int, default=64, min=16, doc="Side of a cell of the background")
    threshold = pex.RangeField(dtype=float, default=5.0, min=1.0, doc="Of detection, standard deviations")
    cosmic_rays = pex.Field(dtype=bool, default=True, doc="Look for cosmic rays?")
    star_signal_to_noise = pex.RangeField(dtype=float, default=50.0, min=5.0, doc="Of stars for the PSF")
    least_stars = pex.RangeField(dtype=int, default=12, min=4, doc="Fewer stars make no PSF: a Gaussian is used")
    psf_side = pex.Field(dtype=int, default=25, doc="Pixels along a side of the PSF", check=lambda n: n % 2 and n >= 5)
    psf_order = pex.RangeField(dtype=int, default=2, min=0, max=4, doc="Of the PSF's polynomial")


class MeasureConfig(pex.Config):
    """What is measured."""

    radii_pixels = pex.ListField(
        dtype=float,
        default=list(measures.Options().radii_pixels),
        itemCheck=lambda radius: 0.5 <= radius <= 99.4,
        doc="Of circular apertures; the one of 12 is always measured",
    )
    kron_factor = pex.RangeField(dtype=float, default=2.5, min=1.0, max=6.0, doc="Of Kron's radius")


class CalibrateConfig(pex.Config):
    """The fits against reference stars."""

    search_arcsec = pex.RangeField(dtype=float, default=10.0, min=0.5, doc="How far off the header's position may be")
    match_arcsec = pex.RangeField(dtype=float, default=1.0, min=0.05, doc="Of a star to its reference")
    max_order = pex.RangeField(dtype=int, default=3, min=1, max=5, doc="Of the coordinates' polynomial")
    star_signal_to_noise = pex.RangeField(dtype=float, default=20.0, min=3.0, doc="Of stars for the fits")
    least_references = pex.RangeField(dtype=int, default=5, min=3, doc="Fewer pairs fit nothing")
    least_reference_magnitude = pex.RangeField(
        dtype=float, default=0.01, min=0.0, doc="Error of a reference magnitude at the least"
    )


class CalibrateImageConfig(base.PipelineTaskConfig, pipelineConnections=CalibrateImageConnections):
    """How an image is measured and calibrated."""

    characterise = pex.ConfigField(dtype=CharacteriseConfig, doc="Sky, cosmic rays, sources, PSF")
    measure = pex.ConfigField(dtype=MeasureConfig, doc="What is measured")
    calibrate = pex.ConfigField(dtype=CalibrateConfig, doc="The fits against reference stars")
    fiducial_psf_sigma_pixels = pex.DictField(
        keytype=str, itemtype=float, default={}, doc="Band to the PSF's sigma in a good night, for the effective time"
    )
    fiducial_sky_per_s = pex.DictField(
        keytype=str, itemtype=float, default={}, doc="Band to the sky's electrons per pixel and second in a good night"
    )
    fiducial_zero_point_1s = pex.DictField(
        keytype=str, itemtype=float, default={}, doc="Band to the magnitude of one electron per second"
    )

    def options(self) -> Options:
        """Return the configuration as the functions take it."""
        chosen = self.measure.toDict()
        return Options(
            characterise=characters.Options(**self.characterise.toDict()),
            measure=measures.Options(radii_pixels=tuple(chosen["radii_pixels"]), kron_factor=chosen["kron_factor"]),
            calibrate=fits.Options(**self.calibrate.toDict()),
            fiducials=Fiducials(
                psf_sigma_pixels=dict(self.fiducial_psf_sigma_pixels),
                sky_per_s=dict(self.fiducial_sky_per_s),
                zero_point_1s=dict(self.fiducial_zero_point_1s),
            ),
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
