"""Step 5: the sky map: tracts and patches that are HEALPix cells, as the chunks of the catalogue are.

A tract is a cell of one order, a patch a cell of a finer one inside it, both NESTED. So every patch lies in one chunk
of a catalogue whose chunks are not finer than patches, and no position is in two patches. Regions are convex polygons
around the cells, whose sides are no great circles, with a border on all sides. Only tracts that the survey saw are
registered; more are added when more of the sky was seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from lsst.daf.butler import Butler, DatasetIdGenEnum, DatasetRef
from lsst.sphgeom import ConvexPolygon

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.errors import ConfigError, RepositoryError
from qserv_py.partitioner.chunk_map import expand_ranges
from qserv_py.partitioner.cover import circle
from qserv_py.partitioner.healpix import border_vectors
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.dataset_types import dataset_type
from qserv_py.pipelines.repository.instrument import need_camera
from qserv_py.pipelines.repository.opening import register_collection
from qserv_py.pipelines.repository.raws.footprints import padded_hull
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen

RUN = "skymaps"
"""Run of the descriptions of sky maps."""

_STEPS = 8  # points of each side of a cell
_MOST_ORDER = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class SkyMap:
    """How the sky is divided for coadds."""

    name: str = "qsky"
    """In data ids."""

    tract_order: int = 5
    """HEALPix order of tracts; 5 gives 12,288 of 1.8 degrees."""

    patch_order: int = 9
    """HEALPix order of patches; 9 gives 256 of 6.9 arcminutes in each tract of order 5."""

    border_arcsec: float = 60.0
    """Around each cell, at the least."""

    def __post_init__(self) -> None:
        if not 0 <= self.tract_order <= self.patch_order <= _MOST_ORDER or self.patch_order - self.tract_order > 7:
            raise ConfigError(
                f"a sky map with tracts of order {self.tract_order} and patches of order {self.patch_order}",
                hint=f"Orders are 0 to {_MOST_ORDER}, patches up to 7 finer than tracts.",
            )
        if not 0 <= self.border_arcsec <= 3600:
            raise ConfigError(f"a sky map with a border of {self.border_arcsec} arcseconds; it can be 0 to 3600")

    @property
    def patches_a_side(self) -> int:
        """Patches along a side of a tract."""
        return 1 << (self.patch_order - self.tract_order)

    def tract_region(self, tract: int) -> ConvexPolygon:
        """Return a polygon around a tract."""
        return self._region(self.tract_order, tract)

    def patch_region(self, tract: int, patch: int) -> ConvexPolygon:
        """Return a polygon around a patch."""
        return self._region(self.patch_order, tract * self.patches_a_side**2 + patch)

    def tracts_near(self, ra: float, dec: float, radius_deg: float) -> npt.NDArray[np.int64]:
        """Return the tracts that a circle touches, and perhaps neighbours of these."""
        found = circle(ra, dec, radius_deg + self.border_arcsec / 3600).maybe >> 2 * (HEALPIX_ORDER - self.tract_order)
        return np.unique(expand_ranges(found[:, 0], found[:, 1] + 1))

    def digest(self) -> bytes:
        """Return what differs between sky maps that differ."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=20).digest()

    def _region(self, order: int, cell: int) -> ConvexPolygon:
        border = border_vectors(np.array([order]), np.array([cell]), steps=_STEPS)[0]
        return padded_hull(border, padding_arcsec=self.border_arcsec + _sagitta_arcsec(order))


def cell_of_patch(patch: int) -> tuple[int, int]:
    """Return column and row of a patch in its tract: NESTED numbers interleave their bits."""
    column = row = 0
    for bit in range(8):
        column |= (patch >> 2 * bit & 1) << bit
        row |= (patch >> 2 * bit + 1 & 1) << bit
    return column, row


def _sagitta_arcsec(order: int) -> float:
    """Return how far a side bends out between the points of it that are looked at, arcseconds, at the most."""
    side = np.degrees(np.sqrt(np.pi / 3)) / 2**order
    return float(3600 * side / _STEPS**2)


def register_skymap(
    butler: Butler,
    skymap: SkyMap | None = None,
    *,
    around: Iterable[tuple[float, float, float]] = (),
    progress: Progress = unseen,
) -> StepReport:
    """Register a sky map's tracts and patches where exposures looked; those that are there are kept.

    Parameters
    ----------
    butler
        Of the repository, writeable.
    skymap
        Its name and orders.
    around
        Further circles: ra, dec, radius in degrees.
    progress
        Is told of tracts.

    Raises
    ------
    RepositoryError
        If a sky map of this name and other orders is there.
    """
    chosen = skymap or SkyMap()
    report = StepReport(what="tracts")
    side = chosen.patches_a_side
    _refuse_another(butler, chosen)
    record = {"name": chosen.name, "hash": chosen.digest(), "tract_max": 12 * 4**chosen.tract_order}
    butler.registry.syncDimensionData("skymap", {**record, "patch_nx_max": side, "patch_ny_max": side})
    _put(butler, chosen)
    circles = [*_exposure_circles(butler), *around]
    tracts = np.unique(np.concatenate([np.zeros(0, np.int64), *(chosen.tracts_near(*circle) for circle in circles)]))
    found = butler.query_dimension_records("tract", skymap=chosen.name, explain=False, limit=None)
    known = {record.id for record in found}
    for number, tract in enumerate(map(int, tracts), start=1):
        if tract in known:
            report.kept += 1
            continue
        with butler.transaction():
            _insert_tract(butler, chosen, tract)
        report.new += 1
        progress("tracts", number, len(tracts))
    return report


def _refuse_another(butler: Butler, chosen: SkyMap) -> None:
    for present in butler.query_dimension_records("skymap", explain=False):
        if present.name == chosen.name and present.hash != chosen.digest():
            raise RepositoryError(
                f'the repository has another sky map "{chosen.name}"', hint="Give the new one another --name."
            )


def _put(butler: Butler, chosen: SkyMap) -> None:
    register_collection(butler, RUN)
    kind = dataset_type(butler, "skyMap")
    data_id = butler.registry.expandDataId(skymap=chosen.name)
    if butler.find_dataset(kind, data_id, collections=RUN) is None:
        ref = DatasetRef(kind, data_id, run=RUN, id_generation_mode=DatasetIdGenEnum.DATAID_TYPE_RUN)
        butler.put({"kind": "healpix_nested", **asdict(chosen)}, ref)


def _exposure_circles(butler: Butler) -> list[tuple[float, float, float]]:
    found = butler.query_dimension_records(
        "exposure", instrument=QCam.getName(), where="exposure.observation_type = 'science'", explain=False, limit=None
    )
    if not found:
        return []
    radius = need_camera(butler).field_radius_deg
    pointings = {(record.tracking_ra, record.tracking_dec) for record in found if record.tracking_ra is not None}
    return [(ra, dec, radius) for ra, dec in sorted(pointings)]


def _insert_tract(butler: Butler, chosen: SkyMap, tract: int) -> None:
    whole = {"skymap": chosen.name, "id": tract, "region": chosen.tract_region(tract)}
    butler.registry.insertDimensionData("tract", whole)
    patches = []
    for patch in range(chosen.patches_a_side**2):
        column, row = cell_of_patch(patch)
        own = {"skymap": chosen.name, "tract": tract, "id": patch, "cell_x": column, "cell_y": row}
        patches.append({**own, "region": chosen.patch_region(tract, patch)})
    butler.registry.insertDimensionData("patch", *patches)
