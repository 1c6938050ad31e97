"""What a schema or a file says of a coordinate: astropy tells which frames are ICRS, IVOA which UCDs there are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import astropy.coordinates as frames
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from support.schemas import write_schema

from qserv_py.catalog.model import Position, PositionFormat
from qserv_py.catalog.positions import Coordinate, Said, problem_of
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.fits.reader import FitsReader
from qserv_py.ingest.files.votable.reader import VotableReader
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.positions import FilePositions
from qserv_py.registry.schema_files.felis_schema import find_problems

ICRS_WITHIN_ARCSEC = 0.1
SKY = frames.SkyCoord([10.0, 130.0, 250.0] * units.deg, [-60.0, 5.0, 70.0] * units.deg)
NAMED = [
    ("ICRS", "", frames.ICRS()),
    ("ICRS", "J2015.5", frames.ICRS()),
    ("FK5", "", frames.FK5()),
    ("eq_FK5", "J2000", frames.FK5()),
    ("FK5", "2000.0", frames.FK5(equinox="J2000")),
    ("FK5", "J2015.5", frames.FK5(equinox="J2015.5")),
    ("FK5", "1950", frames.FK5(equinox="J1950")),
    ("equatorial", "1975.0", frames.FK5(equinox="J1975")),
    ("FK4", "B1950", frames.FK4(equinox="B1950")),
    ("eq_FK4", "", frames.FK4()),
    ("FK4-NO-E", "", frames.FK4NoETerms()),
    ("CIRS", "", frames.CIRS(obstime="2015-06-01")),
    ("GCRS", "", frames.GCRS(obstime="2015-06-01")),
    ("GAPPT", "", frames.TETE(obstime="2015-06-01")),
    ("GALACTIC", "", frames.Galactic()),
    ("ECLIPTIC", "", frames.BarycentricMeanEcliptic()),
    ("SUPER_GALACTIC", "", frames.Supergalactic()),
]


def problem(
    coordinate: str, *, form: PositionFormat = PositionFormat.DEGREES, served: bool = False, **said: str
) -> str:
    return problem_of(Coordinate(coordinate), Said(**said), form=form, is_served=served)


@pytest.mark.parametrize(("name", "equinox", "frame"), NAMED, ids=lambda value: str(value) if value else "none")
def test_a_frame_is_taken_as_icrs_where_astropy_finds_the_same_angles(
    name: str, equinox: str, frame: frames.BaseCoordinateFrame
) -> None:
    angles = SKY.transform_to(frame).spherical
    off = frames.SkyCoord(angles.lon, angles.lat).separation(SKY).arcsec.max()
    assert (not problem("ra", frame=name, equinox=equinox)) == (off < ICRS_WITHIN_ARCSEC), off


def ucds() -> list[str]:
    """Return the words of IVOA's list that may stand first."""
    lines = (files("astropy.io.votable") / "data" / "ucd1p-words.txt").read_text().splitlines()
    return [line.split("|")[1].strip() for line in lines if line[0] in "PQVEC"]


@pytest.mark.parametrize("coordinate", ["ra", "dec"])
def test_of_all_first_words_of_ivoa_only_those_of_the_coordinate_fit(coordinate: str) -> None:
    words = ucds()
    assert len(words) > 300
    silent = {"meta", "pos", "pos.eq"}
    assert {word for word in words if not problem(coordinate, ucd=word)} == silent | {f"pos.eq.{coordinate}"}


@pytest.mark.parametrize(
    ("ucd", "fits"),
    [
        ("pos.eq.ra;meta.main", True),
        ("meta.main;pos.eq.ra", True),
        ("POS.EQ.RA; stat.mean", True),
        ("ivoa:pos.eq.ra", True),
        ("meta.main", True),
        ("POS_EQ_RA_MAIN", True),
        ("POS_EQ_RA", True),
        ("POS_EQ_DEC_MAIN", False),
        ("POS_GAL_LON", False),
        ("POS_EQ_PMRA", False),
        ("POS_EQ_RA_OFF", False),
        ("PHOT_JHN_V", False),
        ("pos.eq.ra;stat.error", False),
        ("pos.eq.ra;arith.diff", False),
        ("pos.eq.ra;pos.frame", True),
        ("pos.eq.ra;pos.galactic", False),
        ("phot.mag", False),
    ],
)
def test_ucds_of_a_right_ascension(ucd: str, fits: bool) -> None:
    assert (not problem("ra", ucd=ucd)) == fits


def test_swapped_coordinates_are_told_as_such() -> None:
    assert problem("dec", ucd="POS_EQ_RA_MAIN") == 'has the UCD "POS_EQ_RA_MAIN": are ra and dec swapped?'
    assert problem("ra", ucd="pos.eq.dec") == 'has the UCD "pos.eq.dec": are ra and dec swapped?'


@pytest.mark.parametrize(
    ("form", "unit", "file_fits", "schema_fits"),
    [
        ("hms", '"h:m:s"', True, True),
        ("hms", "hourangle", True, True),
        ("hms", "deg", False, True),
        ("hms", '"d:m:s"', False, False),
        ("hms", "rad", False, False),
        ("dms", '"d:m:s"', True, True),
        ("dms", "deg", True, True),
        ("dms", '"h:m:s"', False, False),
        ("dms", "h", False, False),
    ],
)
def test_units_of_sexagesimal_texts(form: str, unit: str, file_fits: bool, schema_fits: bool) -> None:
    for served, fit in ((False, file_fits), (True, schema_fits)):
        assert (not problem("ra", form=PositionFormat(form), unit=unit, served=served)) == fit


@pytest.mark.parametrize(
    ("coordinate", "unit", "ucd"),
    [
        ("dec", "hourangle", ""),
        ("ra", "", "phot.mag"),
        ("ra", "", "POS_GAL_LON"),
        ("dec", "", "pos.pm;pos.eq.dec"),
        ("ra", "deg", "pos.eq.ra;meta.main"),
        ("dec", "arcsec", "POS_EQ_DEC"),
    ],
)
def test_a_schema_and_a_file_are_judged_alike(tmp_path: Path, coordinate: str, unit: str, ucd: str) -> None:
    felis, partition = write_schema(tmp_path)
    said = ", ".join(f"{key}: {text}" for key, text in (("fits:tunit", unit), ("ivoa:ucd", ucd)) if text)
    felis.write_text(felis.read_text().replace(f"ivoa:unit: deg, ivoa:ucd: pos.eq.{coordinate}", said))
    schema = "".join(find_problems(felis, partition))
    ra, dec = Position(column="ra"), Position(column="dec")
    try:
        FilePositions("in.x", ra, dec, {coordinate: {"unit": unit, "ucd": ucd}}, needed=True, wrap_ra=False)
        file = ""
    except ContributionError as error:
        file = error.message
    if "POS_" not in ucd:  # Felis takes no UCD1 into a schema
        assert schema.partition(f'"{coordinate}" ')[2] == file.partition("in.x ")[2]
    assert bool(file) == bool(problem(coordinate, unit=unit, ucd=ucd))


def votable(path: Path, before: str, ra: str = "", other: str = "") -> VotableReader:
    """Return a document of one row: ra, dec and another column."""
    fields = (
        f'<FIELD name="ra" datatype="double" {ra}/><FIELD name="dec" datatype="double"/>'
        f'<FIELD name="l" datatype="double" {other}/><FIELD name="mag" datatype="double" ucd="phot.mag"/>'
    )
    row = "<DATA><TABLEDATA><TR><TD>1</TD><TD>2</TD><TD>3</TD><TD>4</TD></TR></TABLEDATA></DATA>"
    path.write_text(f"<VOTABLE><RESOURCE>{before}<TABLE>{fields}{row}</TABLE></RESOURCE></VOTABLE>")
    return VotableReader(path, InputOptions())


@pytest.mark.parametrize(
    ("before", "ra", "other", "found"),
    [
        ('<COOSYS ID="c" system="eq_FK4" equinox="B1950"/>', "", "", {"frame": "FK4", "equinox": "B1950"}),
        ('<COOSYS ID="c" equinox="J1975"/>', 'ucd="POS_EQ_RA_MAIN"', "", {"frame": "FK5", "equinox": "J1975"}),
        ('<COOSYS ID="c" system="ICRS"/>', 'ref="c"', "", {"frame": "ICRS"}),
        ('<COOSYS ID="c" system="galactic"/>', "", 'ref="c"', {}),
        ('<COOSYS ID="c" system="galactic"/><COOSYS ID="d" system="ICRS"/>', "", "", {}),
        ("", "", "", {}),
    ],
)
def test_the_only_frame_of_a_votable_is_that_of_its_positions(
    tmp_path: Path, before: str, ra: str, other: str, found: dict[str, str]
) -> None:
    described = votable(tmp_path / "x.vot", before, ra, other).described
    assert {key: text for key, text in described["ra"].items() if key in {"frame", "equinox"}} == found
    assert "frame" not in described["mag"]


@pytest.mark.parametrize(
    ("keywords", "refused"),
    [
        ({"RADESYS": "FK5", "EQUINOX": 2000.0}, ""),
        ({"RADESYS": "ICRS", "EQUINOX": 2015.5}, ""),
        ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "has the equinox 1975.0 of the frame FK5; positions are ICRS"),
        ({"EQUINOX": 1950.0}, "is in the frame FK4; positions are ICRS"),
        ({"RADECSYS": "FK4"}, "is in the frame FK4"),
        ({"RADE1": "GAPPT"}, "is in the frame GAPPT"),
        ({"EQUINOX": "J2000"}, ""),
        ({"EQUINOX": "B1950"}, "has the equinox B1950; positions are ICRS, or FK5 of J2000"),
        ({"TCTYP1": "ELON-TAN"}, "is in the frame ECLIPTIC"),
        ({"TCTYP1": "GLAT-CAR", "RADESYS": "ICRS"}, "is in the frame GALACTIC"),
        ({"TCTYP1": "HPLN-TAN"}, "is in the frame HPLN-TAN"),
        ({"TCTYP1": "LINEAR", "RADESYS": "FK4"}, "is in the frame FK4"),
        ({"TUCD1": "pos;meta.main", "RADESYS": "FK4"}, "is in the frame FK4"),
        ({"TUCD1": "meta.main", "EQUINOX": 1950}, "is in the frame FK4"),
        ({"RADESYS": "ICRS", "RADE1": "FK4"}, "is in the frame FK4"),
        ({"RADESYS": "ICRS", "RADE3": "FK4"}, ""),
    ],
)
def test_the_frame_of_a_fits_table_is_that_of_its_positions(
    tmp_path: Path, keywords: dict[str, object], refused: str
) -> None:
    table = fits.table_to_hdu(Table({"ra": [1.0], "dec": [2.0]}))
    table.header.update(keywords)
    table.writeto(tmp_path / "x.fits")
    told = FitsReader(tmp_path / "x.fits", InputOptions()).described

    def take() -> None:
        FilePositions("x", Position(column="ra"), Position(column="dec"), told, needed=True, wrap_ra=False)

    if not refused:
        take()
        return
    with pytest.raises(ContributionError, match=f'column "ra" of x {refused}') as caught:
        take()
    assert caught.value.hint.startswith("The table takes it as a right ascension, ICRS; deg, rad, ")


def test_a_frame_that_a_fits_table_names_twice(tmp_path: Path) -> None:
    """Both values are told, so that neither is taken; what is no position has no frame."""
    table = fits.table_to_hdu(Table({"ra": [1.0], "mag": [2.0]}))
    table.header["TUCD2"] = "phot.mag"
    table.header["RADESYS"] = "ICRS"
    table.header.append(("RADESYS", "FK4"))
    table.writeto(tmp_path / "x.fits")
    told = FitsReader(tmp_path / "x.fits", InputOptions()).described
    assert told == {"ra": {"frame": "ICRS or FK4"}, "mag": {"ucd": "phot.mag"}}


def test_a_unit_that_a_fits_header_says_twice_is_none(tmp_path: Path) -> None:
    table = fits.table_to_hdu(Table({"ra": [1.0] * units.deg, "dec": [2.0]}))
    table.header.append(("TUNIT1", "rad"), end=True)
    table.writeto(tmp_path / "x.fits")
    assert fits.getheader(tmp_path / "x.fits", 1).count("TUNIT1") == 2
    told = FitsReader(tmp_path / "x.fits", InputOptions()).described
    with pytest.raises(ContributionError, match='column "ra" of x has the unit "deg and rad", which no angle is in'):
        FilePositions("x", Position(column="ra"), Position(column="dec"), told, needed=True, wrap_ra=False)
