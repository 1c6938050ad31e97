"""``qserv serve``: the HTTP services."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from qserv_py.cli.options import cluster_option, verbosity
from qserv_py.cli.plain_arrow import leave_pandas_out

SERVICES = ("tap", "cone", "all")


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@cluster_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free one.")
@click.option("--public-url", default="", metavar="URL", help="Address that clients use, when a proxy stands before.")
@click.option(
    "--upload-from",
    "upload_hosts",
    multiple=True,
    metavar="HOST",
    help="Fetch tables that UPLOAD names by URL from this host; may be repeated. Without it nothing is fetched.",
)
@click.option("--json-logs", is_flag=True, help="Write logs as JSON, one object a line.")
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long queries may go on after the signal to stop.",
)
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Jobs that run at a time.")
def serve(
    service: str,
    cluster_dir: Path,
    host: str,
    port: int,
    public_url: str,
    upload_hosts: tuple[str, ...],
    json_logs: bool,
    grace_s: float,
    jobs: int,
) -> None:
    """Serve the cluster over HTTP until Ctrl-C or SIGTERM: TAP at /tap.

    Example: qserv serve tap --port 8080
    """
    leave_pandas_out()
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.queries.limits import ServiceLimits
    from qserv_py.vo.app import SERVICES as KNOWN
    from qserv_py.vo.http.logs import set_up_logs
    from qserv_py.vo.server import ServerSettings
    from qserv_py.vo.server import serve as run
    from qserv_py.vo.service import ServiceSettings

    level = {-1: logging.WARNING, 0: logging.INFO}.get(verbosity(), logging.DEBUG)
    set_up_logs(as_json=json_logs, level=level)
    run(
        open_cluster(cluster_dir),
        services=tuple(KNOWN) if service == "all" else (service,),
        settings=ServerSettings(host=host, port=port, grace_s=grace_s),
        presents=ServiceSettings(public_url=public_url, upload_hosts=tuple(host.lower() for host in upload_hosts)),
        limits=ServiceLimits(jobs_running=jobs),
    )
