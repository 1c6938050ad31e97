"""``qserv table``: the tables that users keep, in the hands of the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qserv_py.cli.options import cluster_option, file_options, format_option, input_options, say
from qserv_py.cli.plain_arrow import leave_pandas_out
from qserv_py.cli.rows import print_rows
from qserv_py.counts import counted

if TYPE_CHECKING:
    from qserv_py.czar.identity.identity import Identity
    from qserv_py.czar.user_tables.user_tables import UserTables

_owner = click.option("--user", "user", metavar="USER", required=True, help="Whose table it is.")


@click.group()
def table() -> None:
    """Make, list, share and drop tables that users keep: mydb.NAME in their queries.

    Users do the same over HTTP; here the operator acts for them.
    """


@table.command("list")
@click.option("--user", "user", metavar="USER", help="The tables of one user only.")
@cluster_option
@format_option
def list_tables(user: str | None, cluster_dir: Path, row_format: str) -> None:
    """List the tables that users keep."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.user_tables import list_user_tables

    with open_cluster(cluster_dir).registry() as registry:
        found = [entry for entry in list_user_tables(registry, owner=None) if user in {None, entry.owner}]
    names = ("user", "table", "rows", "bytes", "created", "shared with", "description")
    rows = [
        (
            entry.owner,
            entry.name,
            entry.rows,
            entry.bytes,
            entry.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            ", ".join(sorted(map(str, entry.shared_with))),
            entry.description,
        )
        for entry in found
    ]
    print_rows(names, rows, row_format)


@table.command()
@click.argument("name", metavar="NAME")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@_owner
@click.option("--description", metavar="TEXT", default="", help="What the table is.")
@file_options
@cluster_option
def put(
    name: str,
    file: Path,
    user: str,
    description: str,
    reading: dict[str, Any],
    cluster_dir: Path,
) -> None:
    """Make a table of a Parquet, CSV, FITS or VOTable file, within the user's space.

    Example: qserv table put targets targets.csv --user alice
    """
    leave_pandas_out()
    from qserv_py.czar.settings.settings_file import read_settings
    from qserv_py.czar.user_tables.file_to_arrow import read_upload

    rows = read_upload(file, options=input_options(reading), tell=say)
    with _acting(cluster_dir, "user_table_put", user, name) as (tables, identity):
        limits = read_settings(cluster_dir).limits.limits_for(identity)
        batches = (rows.schema, rows.to_batches())
        made = tables.create(identity, _bare(name), batches, limits=limits, description=description)
    say(f"Table {made.name} of user {made.owner} has {counted(made.rows, 'row')} and {counted(made.bytes, 'byte')}.")


@table.command()
@click.argument("name", metavar="NAME")
@_owner
@click.option("--with", "whom", metavar="WHOM", multiple=True, help="Repeatable: group:NAME or user:NAME.")
@click.option("--not-with", "no_more", metavar="WHOM", multiple=True, help="Repeatable: who may no longer read it.")
@cluster_option
def share(name: str, user: str, whom: tuple[str, ...], no_more: tuple[str, ...], cluster_dir: Path) -> None:
    """Let others read a table: it is mydb_USER.NAME in their queries."""
    from qserv_py.catalog.grants import parse_grantee

    if not whom and not no_more:
        raise click.UsageError("Give --with or --not-with.")
    changes = [(parse_grantee(text), True) for text in whom] + [(parse_grantee(text), False) for text in no_more]
    with _acting(cluster_dir, "user_table_share", user, name, to=whom, no_more=no_more) as (tables, identity):
        for grantee, shared in changes:
            now = tables.share(identity, _bare(name), grantee, shared=shared)
    readers = ", ".join(sorted(map(str, now.shared_with)))
    say(f"Table {now.name} of user {now.owner} is shared with {readers or 'nobody'}.")


@table.command()
@click.argument("name", metavar="NAME")
@_owner
@cluster_option
def drop(name: str, user: str, cluster_dir: Path) -> None:
    """Drop a table; queries that read it go on."""
    with _acting(cluster_dir, "user_table_drop", user, name) as (tables, identity):
        tables.drop(identity, _bare(name))
    say(f"Table {_bare(name)} of user {user} is dropped.")


@contextmanager
def _acting(
    cluster_dir: Path, event: str, user: str, name: str, **fields: object
) -> Iterator[tuple[UserTables, Identity]]:
    """Yield the tables of a cluster and the user whom the operator acts for; note in the audit log what was done."""
    leave_pandas_out()
    from qserv_py.catalog.grants import user_problem
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.identity import audit
    from qserv_py.czar.identity.identity import Identity, Proof
    from qserv_py.czar.user_tables.user_tables import UserTables
    from qserv_py.errors import UserError

    if problem := user_problem(user):
        raise UserError(f"the user's name {problem}: {user[:80]!r}")
    cluster = open_cluster(cluster_dir)
    with cluster.registry() as registry, audit.recording_to(cluster.config.czar_dir) as account:
        yield UserTables(registry, cluster.config.czar_dir), Identity(user=user, proof=Proof.OPERATOR)
        audit.record(event, by=account, user=user, table=_bare(name), **fields)


def _bare(name: str) -> str:
    """Return a table's name without ``mydb.``, which may be written or not."""
    database, dot, bare = name.partition(".")
    return bare if dot and database.lower() == "mydb" else name
