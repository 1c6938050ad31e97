"""Where the demo's cluster goes, and what may be replaced there: an earlier demo's cluster, nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

from qserv_py.config import CLUSTER_FILE
from qserv_py.errors import ConfigError
from qserv_py.workers.server_programs import blocking_directory, server_account

DEFAULT_NAME = "demo-cluster"
MARKER = "demo.json"
"""File that says that a directory was made by the demo."""

DATABASE = "dr1"


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
    own = sorted({path.name for path in directory.glob("workers/*/parts/*")} - {DATABASE})
    if own:
        raise ConfigError(
            f"the demo cluster in {directory} also holds {', '.join(own)}, which a new demo would remove",
            hint=f"Choose another place with --dir DIR, or remove the cluster: qserv cluster stop --cluster {directory}"
            f" && rm -r {directory}",
        )
    return True


def mark(directory: Path, *, objects: int, seed: int) -> None:
    """Say that the directory was made by the demo."""
    (directory / MARKER).write_text(json.dumps({"objects": objects, "seed": seed}) + "\n")
