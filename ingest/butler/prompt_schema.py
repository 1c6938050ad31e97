"""The database ``prompt``, which pipelines fill: the shipped schema under any name."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

import yaml

from qserv_py.catalog.model import Database
from qserv_py.registry.schema_files.felis_schema import read_schema

FELIS = "prompt.yaml"
PARTITION = "prompt-partition.yaml"


def prompt_database(name: str) -> Database:
    """Return the empty database under a name; SchemaError if nothing can have that name."""
    with tempfile.TemporaryDirectory(prefix="qserv-prompt-") as directory:
        felis, partition = write_prompt_schema(Path(directory), name=name)
        return read_schema(felis, partition)


def write_prompt_schema(directory: Path, *, name: str) -> tuple[Path, Path]:
    """Write the Felis file and the partition file of the database; return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    felis, partition = directory / FELIS, directory / PARTITION
    felis.write_text(_shipped(FELIS), encoding="utf-8")
    text = _shipped(PARTITION)
    shipped = yaml.safe_load(text)
    if name != shipped["database"]:
        remarks = [line for line in text.splitlines(keepends=True) if line.startswith("#")]
        shipped["database"] = shipped["family"]["name"] = name
        text = "".join(remarks) + yaml.safe_dump(shipped, sort_keys=False)
    partition.write_text(text, encoding="utf-8")
    return felis, partition


def _shipped(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
