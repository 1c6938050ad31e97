"""Where the demo's cluster goes, and what may be replaced there: an earlier demo's cluster, nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from qserv_py.config import CLUSTER_FILE
from qserv_py.errors import ConfigError
from qserv_py.workers.server_programs import blocking_directory, server_account

DEFAULT_NAME = "demo-cluster"
MARKER = "demo.json"
"""File that says that a directory was made by the demo."""

DATABASE = "dr1"
PIXELS_DATABASE = "prompt"


def choose_directory(option: Path | None) -> Path:
    """Return the directory of the demo's cluster.

    Parameters
    ----------
    option
        What the user asked for; taken as it is. Without it ``demo-cluster`` here, or below ``/var/tmp`` when the
        account that runs PostgreSQL for root may not enter this directory.
    """
    if option is not None:
        return option.expanduser().absolute()
    here = Path.cwd() / DEFAULT_NAME
    account = server_account(here / "workers" / "w1" / "pg")
    if blocking_directory(here / "workers", account) is None:
        return here
    return Path("/var/tmp") / f"qserv-{os.geteuid()}-{DEFAULT_NAME}"  # noqa: S108 - a name of ours, checked for its owner


def earlier_demo(directory: Path) -> bool:
    """Tell whether a directory holds the cluster of an earlier demo, which may be replaced.

    Raises
    ------
    ConfigError
        If it holds anything else: another cluster, other files, or a demo with data of the user in it.
    """
    if not directory.exists() and not directory.is_symlink():
        return False
    if directory.is_symlink() or not directory.is_dir():
        raise ConfigError(f"{directory} is not a directory", hint="Choose another place with --dir DIR.")
    entries = {entry.name for entry in directory.iterdir()}
    if not entries:
        return False
    if MARKER not in entries or directory.stat().st_uid != os.geteuid():
        what = "a cluster that qserv demo did not make" if CLUSTER_FILE in entries else "files that are not a demo's"
        raise ConfigError(f"{directory} holds {what}", hint="Choose another place with --dir DIR.")
    own = sorted({path.name for path in directory.glob("workers/*/parts/*")} - {_own_database(directory)})
    if own:
        raise ConfigError(
            f"the demo cluster in {directory} also holds {', '.join(own)}, which a new demo would remove",
            hint=f"Choose another place with --dir DIR, or remove the cluster: qserv cluster stop --cluster {directory}"
            f" && rm -r {directory}",
        )
    return True


def check_room(directory: Path, needed: int, less: str) -> None:
    """Refuse a demo that the disk has no room for.

    Parameters
    ----------
    directory
        Where it goes; it need not exist.
    needed
        Bytes that it takes.
    less
        What to ask for instead, for the hint.

    Raises
    ------
    ConfigError
        If fewer bytes are free.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ConfigError(
            f"{existing} has {free / 1e9:.1f} GB free, the demo needs about {needed / 1e9:.1f} GB",
            hint=f"Ask for {less}, or another place with --dir DIR.",
        )


def mark(directory: Path, *, database: str = DATABASE, **made_of: object) -> None:
    """Say that the directory was made by the demo, what was asked for, and which database in it is the demo's own."""
    (directory / MARKER).write_text(json.dumps({"database": database, **made_of}) + "\n")


def _own_database(directory: Path) -> str:
    """Return the database that the demo itself made in a directory."""
    try:
        made_of = json.loads((directory / MARKER).read_text())
    except (OSError, ValueError):
        return DATABASE
    return str(made_of.get("database", DATABASE)) if isinstance(made_of, dict) else DATABASE
