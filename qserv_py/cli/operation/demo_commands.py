"""``qserv demo``: a cluster with a simulated survey, queries, and how to go on; from a catalogue or from pixels."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qserv_py.cli.plain_arrow import leave_pandas_out
from qserv_py.config import CLUSTER_VARIABLE
from qserv_py.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from qserv_py.czar.cluster import Cluster
    from qserv_py.demo.steps import DemoAnswer, StageListener
    from qserv_py.ingest.requests import ProgressListener

SHOWN_ROWS = 5


@click.command()
@click.option("--workers", metavar="N", type=click.IntRange(1, 64), default=3, show_default=True, help="Servers.")
@click.option("--from-pixels", is_flag=True, help="Begin with raw images; pipelines make the catalogue.")
@click.option(
    "--objects",
    metavar="N",
    type=click.IntRange(1000, 1_000_000_000),
    default=1_000_000,
    show_default=True,
    help="Rows of Object; Source has about five times as many.",
)
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, readable=False),
    help="Where the cluster goes; default ./demo-cluster. An earlier demo there is replaced.",
)
@click.option("--keep", is_flag=True, help="Leave the cluster running; else it is removed at the end.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The same seed, the same sky.")
@click.option(
    "--visits",
    metavar="N",
    type=click.IntRange(2),
    default=4,
    show_default=True,
    help="From pixels: exposures.",
)
@click.option(
    "--detectors", metavar="N", type=click.IntRange(1, 189), default=4, show_default=True, help="From pixels: of each."
)
@click.option(
    "--size", metavar="PIXELS", type=int, default=2048, show_default=True, help="From pixels: side of a detector."
)
@click.option(
    "--figure",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("demo-from-pixels.png"),
    show_default=True,
    help="From pixels: the picture.",
)
def demo(
    workers: int,
    from_pixels: bool,
    objects: int,
    directory: Path | None,
    keep: bool,
    seed: int,
    visits: int,
    detectors: int,
    size: int,
    figure: Path,
) -> None:
    """Make a cluster with a simulated survey and answer five queries.

    With --from-pixels the survey is raw images: they are simulated, go through the pipelines, and what is found on them
    becomes the catalogue; a picture holds it against the truth. That takes a few minutes.
    """
    _refuse_other_options(from_pixels)
    chosen = _place_of(directory)
    leave_pandas_out()
    if from_pixels:
        from qserv_py.demo.pixels import PixelsOptions, run_from_pixels

        exposures = f"{counted(visits, 'visit')} of {counted(detectors, 'detector')}"
        click.echo(f"{exposures}, from raw images to a catalogue, in {chosen}")
        cluster = run_from_pixels(
            PixelsOptions(
                directory=chosen,
                figure=figure.expanduser().absolute(),
                workers=workers,
                visits=visits,
                detectors=detectors,
                size=size,
                seed=seed,
                keep=keep,
            ),
            _Terminal(),
        )
    else:
        from qserv_py.demo.run import DemoOptions, run_demo

        click.echo(f"A simulated sky of {counted(objects, 'object')} on {counted(workers, 'worker')}, in {chosen}")
        options = DemoOptions(directory=chosen, workers=workers, objects=objects, seed=seed, keep=keep)
        cluster = run_demo(options, _Terminal())
    if cluster is None:
        click.echo("\nThe cluster was stopped and removed; --keep would leave it running.")
    else:
        click.echo(_how_to_go_on(cluster, PIXELS_GO_ON if from_pixels else HOW_TO_GO_ON))


def _refuse_other_options(from_pixels: bool) -> None:
    """Say so when an option belongs to the other demo, rather than pass over it."""
    context = click.get_current_context()
    others = ("objects",) if from_pixels else ("visits", "detectors", "size", "figure")
    for name in others:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} {'does not go' if from_pixels else 'goes only'} with --from-pixels")


def _place_of(directory: Path | None) -> Path:
    from qserv_py.demo.place import choose_directory

    chosen = choose_directory(directory)
    if directory is None and chosen.parent != Path.cwd():
        click.echo(f"(not in {Path.cwd()}: the account that runs PostgreSQL for root cannot enter it)")
    return chosen


class _Terminal:
    """Shows the demo on standard output; bars of the ingests go to standard error."""

    def __init__(self) -> None:
        self._answers = 0

    def step(self, name: str, outcome: str, seconds: float) -> None:
        click.echo(f"  {name:<20} {outcome:<62} {seconds:6.1f} s")

    def progress(self, name: str) -> AbstractContextManager[ProgressListener]:
        from qserv_py.cli.data.ingest_output import ingest_progress

        return ingest_progress()

    def stages(self, unit: str) -> AbstractContextManager[StageListener]:
        from qserv_py.cli.progress import stage_progress

        return stage_progress(unit)

    def answer(self, answer: DemoAnswer) -> None:
        from qserv_py.czar.formats import find_format
        from qserv_py.czar.formats.stream import ResultStream

        self._answers += 1
        shown = _rounded(answer.table.slice(0, SHOWN_ROWS))
        rows = ResultStream(columns=answer.columns, schema=shown.schema, batches=shown.to_batches())
        text = b"".join(find_format("table").write(rows)).decode()
        stats = answer.stats
        click.echo(f"\n{self._answers}. {answer.query.title[0].upper()}{answer.query.title[1:]}\n")
        click.echo(_indented(answer.query.adql) + "\n")
        click.echo(_indented(text.rstrip()))
        more = f" ({SHOWN_ROWS} shown)" if answer.table.num_rows > SHOWN_ROWS else ""
        click.echo(
            f"\n    {counted(answer.table.num_rows, 'row')}{more}, "
            + (f"{stats.chunks} of {counted(stats.chunks_total, 'chunk')}, " if stats.chunks_total else "")
            + f"{stats.seconds * 1000:.1f} ms"
        )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def _rounded(table: pa.Table) -> pa.Table:
    """Return a table for people: numbers with five decimals at the most."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        pc.round(column.cast(pa.float64()), 5) if pa.types.is_floating(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


HOW_TO_GO_ON = """
The cluster keeps running in {directory}. Go on:

    export {variable}={directory}
    {qserv} query "SELECT TOP 10 objectId, coord_ra, coord_dec, r_psfMag FROM dr1.Object ORDER BY r_psfMag"
    {qserv} explain "SELECT COUNT(*) FROM dr1.Object WHERE coord_dec BETWEEN -30 AND -29"
    {qserv} schema show dr1.Object

    {python} -c 'import qserv_py; print(qserv_py.connect().query("SELECT TOP 3 * FROM dr1.Visit").to_arrow())'

    PGPASSFILE={passfile} \\
      {psql} -h 127.0.0.1 -p {port} -U qserv_reader -d qserv -c 'SELECT count(*) FROM dr1.object'

    {qserv} cluster stop     # and start brings it back; when it is stopped, rm -r removes it
"""

PIXELS_GO_ON = """
The cluster keeps running in {directory}. Go on:

    export {variable}={directory}
    {qserv} query "SELECT TOP 10 sourceId, visit, detector, ra, dec, psfFlux FROM prompt.Source WHERE band = 'r'"
    {qserv} schema show prompt.Source
    {qserv} pipeline show {directory}/repository
    {qserv} pipeline report
    {python} -c 'import qserv_py; print(qserv_py.connect().query("SELECT TOP 3 * FROM prompt.Visit").to_arrow())'

    {qserv} cluster stop     # and start brings it back; when it is stopped, rm -r removes it
"""


def _how_to_go_on(cluster: Cluster, text: str) -> str:
    return text.rstrip().format(
        directory=cluster.config.directory,
        variable=CLUSTER_VARIABLE,
        qserv=_command("qserv"),
        python=_command("python"),
        passfile=cluster.config.passfile,
        psql=_psql(cluster),
        port=cluster.config.workers[0].port,
    )


def _command(name: str) -> str:
    """Return how a program of this environment is called from here: by its name when the shell finds that one."""
    program = Path(sys.executable).with_name(name)
    if shutil.which(name) == str(program):
        return name
    here = os.path.relpath(program)
    return str(program) if here.startswith("..") else here


def _psql(cluster: Cluster) -> str:
    """Return a psql: the system's, else the one beside the cluster's PostgreSQL."""
    from qserv_py.workers.server_programs import wheel_bin_dir

    if shutil.which("psql"):
        return "psql"
    return str(Path(cluster.config.postgres_bin or wheel_bin_dir()) / "psql")
