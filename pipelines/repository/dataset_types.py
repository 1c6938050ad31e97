"""Dataset types of what goes into a repository; those that tasks make are registered with the tasks."""

from __future__ import annotations

from dataclasses import dataclass

from lsst.daf.butler import Butler, DatasetType
from lsst.daf.butler.registry import ConflictingDefinitionError

from qserv_py.errors import RepositoryError


@dataclass(frozen=True, slots=True, kw_only=True)
class InputType:
    """A dataset type that is ingested."""

    dimensions: tuple[str, ...]
    """What tells its datasets apart."""

    storage_class: str
    """What Python gets."""

    calibration: bool = False
    """Whether datasets are certified for a time."""


INPUT_TYPES = {
    "raw": InputType(dimensions=("instrument", "exposure", "detector"), storage_class="QRaw"),
    "camera": InputType(dimensions=("instrument",), storage_class="QCamera", calibration=True),
    "bias": InputType(dimensions=("instrument", "detector"), storage_class="QExposure", calibration=True),
    "dark": InputType(dimensions=("instrument", "detector"), storage_class="QExposure", calibration=True),
    "flat": InputType(
        dimensions=("instrument", "detector", "physical_filter"), storage_class="QExposure", calibration=True
    ),
    "defects": InputType(dimensions=("instrument", "detector"), storage_class="ArrowAstropy", calibration=True),
    "skyMap": InputType(dimensions=("skymap",), storage_class="StructuredDataDict"),
    "qcam_ref": InputType(dimensions=("htm7",), storage_class="ArrowAstropy"),
}
"""Those with names of their own; tables of ``ingest-ancillary`` are named by their files."""


def dataset_type(butler: Butler, name: str) -> DatasetType:
    """Return one of ``INPUT_TYPES``, registered.

    Raises
    ------
    RepositoryError
        If the repository knows it with other dimensions or another storage class.
    """
    return registered(butler, name, INPUT_TYPES[name])


def registered(butler: Butler, name: str, kind: InputType) -> DatasetType:
    """Return a dataset type, registered."""
    made = DatasetType(
        name, kind.dimensions, kind.storage_class, universe=butler.dimensions, isCalibration=kind.calibration
    )
    try:
        butler.registry.registerDatasetType(made)
    except ConflictingDefinitionError as error:
        present = butler.get_dataset_type(name)
        raise RepositoryError(
            f'the repository has a dataset type "{name}" of {present.dimensions.required}, {present.storageClass_name};'
            f" {made.dimensions.required}, {made.storageClass_name} is needed",
            hint="Another repository, or another name for that type, is the way out.",
        ) from error
    return made
