"""``qserv token``: access tokens for the front doors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from qserv_py.cli.options import cluster_option, format_option, say
from qserv_py.cli.rows import print_rows


@click.group()
def token() -> None:
    """Make, list and revoke access tokens: what users show to the services instead of a password."""


@token.command()
@click.argument("user", metavar="USER")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Repeatable: a group that USER is in.")
@click.option("--expires", metavar="TIME", default="90d", show_default=True, help="Lifetime: 12h, 90d, 4w, or never.")
@click.option("--note", metavar="TEXT", default="", help="What the token is for.")
@cluster_option
def create(user: str, groups: tuple[str, ...], expires: str, note: str, cluster_dir: Path) -> None:
    """Make a token and print it; it is never shown again."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.identity import audit
    from qserv_py.czar.identity.tokens import create_token, parse_lifetime

    lifetime = parse_lifetime(expires)
    cluster = open_cluster(cluster_dir)
    with cluster.registry() as registry, audit.recording_to(cluster.config.czar_dir) as account:
        text, made = create_token(registry, user=user, groups=groups, lifetime=lifetime, note=note)
        audit.record(
            "token_create",
            by=account,
            token=made.token_id,
            user=made.user,
            groups=made.groups,
            expires=made.expires_at,
        )
    click.echo(text)
    groups_text = f", groups {', '.join(made.groups)}" if made.groups else ""
    until = f"until {_shown(made.expires_at)}" if made.expires_at else "for ever"
    say(f"Token {made.token_id} of user {made.user}{groups_text} is valid {until}. It is not shown again.")


@token.command("list")
@cluster_option
@format_option
def list_tokens(cluster_dir: Path, row_format: str) -> None:
    """List the tokens, without their secrets."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry import tokens

    with open_cluster(cluster_dir).registry() as registry:
        found = tokens.list_tokens(registry)
    names = ("id", "user", "groups", "state", "created", "expires", "last used", "note")
    rows = [
        (
            entry.token_id,
            entry.user,
            ", ".join(entry.groups),
            entry.state,
            _shown(entry.created_at),
            _shown(entry.expires_at),
            _shown(entry.used_at),
            entry.note,
        )
        for entry in found
    ]
    print_rows(names, rows, row_format)


@token.command()
@click.argument("token_id", metavar="ID")
@cluster_option
def revoke(token_id: str, cluster_dir: Path) -> None:
    """Make a token useless at once; ID is what "qserv token list" shows, or the token itself."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.identity import audit
    from qserv_py.czar.identity.tokens import id_of
    from qserv_py.registry.tokens import revoke_token

    cluster = open_cluster(cluster_dir)
    with cluster.registry() as registry, audit.recording_to(cluster.config.czar_dir) as account:
        before = revoke_token(registry, id_of(token_id))
        if before.revoked_at is None:
            audit.record("token_revoke", by=account, token=before.token_id, user=before.user)
    if before.revoked_at is not None:
        say(f"Token {before.token_id} of user {before.user} was revoked before, at {_shown(before.revoked_at)}.")
    else:
        say(f"Token {before.token_id} of user {before.user} is revoked.")


def _shown(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
