"""All nine steps of RTN-101 in their order, over a survey's directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsst.daf.butler import Butler, Timespan

from qserv_py.errors import NotFoundError
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.repository.ancillary import ingest_ancillary
from qserv_py.pipelines.repository.arrangement import arrange_collections
from qserv_py.pipelines.repository.calibrations import ingest_calibrations
from qserv_py.pipelines.repository.creation import create_repository
from qserv_py.pipelines.repository.instrument import read_camera, register_instrument
from qserv_py.pipelines.repository.opening import opened
from qserv_py.pipelines.repository.raws.ingest import ingest_raws
from qserv_py.pipelines.repository.raws.visits import define_visits
from qserv_py.pipelines.repository.refcats import ingest_refcats
from qserv_py.pipelines.repository.registry_database import NAMESPACE
from qserv_py.pipelines.repository.report import Progress, StepReport, unseen
from qserv_py.pipelines.repository.skymap import register_skymap


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a repository keeps what."""

    root: str
    """Directory or URI."""

    registry: str | None = None
    """URL of a PostgreSQL database; None for SQLite in the directory."""

    namespace: str = NAMESPACE
    """Schema in that database."""

    datastore: str | None = None
    """URI of the files, where they are not in the root."""


def init_repository(
    place: Place, *, survey: Path | None = None, transfer: str = "direct", progress: Progress = unseen
) -> Iterator[StepReport]:
    """Make a repository, fill it from a survey's directory, and yield the report of every step.

    Parameters
    ----------
    place
        Of the repository.
    survey
        A directory as ``qserv sim survey`` makes it; None for an empty repository that knows the instrument.
    transfer
        How files come into the repository.
    progress
        Is told how far a step is.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    """
    camera = None if survey is None else _survey_camera(survey)
    yield create_repository(place.root, registry=place.registry, namespace=place.namespace, datastore=place.datastore)
    with opened(place.root, writeable=True) as butler:
        yield register_instrument(butler, camera)
        if survey is not None:
            yield from _ingest(butler, survey, transfer, progress)
        yield arrange_collections(butler)


def _ingest(butler: Butler, survey: Path, transfer: str, progress: Progress) -> Iterator[StepReport]:
    raws = [survey / name for name in ("raw", "calib") if (survey / name).is_dir()]
    yield ingest_raws(butler, raws, transfer=transfer, progress=progress)
    if (survey / "calibrations").is_dir():
        places, always = [survey / "calibrations"], Timespan(None, None)
        yield ingest_calibrations(butler, places, label="survey", timespan=always, transfer=transfer, progress=progress)
    yield register_skymap(butler, progress=progress)
    if (survey / "refcats").is_dir():
        yield ingest_refcats(butler, [survey / "refcats"], transfer=transfer, progress=progress)
    if (survey / "truth").is_dir():
        yield ingest_ancillary(butler, survey / "truth", transfer=transfer, progress=progress)
    yield define_visits(butler, progress=progress)


def _survey_camera(survey: Path) -> Camera | None:
    if not survey.is_dir():
        raise NotFoundError(f"there is no directory {survey}", hint="qserv sim survey makes one.")
    description = survey / "survey.yaml"
    return read_camera(description) if description.exists() else None
