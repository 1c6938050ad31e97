"""Simple Cone Search over HTTP."""

from __future__ import annotations

import io
import warnings
from xml.etree import ElementTree

import pytest
from astropy.io.votable import parse_single_table
from support.tap_server import TapServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyvo

PATH = "/cone/clustered.Object"
ROLES = ["meta.id;meta.main", "pos.eq.ra;meta.main", "pos.eq.dec;meta.main"]


@pytest.fixture
def place(tap: TapServer) -> tuple[float, float]:
    reply = tap.query("SELECT TOP 1 coord_ra, coord_dec FROM clustered.Object ORDER BY objectId", FORMAT="csv")
    ra, dec = reply.text.splitlines()[1].split(",")
    return float(ra), float(dec)


def test_a_cone(tap: TapServer, place: tuple[float, float]) -> None:
    ra, dec = place
    wanted = tap.query(
        f"SELECT objectId FROM clustered.Object WHERE DISTANCE({ra!r}, {dec!r}, coord_ra, coord_dec) <= 0.5",
        FORMAT="csv",
    ).text.split()[1:]
    for verbosity, count in (("1", 3), ("2", 10), ("3", 10)):
        reply = tap.get(PATH, params={"ra": ra, "dec": dec, "sr": 0.5, "verb": verbosity})
        found = parse_single_table(io.BytesIO(reply.content))
        assert sorted(map(str, found.to_table(use_names_over_ids=True)["objectId"])) == sorted(wanted)
        assert len(found.fields) == count
        assert [field.ucd for field in found.fields[:3]] == ROLES


def test_the_same_by_pyvo(tap: TapServer, place: tuple[float, float]) -> None:
    found = pyvo.conesearch(tap.root + PATH, pos=place, radius=0.1)
    assert len(found) >= 1


def test_a_radius_of_0_asks_for_the_columns(tap: TapServer, place: tuple[float, float]) -> None:
    reply = tap.get(PATH, params={"RA": place[0], "DEC": place[1], "SR": 0})
    assert len(parse_single_table(io.BytesIO(reply.content)).array) == 0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, 'RA is ""'),
        ({"RA": "10", "DEC": "91", "SR": "1"}, 'DEC is "91"'),
        ({"RA": "nan", "DEC": "0", "SR": "1"}, 'RA is "nan"'),
        ({"RA": "10", "DEC": "0", "SR": "-1"}, 'SR is "-1"'),
        ({"RA": "10", "DEC": "0", "SR": "1", "VERB": "4"}, 'VERB is "4"'),
        ({"RA": "10); DROP", "DEC": "0", "SR": "1"}, 'RA is "10); DROP"'),
    ],
)
def test_errors_as_the_standard_wants_them(tap: TapServer, parameters: dict[str, str], message: str) -> None:
    reply = tap.get(PATH, params=parameters)
    (info,) = ElementTree.fromstring(reply.content)
    assert (reply.status_code, info.get("name")) == (200, "Error")
    assert message in (info.get("value") or "")


def test_tables_without_positions_have_no_cone_search(tap: TapServer) -> None:
    for name in ("clustered.Source", "clustered.nope", "Object"):
        assert tap.get(f"/cone/{name}", params={"RA": 1, "DEC": 1, "SR": 1}).status_code == 404
