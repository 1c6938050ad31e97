"""Felis and partition files: what becomes of good ones, and what is said of bad ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.schemas import FELIS, PARTITION, small_database, write_schema

from qserv_py.catalog.model import ChildTable, DirectorTable, Family, MatchTable, PositionFormat, RefTable
from qserv_py.errors import NotFoundError, SchemaError
from qserv_py.registry.schema_files.felis_schema import find_problems, read_schema


def test_a_good_schema_becomes_a_database(tmp_path: Path) -> None:
    database = small_database(tmp_path)
    assert [(table.name, table.physical) for table in database.tables] == [
        ("Object", "object"),
        ("Source", "source"),
        ("ObjectMatch", "objectmatch"),
        ("Truth", "truth"),
        ("Visit", "visit"),
    ]
    kinds = [type(table) for table in database.tables]
    assert kinds == [DirectorTable, ChildTable, MatchTable, DirectorTable, RefTable]
    assert (database.family.target_rows, database.family.overlap_arcsec) == (100, 60.0)
    assert database.felis.startswith("name: small")


def test_partitioned_tables_end_with_a_hidden_healpix29(tmp_path: Path) -> None:
    for table in small_database(tmp_path).tables:
        last = table.columns[-1]
        assert (last.name == "healpix29" and last.hidden and not last.nullable) == table.is_partitioned
        assert not any(column.hidden for column in table.columns[:-1])


def test_keys_and_positions_are_never_null(tmp_path: Path) -> None:
    required = {
        "Object": {"objectId", "ra", "dec", "healpix29"},
        "Source": {"sourceId", "objectId", "healpix29"},
        "ObjectMatch": {"healpix29"},  # either key may be the only one
        "Truth": {"truthId", "ra", "dec", "healpix29"},
        "Visit": {"visit"},
    }
    for table in small_database(tmp_path).tables:
        assert {column.name for column in table.columns if not column.nullable} == required[table.name]


def test_children_may_have_orphans(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    text = partition.read_text()
    for said, orphans in (("", "keyless"), (", orphans: null", "keyless"), (", orphans: any", "any")):
        partition.write_text(text.replace("key: objectId}", f"key: objectId, ra: mjd, dec: mjd{said}}}"))
        table = read_schema(felis, partition).table("Source")
        assert isinstance(table, ChildTable)
        assert (table.orphans, table.column("objectId").nullable) == (orphans, True)
        assert table.column("mjd").nullable, "a row with a director needs no position"
    strict = felis.read_text().replace("objectId, datatype: long}", "objectId, datatype: long, nullable: false}")
    felis.write_text(strict)
    assert not read_schema(felis, partition).table("Source").column("objectId").nullable
    partition.write_text(text.replace("key: objectId}", "key: objectId, ra: mjd, dec: mjd}"))
    with pytest.raises(SchemaError, match=r'orphans are rows whose key is NULL, but the Felis file lets "objectId"'):
        read_schema(felis, partition)


def test_indexes_and_primary_keys_name_columns(tmp_path: Path) -> None:
    source = small_database(tmp_path).table("Source")
    assert source.indexes == (("visit",),)
    assert source.primary_key == ("sourceId",)


def test_names_that_differ_in_case_alone_stay_apart_on_the_shards(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    text = felis.read_text().replace("name: gFlux", "name: RA").replace("name: label", "name: xmin")
    felis.write_text(text.replace("name: Truth\n", "name: object_3_1\n"))
    partition.write_text(partition.read_text().replace("Truth", "object_3_1"))
    database = read_schema(felis, partition)
    assert [column.physical for column in database.table("Object").columns] == [
        "objectid", "ra", "dec", "ra_2", "xmin_2", "healpix29",
    ]  # fmt: skip
    assert database.table("object_3_1").physical == "object_3_1_2"  # not a chunk table of Object


@pytest.mark.parametrize(("name", "physical"), [("DR1", "dr1"), ("qserv", "qserv_db"), ("pg_x", "pg_x_db")])
def test_schemas_of_the_shards_have_names_of_their_own(tmp_path: Path, name: str, physical: str) -> None:
    assert small_database(tmp_path, name=name).physical == physical


def test_positions_may_be_sexagesimal_in_the_files(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    roles = "ra: {column: ra, format: hms}, dec: {column: dec, format: dms}}\n  Source"
    partition.write_text(partition.read_text().replace("ra: ra, dec: dec}\n  Source", roles))
    table = read_schema(felis, partition).table("Object")
    assert isinstance(table, DirectorTable)
    assert (table.ra.format, table.dec.format) == (PositionFormat.HMS, PositionFormat.DMS)


def test_positions_are_served_in_degrees_whatever_the_files_hold(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    text = felis.read_text().replace("unit: deg, ivoa:ucd: pos.eq.ra", "unit: hourangle, ivoa:ucd: pos.eq.ra")
    felis.write_text(text.replace("ivoa:unit: deg, ivoa:ucd: pos.eq.dec", "fits:tunit: arcsec"))
    database = read_schema(felis, partition)
    table = database.table("Object")
    assert isinstance(table, DirectorTable)
    assert (table.ra.unit, table.dec.unit) == ("hourangle", "arcsec")
    assert [table.column(name).unit for name in ("ra", "dec", "gFlux")] == ["deg", "deg", "nJy"]
    truth = database.table("Truth")
    assert isinstance(truth, DirectorTable)
    assert (truth.ra.unit, truth.column("ra").unit) == ("deg", "deg"), "what says nothing holds degrees"


USES = [
    (
        "ra",
        "ivoa:unit: m",
        "deg",
        r'"ra" has the unit "m", which no angle is in; it is one of deg, rad, hou',
    ),
    ("dec", "ivoa:unit: pix", "deg", r'"dec" has the unit "pix", which no angle is in'),
    ("dec", "ivoa:unit: hourangle", "deg", r'"dec" has hours as its unit, which a declination is not counted in'),
    ("ra", "ivoa:unit: rad", "hms", r"unit rad, and format hms says otherwise; its unit is deg or hourangle$"),
    ("ra", "ivoa:unit: h", "dms", r"unit hourangle, and format dms says otherwise; its unit is deg$"),
    ("ra", "ivoa:ucd: pos.galactic.lon", "deg", r'"pos.galactic.lon"; positions are ICRS, pos.eq.ra: name the columns'),
    ("dec", "ivoa:ucd: pos.ecliptic.lat", "deg", r'"pos.ecliptic.lat"; positions are ICRS, pos.eq.dec: name'),
    ("ra", "ivoa:ucd: pos.eq.dec", "deg", r'"ra" has the UCD "pos.eq.dec": are ra and dec swapped\?'),
    ("ra", "ivoa:ucd: stat.error;pos.eq.ra", "deg", r'"stat.error;pos.eq.ra"; positions are ICRS, pos.eq.ra'),
]


@pytest.mark.parametrize(("name", "said", "format", "message"), USES)
def test_what_the_schema_says_of_a_position_is_held_against_its_use(
    tmp_path: Path, name: str, said: str, format: str, message: str
) -> None:
    felis, partition = write_schema(tmp_path)
    felis.write_text(felis.read_text().replace(f"ivoa:unit: deg, ivoa:ucd: pos.eq.{name}", said))
    partition.write_text(partition.read_text().replace("ra: ra", f"ra: {{column: ra, format: {format}}}", 1))
    [problem] = find_problems(felis, partition)
    assert re.search(rf'small-partition.yaml, line 4: table "Object": the position "{name}" ', problem), problem
    assert re.search(message, problem), problem
    with pytest.raises(SchemaError, match="the position"):
        read_schema(felis, partition)


@pytest.mark.parametrize("ucd", ["pos.eq.ra;meta.main", "pos.eq", "pos", "pos.eq.ra;pos.barycenter"])
def test_ucds_of_positions_may_say_more_or_less(tmp_path: Path, ucd: str) -> None:
    felis, partition = write_schema(tmp_path)
    felis.write_text(felis.read_text().replace("pos.eq.ra}", ucd + "}", 1))
    assert find_problems(felis, partition) == ()


@pytest.mark.parametrize("unit", ["deg", "hourangle", "h"])
def test_the_unit_of_a_sexagesimal_position_is_that_of_the_file_or_of_the_column(tmp_path: Path, unit: str) -> None:
    felis, partition = write_schema(tmp_path)
    felis.write_text(felis.read_text().replace("unit: deg, ivoa:ucd: pos.eq.ra", f"unit: {unit}", 1))
    partition.write_text(partition.read_text().replace("ra: ra", "ra: {column: ra, format: hms}", 1))
    table = read_schema(felis, partition).table("Object")
    assert isinstance(table, DirectorTable)
    assert (table.ra.unit, table.column("ra").unit) == ("deg", "deg")


@pytest.mark.parametrize(
    ("said", "xtype"),
    [
        ("ivoa:ucd: pos.outline;obs.field", "adql:REGION"),
        ("votable:utype: Char.SpatialAxis.Coverage.Support.Area", "adql:REGION"),
        ("votable:utype: 'obscore:char.SpatialAxis.Coverage.Support.Area'", "adql:REGION"),
        ("ivoa:ucd: pos.outline, votable:xtype: polygon", "polygon"),
        ("ivoa:ucd: meta.id;obs.field", ""),
        ("votable:utype: Char.SpatialAxis.Coverage.Bounds.Extent.diameter", ""),
    ],
)
def test_a_text_is_a_region_by_its_utype_or_its_ucd(tmp_path: Path, said: str, xtype: str) -> None:
    felis, partition = write_schema(tmp_path)
    felis.write_text(
        felis.read_text().replace("length: 12", f"length: 12, {said}").replace("nJy", "nJy, ivoa:ucd: pos.outline")
    )
    table = read_schema(felis, partition).table("Object")
    assert table.column("label").xtype == xtype
    assert table.column("gFlux").xtype == "", "a number is none"


def test_family_and_database_have_defaults(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    partition.write_text("\n".join(partition.read_text().splitlines()[2:]))
    database = read_schema(felis, partition)
    assert (database.name, database.family) == ("small", Family(name="small"))


PARTITION_MISTAKES = [
    ("kind: ref", "kind: reference", r'line 8: table "Visit": kind "reference" is not known.* is one of director,'),
    ("kind: ref", "kid: ref", r'line 8: key "kid" of "Visit" is not known; did you mean "kind"\?'),
    ("target_rows: 100", "target_row: 100", r'line 2: key "target_row" of "family" .* did you mean "target_rows"'),
    ("target_rows: 100", "target_rows: 0", r"line 2: target_rows is a whole number from 1 to 1e\+09, not 0"),
    (
        "target_rows: 100",
        "target_bytes: 256",
        r"line 2: target_bytes is a whole number .*, such as 268_435_456 for 256 M",
    ),
    (
        "target_rows: 100",
        "target_bytes: 1 GB",
        r"line 2: target_bytes is a whole number from 1000 to 1e\+15.*not .1 GB",
    ),
    (
        "target_rows: 100",
        "target_rows: 100, target_bytes: 1000000",
        r"line 2: target_rows and target_bytes both say how large a chunk is; leave one of them out",
    ),
    (
        "key: objectId}",
        "key: objectId, rows_per_object: 0}",
        r'line 5: table "Source": rows_per_object is a number above',
    ),
    (
        "key: objectId}",
        "key: objectId, rows_per_object: many}",
        r"rows_per_object is a number .*at most 1e\+09, not .many",
    ),
    (
        "key: objectId}",
        "key: objectId, rows_per_object: .nan}",
        r"rows_per_object is a number .*at most 1e\+09, not nan",
    ),
    ("{kind: ref}", "{kind: ref, rows_per_object: 2}", r'line 8: table "Visit": a ref table has no "rows_per_object"'),
    ("overlap_arcsec: 60", "overlap_arcsec: -1", r"overlap_arcsec is a number from 0 to 18000, not -1"),
    ("min_order: 1", "min_order: 9", r"line 2: min_order 9 is greater than max_order 8"),
    ("family: {", "familly: {", r'line 2: key "familly" of the file is not known; did you mean "family"\?'),
    ("id: objectId", "id: objectID", r'line 4: table "Object" has no column "objectID"; did you mean "objectId"\?'),
    ("id: objectId", "id: gFlux", r'line 4: table "Object": the id "gFlux" is float; an id is an integer or a text'),
    ("ra: ra, dec: dec}\n  S", "ra: objectId, dec: dec}\n  S", r'the position "objectId" is long; it holds degrees'),
    ("ra: ra, dec: dec}\n  S", "ra: {column: ra, format: hmx}, dec: dec}\n  S", r'format "hmx" of ra is not one of'),
    ("id: objectId, ", "", r'line 4: table "Object": a director table needs "id"'),
    ("director: Object", "director: Objekt", r'line 5: .* director "Objekt" is not in the schema; did you mean "Obj'),
    ("id: objectId,", "id: objectId, unique: no way,", r'line 4: table "Object": "unique" is true or false, not'),
    (
        "id: objectId,",
        "id: objectId, unique: false,",
        r'line 5: table "Source": its director "Object" has repeated ids',
    ),
    ("id: objectId,", "id: objectId, unique: false,", r'line 6: table "ObjectMatch": its director "Object" has repeat'),
    ("key: objectId}", "key: objectId, unique: false}", r'line 5: table "Source": a child table has no "unique"'),
    ("key: objectId}", "key: objectId, ra: mjd}", r'line 5: .* stand at their own position, which needs "dec"'),
    ("key: objectId}", "key: objectId, orphans: any}", r'line 5: .* own position, which needs "ra" and "dec"'),
    (
        "key: objectId}",
        "key: objectId, ra: mjd, dec: mjd, orphans: anyy}",
        r'orphans is one of keyless, any, not "anyy"; did you mean "any"\?',
    ),
    (
        "key: objectId}",
        "key: objectId, ra: {column: mjd, format: hms}, dec: mjd}",
        r'line 5: table "Source": ra of a child table is in degrees, not in the format "hms"',
    ),
    ("key: objectId}", "key: objectId, ra: visit, dec: mjd}", r'the position "visit" is int; it holds degrees'),
    ("director: Object", "director: Visit", r'table "Source": its director "Visit" is a ref table'),
    ("key: objectId", "key: visit", r'the key "visit" is int, the id "Object.objectId" is long; they must be of one'),
    ("keys: [objectId, truthId]", "keys: [truthId, truthId]", r'line 6: .* the key "truthId" is string, the id "Obj'),
    ("keys: [objectId, truthId]", "keys: objectId", r'"keys" is a list of two names, not .objectId.'),
    ("  Visit:", "  Visits:", r'line 8: table "Visits" is not in .*small.yaml; did you mean "Visit"\?'),
    ("  Visit: {kind: ref}\n", "", r'line 3: table "Visit" of .* has no entry, such as {kind: ref}'),
    ("database: small", "database: MyDB", r'line 1: "MyDB" cannot name a database: qserv has its own of that name'),
    ("database: small", "database: mydb_alice", r'"mydb_alice" cannot .* that name; "database: NAME" in .*gives'),
    ("database: small", "database: TAP_SCHEMA", r'"TAP_SCHEMA" cannot name a database: qserv has its own of that'),
    ("database: small", "database: ../small", r'line 1: "../small" cannot name a database: letters, digits'),
    ("database: small", "database: [small", r"this is not YAML"),
    ("  Visit: {kind: ref}\n", "  Visit: {kind: ref}\n  Visit: {kind: ref}\n", r'line 9: "Visit" stands in line 8'),
    ("  Visit: ", "  7: ", r"line 3: the name of a table is a text, not 7; put it in quotes"),
    ("{kind: ref}", "ref", r'"Visit" must be a mapping .* not a text'),
]


@pytest.mark.parametrize(("right", "wrong", "message"), PARTITION_MISTAKES)
def test_a_mistake_in_the_partition_file_is_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    felis, partition = write_schema(tmp_path)
    text = PARTITION.format(name="small")
    assert right in text
    partition.write_text(text.replace(right, wrong, 1))
    with pytest.raises(SchemaError) as caught:
        read_schema(felis, partition)
    assert re.search(message, caught.value.render()), caught.value.render()


FELIS_MISTAKES = [
    ("datatype: float", "datatype: flaot", r'line 11: .*"gFlux": type "flaot" is not known; did you mean "float"\?'),
    (", length: 12", "", r'line 12: table "Object", column "label": Length must be provided'),
    ("ivoa:ucd: meta.id", "ivoa:ucd: meta.idd", r'line 8: .*column "objectId": Invalid IVOA UCD'),
    (
        "ivoa:unit: nJy",
        "ivoa:unit: nJoy",
        r'line 11: .* "gFlux": Invalid unit "nJoy": At col 0, nJoy is not a valid unit',
    ),
    ("ivoa:unit: nJy", "ivoa:unit: magnitude", r'line 11: .*"gFlux": Invalid unit "magnitude"; did you mean "mag"\?$'),
    ("ivoa:unit: deg", "ivoa:unit: degrees", r'line 9: .* column "ra": Invalid unit "degrees"; did you mean "deg"\?$'),
    ("ivoa:unit: nJy", "ivoa:unit: unitless", r'"unitless"; a column without a unit has no ivoa:unit$'),
    ("ivoa:unit: nJy", "unit: nJy", r'line 11: .*"gFlux": key "unit" is not known to Felis'),
    ("'#Object.objectId'", "'#Object.objectID'", r'has no column "#Object.objectID", which a key or an index names'),
    ("name: gFlux", "name: healpix29", r"the name is taken, qserv_py adds a column healpix29"),
    ("ivoa:unit: nJy", "votable:arraysize: '3'", r"columns of arrays are not supported \(arraysize 3\)"),
    ("name: Visit\n", "name: a/b\n", r'"a/b" cannot name a table: letters, digits'),
    ("tables:", "tables: 3\nx:", r"the schema needs a list of tables"),
    ("name: small", "nme: small", r"the schema needs a name"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), FELIS_MISTAKES)
def test_a_mistake_in_the_felis_file_is_named(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    felis, _ = write_schema(tmp_path)
    text = FELIS.format(name="small")
    assert right in text
    felis.write_text(text.replace(right, wrong, 1))
    problems = find_problems(felis)
    assert problems, "nothing was found"
    assert any(re.search(message, problem) for problem in problems), problems


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    text = partition.read_text().replace("id: objectId", "id: nothing").replace("key: objectId", "key: nothing")
    partition.write_text(text)
    with pytest.raises(SchemaError, match=r'table "Object" has no column "nothing"') as caught:
        read_schema(felis, partition)
    assert "1 further problem:" in caught.value.detail
    assert len(find_problems(felis, partition)) == 2


def test_wide_tables_are_refused_before_postgresql_does(tmp_path: Path) -> None:
    felis = tmp_path / "wide.yaml"
    columns = "\n".join(f"  - {{name: c{n}, datatype: double}}" for n in range(1700))
    felis.write_text(f"name: wide\ntables:\n- name: T\n  columns:\n{columns}\n")
    problems = "\n".join(find_problems(felis))
    assert 'table "T" has 1700 columns; at most 1600 fit' in problems
    assert "takes 13837 bytes; at most 8160 fit into PostgreSQL" in problems


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    felis, partition = write_schema(tmp_path)
    with pytest.raises(NotFoundError, match=r"there is no file .*absent.yaml"):
        read_schema(felis, tmp_path / "absent.yaml")
    felis.write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match="is not UTF-8 text: byte 0 is wrong"):
        read_schema(felis, partition)
