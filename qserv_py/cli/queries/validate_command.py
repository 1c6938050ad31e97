"""``qserv validate``: check queries without answering them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from qserv_py.cli.errors import PROBLEMS
from qserv_py.cli.options import say
from qserv_py.cli.plain_arrow import leave_pandas_out
from qserv_py.cli.queries.query_commands import query_text, text_options
from qserv_py.config import cluster_directory
from qserv_py.counts import counted
from qserv_py.errors import ConfigError

if TYPE_CHECKING:
    from qserv_py.adql.parse import Mode
    from qserv_py.catalog.snapshot import Catalog

MODES = ("lenient", "strict")


@click.command()
@text_options
@click.option("--mode", type=click.Choice(MODES), default="lenient", show_default=True, help="What is taken for ADQL.")
@click.option("--syntax-only", is_flag=True, help="Check the grammar, not the names; no cluster is needed.")
@click.option(
    "--udf",
    "udfs",
    multiple=True,
    metavar="NAME",
    help="With --syntax-only: a function that strict mode takes besides ADQL's; NAME_* takes all that begin so.",
)
@click.option(
    "--jsonl",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Check a collection, lines {"id", "adql"} ("-" reads it from standard input).',
)
@click.option(
    "--cluster",
    "cluster_dir",
    metavar="DIR",
    type=click.Path(path_type=Path, readable=False),
    help="Directory of the cluster; default QSERV_CLUSTER.",
)
@click.pass_context
def validate(
    ctx: click.Context,
    adql: str | None,
    file: Path | None,
    mode: str,
    syntax_only: bool,
    udfs: tuple[str, ...],
    jsonl: Path | None,
    cluster_dir: Path | None,
) -> int:
    """Check a query, or a collection of them ("-" reads the query from standard input).

    The exit code is 7 when problems were found.

    Example: qserv validate --mode strict --syntax-only "SELECT TOP 5 ra FROM Object"
    """
    if jsonl is not None and (adql is not None or file is not None):
        raise click.UsageError("Give a query or --jsonl FILE, not both.")
    if jsonl is None and adql is None and file is None:
        raise click.UsageError("Give the query as an argument, or -f FILE, or - for standard input, or --jsonl FILE.")
    if udfs and not syntax_only:
        raise click.UsageError("--udf goes with --syntax-only: names are looked up otherwise, functions too.")
    functions = _functions(udfs) if syntax_only else ()
    text = query_text(adql, file) if jsonl is None else ""
    leave_pandas_out()
    from qserv_py.adql.parse import Mode

    chosen = Mode(mode)
    catalog = None if syntax_only else _catalog(cluster_dir or (ctx.find_root().obj or {}).get("cluster_dir"))
    if jsonl is not None:
        return _check_collection(jsonl, chosen, catalog, functions)
    from qserv_py.adql.validate import find_problem

    problem = find_problem(text, mode=chosen, catalog=catalog, functions=functions)
    if problem is not None:
        click.echo(problem.render())
        say("1 problem found.")
        return PROBLEMS
    say("The query is valid.")
    return 0


def _functions(udfs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the functions besides ADQL's: those that were named, and whatever has the IVOA's prefix."""
    for name in udfs:
        if not _FUNCTION.fullmatch(name):
            raise click.BadParameter(f'"{name}" is no name of a function', param_hint="--udf")
    return ("IVO_*", *(name.upper() for name in udfs))


_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9_]*\*?")


def _catalog(cluster_dir: Path | None) -> Catalog:
    directory = cluster_directory(cluster_dir)
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.session import Session

    with Session(open_cluster(directory)) as session:
        return session.catalog()


def _check_collection(source: Path, mode: Mode, catalog: Catalog | None, functions: tuple[str, ...]) -> int:
    from qserv_py.adql.validate import check_collection

    statements = problems = 0
    with _opened(source) as lines:
        for verdict in check_collection(lines, mode=mode, catalog=catalog, functions=functions):
            statements += 1
            problems += verdict.error is not None
            click.echo(verdict.as_json())
    say(f"{counted(statements, 'statement')}, {problems or 'none'} with problems.")
    return PROBLEMS if problems else 0


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    if str(source) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}") from error
    with file:
        try:
            yield file
        except OSError as error:
            raise ConfigError(f"{source} cannot be read: {error.strerror}") from error
