# ruff: noqa: S608 - the texts are ADQL for our own parser, and every value in them is ours
"""The queries of the demo from pixels: what each shows, and its ADQL."""

from __future__ import annotations

from qserv_py.demo.queries import DemoQuery

COLOURS = """\
SELECT g.ra, g.dec, 31.4 - 2.5 * LOG10(g.psfFlux) AS g_mag, 31.4 - 2.5 * LOG10(r.psfFlux) AS r_mag, r.extendedness
  FROM prompt.Source AS g, prompt.Source AS r
 WHERE g.band = 'g' AND r.band = 'r'
   AND DISTANCE(POINT(g.ra, g.dec), POINT(r.ra, r.dec)) < 0.5 / 3600
   AND g.psfFlux BETWEEN 1 AND 1e9 AND r.psfFlux BETWEEN 1 AND 1e9
   AND g.psfFlux > 10 * g.psfFluxErr AND r.psfFlux > 10 * r.psfFluxErr
   AND NOT g.pixelFlags_saturatedCenter AND NOT r.pixelFlags_saturatedCenter"""
"""Neighbours across the bands; a flux is in nJy, and NaN is between nothing."""

BEST_IMAGE = """\
SELECT visit, detector, COUNT(*) AS n FROM prompt.Source
 WHERE band = 'r' GROUP BY visit, detector ORDER BY COUNT(*) DESC, visit, detector"""

POSITIONS = """\
SELECT visit, ra, dec, psfFlux FROM prompt.Source
 WHERE psfFlux BETWEEN 1 AND 1e9 AND NOT pixelFlags_saturatedCenter AND deblend_nChild = 0"""


def detections_of(visit: int, detector: int) -> str:
    """Return the query for what was found on one image."""
    return f"SELECT x, y, extendedness FROM prompt.Source WHERE visit = {visit:d} AND detector = {detector:d}"


def pixel_queries() -> tuple[DemoQuery, ...]:
    """Return the queries."""
    return (
        DemoQuery(
            title="what was found on each visit",
            adql="SELECT v.visit, v.band, COUNT(*) AS sources, MAX(s.psfFlux) AS brightest_njy\n"
            "  FROM prompt.Source AS s JOIN prompt.Visit AS v ON v.visit = s.visit\n"
            " GROUP BY v.visit, v.band ORDER BY v.visit",
        ),
        DemoQuery(
            title="how good each image is",
            adql="SELECT visitId, detector, band, zeroPoint, seeing, magLim, astromOffsetStd\n"
            "  FROM prompt.VisitDetector ORDER BY visitId, detector",
        ),
        DemoQuery(title="colours: neighbours within half an arc second in the other band", adql=COLOURS),
        DemoQuery(
            title="the images that show a place, by way of ObsCore",
            adql="SELECT lsst_visit, lsst_detector, lsst_band, t_exptime, obs_publisher_did FROM ivoa.ObsCore\n"
            " WHERE CONTAINS(POINT(53.15, -28.12), s_region) = 1 ORDER BY lsst_visit, lsst_detector",
        ),
        DemoQuery(
            title="where the rows came from: datasets of the Butler",
            adql="SELECT d.run, d.dataset_type, d.data_id, COUNT(*) AS n FROM prompt.Source AS s\n"
            "  JOIN butler.Dataset AS d ON d.dataset_number = s.datasetNumber\n"
            " GROUP BY d.run, d.dataset_type, d.data_id ORDER BY n DESC",
        ),
    )
