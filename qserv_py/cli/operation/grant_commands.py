"""``qserv grant`` and ``qserv revoke``: who may read a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qserv_py.cli.options import cluster_option, format_option, say
from qserv_py.cli.rows import print_rows

if TYPE_CHECKING:
    from qserv_py.catalog.model import Database

WHOM = "public, authenticated, group:NAME or user:NAME."


@click.command()
@click.argument("database", metavar="[DB]", required=False)
@click.option("--to", "to", metavar="WHOM", multiple=True, help=f"Repeatable: {WHOM}")
@click.option("--list", "listing", is_flag=True, help="List the grants of DB, or of all databases.")
@cluster_option
@format_option
def grant(database: str | None, to: tuple[str, ...], listing: bool, cluster_dir: Path, row_format: str) -> None:
    """Let somebody read DB; or list who may.

    A new database is public. To close one to all but a group, grant it to the group and revoke it from public.

    Example: qserv grant dr1 --to group:survey && qserv revoke dr1 --from public
    """
    if listing:
        if to:
            raise click.UsageError("Give --to or --list, not both.")
        _list(database, cluster_dir, row_format)
        return
    if database is None or not to:
        raise click.UsageError("Give a database and --to, or --list.")
    _change("grant", database, to, cluster_dir)


@click.command()
@click.argument("database", metavar="DB")
@click.option("--from", "whom", metavar="WHOM", multiple=True, required=True, help=f"Repeatable: {WHOM}")
@cluster_option
def revoke(database: str, whom: tuple[str, ...], cluster_dir: Path) -> None:
    """Take a grant back; queries that run already are not stopped.

    A database without any grant is the operator's alone.
    """
    _change("revoke", database, whom, cluster_dir)


def _change(event: str, database: str, whom: tuple[str, ...], cluster_dir: Path) -> None:
    from qserv_py.catalog.grants import PUBLIC, parse_grantee
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.identity import audit
    from qserv_py.registry import grants

    change = {"grant": grants.grant, "revoke": grants.revoke}[event]
    wanted = [parse_grantee(text) for text in whom]
    cluster = open_cluster(cluster_dir)
    with cluster.registry() as registry, audit.recording_to(cluster.config.czar_dir) as account:
        for grantee in wanted:
            now, changed = change(registry, database, grantee)
            if changed:
                audit.record(event, by=account, database=now.name, grantee=str(grantee))
            else:
                say(f"{now.name} was {'granted to' if event == 'grant' else 'not granted to'} {grantee} before.")
    say(f"{now.name} can be read by {_readers(now)}.")
    if event == "grant" and PUBLIC in now.readers and PUBLIC not in wanted:
        say(f"It is still public: qserv revoke {now.name} --from public closes it to others.")


def _readers(database: Database) -> str:
    return ", ".join(str(grantee) for grantee in sorted(database.readers)) or "the operator alone"


def _list(name: str | None, cluster_dir: Path, row_format: str) -> None:
    from qserv_py.czar.cluster import open_cluster

    with open_cluster(cluster_dir).registry() as registry:
        databases = registry.databases() if name is None else (registry.database(name),)
    rows = [
        (database.name, database.state.value, str(grantee))
        for database in databases
        for grantee in sorted(database.readers)
    ]
    print_rows(("database", "state", "granted to"), rows, row_format)
