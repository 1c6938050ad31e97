"""``qserv cluster``: make, start, stop and watch an embedded cluster."""

from __future__ import annotations

from pathlib import Path

import click

from qserv_py.cli.errors import FAILED, PARTIAL, report_error
from qserv_py.cli.options import cluster_argument, format_option, say
from qserv_py.cli.rows import print_rows
from qserv_py.config import CLUSTER_VARIABLE
from qserv_py.counts import counted


@click.group()
def cluster() -> None:
    """Make, start, stop and watch a cluster: PostgreSQL servers on this machine, all in one directory."""


@cluster.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@click.option("--workers", metavar="N", type=click.IntRange(1, 64), default=3, show_default=True, help="Servers.")
@click.option(
    "--postgres",
    "postgres_bin",
    metavar="BIN_DIR",
    default="",
    help="Directory of PostgreSQL's programs (15 or later); default QSERV_PG_BIN, else the ones that come with qserv.",
)
def init(directory: Path, workers: int, postgres_bin: str) -> None:
    """Make a cluster in DIR, a new or empty directory, and start it."""
    from qserv_py.czar.cluster_init import init_cluster

    made = init_cluster(directory, workers=workers, postgres_bin=postgres_bin)
    say(f"A cluster of {counted(workers, 'worker')} runs in {made.config.directory}.")
    say(f"Commands find it by --cluster {directory} or after: export {CLUSTER_VARIABLE}={made.config.directory}")


@cluster.command()
@cluster_argument
def start(cluster_dir: Path) -> None:
    """Start the servers that do not run, and finish what a crash left undone."""
    from qserv_py.czar.cluster_servers import start_cluster

    made = start_cluster(cluster_dir)
    say(f"The cluster in {made.config.directory} runs.")


@cluster.command()
@cluster_argument
def stop(cluster_dir: Path) -> None:
    """Stop the servers; queries that run are broken off."""
    from qserv_py.czar.cluster_servers import stop_cluster

    ran = stop_cluster(cluster_dir)
    say(f"Stopped {', '.join(ran)}." if ran else "No server was running.")


@cluster.command()
@cluster_argument
@format_option
def status(cluster_dir: Path, row_format: str) -> int:
    """Show which servers run.

    The exit code is 0 when all run, 6 when some do, 1 when none does. Mistakes in settings.yaml, which the servers do
    not need, are told, too.
    """
    from qserv_py.czar.cluster_servers import cluster_status

    found = cluster_status(cluster_dir)
    rows = [
        (server.worker, "running" if server.running else "stopped", server.pid, str(server.port), server.version)
        for server in found
    ]
    print_rows(("worker", "state", "pid", "port", "postgresql"), rows, row_format)
    _report_wrong_settings(cluster_dir)
    running = sum(server.running for server in found)
    if running == len(found):
        return 0
    say(f"{running} of {counted(len(found), 'server')} run; qserv cluster start {cluster_dir} starts the others.")
    return PARTIAL if running else FAILED


def _report_wrong_settings(cluster_dir: Path) -> None:
    from qserv_py.czar.settings.settings_file import read_settings
    from qserv_py.errors import ConfigError

    try:
        read_settings(cluster_dir)
    except ConfigError as error:
        report_error(error)
