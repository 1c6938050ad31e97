# ruff: noqa: S608 - the texts are ADQL for our own parser, and every value in them is ours
"""The five queries of the demo: what each shows, and its ADQL for a given survey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from qserv_py.demo import sky
from qserv_py.demo.survey import Survey, draw_block

MAP_ORDER = 2
"""HEALPix order of the density map: 192 cells of 15 degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoQuery:
    """A query with a title for people."""

    title: str
    adql: str


def demo_queries(survey: Survey) -> tuple[DemoQuery, ...]:
    """Return the queries; the ids in them exist in the survey."""
    dense = next(cluster for cluster in sky.CLUSTERS if cluster.name == "47 Tucanae")
    variable = much_observed_object(survey)
    cell_size = 4 ** (29 - MAP_ORDER)
    return (
        DemoQuery(
            title="one object by its id",
            adql="SELECT objectId, coord_ra, coord_dec, refExtendedness, g_psfMag, r_psfMag, i_psfMag\n"
            f"  FROM dr1.Object WHERE objectId = {variable}",
        ),
        DemoQuery(
            title=f"a cone of 1 arc minute around {dense.name}",
            adql="SELECT objectId, coord_ra, coord_dec, r_psfMag FROM dr1.Object\n"
            f" WHERE CONTAINS(POINT(coord_ra, coord_dec), CIRCLE({dense.ra}, {dense.dec}, 1/60.)) = 1\n"
            " ORDER BY r_psfMag",
        ),
        DemoQuery(
            title="a colour cut over the whole sky, stars (0) and galaxies (1)",
            adql="SELECT refExtendedness, COUNT(*) AS n, AVG(r_psfMag) AS mean_r, MIN(r_psfMag) AS brightest\n"
            "  FROM dr1.Object WHERE g_psfMag - r_psfMag BETWEEN 0.3 AND 0.6 AND r_psfMag < 22\n"
            " GROUP BY refExtendedness ORDER BY n DESC",
        ),
        DemoQuery(
            title="the light curve of one object",
            adql="SELECT s.midpointMjdTai, s.band, s.psfFlux, s.psfFluxErr, o.coord_ra, o.coord_dec\n"
            "  FROM dr1.Object AS o JOIN dr1.Source AS s ON s.objectId = o.objectId\n"
            f" WHERE o.objectId = {variable} ORDER BY s.midpointMjdTai",
        ),
        DemoQuery(
            title=f"a density map: objects in each HEALPix cell of order {MAP_ORDER}, densest first",
            adql=f"SELECT healpix29 / {cell_size} AS cell, COUNT(*) AS n FROM dr1.Object\n"
            f" GROUP BY healpix29 / {cell_size} ORDER BY n DESC",
        ),
    )


def much_observed_object(survey: Survey) -> int:
    """Return the id of the brightest object among those of the first block with the most sources."""
    objects, sources = draw_block(survey, 0)
    ids = objects["objectId"].to_numpy()
    counts = np.bincount(sources["objectId"].to_numpy() - ids[0], minlength=len(ids))
    flux = pc.fill_null(objects["r_psfFlux"], 0.0).to_numpy()
    chosen: int = ids[np.lexsort((flux, counts))[-1]].item()
    return chosen
