"""Options that commands share: which cluster, which format; and what the top command was told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qserv_py.config import cluster_directory

if TYPE_CHECKING:
    from qserv_py.ingest.requests import InputOptions

Function = TypeVar("Function", bound=Callable[..., Any])

_NAMED = "qserv_py.cli.cluster"

ROW_FORMATS = ("table", "json", "csv")


def _chosen_cluster(ctx: click.Context, _option: click.Parameter, value: Path | None) -> Path:
    # A service is asked, or files are written, and no cluster is needed.
    if ctx.resilient_parsing or ctx.params.get("url") or ctx.params.get("written"):
        return Path()
    return cluster_directory(value or (ctx.find_root().obj or {}).get("cluster_dir"))


def cluster_option(function: Function) -> Function:
    """Give a command ``--cluster``; it receives ``cluster_dir``, the directory that is meant, as an absolute path."""
    return click.option(
        "--cluster",
        "cluster_dir",
        metavar="DIR",
        type=click.Path(path_type=Path, readable=False),
        callback=_chosen_cluster,
        help="Directory of the cluster; default QSERV_CLUSTER.",
    )(function)


def cluster_argument(function: Function) -> Function:
    """Give a command an argument DIR and ``--cluster``, either of which names the cluster, as ``cluster_dir``."""

    def note(ctx: click.Context, _option: click.Parameter, value: Path | None) -> None:
        ctx.meta[_NAMED] = value

    def choose(ctx: click.Context, option: click.Parameter, value: Path | None) -> Path:
        return _chosen_cluster(ctx, option, value or ctx.meta.get(_NAMED))

    option = click.option(
        "--cluster",
        metavar="DIR",
        type=click.Path(path_type=Path, readable=False),
        callback=note,
        is_eager=True,
        expose_value=False,
        help="Directory of the cluster; default QSERV_CLUSTER.",
    )
    argument = click.argument(
        "cluster_dir",
        metavar="[DIR]",
        type=click.Path(path_type=Path, readable=False),
        required=False,
        callback=choose,
    )
    return option(argument(function))


def format_option(function: Function) -> Function:
    """Give a command ``--format`` for a short list of rows; it receives ``row_format``."""
    return click.option(
        "--format",
        "row_format",
        type=click.Choice(ROW_FORMATS),
        default="table",
        show_default=True,
        help="How rows are written.",
    )(function)


def verbosity() -> int:
    """Return -1 after ``--quiet``, else the number of ``-v``."""
    ctx = click.get_current_context(silent=True)
    root = ctx.find_root().obj if ctx is not None else None
    return int((root or {}).get("verbosity", 0))


def say(text: str) -> None:
    """Write a remark to standard error, unless ``--quiet``."""
    if verbosity() >= 0:
        click.echo(text, err=True)


FORMATS = ("parquet", "csv", "fits", "votable")
"""Formats of files that are read."""


def reject_options(most: str) -> Callable[[Function], Function]:
    """Give a command ``--max-rejects``, with its help, ``--rejects`` and ``--ignore-extra``."""

    def add(function: Function) -> Function:
        for option in (
            click.option("--ignore-extra", is_flag=True, help="Leave out columns that the table does not have."),
            click.option(
                "--rejects",
                "rejects_dir",
                metavar="DIR",
                type=click.Path(path_type=Path),
                help="Where reject files go; default .",
            ),
            click.option("--max-rejects", metavar="N", type=click.IntRange(0), default=0, show_default=True, help=most),
        ):
            function = option(function)
        return function

    return add


def reading_options(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that say how files are read; ``input_options`` makes what they mean of ``reading``."""

    @wraps(function)
    def command(*args: Any, **values: Any) -> object:
        reading = {name: values.pop(name) for name in ("file_format", *_READING) if name in values}
        return function(*args, reading=reading, **values)

    for option in reversed(_READING.values()):
        command = option(command)
    return command


def file_options(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command ``reading_options`` and ``--format``."""
    return click.option(
        "--format", "file_format", type=click.Choice(FORMATS), help="Format; default by the file's suffix."
    )(reading_options(function))


def input_options(reading: Mapping[str, Any], **more: Any) -> InputOptions:
    """Return what ``reading_options`` were given as, with further fields of ``InputOptions``."""
    from qserv_py.ingest.requests import InputFormat, InputOptions

    fields = dict(reading)
    file_format = fields.pop("file_format", None)
    return InputOptions(format=InputFormat(file_format) if file_format else None, **fields, **more)


_READING = {
    "delimiter": click.option("--delimiter", metavar="CHAR", help="Between the fields of a CSV file; default a comma."),
    "null": click.option(
        "--null", metavar="TEXT", default="", help="Unquoted text that means NULL in a CSV file; default empty."
    ),
    "encoding": click.option(
        "--encoding",
        metavar="NAME",
        default="utf-8",
        show_default=True,
        help="How texts of CSV and FITS files are written.",
    ),
    "table_name": click.option(
        "--table-name", metavar="NAME", help="Table of a FITS or VOTable file that holds several."
    ),
    "hdu": click.option("--hdu", metavar="N", type=click.IntRange(0), help="The same by number; the primary HDU is 0."),
}
