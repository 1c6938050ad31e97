"""The true sky and the plan of a survey: places, light and times against astropy, trixels against the Butler's."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.htm import trixels_of
from qserv_py.pipelines.survey.plan import make_plan
from qserv_py.pipelines.survey.request import SurveyRequest
from qserv_py.pipelines.survey.sky import (
    CATALOGUE_EPOCH_MJD,
    OBJECT,
    Kind,
    Span,
    Variation,
    draw_sky,
    magnitudes_at,
    places_at,
)

REQUEST = SurveyRequest(visits=20, detectors=1, size=1024)


def sky_of(request: SurveyRequest) -> tuple[np.ndarray, Span]:
    span = make_plan(request, request.camera()).span
    return draw_sky(request, span), span


@pytest.mark.parametrize(("ra", "dec"), [(53.13, -28.1), (0.0, 0.0), (120.0, 90.0), (359.99, -90.0)])
def test_objects_are_spread_evenly_over_the_cap(ra: float, dec: float) -> None:
    objects, span = sky_of(replace(REQUEST, ra=ra, dec=dec))
    stars = objects[objects["kind"] == Kind.STAR]
    away = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(stars["ra"], stars["dec"], unit="deg")).deg
    assert away.max() < span.radius_deg
    share = (1 - np.cos(np.radians(away))) / (1 - np.cos(np.radians(span.radius_deg)))
    assert share.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * len(stars)))
    assert len(stars) == int(50_000 * span.area_deg2)
    assert np.all((objects["ra"] >= 0) & (objects["ra"] < 360))


def test_stars_move_as_astropy_moves_them() -> None:
    objects, _ = sky_of(REQUEST)
    stars = objects[objects["kind"] == Kind.STAR]
    time = CATALOGUE_EPOCH_MJD + 12 * 365.25
    theirs = SkyCoord(
        stars["ra"] * u.deg,
        stars["dec"] * u.deg,
        distance=1 * u.kpc,
        pm_ra_cosdec=stars["pm_ra_masyr"] * u.mas / u.yr,
        pm_dec=stars["pm_dec_masyr"] * u.mas / u.yr,
        obstime=Time(CATALOGUE_EPOCH_MJD, format="mjd", scale="tai"),
    ).apply_space_motion(Time(time, format="mjd", scale="tai"))
    ours = SkyCoord(*places_at(stars, time), unit="deg")
    assert ours.separation(SkyCoord(theirs.ra, theirs.dec)).mas.max() < 1e-2
    assert np.median(ours.separation(SkyCoord(stars["ra"], stars["dec"], unit="deg")).mas) > 10


def test_what_moves_is_in_the_field_at_some_visit() -> None:
    objects, span = sky_of(REQUEST)
    moving = objects[objects["kind"] == Kind.MOVING]
    assert len(moving) > 3
    for one in moving:
        assert one["epoch_mjd"] in span.times_mjd
        ra, dec = places_at(moving[moving["object_id"] == one["object_id"]], one["epoch_mjd"] + 1 / 24)
        moved = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(one["ra"], one["dec"], unit="deg")).arcsec[0]
        assert 4.9 < moved < 60.1


@pytest.mark.parametrize("variation", [Variation.SINE, Variation.SAWTOOTH, Variation.ECLIPSES])
def test_light_of_variables_comes_back_after_a_period(variation: Variation) -> None:
    star = np.zeros(1, OBJECT)
    star["r_mag"], star["variation"], star["amplitude_mag"], star["period_d"] = 20.0, variation, 0.4, 0.7
    star["begin_mjd"] = CATALOGUE_EPOCH_MJD
    times = CATALOGUE_EPOCH_MJD + np.arange(0, 700) * 1e-3
    light = np.array([magnitudes_at(star, "r", time)[0] for time in times])
    again = np.array([magnitudes_at(star, "r", time + 0.7 * 50)[0] for time in times])
    np.testing.assert_allclose(light, again, atol=1e-3)
    low = 20.0 if variation is Variation.ECLIPSES else 19.6
    assert (light.min(), light.max()) == (pytest.approx(low, abs=2e-3), pytest.approx(20.4, abs=0.02))
    star["variation"] = Variation.NONE
    assert magnitudes_at(star, "r", times[5])[0] == 20.0


def test_outbursts_are_dark_before_their_begin_and_brightest_after_their_rise() -> None:
    burst = np.zeros(1, OBJECT)
    burst["r_mag"], burst["variation"], burst["period_d"], burst["begin_mjd"] = 21.0, Variation.OUTBURST, 8.0, 61000.0
    light = [float(magnitudes_at(burst, "r", 61000.0 + days)[0]) for days in (-1, 0, 4, 8, 16, 40)]
    assert light[:2] == [np.inf, np.inf]
    assert light[3] == pytest.approx(21.0)
    assert light[2] > light[3] < light[4] < light[5]
    objects, span = sky_of(REQUEST)
    bursts = objects[objects["kind"] == Kind.TRANSIENT]
    seen = [np.isfinite(magnitudes_at(bursts, "r", time)) for time in span.times_mjd]
    assert np.any(seen, axis=0).all()
    hosts = bursts["host_id"] > 0
    assert 0 < hosts.sum() < len(bursts)


def test_a_sky_without_anything_can_be_drawn() -> None:
    empty = replace(REQUEST, stars_per_deg2=0, galaxies_per_deg2=0, transients_per_deg2=0, moving_per_deg2=0)
    assert len(sky_of(empty)[0]) == 0
    assert len(sky_of(replace(REQUEST, visits=0))[0]) > 0


def test_trixels_are_the_butlers() -> None:
    sphgeom = pytest.importorskip("lsst.sphgeom")
    random = np.random.default_rng(4)
    ra, dec = random.uniform(0, 360, 500), np.degrees(np.arcsin(random.uniform(-1, 1, 500)))
    ra, dec = np.append(ra, [1e-7, 359.9999999, 12.0, 12.0]), np.append(dec, [1e-9, -1e-9, 89.9999, -89.9999])
    for level in (0, 7, 11):
        theirs = sphgeom.HtmPixelization(level)
        points = [sphgeom.UnitVector3d(sphgeom.LonLat.fromDegrees(*place)) for place in zip(ra, dec, strict=True)]
        np.testing.assert_array_equal(trixels_of(ra, dec, level=level), [theirs.index(point) for point in points])


def test_the_telescope_knows_its_pointing_as_well_as_real_ones_do() -> None:
    plan = make_plan(replace(REQUEST, visits=300, dec=80.0), REQUEST.camera())
    errors = []
    for visit in plan.visits:
        true, believed = (SkyCoord(one.ra, one.dec, unit="deg") for one in (visit.pointing, visit.info.pointing))
        errors.append(true.separation(believed).arcsec)
        turned = (visit.info.pointing.rotation_deg - visit.pointing.rotation_deg + 180) % 360 - 180
        assert abs(turned) <= 0.03
    assert 1.5 < max(errors) <= 2.0
    middle = SkyCoord(REQUEST.ra, 80.0, unit="deg")
    away = [middle.separation(SkyCoord(one.pointing.ra, one.pointing.dec, unit="deg")).arcsec for one in plan.visits]
    assert 70 < max(away) < 60 * np.sqrt(2) + 0.1


def test_visits_have_numbers_and_times_of_their_own_day() -> None:
    plan = make_plan(replace(REQUEST, visits=25, visits_a_night=8, nights_apart=3), REQUEST.camera())
    infos = [*plan.calibrations, *(visit.info for visit in plan.visits)]
    assert len({info.exposure for info in infos}) == len(infos)
    assert [info.begin for info in infos] == sorted(info.begin for info in infos)
    for info in infos:
        assert type(info).of_cards(info.cards()) == info  # which checks number against time
    for before, after in pairwise(infos):
        assert before.end < after.begin
    assert [visit.info.band for visit in plan.visits[:4]] == ["g", "r", "i", "g"]
    days = sorted({visit.info.day_obs for visit in plan.visits})
    assert days == [20261120, 20261123, 20261126, 20261129]
    assert {info.kind for info in plan.calibrations} == {"bias", "dark", "flat"}


@pytest.mark.parametrize(("ra", "dec"), [(53.13, -28.1), (250.0, 10.0)])
def test_the_telescope_looks_where_the_field_is(ra: float, dec: float) -> None:
    site = EarthLocation.from_geodetic(-70.7494, -30.2446, 2650)
    for visit in make_plan(replace(REQUEST, ra=ra, dec=dec, visits=4), REQUEST.camera()).visits:
        time = Time(visit.info.middle.isoformat(), scale="tai")
        time.delta_ut1_utc = 0.0
        sky = SkyCoord(visit.pointing.ra, visit.pointing.dec, unit="deg").transform_to(
            AltAz(obstime=time, location=site)
        )
        assert sky.alt.deg == pytest.approx(visit.info.altitude_deg, abs=0.5)  # precession is left out
        assert visit.info.airmass == pytest.approx(sky.secz.value, rel=0.02)


@pytest.mark.parametrize("dec", [-90.0, -30.0, 15.0, 90.0])
def test_long_nights_do_not_overlap_and_keep_above_the_horizon(dec: float) -> None:
    wish = replace(REQUEST, visits=24, visits_a_night=8, nights_apart=1, exposure_s=3600.0, dec=dec)
    wish.check()
    visits = make_plan(wish, wish.camera()).visits
    for before, after in pairwise(visit.info for visit in visits):
        assert before.end < after.begin
    assert all(visit.info.altitude_deg > 10 for visit in visits)


def test_fields_at_the_poles_can_be_seen() -> None:
    for dec in (-90.0, 90.0):
        for visit in make_plan(replace(REQUEST, dec=dec), REQUEST.camera()).visits:
            assert 1 <= visit.info.airmass < 5
            assert Simulator(replace(REQUEST, dec=dec, visits=1)).objects.size
