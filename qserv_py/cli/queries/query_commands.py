"""``qserv query`` and ``qserv explain``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from qserv_py.cli.options import cluster_option, input_options, reading_options, say
from qserv_py.cli.plain_arrow import leave_pandas_out
from qserv_py.cli.progress import query_progress
from qserv_py.counts import counted
from qserv_py.czar.formats import FORMATS, Format, find_format, format_of_file
from qserv_py.errors import ConfigError, UserError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_QUERY_BYTES = 4_000_000


class _FormatName(click.ParamType[Format]):
    """A name or a MIME type of a format of answers."""

    name = "format"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Format:
        """Return the format."""
        try:
            return find_format(str(value))
        except UserError as error:
            self.fail(f"{error.message}. {error.hint}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so."""
        return [CompletionItem(known.name) for known in FORMATS if known.name.startswith(incomplete)]


def text_options(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command its query: an argument, ``-f FILE``, or ``-`` for standard input."""
    function = click.option(
        "-f", "--file", "file", type=click.Path(path_type=Path), metavar="FILE", help="Read the query from a file."
    )(function)
    return click.argument("adql", required=False)(function)


class _UploadFile(click.ParamType[tuple[str, Path]]):
    """A name and the file that has the rows: ``name=FILE``."""

    name = "upload"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        """Return name and path."""
        name, equals, path = str(value).partition("=")
        if not (name and equals and path):
            self.fail(f'"{value}" is not NAME=FILE, such as mine=stars.csv', param, ctx)
        return name, Path(path)


def upload_option(function: Callable[..., object]) -> Callable[..., object]:
    """Give a command the tables that its query brings along, and the options by which their files are read."""
    return click.option(
        "--upload",
        "uploads",
        type=_UploadFile(),
        multiple=True,
        metavar="NAME=FILE",
        help="Bring a table along, TAP_UPLOAD.NAME in the query: a CSV, VOTable, FITS or Parquet file. Repeatable.",
    )(reading_options(function))


def read_uploads(files: Sequence[tuple[str, Path]], reading: Mapping[str, Any]) -> dict[str, pa.Table]:
    """Return the tables of ``upload_option``; UserError if one cannot be read."""
    names = [name for name, _ in files]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f'two uploaded tables are called "{name}"', hint="Give each a name of its own.")
    options = input_options(reading)
    if not names:
        return {}
    from qserv_py.czar.user_tables.file_to_arrow import read_upload  # it loads the readers of all formats

    return {name: read_upload(path, options=options, tell=say) for name, path in files}


@click.command()
@text_options
@cluster_option
@upload_option
@click.option(
    "--format",
    "row_format",
    type=_FormatName(),
    metavar="FORMAT",
    help=f"How rows are written: {', '.join(known.name for known in FORMATS)}; by default table.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the rows to a file.")
@click.option("--maxrec", type=click.IntRange(min=0), metavar="N", help="Rows at the most.")
@click.option(
    "--url", default="", is_eager=True, metavar="URL", help="Ask this service, as a job; QSERV_TOKEN holds the token."
)
@click.option("--timing", is_flag=True, help="Say how long it took and how many chunks were asked.")
def query(
    adql: str | None,
    file: Path | None,
    cluster_dir: Path,
    uploads: tuple[tuple[str, Path], ...],
    reading: dict[str, Any],
    row_format: Format | None,
    output: Path | None,
    maxrec: int | None,
    url: str,
    timing: bool,
) -> None:
    """Answer an ADQL query ("-" reads it from standard input).

    Example: qserv query "SELECT TOP 5 objectId, coord_ra, coord_dec FROM Object"
    """
    text = query_text(adql, file)
    chosen = row_format or (format_of_file(output.name) if output else find_format("table"))
    if chosen is None:
        raise click.UsageError(f'"{output}" does not say the format; give --format.')
    if not chosen.is_text and output is None and sys.stdout.isatty():
        raise click.UsageError(f"{chosen.name} is not for a terminal; give -o FILE or redirect the output.")
    leave_pandas_out()
    tables = read_uploads(uploads, reading)
    if url:
        _ask_service(url, text, chosen, tables, output, maxrec, timing)
        return
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.session import Session
    from qserv_py.whole_file import whole_file

    with Session(open_cluster(cluster_dir)) as session, query_progress() as on_progress:
        answer = session.answer(text, maxrec=maxrec, on_progress=on_progress, uploads=tables)
        with whole_file(output) if output else nullcontext(sys.stdout.buffer) as sink:
            for chunk in chosen.write(answer.stream(("QUERY", text))):
                sink.write(chunk)
            sink.flush()
    stats = answer.stats
    _say_what_is_left_out(stats.overflow, maxrec, stats.rows)
    if timing:
        say(
            f"{counted(stats.rows, 'row')}, {stats.chunks} of {counted(stats.chunks_total, 'chunk')}, "
            f"{stats.seconds * 1000:.1f} ms (planning {stats.planning_s * 1000:.1f} ms)"
        )


def _say_what_is_left_out(overflow: bool, maxrec: int | None, rows: int) -> None:
    if maxrec == 0:
        say("the query was not run: --maxrec 0 asks for the columns alone")
    elif overflow:
        say(f"truncated: the answer has more than {counted(rows, 'row')}")


def _ask_service(
    url: str,
    text: str,
    chosen: Format,
    tables: Mapping[str, pa.Table],
    output: Path | None,
    maxrec: int | None,
    timing: bool,
) -> None:
    """Answer a query by a service: as a job, so that it can be watched; it is removed in the end."""
    from qserv_py.cli.queries.job_commands import fetch, follow
    from qserv_py.cli.queries.service_option import jobs_at

    jobs = jobs_at(url)
    started = time.perf_counter()
    job_id = jobs.submit(text, format=chosen.name, maxrec=maxrec, uploads=tables)
    try:
        view = follow(jobs, job_id)
        fetch(jobs, job_id, output)
    finally:
        jobs.delete(job_id)
    _say_what_is_left_out(view.overflow, maxrec, view.rows)
    if timing:
        seconds = time.perf_counter() - started
        say(f"{counted(view.rows, 'row')}, {counted(view.chunks, 'chunk')}, {seconds * 1000:.1f} ms")


@click.command()
@text_options
@cluster_option
@upload_option
def explain(
    adql: str | None,
    file: Path | None,
    cluster_dir: Path,
    uploads: tuple[tuple[str, Path], ...],
    reading: dict[str, Any],
) -> None:
    """Show how a query would be answered: regions, chunks kept, chunk query, merge query."""
    text = query_text(adql, file)
    leave_pandas_out()
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.czar.session import Session

    with Session(open_cluster(cluster_dir)) as session:
        click.echo(session.explain(text, uploads=read_uploads(uploads, reading)))


def query_text(adql: str | None, file: Path | None) -> str:
    """Return the query that a command was given by ``text_options``."""
    if (adql is None) == (file is None):
        raise click.UsageError("Give the query as an argument, or -f FILE, or - for standard input.")
    if file is not None:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"query file {file} cannot be read: {error.strerror}") from error
    elif adql == "-":
        raw = sys.stdin.buffer.read(MAX_QUERY_BYTES + 1)
    else:
        return adql or ""
    if len(raw) > MAX_QUERY_BYTES:
        raise ConfigError(f"the query has more than {MAX_QUERY_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the query is not UTF-8: byte {error.start}") from error
