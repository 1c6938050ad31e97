"""Step 1: an empty repository, whole or not there."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsst.daf.butler import Butler, Config
from lsst.resources import ResourcePath
from sqlalchemy.exc import DatabaseError

from qserv_py.errors import ConfigError, RepositoryError
from qserv_py.pipelines.images.seed import seed_config
from qserv_py.pipelines.repository.opening import first_line, opened
from qserv_py.pipelines.repository.registry_database import NAMESPACE, check_namespace, registry_url, schema_to_fill
from qserv_py.pipelines.repository.report import StepReport

_CONFIG = "butler.yaml"


def create_repository(
    root: str, *, registry: str | None = None, namespace: str = NAMESPACE, datastore: str | None = None
) -> StepReport:
    """Make an empty repository that knows our images; one that is there is checked and kept.

    Parameters
    ----------
    root
        Directory, or a URI such as s3://bucket/repository where the registry is on PostgreSQL.
    registry
        URL of a PostgreSQL database without a password; None for a file of SQLite in the directory.
    namespace
        Schema of the registry in that database.
    datastore
        URI of another place for the datasets' files.

    Raises
    ------
    ConfigError
        If the arguments cannot be.
    RepositoryError
        If something else is in the way, or the database refuses.
    """
    place = ResourcePath(root, forceDirectory=True, forceAbsolute=True)
    if place.getExtension():
        raise ConfigError(f"{root}: the Butler takes a name with a dot for a file", hint="Name it without one.")
    config = seed_config()
    if registry is not None:
        config["registry", "db"] = registry_url(registry)
        config["registry", "namespace"] = check_namespace(namespace)
    elif not place.isLocal:
        raise ConfigError(f"a repository at {root} needs its registry on PostgreSQL", hint="Give --registry URL.")
    if datastore is not None:
        config["datastore", "root"] = str(ResourcePath(datastore, forceDirectory=True, forceAbsolute=True))
    there = place.join(_CONFIG).exists()
    if there:
        _check_same(place, config)
    elif place.isLocal and os.path.isdir(place.ospath) and os.listdir(place.ospath):
        raise RepositoryError(
            f"{root} is not empty and no Butler repository", hint="Name a directory that is not there."
        )
    if registry is not None:
        with schema_to_fill(str(config["registry", "db"]), namespace, known=there) as must_make:
            if must_make:
                _make(place, config)
    elif not there:
        _make_at_once(Path(place.ospath), config)
    with opened(str(place)):  # it answers
        pass
    return StepReport(what="repositories", kept=1) if there else StepReport(what="repositories", new=1)


def _make(place: ResourcePath, config: Config) -> None:
    own_root = ("datastore", "root") in config
    try:
        Butler.makeRepo(place, config=config, overwrite=True, forceConfigRoot=not own_root)
    except (DatabaseError, RuntimeError, OSError) as error:
        raise RepositoryError(f"the repository {place} cannot be made", detail=first_line(error)) from error


def _make_at_once(root: Path, config: Config) -> None:
    """Make it beside its place and move it there."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _locked(root.parent):
            if (root / _CONFIG).exists():  # somebody else was faster
                return
            unfinished = root.with_name(f"{root.name}-unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _make(ResourcePath(str(unfinished), forceDirectory=True), config)
            os.replace(unfinished, root)
    except OSError as error:
        raise RepositoryError(f"the repository {root} cannot be made: {error.strerror}") from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _check_same(place: ResourcePath, config: Config) -> None:
    present = Config(place.join(_CONFIG))
    for name in config["storageClasses"]:
        if ("storageClasses", name) not in present:
            raise RepositoryError(
                f'{place} is a Butler repository that does not know the storage class "{name}"',
                hint="Make one for QCam at another place.",
            )
    for key, option in (
        (("registry", "db"), "--registry"),
        (("registry", "namespace"), "--namespace"),
        (("datastore", "root"), "--datastore"),
    ):
        if key in config and str(present.get(key)) != str(config[key]):
            raise RepositoryError(
                f"{place} is a repository with {option} {present.get(key) or 'of its own'}, not {config[key]}",
                hint=f"Leave {option} out to go on with it, or name another directory.",
            )
