"""For which time a calibration is valid."""

from __future__ import annotations

from collections.abc import Iterable

from astropy.time import Time
from lsst.daf.butler import Butler, CollectionType, DatasetRef, Timespan

from qserv_py.errors import ConfigError, RepositoryError
from qserv_py.pipelines.instrument.qcam import QCam
from qserv_py.pipelines.repository.opening import register_collection
from qserv_py.pipelines.repository.report import StepReport


def validity(begin: str | None, end: str | None) -> Timespan:
    """Return a time of validity.

    Parameters
    ----------
    begin, end
        ISO dates or times, TAI; None for no bound.

    Raises
    ------
    ConfigError
        If one is no time, or the end is not after the begin.
    """
    first, last = _time("--begin", begin), _time("--end", end)
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"validity from {begin} to {end} is empty")
    return Timespan(first, last)


def _time(option: str, text: str | None) -> Time | None:
    try:
        return None if text is None else Time(text, scale="tai")
    except ValueError:
        hint = "For example 2026-11-20 or 2026-11-20T12:00."
        raise ConfigError(f'{option} "{text}" is no time', hint=hint) from None


def certify(butler: Butler, refs: Iterable[DatasetRef], timespan: Timespan) -> StepReport:
    """Make calibrations valid for a time, in the instrument's calibration collection.

    Raises
    ------
    RepositoryError
        If another dataset of the same kind is valid in a part of that time; nothing is certified then.
    """
    collection = QCam().makeCalibrationCollectionName()
    register_collection(butler, collection, CollectionType.CALIBRATION)
    report = StepReport(what="certified calibrations")
    wanted = list(refs)
    missing = []
    for kind in sorted({ref.datasetType for ref in wanted}):
        present: dict[object, list[tuple[DatasetRef, Timespan]]] = {}
        found = butler.registry.queryDatasetAssociations(
            kind, [collection], collectionTypes={CollectionType.CALIBRATION}
        )
        for association in found:
            present.setdefault(association.ref.dataId, []).append((association.ref, association.timespan))
        for ref in (ref for ref in wanted if ref.datasetType == kind):
            if _is_certified(ref, timespan, present.get(ref.dataId, [])):
                report.kept += 1
            else:
                missing.append(ref)
    with butler.transaction():
        butler.registry.certify(collection, missing, timespan)
    report.new = len(missing)
    return report


def _is_certified(ref: DatasetRef, timespan: Timespan, present: list[tuple[DatasetRef, Timespan]]) -> bool:
    for other, time in present:
        if other.id == ref.id and time.contains(timespan):
            return True
        if time.overlaps(timespan):
            raise RepositoryError(
                f"{ref.datasetType.name} {ref.dataId} of {other.run} is valid {time}: that overlaps {timespan}",
                hint="End the validity of the one where that of the other begins: --begin, --end."
                " Or leave this type out: --type names those that are wanted.",
            )
    return False
