"""One detector in one exposure: from the sky, or a lamp, or nothing, to a raw image and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.images.exposure import RawImage
from qserv_py.pipelines.instrument.camera import Camera, Detector
from qserv_py.pipelines.instrument.exposures import ExposureInfo
from qserv_py.pipelines.instrument.raws import raw_header
from qserv_py.pipelines.kernels._library import Array, FloatArray, FloatImage
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.survey import readout
from qserv_py.pipelines.survey.chance import Draw, numbers_for
from qserv_py.pipelines.survey.cosmic import add_particles, draw_particles
from qserv_py.pipelines.survey.devices import Device, Traits, draw_device, draw_traits, response
from qserv_py.pipelines.survey.drawing import DRAWN, add_sources, reach
from qserv_py.pipelines.survey.plan import Conditions, Visit, field_terms, make_plan
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.sky import BANDS, NJY_ZERO_POINT, draw_sky, magnitudes_at, places_at

SOURCE = np.dtype(
    [
        ("object_id", "i8"),
        ("x", "f8"),
        ("y", "f8"),
        ("ra", "f8"),
        ("dec", "f8"),
        ("mag", "f8"),
        ("flux_njy", "f8"),
        ("electrons", "f8"),
        ("full", "?"),
        ("psf_fwhm", "f8"),
        ("psf_e1", "f8"),
        ("psf_e2", "f8"),
    ]
)
"""A source in the middle of an exposure: pixels of the detector, ICRS degrees, AB magnitude above the air, electrons of
the whole source where the response is 1, whether a pixel of its core is full, and the PSF there in pixels."""

FLAT_ELECTRONS = 25_000.0
_FARTHEST = 512.0  # pixels from the detector that a source may be and still shine onto it
_CUT = 0.02  # of the noise: light below it may be cut off
_PIXEL_CM = 1e-3
_EDGE = 1.2  # of the field, whose radius is 1: beyond, the polynomials of the PSF say nothing
_CORE = 3  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A raw image and its truth."""

    raw: RawImage
    """As a file has it."""

    sources: Array
    """Rows of ``SOURCE``; none where the sky was not seen."""

    hits: Array
    """Rows of ``HIT``."""


class Simulator:
    """Makes the images of one survey, any of them, in any order."""

    def __init__(self, request: SurveyRequest) -> None:
        self.request = request
        self.camera: Camera = request.camera()
        self.plan = make_plan(request, self.camera)
        self.objects = draw_sky(request, self.plan.span)
        # What neighbouring images share; each process has its own.
        self._sky_at = lru_cache(maxsize=1)(self._sky_of)
        self.traits = lru_cache(maxsize=None)(self._traits_of)
        self.device = lru_cache(maxsize=4)(self._device_of)
        self.response = lru_cache(maxsize=4)(self._response_of)

    def science(self, visit: Visit, number: int) -> Exposed:
        """Return what a detector saw in a visit."""
        detector, device = self.camera.detector(number), self.device(number)
        random = self._random(visit.info, number)
        zero_point = self.zero_point(visit, number)
        sky = self.sky_image(visit, detector, zero_point)
        threshold = _CUT * float(np.sqrt(sky.mean() + detector.readouts[0].read_noise ** 2))
        sources, drawn = self._sources(visit, detector, zero_point, threshold)
        light = sky
        add_sources(light, drawn, threshold=threshold)
        np.maximum(light, 0, out=light)  # the transforms ring by 1e-16
        light *= self.response(number, visit.info.band)
        electrons, hits = self._collect(light, visit.info, detector, device, random)
        full = readout.bleed(electrons, detector, device)
        sources["full"] = _core_is_full(full, sources)
        return Exposed(raw=self._raw(electrons, visit.info, detector, device, random), sources=sources, hits=hits)

    def calibration(self, info: ExposureInfo, number: int) -> Exposed:
        """Return what a detector saw of a lamp, or of nothing."""
        detector, device = self.camera.detector(number), self.device(number)
        random = self._random(info, number)
        light = np.zeros(detector.shape)
        if info.kind == "flat":
            lamp = FLAT_ELECTRONS * np.exp(numbers_for(self.request.seed, Draw.VISIT, info.exposure).normal(0, 0.01))
            light += lamp * device.throughput[BANDS.index(info.band)] * self.response(number, info.band)
        electrons, hits = self._collect(light, info, detector, device, random)
        readout.bleed(electrons, detector, device)
        raw = self._raw(electrons, info, detector, device, random)
        return Exposed(raw=raw, sources=np.zeros(0, SOURCE), hits=hits)

    def zero_point(self, visit: Visit, number: int) -> float:
        """Return the AB magnitude of one electron of a visit in a detector, above the air."""
        throughput = self.traits(number).throughput[BANDS.index(visit.info.band)]
        return visit.conditions.zero_point + 2.5 * float(np.log10(throughput))

    def sky_electrons(self, visit: Visit, zero_point: float) -> float:
        """Return the sky's electrons a pixel on the optical axis; the sky is below the extinction."""
        pixel = self.camera.pixel_scale_arcsec**2
        magnitude = visit.conditions.sky_mag - 2.5 * np.log10(pixel)
        return float(10 ** (-0.4 * (magnitude - zero_point - visit.conditions.extinction_mag)))

    def sky_image(self, visit: Visit, detector: Detector, zero_point: float) -> FloatArray:
        """Return the sky's electrons in each pixel of a detector, where the response is 1."""
        height, width = detector.shape
        u, v = self._field(detector, np.arange(width, dtype=float)[None, :], np.arange(height, dtype=float)[:, None])
        slope_u, slope_v = visit.conditions.sky_slope
        return self.sky_electrons(visit, zero_point) * (1 + slope_u * u + slope_v * v)

    def psf_at(self, visit: Visit, detector: Detector, x: FloatArray, y: FloatArray) -> tuple[FloatArray, ...]:
        """Return FWHM in pixels and ellipticities of the PSF at pixels of a detector."""
        conditions: Conditions = visit.conditions
        u, v = self._field(detector, x, y)
        terms = field_terms(np.clip(u, -_EDGE, _EDGE), np.clip(v, -_EDGE, _EDGE))
        fwhm = conditions.seeing_arcsec / self.camera.pixel_scale_arcsec
        e1, e2 = (np.tensordot(one[1:], terms, 1) + one[0] for one in (conditions.e1_terms, conditions.e2_terms))
        return fwhm * (1 + np.tensordot(conditions.fwhm_terms, terms, 1)), e1, e2

    def _field(self, detector: Detector, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        across, up = self.camera.to_focal(detector, x, y)
        return across / self.camera.field_radius_deg, up / self.camera.field_radius_deg

    def _traits_of(self, number: int) -> Traits:
        return draw_traits(self.request.seed, self.camera.detector(number))

    def _device_of(self, number: int) -> Device:
        return draw_device(self.request.seed, self.camera.detector(number))

    def _response_of(self, number: int, band: str) -> FloatImage:
        defects = self.traits(number).defects
        return response(self.request.seed, self.camera, self.camera.detector(number), band, defects=defects)

    def _random(self, info: ExposureInfo, number: int) -> np.random.Generator:
        return numbers_for(self.request.seed, Draw.PIXELS, info.exposure, number)

    def _sky_of(self, visit: Visit) -> tuple[FloatArray, FloatArray, FloatArray]:
        time = visit.time_mjd
        return *places_at(self.objects, time), magnitudes_at(self.objects, visit.info.band, time)

    def drawn_sources(self, visit: Visit, detector: Detector, *, threshold: float) -> Array:
        """Return what shines onto a detector in a visit, rows of ``DRAWN``, to a surface brightness in electrons."""
        return self._sources(visit, detector, self.zero_point(visit, detector.id), threshold)[1]

    def _sources(self, visit: Visit, detector: Detector, zero_point: float, threshold: float) -> tuple[Array, Array]:
        """Return the truth of the sources on a detector, and all that shine onto it as they are drawn."""
        wcs = self.camera.wcs(detector, visit.pointing)
        ra, dec, mag = self._sky_at(visit)
        near = np.flatnonzero(_near(wcs, detector, ra, dec) & np.isfinite(mag))
        x, y = wcs.to_pixel(ra[near], dec[near])
        drawn = self._as_drawn(visit, detector, wcs, near, x, y)
        drawn["flux"] = 10 ** (-0.4 * (mag[near] - zero_point))
        width, height = detector.width, detector.height
        far = np.maximum(np.maximum(-0.5 - x, x - width + 0.5), np.maximum(-0.5 - y, y - height + 0.5))
        inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
        sources = np.zeros(int(inside.sum()), SOURCE)
        for name, values in (
            ("object_id", self.objects["object_id"][near]),
            ("x", x),
            ("y", y),
            ("ra", ra[near]),
            ("dec", dec[near]),
            ("mag", mag[near]),
            ("flux_njy", 10 ** (-0.4 * (mag[near] - NJY_ZERO_POINT))),
            ("electrons", drawn["flux"]),
            ("psf_fwhm", drawn["fwhm"]),
            ("psf_e1", drawn["psf_e1"]),
            ("psf_e2", drawn["psf_e2"]),
        ):
            sources[name] = values[inside]
        return sources, drawn[far < reach(drawn, threshold)]

    def _as_drawn(self, visit: Visit, detector: Detector, wcs: Wcs, near: Array, x: FloatArray, y: FloatArray) -> Array:
        objects = self.objects[near]
        drawn = np.zeros(len(near), DRAWN)
        drawn["x"], drawn["y"] = x, y
        drawn["radius"] = objects["radius_arcsec"] / self.camera.pixel_scale_arcsec
        drawn["profile"] = objects["profile"]
        turn = np.radians(visit.pointing.rotation_deg + detector.rotation_deg)
        shape = (objects["e1"] + 1j * objects["e2"]) * np.exp(-2j * turn)
        drawn["e1"], drawn["e2"] = shape.real, shape.imag
        drawn["fwhm"], drawn["psf_e1"], drawn["psf_e2"] = self.psf_at(visit, detector, x, y)
        half = visit.info.exposure_s / 2 / 86400
        ends = [wcs.to_pixel(*places_at(objects, visit.time_mjd + way * half)) for way in (-1, 1)]
        drawn["trail_x"], drawn["trail_y"] = ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]
        return drawn

    def _collect(
        self, light: FloatArray, info: ExposureInfo, detector: Detector, device: Device, random: np.random.Generator
    ) -> tuple[FloatArray, Array]:
        """Return the electrons that light, heat and particles free, and the particles."""
        expected = light + info.dark_s * device.dark
        electrons = random.poisson(expected).astype(float)
        area = detector.width * detector.height * _PIXEL_CM**2
        mean = self.request.cosmic_rays_per_cm2_s * area * info.dark_s
        hits = draw_particles(random, shape=detector.shape, mean=mean)
        add_particles(electrons, hits)
        return electrons, hits

    def _raw(
        self,
        electrons: FloatArray,
        info: ExposureInfo,
        detector: Detector,
        device: Device,
        random: np.random.Generator,
    ) -> RawImage:
        pixels = readout.read_out(electrons, detector, device, random)
        return RawImage(pixels=pixels, header=raw_header(self.camera, detector, info))


def _near(wcs: Wcs, detector: Detector, ra: FloatArray, dec: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell which positions are near enough to a detector that their light may reach it."""
    scale = np.sqrt(abs(np.linalg.det(wcs.cd)))
    radius = np.radians(scale * (1.05 * np.hypot(detector.width, detector.height) / 2 + 2 * _FARTHEST))
    lon, lat, lon0, lat0 = (np.radians(angle) for angle in (ra, dec, wcs.ra0, wcs.dec0))
    cosine = np.sin(lat) * np.sin(lat0) + np.cos(lat) * np.cos(lat0) * np.cos(lon - lon0)
    near: npt.NDArray[np.bool_] = cosine > np.cos(radius)
    return near


def _core_is_full(full: npt.NDArray[np.bool_], sources: Array) -> npt.NDArray[np.bool_]:
    answer = np.zeros(len(sources), bool)
    for number in np.flatnonzero(sources["electrons"] > 1e4) if full.any() else ():
        x, y = round(sources["x"][number]), round(sources["y"][number])
        answer[number] = full[max(y - _CORE, 0) : y + _CORE + 1, max(x - _CORE, 0) : x + _CORE + 1].any()
    return answer
