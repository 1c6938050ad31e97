"""The reference page of Butler repositories says what the code makes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from qserv_py.cli.pipelines.repository_commands import COMMANDS, NAMESPACE, TRANSFERS
from qserv_py.pipelines.images.fits_file import EXPOSURE_COMPONENTS, RAW_COMPONENTS
from qserv_py.pipelines.repository import calibrations, registry_database
from qserv_py.pipelines.repository.arrangement import default_collections
from qserv_py.pipelines.repository.dataset_types import INPUT_TYPES, InputType
from qserv_py.pipelines.repository.raws import ingest as ingest_raws

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "butler.md").read_text()


def rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_dataset_types() -> None:
    said = {
        name.strip("`"): InputType(
            dimensions=tuple(dimensions.split(", ")), storage_class=kind.strip("`"), calibration=certified == "yes"
        )
        for name, dimensions, kind, certified, _ in rows("Dataset types")
    }
    assert said == INPUT_TYPES


def test_collections() -> None:
    said = {name.strip("`"): kind for name, kind, _ in rows("Collections")}
    assert {name: kind.name for name, kind in default_collections().items()}.items() <= said.items()


def test_storage_classes() -> None:
    known = yaml.safe_load((ROOT / "pipelines" / "images" / "butler.yaml").read_text())["storageClasses"]
    said = {row[0].strip("`"): re.findall(r"`(\w+)`", row[3]) for row in rows("Storage classes") if row[0][1] == "Q"}
    assert {name: list(known[name].get("components", {})) for name in said} == said
    assert list(EXPOSURE_COMPONENTS) == said["QExposure"]
    assert list(RAW_COMPONENTS) == said["QRaw"]


def test_commands_know_what_the_steps_know_without_importing_them() -> None:
    assert TRANSFERS == ingest_raws.TRANSFERS
    assert NAMESPACE == registry_database.NAMESPACE
    assert {command.name for command in COMMANDS} > {"init", "create", "show"}
    assert set(calibrations.CALIBRATIONS) == {name for name, kind in INPUT_TYPES.items() if kind.calibration} - {
        "camera"
    }
