"""The tables of the simulated survey, drawn from a seed in blocks and written as Parquet.

Each block of objects has its own random numbers, made from the seed and the block's number, so a block does not depend
on who draws it or when: two threads draw side by side, memory holds two blocks, and the same seed gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.demo import photometry, sky, visits
from qserv_py.demo.photometry import BANDS

BLOCK_OBJECTS = 50_000
FILE_BLOCKS = 5
FIRST_OBJECT = 100_000_000_000
SOURCES_PER_OBJECT = 64
"""Room for source ids of one object; an object has at most as many sources as a field has visits."""

VARIABLE_SHARE = 0.03
POSITION_ERROR_DEG = 0.02 / 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A simulated survey: how many objects, and from which seed."""

    objects: int
    seed: int = 1

    @property
    def blocks(self) -> int:
        """Number of blocks of objects."""
        return -(-self.objects // BLOCK_OBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFiles:
    """The files of a survey, by table."""

    objects: tuple[Path, ...]
    sources: tuple[Path, ...]
    visits: tuple[Path, ...]
    object_rows: int
    source_rows: int
    visit_rows: int

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in (*self.objects, *self.sources, *self.visits))


def draw_block(survey: Survey, block: int) -> tuple[pa.Table, pa.Table]:
    """Return one block's rows of ``Object`` and of ``Source``.

    Parameters
    ----------
    survey
        What is drawn.
    block
        Number of the block, 0 to ``survey.blocks - 1``.
    """
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((survey.seed, block))))
    first = block * BLOCK_OBJECTS
    count = min(BLOCK_OBJECTS, survey.objects - first)
    positions = sky.draw_positions(rng, count)
    ebv = photometry.reddening(rng, positions.latitude)
    truth = photometry.magnitudes(rng, positions, ebv=ebv)
    ids = FIRST_OBJECT + first + np.arange(count)
    return (
        _objects(rng, ids, positions=positions, ebv=ebv, truth=truth),
        _sources(rng, ids, positions=positions, truth=truth),
    )


def _objects(
    rng: np.random.Generator, ids: IntArray, *, positions: sky.Positions, ebv: FloatArray, truth: FloatArray
) -> pa.Table:
    count = len(ids)
    extended = positions.component == sky.Component.GALAXY
    tract, along, up = visits.TRACTS.locate(positions.ra, positions.dec)
    isolated = rng.random(count) < 0.8
    size = np.where(extended, 12.0 + rng.exponential(8.0, count), 4.0 + rng.normal(0.0, 0.2, count))
    columns: dict[str, pa.Array] = {
        "objectId": pa.array(ids),
        "parentObjectId": pa.array(ids - 1, mask=isolated | (ids == ids[0])),
        "tract": pa.array(tract),
        "patch": pa.array((up * 10).astype(np.int64) * 10 + (along * 10).astype(np.int64)),
        "coord_ra": pa.array(positions.ra),
        "coord_dec": pa.array(positions.dec),
        "coord_raErr": _float(np.full(count, POSITION_ERROR_DEG)),
        "coord_decErr": _float(np.full(count, POSITION_ERROR_DEG)),
        "refBand": _letters(np.where(rng.random(count) < 0.9, BANDS.index("i"), BANDS.index("r"))),
        "refExtendedness": _float(extended),
        "ebv": _float(ebv),
        "footprintArea": pa.array((size * 12.0).astype(np.int32)),
        "detect_isIsolated": pa.array(isolated),
        "shape_xx": _float(size * rng.uniform(0.8, 1.2, count)),
        "shape_yy": _float(size * rng.uniform(0.8, 1.2, count)),
        "shape_xy": _float(size * rng.normal(0.0, 0.1, count)),
    }
    for number, band in enumerate(BANDS):
        columns |= _band_columns(rng, band, truth[:, number], number=number, extended=extended)
    return pa.table(columns)


def _band_columns(
    rng: np.random.Generator, band: str, truth: FloatArray, *, number: int, extended: BoolArray
) -> dict[str, pa.Array]:
    flux = photometry.flux_of(truth)
    error = photometry.flux_error(flux, photometry.VISIT_DEPTHS[number] + photometry.COADD_GAIN)
    # A point-source model misses light of a galaxy.
    measured = np.where(extended, 0.7, 1.0) * flux + error * rng.standard_normal(len(flux))
    magnitude, missing = photometry.magnitude_of(measured)
    return {
        f"{band}_psfFlux": _float(measured),
        f"{band}_psfFluxErr": _float(error),
        f"{band}_psfMag": _float(magnitude, missing),
        f"{band}_cModelFlux": _float(flux + error * rng.standard_normal(len(flux))),
    }


def _sources(rng: np.random.Generator, ids: IntArray, *, positions: sky.Positions, truth: FloatArray) -> pa.Table:
    count = len(ids)
    detections = np.minimum(rng.poisson(5.0, count), visits.VISITS_PER_FIELD)
    row = np.repeat(np.arange(count), detections)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(detections) - detections, detections)
    visit = _visits_of(rng, positions, row=row, turn=turn)
    band = visits.visit_bands(visit)
    time = visits.visit_times(visit)
    flux = photometry.flux_of(truth[row, band] + _variation(rng, positions, row=row, time=time))
    error = photometry.flux_error(flux, photometry.VISIT_DEPTHS[band])
    total = len(row)
    scatter = rng.standard_normal((4, total))
    stretch = 1.0 / np.maximum(np.cos(np.radians(positions.dec[row])), 1e-3)
    ra = (positions.ra[row] + POSITION_ERROR_DEG * stretch * scatter[0]) % 360.0
    columns = {
        "sourceId": pa.array(ids[row] * SOURCES_PER_OBJECT + turn),
        "objectId": pa.array(ids[row]),
        "visit": pa.array(visit),
        "detector": pa.array(rng.integers(0, 189, total, dtype=np.int32)),
        "band": _letters(band),
        "midpointMjdTai": pa.array(time),
        "coord_ra": pa.array(np.where(ra >= 360.0, 0.0, ra)),
        "coord_dec": pa.array(np.clip(positions.dec[row] + POSITION_ERROR_DEG * scatter[1], -90.0, 90.0)),
        "raErr": _float(np.full(total, POSITION_ERROR_DEG)),
        "decErr": _float(np.full(total, POSITION_ERROR_DEG)),
        "psfFlux": pa.array(flux + error * scatter[2]),
        "psfFluxErr": pa.array(error),
        "ap12Flux": pa.array(flux + 1.4 * error * scatter[3]),
        "ap12FluxErr": pa.array(1.4 * error),
        "extendedness": pa.array((positions.component == sky.Component.GALAXY)[row].astype(np.float64)),
        "sky": pa.array(rng.normal(0.0, 5.0, total)),
        "pixelFlags_bad": pa.array(rng.random(total) < 0.002),
    }
    return pa.table(columns)


def _visits_of(rng: np.random.Generator, positions: sky.Positions, *, row: IntArray, turn: IntArray) -> IntArray:
    """Return a visit for each source; the sources of one object get different visits of its field."""
    field, _, _ = visits.FIELDS.locate(positions.ra, positions.dec)
    start = rng.integers(0, visits.VISITS_PER_FIELD, len(field))
    step = 2 * rng.integers(0, visits.VISITS_PER_FIELD // 2, len(field)) + 1  # odd, so that no visit comes twice
    chosen = (start[row] + turn * step[row]) % visits.VISITS_PER_FIELD
    found: IntArray = visits.FIRST_VISIT + field[row] * visits.VISITS_PER_FIELD + chosen
    return found


def _variation(rng: np.random.Generator, positions: sky.Positions, *, row: IntArray, time: FloatArray) -> FloatArray:
    """Return how much fainter than the mean each source is, magnitudes: sine waves for a share of the stars."""
    count = len(positions.ra)
    variable = (rng.random(count) < VARIABLE_SHARE) & (positions.component != sky.Component.GALAXY)
    amplitude = np.where(variable, rng.uniform(0.2, 0.8, count), 0.0)
    period = rng.uniform(0.3, 0.9, count)
    phase = rng.random(count)
    delta: FloatArray = amplitude[row] * np.sin(2.0 * np.pi * (time / period[row] + phase[row]))
    return delta


def _float(values: FloatArray | BoolArray, missing: BoolArray | None = None) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=missing)


def _letters(bands: IntArray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(bands.astype(np.int8)), pa.array(list(BANDS)))


def write_survey(
    survey: Survey, directory: Path, *, on_block: Callable[[int, int], None] = lambda done, total: None
) -> SurveyFiles:
    """Write the survey's tables as Parquet files.

    Parameters
    ----------
    survey
        What is written.
    directory
        Where; it exists. Files of the same names are replaced.
    on_block
        Called with blocks done and blocks in all after each block.
    """
    visit_table = visits.visit_table()
    visit_path = directory / "Visit.parquet"
    pq.write_table(visit_table, visit_path, compression="lz4")
    object_paths: list[Path] = []
    source_paths: list[Path] = []
    source_rows = 0
    for first in range(0, survey.blocks, FILE_BLOCKS):
        number = first // FILE_BLOCKS
        object_paths.append(directory / f"Object-{number:03d}.parquet")
        source_paths.append(directory / f"Source-{number:03d}.parquet")
        blocks = range(first, min(first + FILE_BLOCKS, survey.blocks))
        with _Writer(object_paths[-1]) as objects, _Writer(source_paths[-1]) as sources:
            for block, (object_rows, rows) in zip(blocks, _drawn(survey, blocks), strict=True):
                objects.write(object_rows)
                sources.write(rows)
                source_rows += rows.num_rows
                on_block(block + 1, survey.blocks)
    return SurveyFiles(
        objects=tuple(object_paths),
        sources=tuple(source_paths),
        visits=(visit_path,),
        object_rows=survey.objects,
        source_rows=source_rows,
        visit_rows=visit_table.num_rows,
    )


def _drawn(survey: Survey, blocks: range) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Draw blocks with two threads, in order, at most two ahead of the reader."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = [pool.submit(draw_block, survey, block) for block in blocks[:2]]
        for block in range(len(blocks)):
            yield waiting.pop(0).result()
            if block + 2 < len(blocks):
                waiting.append(pool.submit(draw_block, survey, blocks[block + 2]))


class _Writer:
    """A Parquet file whose schema is that of its first table."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            letters = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="lz4", use_dictionary=letters)
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
