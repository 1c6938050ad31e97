"""What is suggested for a column that is not there: by its meaning, its quotes, its signs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import catalogs

from qserv_py.adql.validate import find_problem
from qserv_py.catalog.model import Column, DirectorTable, Position, RefTable, physical_name
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType


def column(name: str, ucd: str = "") -> Column:
    return Column(name=name, physical=physical_name(name), datatype=DataType.DOUBLE, ucd=ucd)


SURVEY = DirectorTable(
    database="dr1",
    name="Survey",
    physical="survey",
    id="objectId",
    ra=Position(column="coord_ra"),
    dec=Position(column="coord_dec"),
    columns=(
        catalogs.column("objectId", DataType.LONG, nullable=False),
        column("coord_ra"),
        column("coord_dec"),
        column("B-V"),
        column("Flux [mJy]"),
        column("RA (deg)"),
        column("gaia.phot_g"),
        column("i_psf", "phot.mag;em.opt.I"),
        column("g_psf", "phot.mag;em.opt.G"),
        column("g_err", "stat.error;phot.mag"),
        catalogs.column("refBand", DataType.STRING),
    ),
)
STARS = RefTable(
    database="dr1",
    name="Stars",
    physical="stars",
    columns=(
        column("alpha_icrs", "pos.eq.ra"),
        column("best_a", "pos.eq.ra;meta.main"),
        column("best_d", "pos.eq.dec;meta.main"),
        column("plx_mas", "pos.parallax.trig"),
        column("pm_a", "pos.pm;pos.eq.ra"),
        column("zbest", "src.redshift"),
    ),
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    base = catalogs.catalog()
    return replace(base, databases=(replace(base.databases[0], tables=(SURVEY, STARS)),))


LISTING = "DESCRIBE dr1.Survey lists its columns, as TAP_SCHEMA.columns does."


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELECT ra FROM Survey", 'Did you mean "coord_ra"?'),
        ("SELECT s.DEC FROM Survey s", 'Did you mean "coord_dec"?'),
        ("SELECT id FROM Survey", 'Did you mean "objectId"?'),
        ("SELECT mag FROM Survey", 'Did you mean "i_psf" or "g_psf"?'),
        ("SELECT ra FROM Stars", 'Did you mean "best_a"?'),
        ("SELECT lat FROM (SELECT best_d FROM Stars) AS t", 'Did you mean "best_d"?'),
        ("SELECT parallax FROM Stars", 'Did you mean "plx_mas"?'),
        ("SELECT pmra FROM Stars", 'Did you mean "pm_a"?'),
        ("SELECT z FROM Stars", 'Did you mean "zbest"?'),
        ("SELECT objctId FROM Survey", 'Did you mean "objectId"?'),
        ("SELECT nothing FROM Survey", LISTING),
        ("SELECT B-V FROM Survey", 'Write the name between double quotes: "B-V".'),
        ("SELECT s.b-v FROM Survey s", 'Write the name between double quotes: "B-V".'),
        ("SELECT B - V FROM Survey", LISTING),
        ("SELECT RA (deg) FROM Survey", 'Write the name between double quotes: "RA (deg)".'),
        ("SELECT RA (1) FROM Survey", 'Did you mean "RAND"?'),
        ("SELECT gaia.phot_g FROM Survey", 'Write the name between double quotes: "gaia.phot_g".'),
        ("SELECT Flux [mJy] FROM Survey", "A name with brackets stands between double quotes."),
        ('SELECT coord_ra FROM Survey WHERE refBand = "i"', "Text stands between single quotes: 'i'."),
        ('SELECT coord_ra FROM Survey WHERE refBand = "it\'s"', "Text stands between single quotes: 'it''s'."),
        ('SELECT coord_ra FROM Survey WHERE refBand = "refband"', 'Did you mean "refBand"?'),
        (
            'SELECT coord_ra FROM Survey WHERE "refBnd" = 1',
            "Text stands between single quotes: 'refBnd'. Did you mean \"refBand\"?",
        ),
        ("SELECT best_a FROM Stars a, Stars b", "Write it with its table."),
        (
            "SELECT t.best_a FROM (SELECT a.best_a, b.best_a FROM Stars a, Stars b) AS t",
            "Give the columns of the sub-query different names with AS.",
        ),
    ],
)
def test_a_hint(query: str, hint: str, catalog: Catalog) -> None:
    problem = find_problem(query, catalog=catalog)
    assert problem is not None
    assert problem.hint == hint
