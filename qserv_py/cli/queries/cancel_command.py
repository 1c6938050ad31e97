"""``qserv cancel``: end a query that runs, in whichever process that is."""

from __future__ import annotations

from pathlib import Path

import click

from qserv_py.cli.options import cluster_option, say


@click.command()
@click.argument("query_id", metavar="ID")
@cluster_option
@click.option(
    "--url", default="", is_eager=True, metavar="URL", help="A query of yours at this service; QSERV_TOKEN says whose."
)
def cancel(query_id: str, cluster_dir: Path, url: str) -> None:
    """End the query ID, in whichever process of the cluster it runs; `qserv list queries` shows the ids."""
    if url:
        from qserv_py.cli.queries.service_option import queries_at

        queries_at(url).cancel(query_id)
    else:
        from qserv_py.czar.cluster import open_cluster
        from qserv_py.czar.identity.identity import OPERATOR
        from qserv_py.czar.queries.cancel_orders import cancel_query

        with open_cluster(cluster_dir).registry() as registry:
            cancel_query(registry, query_id, OPERATOR)
    say(f"The query {query_id} has ended.")
