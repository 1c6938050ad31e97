"""The functions of sciSQL, Gaia and the IVOA against healpy, astropy and the examples of the IVOA's catalogue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import Angle, SkyCoord
from astropy.time import Time
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d
from support.engines import Engines, assert_alike, open_engines
from support.postgres import TestServer

from qserv_py.adql.geometry.sphere import is_convex


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


def positions(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions all over the sky, many of them at the poles and at borders of the twelve faces."""
    random = np.random.default_rng(20)
    ra = random.uniform(0, 360, count)
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    tenth = count // 10
    dec[:tenth] = 90 - 10 ** random.uniform(-9, 0, tenth)
    dec[tenth : 2 * tenth] = -90 + 10 ** random.uniform(-9, 0, tenth)
    dec[2 * tenth : 3 * tenth] = np.degrees(np.arcsin(2 / 3)) + random.uniform(-1e-3, 1e-3, tenth)
    ra[3 * tenth : 4 * tenth] = 90 * random.integers(0, 4, tenth) + random.uniform(-1e-6, 1e-6, tenth)
    return ra, dec


@pytest.mark.parametrize("order", [0, 1, 8, 17, 29])
def test_healpix_index_is_that_of_healpy(engines: Engines, order: int) -> None:
    ra, dec = positions(5000)
    expected = healpy.ang2pix(2**order, ra, dec, nest=True, lonlat=True)
    [(ours,)] = engines.connection.execute(
        "SELECT array_agg(qserv.healpix_index(%s, ra, d) ORDER BY n)"
        " FROM unnest(%s::float8[], %s::float8[]) WITH ORDINALITY AS t (ra, d, n)",
        (order, ra.tolist(), dec.tolist()),
    ).fetchall()
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("order", [0, 3, 17, 29])
def test_healpix_index_is_alike(engines: Engines, order: int) -> None:
    ra, dec = positions(40)
    expected = healpy.ang2pix(2**order, ra, dec, nest=True, lonlat=True)
    for one_ra, one_dec, cell in zip(ra.tolist(), dec.tolist(), expected.tolist(), strict=True):
        row = {"ra": one_ra, "dec": one_dec, "nObs": order}
        assert engines.both("ivo_healpix_index(nObs, ra, dec)", row) == (cell, cell)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 90.0), (0.0, -90.0), (359.999, 0.0), (-0.0, 0.1), (-90.0, 41.8)])
def test_healpix_index_of_special_places(engines: Engines, ra: float, dec: float) -> None:
    cell = int(healpy.ang2pix(2**10, ra, dec, nest=True, lonlat=True))
    assert engines.both(f"ivo_healpix_index(10, POINT({ra!r}, {dec!r}))", {}) == (cell, cell)


@pytest.mark.parametrize(("order", "ra", "dec"), [(30, 1.0, 1.0), (-1, 1.0, 1.0)])
def test_no_such_healpix_order(engines: Engines, order: int, ra: float, dec: float) -> None:
    row = {"nObs": order, "ra": ra, "dec": dec}
    assert engines.both("ivo_healpix_index(nObs, ra, dec)", row) == (None, None)


@pytest.mark.parametrize(("ra", "dec"), [(1.0, 90.001), (float("nan"), 1.0), (float("inf"), 1.0), (None, 1.0)])
def test_no_place_has_no_cell(engines: Engines, ra: float | None, dec: float) -> None:
    row = {"nObs": 4, "ra": ra, "dec": dec}
    assert engines.both("ivo_healpix_index(nObs, ra, dec)", row) == (None, None)


def test_gaia_healpix_index(engines: Engines) -> None:
    # the source_id of Proxima Centauri holds its cell of order 12
    source, cell = 5853498713190525696, 5853498713190525696 // 34359738368
    assert engines.both("gaia_healpix_index(12, objectId)", {"objectId": source}) == (cell, cell)
    assert engines.both("gaia_healpix_index(5, objectId)", {"objectId": source}) == (cell >> 14, cell >> 14)
    assert engines.both("gaia_healpix_index(nObs, objectId)", {"objectId": source, "nObs": 13}) == (None, None)


fluxes = st.integers(-300, 500).map(lambda n: 10 ** (n / 50))


def test_photometry_is_that_of_astropy(engines: Engines) -> None:
    @settings(max_examples=40)
    @given(fluxes, st.floats(0, 1))
    def check(flux: float, relative: float) -> None:
        row = {"ra": flux, "dec": flux * relative}
        magnitude = (flux * u.nJy).to(u.ABmag).value
        for answer in engines.both("scisql_nanojanskyToAbMag(ra)", row):
            assert answer == pytest.approx(magnitude, abs=1e-4)  # sciSQL's zero point is rounded to 31.4
        for answer in engines.both("scisql_nanojanskyToAbMagSigma(ra, dec)", row):
            assert answer == pytest.approx(2.5 / math.log(10) * relative, rel=1e-12, abs=1e-300)

    check()


def test_fluxes_in_cgs(engines: Engines) -> None:
    flux = float((20 * u.ABmag).to(u.erg / u.s / u.cm**2 / u.Hz).value)
    for answer in engines.both("scisql_fluxToAbMag(ra)", {"ra": flux}):
        assert answer == pytest.approx(20, abs=1e-12)
    for answer in engines.both("scisql_abMagToFlux(ra)", {"ra": 20.0}):
        assert answer == pytest.approx(flux, rel=1e-12)
    for answer in engines.both("scisql_fluxToAbMagSigma(ra, dec)", {"ra": flux, "dec": flux / 100}):
        assert answer == pytest.approx(0.010857362047581296, rel=1e-12)
    for answer in engines.both("scisql_abMagToFluxSigma(ra, dec)", {"ra": 20.0, "dec": 0.01}):
        assert answer == pytest.approx(flux * 0.00921034037197618, rel=1e-12)


def test_photometry_goes_there_and_back(engines: Engines) -> None:
    @settings(max_examples=40)
    @given(fluxes, st.floats(0, 0.5))
    def check(flux: float, relative: float) -> None:
        row = {"ra": flux, "dec": flux * relative}
        for answer in engines.both("scisql_abMagToNanojansky(scisql_nanojanskyToAbMag(ra))", row):
            assert answer == pytest.approx(flux, rel=1e-12)
        sigma = "scisql_nanojanskyToAbMagSigma(ra, dec)"
        for answer in engines.both(f"scisql_abMagToNanojanskySigma(scisql_nanojanskyToAbMag(ra), {sigma})", row):
            assert answer == pytest.approx(flux * relative, rel=1e-11, abs=1e-300)

    check()


@pytest.mark.parametrize("flux", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), None])
def test_no_flux_has_no_magnitude(engines: Engines, flux: float | None) -> None:
    for name in ("nanojansky", "flux"):
        assert engines.both(f"scisql_{name}ToAbMag(ra)", {"ra": flux}) == (None, None)
        assert engines.both(f"scisql_{name}ToAbMagSigma(ra, 1)", {"ra": flux}) == (None, None)


@pytest.mark.parametrize(
    ("call", "row", "expected"),
    [
        ("scisql_abMagToFlux(ra)", {"ra": -999.0}, None),
        ("scisql_abMagToNanojansky(ra)", {"ra": 999.0}, 0.0),
        ("scisql_abMagToNanojansky(ra)", {"ra": 1e308}, 0.0),
        ("scisql_abMagToFluxSigma(ra, dec)", {"ra": -700.0, "dec": 1e200}, None),
        ("scisql_abMagToFluxSigma(ra, dec)", {"ra": 700.0, "dec": 1e-200}, 0.0),
        ("scisql_fluxToAbMagSigma(ra, dec)", {"ra": 1e-300, "dec": 1e300}, None),
        ("scisql_nanojanskyToAbMagSigma(ra, dec)", {"ra": 1e300, "dec": 1e-300}, 0.0),
    ],
)
def test_photometry_beyond_a_double(engines: Engines, call: str, row: dict[str, float], expected: float | None) -> None:
    """What C's pow and products give: sciSQL makes NULL of an infinity, and a number that is too small is 0."""
    assert engines.both(call, row) == (expected, expected)


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf"), None])
def test_no_error_of_a_flux(engines: Engines, sigma: float | None) -> None:
    row = {"ra": 10.0, "dec": sigma}
    for name in ("nanojanskyToAbMag", "fluxToAbMag", "abMagToFlux", "abMagToNanojansky"):
        assert engines.both(f"scisql_{name}Sigma(ra, dec)", row) == (None, None)


def test_sexagesimal_is_that_of_astropy(engines: Engines) -> None:
    @settings(max_examples=40)
    @given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59_999), st.sampled_from(["", "+", "-"]))
    def check(whole: int, minutes: int, milliseconds: int, sign: str) -> None:
        hms = f"{whole}h{minutes}m{milliseconds / 1000}s"
        for answer in engines.both("ivo_hms_to_degrees(label)", {"label": hms}):
            assert answer == pytest.approx(Angle(hms).deg, rel=1e-12, abs=1e-12)
        dms = f"{sign}{whole:02d}:{minutes:02d}:{milliseconds / 1000:06.3f}"
        for answer in engines.both("ivo_dms_to_degrees(label)", {"label": dms}):
            assert answer == pytest.approx(Angle(dms, unit="deg").deg, rel=1e-12, abs=1e-12)

    check()


@pytest.mark.parametrize("form", ["{0}{1:02}:{2:02}:{3:06.3f}", "{0}{1:02}{2:02}{3:06.3f}", " {0}{1} {2}  {3:.3f} ",
                                  "{0}{1}X{2}M{3:.3f}S", "{0}{1}x {2}m {3:.3f}", "{0}{1} : {2} : {3:.3f}"])  # fmt: skip
@pytest.mark.parametrize("letter", ["h", "d"])
def test_every_spelling_of_an_angle_is_that_of_astropy(engines: Engines, form: str, letter: str) -> None:
    name, unit = ("hms", u.hourangle) if letter == "h" else ("dms", u.deg)
    signs = ["", "+"] if letter == "h" else ["", "+", "-"]
    for sign, whole, minutes, seconds in zip(signs, (0, 7, 23), (0, 5, 59), (0.0, 4.25, 59.999), strict=False):
        written = form.format(sign, whole, minutes, seconds).replace("x", letter).replace("X", letter.upper())
        expected = Angle(f"{sign}{whole}:{minutes}:{seconds}", unit=unit).deg
        for answer in engines.both(f"ivo_{name}_to_degrees(label)", {"label": written}):
            assert answer == pytest.approx(expected, rel=1e-12, abs=1e-12), written


@pytest.mark.parametrize(
    "text",
    ["", "x", "1:2", "1:60:0", "1:2:60", "1:2:3:4", "1;2;3", "1:2:3e1", "NaN", "--1:2:3", "12345", "1234567", "126000",
     "120060", "1:2:3x", "12h", "1:2:" + "9" * 400, None],
)  # fmt: skip
def test_what_is_no_angle_is_null(engines: Engines, text: str | None) -> None:
    for name in ("hms", "dms"):
        assert engines.both(f"ivo_{name}_to_degrees(label)", {"label": text}) == (None, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [("hms", "24:00:00"), ("hms", "240000"), ("hms", "-1:00:00"), ("hms", "10d20m30s"), ("dms", "10h20m30s")],
)
def test_hours_and_degrees_are_not_mixed_up(engines: Engines, name: str, text: str) -> None:
    assert engines.both(f"ivo_{name}_to_degrees(label)", {"label": text}) == (None, None)


def test_julian_dates_are_those_of_astropy(engines: Engines) -> None:
    @settings(max_examples=40)
    @given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))
    def check(moment: datetime) -> None:
        # a scale without leap seconds: SQL's days have 86400 seconds
        exact = Time(moment, scale="tai")
        for name, expected in (("mjd", exact.mjd), ("jd", exact.jd)):
            for answer in engines.both(f"ivo_to_{name}('{moment.isoformat()}')", {}):
                assert answer == pytest.approx(expected, rel=1e-14, abs=1e-9)

    check()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ivo_healpix_index(0, 1, 1)", 4),
        ("ivo_healpix_index(17, 1, 1)", 81609757711),
        ("ivo_healpix_index(17, 359, -1)", 73009064944),
        ("ivo_hms_to_degrees('3:34:45.4')", pytest.approx(53.6891667, abs=5e-8)),
        ("ivo_hms_to_degrees('3h34m45.4s')", pytest.approx(53.6891667, abs=5e-8)),
        ("ivo_hms_to_degrees('3H34M45.4S')", pytest.approx(53.6891667, abs=5e-8)),
        ("ivo_dms_to_degrees('42:9:6.768')", pytest.approx(42.15188, abs=1e-12)),
        ("ivo_dms_to_degrees('42d9m6.768s')", pytest.approx(42.15188, abs=1e-12)),
        ("ivo_dms_to_degrees('42D9M6.768S')", pytest.approx(42.15188, abs=1e-12)),
        ("ivo_dms_to_degrees('-00:15:00')", -0.25),
        ("ivo_dms_to_degrees('+00:15:00')", 0.25),
        ("ivo_dms_to_degrees('-0d15m0s')", -0.25),
        ("ivo_dms_to_degrees('+0d15m0s')", 0.25),
        ("ivo_to_jd(CAST('2000-01-02T12:00:00' AS TIMESTAMP))", 2451546.0),
        ("ivo_to_jd('1910-12-31T06:00:00')", 2419036.75),
        ("ivo_to_jd(NULL)", None),
        ("ivo_to_mjd(CAST('2000-01-02T12:00:00' AS TIMESTAMP))", 51545.5),
        ("ivo_to_mjd('1910-12-31T06:00:00')", 19036.25),
        ("ivo_to_mjd(NULL)", None),
        ("ivo_interval_overlaps(-3, -2, 2, 3)", 0),
        ("ivo_healpix_center(0, 6)", pytest.approx([180.0, 0.0])),
        (
            "ivo_healpix_center(17, ivo_healpix_index(17, 23.4, 56.7))",
            pytest.approx([23.399843462947466, 56.70016214363192], abs=1e-11),
        ),
        (
            "ivo_geom_transform('ICRS', 'GALACTIC', POINT(120, -23))",
            pytest.approx([241.121831182, 3.62785788087], abs=1e-9),
        ),
        (
            "ivo_geom_transform('GALACTIC', 'FK5', POLYGON(5, 3, 4, 4, 4.5, 2))",
            pytest.approx([266.44721, -23.107310, 264.95088, -23.434037, 267.09936, -24.051919], abs=1e-5),
        ),
        ("ivo_healpix_index(17, POINT('ICRS', 1, 1))", 81609757711),
        ("ivo_healpix_index(17, CENTROID(CIRCLE(359, -1, 3)))", 73009064944),
        ("ivo_nocasematch('abcabc', 'ab%')", 1),
        ("ivo_nocasematch('ABcabc', 'ab__bc')", 1),
        ("ivo_nocasematch('abcabc', '%BC')", 1),
        ("ivo_nocasematch('abcabc', 'ABCABC')", 1),
        ("ivo_nocasematch('abcabc', 'abcab')", 0),
        ("ivo_hasword('Miller and Urey have', 'miller')", 1),
        ("ivo_hasword('shown that a primordial', 'show')", 0),
        ("ivo_hasword('shown that a primordial', 'soup')", 0),
        ("ivo_hasword('shown that a primordial', 'shown primordial')", 1),
        ("ivo_hasword('shown that a primordial', 'shown soup')", 0),
        ("ivo_hasword('(Gaia) DR3, ESA', 'dr3 gaia')", 1),
        ("ivo_hashlist_has('red#green#blue', 'red')", 1),
        ("ivo_hashlist_has('Red#green#blue', 'rED')", 1),
        ("ivo_hashlist_has('red#green#blue', 're')", 0),
        ("ivo_hashlist_has('red#green#blue', 'red#green')", 0),
        ("ivo_interval_overlaps(-2, -3, 2, 3)", 0),
        ("ivo_interval_overlaps(-2, 55.3, 2, 3)", 1),
        ("ivo_interval_overlaps(2, 3, -2, 55.3)", 1),
        ("ivo_interval_overlaps(-2, 55.3, 3, 2)", 0),
        ("ivo_interval_overlaps(-2, 2, 2, 3)", 1),
    ],
)
def test_examples_of_the_ivoa(engines: Engines, expression: str, expected: object) -> None:
    assert engines.both(expression, {}) == (expected, expected)


@pytest.mark.parametrize(
    "expression", ["ivo_hasword({}, 'a')", "ivo_hashlist_has({}, 'a')", "ivo_nocasematch('a', {})"]
)
def test_null_in_null_out(engines: Engines, expression: str) -> None:
    assert engines.both(expression.format("label"), {}) == (None, None)


_STAR = "7.606083572, 11.79044105, {}, 300, {}, {}, 2016.0, {}"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (("125", "-428.8", "52.51", "1992.25"), [7.604061404627978, 11.7932703828279]),
        (("125", "-428.8", "52.51", "1875.0"), [7.594068213694308, 11.807251375203935]),
        (("125", "-428.8", "NULL", "1875.0"), [7.594079587029898, 11.807235464326332]),
        (("125", "NULL", "NULL", "1875.0"), [7.594080321498365, 11.790440798509207]),
        (("NULL", "-428.8", "52.51", "1875.0"), [7.594079587020846, 11.807235464339055]),
    ],
)
def test_motions_of_the_ivoas_examples(engines: Engines, parameters: tuple[str, ...], expected: list[float]) -> None:
    for answer in engines.both(f"ivo_epoch_prop_pos({_STAR.format(*parameters)})", {}):
        # a microarcsecond: the catalogue's numbers hold terms of the second order of the parallax
        assert answer == pytest.approx(expected, abs=3e-10)


@pytest.mark.parametrize("missing", ["ra", "dec", "rFlux", "gFlux"])
def test_a_star_without_a_coordinate_or_an_epoch_is_an_error(engines: Engines, missing: str) -> None:
    row = {"ra": 7.6, "dec": 11.8, "rFlux": 2016.0, "gFlux": 1875.0}
    for name in ("ivo_epoch_prop_pos", "epoch_prop_pos"):
        call = f"{name}(ra, dec, 125, 300, NULL, NULL, rFlux, gFlux)"
        assert "error" not in engines.both(call, row)
        assert engines.both(call, row | {missing: None}) == ("error", "error")


_BAD = [float("nan"), float("inf"), float("-inf"), -95.0, 1e308, -1e308, 5e-324, -1e-320, 1e-170]


@pytest.mark.parametrize(
    "call",
    [
        "DISTANCE(ra, dec, 10, 20)",
        "DISTANCE(POINT(10, 20), POINT(ra, dec))",
        "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))",
        "CONTAINS(POINT(10, 20), CIRCLE(ra, dec, 1))",
        "CONTAINS(POINT(10, 20), CIRCLE(10, 20, ra))",
        "CONTAINS(POINT(ra, dec), BOX(10, 20, 1, 1))",
        "CONTAINS(POINT(10, 20), BOX(10, 20, ra, dec))",
        "CONTAINS(POINT(ra, dec), POLYGON(10, 20, 20, 20, 15, 30))",
        "CONTAINS(POINT(10, 20), POLYGON(ra, dec, 20, 20, 15, 30))",
        "INTERSECTS(CIRCLE(ra, dec, 1), CIRCLE(10, 20, 1))",
        "INTERSECTS(CIRCLE(ra, dec, rFlux), BOX(10, 20, 1, 1))",
        "AREA(CIRCLE(10, 20, ra))",
        "AREA(BOX(10, 20, ra, dec))",
        "scisql_angSep(ra, dec, 10, 20)",
        "scisql_s2PtInCircle(ra, dec, 10, 20, 1)",
        "scisql_s2PtInBox(rFlux, dec, 10, 20, 30, 40)",
        "scisql_s2PtInEllipse(ra, dec, 0, 0, 100, 50, 3)",
        "scisql_s2PtInCPoly(ra, dec, 10, 20, 20, 20, 15, 30)",
        "scisql_s2PtInCPoly(10, 20, ra, dec, 20, 20, 15, 30)",
        "q3c_join(ra, dec, 10, 20, 1)",
        "ivo_healpix_index(5, rFlux, dec)",
        "ivo_epoch_prop_pos(ra, dec, 1, 2, 3, 4, 2000, 2010)",
        "ivo_epoch_prop_pos(1, 2, ra, dec, 3, 4, 2000, 2010)",
        "ivo_epoch_prop_pos(1, 2, 3, 4, 5, ra, 2000, dec)",
        "ivo_geom_transform('ICRS', 'GALACTIC', POINT(ra, dec))",
        "scisql_fluxToAbMagSigma(ra, dec)",
        "scisql_abMagToFluxSigma(ra, dec)",
    ],
)
def test_a_bad_value_of_a_row_ends_no_query(engines: Engines, call: str) -> None:
    for bad in _BAD:
        for row in ({"ra": bad, "dec": 1.0}, {"ra": 1.0, "dec": bad}, {"ra": bad, "dec": bad}):
            answers = engines.both(call, row | {"rFlux": row["ra"]})
            assert "error" not in answers, (row, answers)
            assert_alike(answers, relative=1e-9, absolute=1e-160)


@pytest.mark.parametrize(
    "row", [{"ra": float("inf"), "dec": 1.0}, {"ra": 1.0, "dec": 90.001}, {"ra": 1.0, "dec": -1e30}]
)
def test_what_is_no_place_is_nowhere(engines: Engines, row: dict[str, float]) -> None:
    for call in (
        "DISTANCE(ra, dec, 10, 20)",
        "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 180))",
        "CONTAINS(POINT(ra, dec), BOX(10, 20, 1, 1))",
        "CONTAINS(POINT(ra, dec), POLYGON(10, 20, 20, 20, 15, 30))",
        "scisql_s2PtInEllipse(ra, dec, 0, 0, 100, 50, 3)",
    ):
        assert engines.both(call, row) == (None, None), call


@pytest.mark.parametrize("ra", [float("nan"), float("inf"), float("-inf"), None])
def test_what_is_no_right_ascension_is_in_no_box_across_zero(engines: Engines, ra: float | None) -> None:
    row = {"rFlux": ra, "dec": 1.0}
    assert engines.both("scisql_s2PtInBox(rFlux, dec, 350, -2, 10, 2)", row) == (None, None)


def hull_says_convex(corners: list[tuple[float, float]]) -> bool:
    """Whether sphgeom's convex hull has the same corners in the same order, either way round."""
    places = [UnitVector3d(LonLat.fromDegrees(*corner)) for corner in corners]
    hull = [places.index(vertex) for vertex in ConvexPolygon.convexHull(places).getVertices()]
    turned = [hull[(k + hull.index(0)) % len(hull)] for k in range(len(hull))] if 0 in hull else []
    straight = list(range(len(corners)))
    return turned in (straight, [0, *straight[:0:-1]])


_corners = st.lists(
    st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=3, max_size=6, unique=True
).map(lambda pairs: [(355 + x / 2, 59.0 + y) for x, y in pairs])  # fmt: skip


def test_convex_polygons_are_those_of_sphgeom(engines: Engines) -> None:
    seen = set()

    @settings(max_examples=120, deadline=None)
    @given(_corners)
    @example([(0.0, 61.0), (4.0, 61.0), (4.0, 65.0), (0.0, 65.0)])
    @example([(0.0, 65.0), (4.0, 65.0), (4.0, 61.0), (0.0, 61.0)])
    @example([(0.0, 61.0), (4.0, 61.0), (1.0, 62.0), (0.0, 65.0)])
    # a star of five points: all its turns go one way
    @example([(10 + 2 * math.cos(4 * math.pi * k / 5), 62 + math.sin(4 * math.pi * k / 5)) for k in range(5)])
    def check(corners: list[tuple[float, float]]) -> None:
        expected = hull_says_convex(corners)
        seen.add(expected)
        numbers = [coordinate for corner in corners for coordinate in corner]
        assert is_convex(numbers) == expected
        [(found,)] = engines.connection.execute("SELECT qserv.convex(%s::float8[])", (numbers,)).fetchall()
        assert (found is not None) == expected

    check()
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ("10, 20, 11, 20, 11, 21, 10, 21, 10, 20", 1),  # closed
        ("10, 20, 10.5, 20, 11, 20, 11, 21, 10, 21", 1),
        ("11, 21, 11, 20, 10, 20, 10, 21", 1),
        ("10, 20, 11, 21, 11, 20, 10, 21", None),
        ("10, 20, 11, 20, 10.4, 20.4, 10, 21", None),
        ("10, 20, NULL, 20, 10.4, 20.4", None),
    ],
)
def test_corners_of_rows_must_be_convex(engines: Engines, corners: str, expected: int | None) -> None:
    # a column among the corners: they are looked at row by row
    written = corners.replace("10,", "ra,", 1)
    assert engines.both(f"scisql_s2PtInCPoly(10.3, 20.4, {written})", {"ra": 10.0}) == (expected, expected)


def test_normal_random(engines: Engines) -> None:
    drawn = np.array([engines.both("ivo_normal_random(10, 2)", {}) for _ in range(300)])
    for engine in drawn.T:
        assert engine.mean() == pytest.approx(10, abs=0.8)  # seven standard errors
        assert engine.std() == pytest.approx(2, abs=0.6)


angles = st.integers(0, 359_999).map(lambda n: n / 1000)
latitudes = st.integers(-90_000, 90_000).map(lambda n: n / 1000)
small = st.integers(-12_000, 12_000).map(lambda n: n / 1e6)


def test_ellipse(engines: Engines) -> None:
    @settings(max_examples=100)
    @given(angles, latitudes, small, small, st.integers(1, 36), st.integers(1, 36), st.integers(-180, 180))
    def check(ra0: float, dec0: float, east: float, north: float, a: int, b: int, angle: int) -> None:
        major, minor = float(max(a, b)), float(min(a, b))
        centre = SkyCoord(ra0, dec0, unit="deg")
        place = centre.directional_offset_by(math.atan2(east, north) * u.rad, math.hypot(east, north) * u.deg)
        along = centre.position_angle(place).rad - math.radians(angle)
        reach = math.sin(centre.separation(place).rad)
        # of the ellipse that sciSQL draws in the plane of the sines
        size = math.hypot(
            reach * math.cos(along) / math.radians(major / 3600), reach * math.sin(along) / math.radians(minor / 3600)
        )
        if abs(size - 1) < 1e-6:
            return
        row = {"ra": float(place.ra.deg), "dec": float(place.dec.deg)}
        written = f"scisql_s2PtInEllipse(ra, dec, {ra0}, {dec0}, {major}, {minor}, {angle})"
        assert engines.both(written, row) == (int(size < 1), int(size < 1)), (written, row)

    check()


def test_the_other_side_of_the_sky_is_not_in_the_ellipse(engines: Engines) -> None:
    assert engines.both("scisql_s2PtInEllipse(ra, dec, 10, 20, 100, 50, 0)", {"ra": 190.0, "dec": -20.0}) == (0, 0)
    assert engines.both("scisql_s2PtInEllipse(ra, dec, 10, 20, 100, 50, 0)", {"ra": 10.0, "dec": 20.0}) == (1, 1)


edges = st.integers(-400, 760)


def test_box(engines: Engines) -> None:
    @settings(max_examples=100)
    @given(st.integers(0, 359), st.integers(-90, 90), edges, edges, st.integers(-90, 90), st.integers(-90, 90))
    def check(ra: int, dec: int, west: int, east: int, south: int, north: int) -> None:
        if east < west and not (east >= 0 and west <= 360):
            return
        turned = (ra - west) % 360 <= (east - west) % 360 or east - west >= 360
        expected = int(turned and south <= dec <= north)
        row = {"ra": float(ra), "dec": float(dec), "rFlux": float(ra - 720)}
        bounds = f"{west}, {south}, {east}, {north}"
        assert engines.both(f"scisql_s2PtInBox(ra, dec, {bounds})", row) == (expected, expected), (bounds, row)
        # a longitude that is no director's is turned into 0 to 360 first
        assert engines.both(f"scisql_s2PtInBox(rFlux, dec, {bounds})", row) == (expected, expected), (bounds, row)

    check()


@pytest.mark.parametrize(
    ("scisql", "adql"),
    [
        ("scisql_s2PtInCircle(ra, dec, 10, 20, 30)", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 30))"),
        ("qserv_areaspec_circle(10, 20, 30)", "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 30)) = 1"),
        (
            "scisql_s2PtInCPoly(ra, dec, 1, 2, 40, 5, 20, 30)",
            "CONTAINS(POINT(ra, dec), POLYGON(1, 2, 40, 5, 20, 30))",
        ),
        ("scisql_angSep(ra, dec, 10, 20)", "DISTANCE(ra, dec, 10, 20)"),
        ("scisql_angSep(ra, dec, COORD1(CENTROID(BOX(10, 20, 1, 1))), 20)", "DISTANCE(POINT(ra, dec), POINT(10, 20))"),
        ("AREA(CIRCLE(0, 0, 180))", "129600 / PI()"),
        ("AREA(CIRCLE(ra, dec, 0))", "0.0 * PI()"),
        ("AREA(BOX(ra, dec, 90, 90))", "129600 / PI() / 6"),
        ("AREA(POLYGON(0, 0, 90, 0, 0, 90))", "129600 / PI() / 8"),
        ("COORD2(POINT(ra, nObs))", "CAST(nObs AS DOUBLE PRECISION)"),
        ("COORDSYS(POINT(ra, dec))", "'ICRS'"),
    ],
)
def test_forms_are_what_they_stand_for(engines: Engines, scisql: str, adql: str) -> None:
    for ra, dec in ((10.0, 20.0), (15.0, 8.0), (200.0, -3.0)):
        row = {"ra": ra, "dec": dec, "nObs": 7}
        ours, theirs = engines.both(scisql, row), engines.both(adql, row)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike((one, other), absolute=1e-9)
