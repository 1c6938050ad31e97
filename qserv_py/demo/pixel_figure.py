"""The picture of the demo from pixels: an image with its detections, colours, and what the catalogue has wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qserv_py.demo.pixel_queries import BEST_IMAGE, COLOURS, POSITIONS, detections_of
from qserv_py.pipelines.kernels.catalogues.matching import mutual_pairs
from qserv_py.whole_file import whole_file

if TYPE_CHECKING:
    from qserv_py.czar.session import Session

FloatArray = npt.NDArray[np.float64]

CUT_PIXELS = 500
"""Side of the part of an image that is shown."""

BRIGHT = (16.0, 20.0)
"""Magnitudes of the stars whose residuals are summed up: neither saturated nor drowned in the sky's noise."""

_MATCH_ARCSEC = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Measured less true, of the stars of all visits."""

    mag: FloatArray
    """True magnitude."""

    ra_mas: FloatArray
    """Along right ascension, on the sky."""

    dec_mas: FloatArray
    mag_mmag: FloatArray

    @property
    def bright(self) -> npt.NDArray[np.bool_]:
        """Which stars are bright."""
        return (self.mag > BRIGHT[0]) & (self.mag < BRIGHT[1])

    def summary(self) -> str:
        """Return the residuals of the bright stars in a line."""
        chosen = self.bright
        if not chosen.any():
            return f"{self.mag.size} stars matched, none of them bright"
        ra, dec, mag = (spread(values[chosen]) for values in (self.ra_mas, self.dec_mas, self.mag_mmag))
        return f"{chosen.sum()} bright stars: {ra:.1f} and {dec:.1f} mas, {mag:.1f} mmag from the truth"


def draw_figure(session: Session, repository: Path, survey: Path, collection: str, figure: Path) -> str:
    """Draw the picture as a PNG; return in a line how far the catalogue is from the truth.

    Parameters
    ----------
    session
        Answers the queries.
    repository, survey, collection
        Of the images, and of the truth.
    figure
        The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    residuals = read_residuals(session, survey)
    drawing = Figure(figsize=(13, 11), layout="constrained")
    (image, colours), (positions, magnitudes) = drawing.subplots(2, 2)
    _draw_image(image, session, repository, collection)
    _draw_colours(colours, session)
    _draw_positions(positions, residuals)
    _draw_magnitudes(magnitudes, residuals)
    with whole_file(figure) as file:
        FigureCanvasAgg(drawing).print_png(file)
    return residuals.summary()


def read_residuals(session: Session, survey: Path) -> Residuals:
    """Return how far the positions and fluxes of stars are from the truth of the simulated survey."""
    rows = _rows(session, POSITIONS)
    objects = pq.read_table(survey / "truth/objects.parquet", columns=["object_id", "kind"])
    stars = objects.filter(pc.equal(objects["kind"], "star"))["object_id"]
    parts: dict[str, list[FloatArray]] = {"mag": [], "ra_mas": [], "dec_mas": [], "mag_mmag": []}
    for visit in pc.unique(rows["visit"]).to_pylist():
        found = rows.filter(pc.equal(rows["visit"], visit))
        true = pa.concat_tables(pq.read_table(path) for path in sorted((survey / "truth/sources").glob(f"{visit}_*")))
        true = true.filter(pc.is_in(true["object_id"], value_set=stars.combine_chunks()))
        one, other = mutual_pairs(
            *_columns(found, "ra", "dec"), *_columns(true, "ra", "dec"), radius_arcsec=_MATCH_ARCSEC
        )
        ra, dec, flux = (column[one] for column in _columns(found, "ra", "dec", "psfFlux"))
        true_ra, true_dec, true_flux = (column[other] for column in _columns(true, "ra", "dec", "flux_njy"))
        parts["mag"].append(31.4 - 2.5 * np.log10(true_flux))
        parts["ra_mas"].append((ra - true_ra) * np.cos(np.radians(true_dec)) * 3.6e6)
        parts["dec_mas"].append((dec - true_dec) * 3.6e6)
        parts["mag_mmag"].append(-2500 * np.log10(flux / true_flux))
    return Residuals(**{name: np.concatenate(values) for name, values in parts.items()})


def spread(values: FloatArray) -> float:
    """Return the standard deviation that the middle half of values has."""
    return float(np.subtract(*np.percentile(values, [75, 25])) / 1.349)


def _draw_image(axes: Any, session: Session, repository: Path, collection: str) -> None:
    best = _rows(session, BEST_IMAGE).slice(0, 1).to_pylist()[0]
    image = _read_image(repository, collection, best["visit"], best["detector"])
    side = min(CUT_PIXELS, *image.shape)
    y0, x0 = ((length - side) // 2 for length in image.shape)
    cut = image[y0 : y0 + side, x0 : x0 + side]
    low, middle, high = np.nanpercentile(cut, [16, 50, 99.5])
    noise = max(middle - low, 1e-6)
    axes.imshow(
        np.arcsinh((cut - middle) / noise),
        cmap="gray_r",
        origin="lower",
        extent=(x0 - 0.5, x0 + side - 0.5, y0 - 0.5, y0 + side - 0.5),
        vmin=-2,
        vmax=np.arcsinh((high - middle) / noise),
    )
    x, y, extended = _columns(_rows(session, detections_of(best["visit"], best["detector"])), "x", "y", "extendedness")
    inside = (x >= x0) & (x < x0 + side) & (y >= y0) & (y < y0 + side)
    for chosen, colour, label in ((extended < 0.5, "tab:blue", "stars"), (extended >= 0.5, "tab:red", "galaxies")):
        shown = inside & chosen
        axes.scatter(x[shown], y[shown], s=60, facecolors="none", edgecolors=colour, linewidths=0.9, label=label)
    axes.set_title(f"visit {best['visit']}, detector {best['detector']}: {best['n']} sources")
    axes.set_xlabel("x (pixels)")
    axes.set_ylabel("y (pixels)")
    axes.legend(loc="upper right")


def _draw_colours(axes: Any, session: Session) -> None:
    g, r, extended = _columns(_rows(session, COLOURS), "g_mag", "r_mag", "extendedness")
    for chosen, colour, label in ((extended >= 0.5, "tab:red", "galaxies"), (extended < 0.5, "tab:blue", "stars")):
        axes.scatter((g - r)[chosen], r[chosen], s=5, color=colour, alpha=0.6, label=label)
    axes.set_title("colour and magnitude")
    axes.set_xlabel("g - r (mag)")
    axes.set_ylabel("r (mag)")
    axes.set_xlim(-1, 2.5)
    axes.invert_yaxis()
    axes.legend(loc="upper left")


def _draw_positions(axes: Any, residuals: Residuals) -> None:
    chosen = residuals.bright
    ra, dec = residuals.ra_mas[chosen], residuals.dec_mas[chosen]
    axes.scatter(ra, dec, s=6, alpha=0.6)
    reach = max(5.0, 4 * max(spread(ra), spread(dec))) if chosen.any() else 5.0
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.axhline(0, color="gray", linewidth=0.6)
    axes.axvline(0, color="gray", linewidth=0.6)
    axes.set_title(f"positions of stars of {BRIGHT[0]:.0f} to {BRIGHT[1]:.0f} mag less the truth")
    axes.set_xlabel("right ascension (mas)")
    axes.set_ylabel("declination (mas)")


def _draw_magnitudes(axes: Any, residuals: Residuals) -> None:
    axes.scatter(residuals.mag, residuals.mag_mmag, s=4, alpha=0.4)
    axes.axhline(0, color="gray", linewidth=0.6)
    axes.set_ylim(-200, 200)
    axes.set_title("PSF magnitudes of stars less the truth")
    axes.set_xlabel("true magnitude")
    axes.set_ylabel("measured - true (mmag)")


def _read_image(repository: Path, collection: str, visit: int, detector: int) -> npt.NDArray[np.float32]:
    from qserv_py.pipelines.repository.opening import opened

    with opened(str(repository)) as butler:
        image: npt.NDArray[np.float32] = butler.get(
            "preliminary_visit_image.image",
            instrument="QCam",
            visit=visit,
            detector=detector,
            collections=collection,
        )
    return image


def _rows(session: Session, adql: str) -> pa.Table:
    answer = session.answer(adql)
    return pa.Table.from_batches(list(answer.batches()), schema=answer.schema)


def _columns(table: pa.Table, *names: str) -> tuple[FloatArray, ...]:
    return tuple(table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in names)
