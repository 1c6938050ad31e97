"""What the distribution installs, and that the folders, the links and the mapping agree."""

from __future__ import annotations

import os
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[3]
TOP_FOLDERS = ("sql", "partitioner", "workers", "ingest", "pipelines", "replication")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def setup_arguments() -> dict[str, Any]:
    """What ``setup.py`` gives to setuptools."""
    given: dict[str, Any] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr(setuptools, "setup", given.update)
    try:
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        patch.undo()
    return given


@pytest.mark.parametrize("folder", TOP_FOLDERS)
def test_each_top_folder_has_its_link(folder: str) -> None:
    link = ROOT / "qserv_py" / folder
    assert link.is_symlink()
    assert os.readlink(link) == f"../{folder}"


def test_only_qserv_py_is_installed_at_top_level(setup_arguments: dict[str, Any]) -> None:
    assert {name.split(".")[0] for name in setup_arguments["packages"]} == {"qserv_py"}


def test_every_package_is_in_the_mapping(setup_arguments: dict[str, Any]) -> None:
    for folder in ("qserv_py", *TOP_FOLDERS):
        for module in (ROOT / folder).rglob("*.py"):
            relative = module.parent.relative_to(ROOT)
            if any((ROOT / parent).is_symlink() for parent in (relative, *relative.parents)):
                continue
            name = ".".join(relative.parts)
            name = name if name.startswith("qserv_py") else f"qserv_py.{name}"
            assert name in setup_arguments["packages"], f"{module} is in no package; an __init__.py is missing"


def test_nothing_is_found_twice(setup_arguments: dict[str, Any]) -> None:
    packages = setup_arguments["packages"]
    assert len(set(packages)) == len(packages)


def test_tools_know_the_bare_names(project: dict[str, Any]) -> None:
    banned = project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(TOP_FOLDERS)
    assert {f"qserv_py/{folder}" for folder in TOP_FOLDERS} == set(project["tool"]["ruff"]["extend-exclude"])


def test_data_files_have_a_pattern(project: dict[str, Any]) -> None:
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    suffixes = {pattern.rpartition("*")[2] for pattern in patterns}
    for folder in ("qserv_py", *TOP_FOLDERS):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc", ".so"} and "__pycache__" not in path.parts:
                assert path.suffix in suffixes or path.name in patterns, f"{path} would not be installed"


def test_version_is_one(project: dict[str, Any]) -> None:
    import qserv_py

    assert project["project"]["version"] == qserv_py.__version__


def test_make_and_ci_run_the_same() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_readme_names_every_command_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    (table,) = re.findall(r"## For developers\n(.+?)\n\n\[", (ROOT / "README.md").read_text(), re.DOTALL)
    steps = {"setup", "lint", "types", "unit", "wheel-test", "clean"}  # of others, or what their names say
    assert set(phony.split()) - steps == set(re.findall(r"`make (\S+)`", table))
