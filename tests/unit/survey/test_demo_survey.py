"""The simulated survey: the same seed gives the same rows, and the tables fit the schema and each other."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from astropy.coordinates import SkyCoord

from qserv_py.catalog.types import DataType
from qserv_py.demo import photometry, sky, visits
from qserv_py.demo.survey import BLOCK_OBJECTS, Survey, draw_block, write_survey


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    directory = tmp_path_factory.mktemp("survey")
    files = write_survey(Survey(objects=BLOCK_OBJECTS + 1000, seed=7), directory)
    return {
        "Object": pa.concat_tables(map(pq.read_table, files.objects)),
        "Source": pa.concat_tables(map(pq.read_table, files.sources)),
        "Visit": pa.concat_tables(map(pq.read_table, files.visits)),
    }


def test_columns_are_those_of_the_schema(tables: dict[str, pa.Table]) -> None:
    schema = yaml.safe_load(resources.files("qserv_py.demo").joinpath("survey.yaml").read_text())
    for described in schema["tables"]:
        table = tables[described["name"]]
        assert table.column_names == [column["name"] for column in described["columns"]]
        for column in described["columns"]:
            field = table.schema.field(column["name"])
            wanted = pa.type_for_alias(DataType(column["datatype"]).names.arrow)
            found = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            assert found == wanted or (pa.types.is_large_string(found) and wanted == pa.string()), field
            if not column.get("nullable", True):
                assert table[column["name"]].null_count == 0


def test_keys_are_unique_and_lead_somewhere(tables: dict[str, pa.Table]) -> None:
    for table, key in (("Object", "objectId"), ("Source", "sourceId"), ("Visit", "visit")):
        assert pc.count_distinct(tables[table][key]).as_py() == tables[table].num_rows
    assert tables["Object"].num_rows == BLOCK_OBJECTS + 1000
    assert pc.all(pc.is_in(tables["Source"]["objectId"], tables["Object"]["objectId"])).as_py()
    assert pc.all(pc.is_in(tables["Source"]["visit"], tables["Visit"]["visit"])).as_py()
    assert 4.8 < tables["Source"].num_rows / tables["Object"].num_rows < 5.2


def test_a_source_has_the_band_and_time_of_its_visit(tables: dict[str, pa.Table]) -> None:
    joined = tables["Source"].select(["visit", "band", "midpointMjdTai", "objectId"])
    visit = tables["Visit"].select(["visit", "band", "expMidptMJD"]).rename_columns(["visit", "b", "t"])
    both = joined.set_column(1, "band", joined["band"].cast(pa.string())).join(visit, keys="visit")
    assert pc.all(pc.equal(both["band"], both["b"])).as_py()
    assert np.allclose(both["midpointMjdTai"], both["t"], rtol=0, atol=1e-9)
    pairs = np.char.add(both["objectId"].to_numpy().astype(str), both["visit"].to_numpy().astype(str))
    assert len(np.unique(pairs)) == len(pairs), "an object was detected twice on one visit"


def test_the_sky_is_uneven_and_whole(tables: dict[str, pa.Table]) -> None:
    ra, dec = tables["Object"]["coord_ra"].to_numpy(), tables["Object"]["coord_dec"].to_numpy()
    assert 0.0 <= ra.min() < 1.0
    assert 359.0 < ra.max() < 360.0
    assert -90.0 <= dec.min() < -85.0
    assert 85.0 < dec.max() <= 90.0
    galactic = SkyCoord(ra, dec, unit="deg").galactic
    plane = np.mean(np.abs(galactic.b.deg) < 10.0)
    assert plane > 2.0 * np.sin(np.radians(10.0)), "the plane should be denser than the mean"
    towards = np.mean(np.cos(galactic.l.rad) > 0)
    assert towards > 0.6, "there should be more stars towards the galactic centre"


def test_the_clusters_are_where_they_really_are(tables: dict[str, pa.Table]) -> None:
    places = SkyCoord(tables["Object"]["coord_ra"].to_numpy(), tables["Object"]["coord_dec"].to_numpy(), unit="deg")
    for cluster in sky.CLUSTERS:
        near = places.separation(SkyCoord(cluster.ra, cluster.dec, unit="deg")).arcmin < 2.0 * cluster.radius_arcmin
        assert near.sum() > 20, cluster.name


def test_blocks_do_not_depend_on_each_other() -> None:
    survey = Survey(objects=BLOCK_OBJECTS + 500, seed=3)
    first, second = draw_block(survey, 1)
    again, sources = draw_block(survey, 1)
    assert first.equals(again)
    assert second.equals(sources)
    assert not draw_block(Survey(objects=BLOCK_OBJECTS + 500, seed=4), 1)[0]["coord_ra"].equals(first["coord_ra"])


def test_progress_counts_every_block(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_survey(Survey(objects=10, seed=1), tmp_path, on_block=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]


def test_magnitudes_are_those_of_the_fluxes(tables: dict[str, pa.Table]) -> None:
    objects = tables["Object"]
    flux, magnitude = objects["g_psfFlux"].to_numpy(), objects["g_psfMag"].to_numpy(zero_copy_only=False)
    bright = flux > 100.0
    assert np.allclose(magnitude[bright], 31.4 - 2.5 * np.log10(flux[bright]), atol=1e-4)
    assert objects["u_psfMag"].null_count == np.sum(objects["u_psfFlux"].to_numpy() <= 0) > 0
    assert photometry.flux_of(np.array([31.4]))[0] == 1.0


def test_every_position_is_in_a_cell_near_its_centre() -> None:
    rng = np.random.default_rng(5)
    ra = np.concatenate((rng.uniform(0, 360, 1000), [0.0, 0.0, 359.9999999, 180.0]))
    dec = np.concatenate((rng.uniform(-90, 90, 1000), [-90.0, 90.0, 0.0, 7.5]))
    for grid in (visits.FIELDS, visits.TRACTS):
        cell, along, up = grid.locate(ra, dec)
        centre_ra, centre_dec = grid.centres()
        assert cell.min() >= 0
        assert cell.max() < len(centre_ra)
        assert np.all((along >= 0) & (along < 1) & (up >= 0) & (up < 1))
        away = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(centre_ra[cell], centre_dec[cell], unit="deg"))
        assert away.deg.max() < grid.height_deg * 1.1
