"""``qserv pipeline init`` and the commands of its steps: a Butler repository for image pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qserv_py.cli.errors import PARTIAL
from qserv_py.cli.options import format_option, say
from qserv_py.cli.progress import stage_progress
from qserv_py.counts import counted

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

    from qserv_py.pipelines.repository.report import StepReport

Function = TypeVar("Function", bound=Callable[..., Any])

TRANSFERS = ("direct", "copy", "link", "hardlink", "symlink", "move")
NAMESPACE = "butler"

_PATHS = click.Path(path_type=Path)
repository_argument = click.argument("repository", metavar="REPO")


def places_argument(function: Function) -> Function:
    """Give a command files and directories; it receives ``places``."""
    return click.argument("places", metavar="FILE|DIR...", nargs=-1, required=True, type=_PATHS)(function)


def transfer_option(default: str) -> Callable[[Function], Function]:
    """Give a command ``--transfer``."""
    return click.option(
        "--transfer",
        type=click.Choice(TRANSFERS),
        default=default,
        show_default=True,
        help="Leave files where they are (direct), copy, link or move them into the repository.",
    )


def place_options(function: Function) -> Function:
    """Give a command the options that say where a repository keeps what."""
    for option in (
        click.option("--datastore", metavar="URI", help="Where the files go; default into REPO. For example s3://b/r."),
        click.option(
            "--namespace", metavar="NAME", default=NAMESPACE, show_default=True, help="Schema of the registry."
        ),
        click.option(
            "--registry",
            metavar="URL",
            help="PostgreSQL database of the registry, without a password; default a file of SQLite in REPO.",
        ),
    ):
        function = option(function)
    return function


@click.command()
@repository_argument
@click.option("--survey", metavar="DIR", type=_PATHS, help="Directory of a survey, as `qserv sim survey` makes it.")
@transfer_option("direct")
@place_options
def init(
    repository: str, survey: Path | None, transfer: str, registry: str | None, namespace: str, datastore: str | None
) -> int:
    """Make a repository and fill it: all the other steps at once. What is there already is kept.

    Example: qserv pipeline init repo --survey survey
    """
    _need_middleware()
    from qserv_py.pipelines.repository.whole import Place, init_repository

    place = Place(root=repository, registry=registry, namespace=namespace, datastore=datastore)
    with stage_progress("files") as progress:
        reports = init_repository(place, survey=survey, transfer=transfer, progress=progress)
        return max(map(print_report, reports))


@click.command()
@repository_argument
@place_options
def create(repository: str, registry: str | None, namespace: str, datastore: str | None) -> int:
    """Make an empty repository (step 1 of RTN-101)."""
    _need_middleware()
    from qserv_py.pipelines.repository.creation import create_repository

    return print_report(create_repository(repository, registry=registry, namespace=namespace, datastore=datastore))


@click.command("register-instrument")
@repository_argument
@click.option("--camera", metavar="FILE", type=_PATHS, help="A camera as JSON, or a survey.yaml; default the demo's.")
@click.option("--update", is_flag=True, help="Change a camera that is there and differs.")
def register_instrument_command(repository: str, camera: Path | None, update: bool) -> int:
    """Register QCam with its detectors and filters (step 2)."""
    with _opened(repository) as butler:
        from qserv_py.pipelines.repository.instrument import read_camera, register_instrument

        described = None if camera is None else read_camera(camera)
        return print_report(register_instrument(butler, described, update=update))


@click.command("ingest-raws")
@repository_argument
@places_argument
@transfer_option("direct")
def ingest_raws_command(repository: str, places: tuple[Path, ...], transfer: str) -> int:
    """Ingest raw files, of the sky and of calibrations, with their exposures (step 3).

    Example: qserv pipeline ingest-raws repo survey/raw survey/calib
    """
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.raws.ingest import ingest_raws

        return print_report(ingest_raws(butler, places, transfer=transfer, progress=progress))


@click.command("ingest-calibs")
@repository_argument
@places_argument
@click.option("--label", metavar="NAME", required=True, help="The run is QCam/calib/NAME.")
@click.option("--begin", metavar="TIME", help="Valid from, TAI; default always.")
@click.option("--end", metavar="TIME", help="Valid until, TAI; default for ever.")
@transfer_option("copy")
def ingest_calibs_command(
    repository: str, places: tuple[Path, ...], label: str, begin: str | None, end: str | None, transfer: str
) -> int:
    """Ingest finished calibrations from files, and certify them (step 4).

    Files are named by type, detector and filter: bias_000.fits, flat_000_q_r.fits, defects_000.parquet.
    """
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.calibrations import ingest_calibrations
        from qserv_py.pipelines.repository.certification import validity

        timespan = validity(begin, end)
        return print_report(
            ingest_calibrations(butler, places, label=label, timespan=timespan, transfer=transfer, progress=progress)
        )


@click.command("certify-calibs")
@repository_argument
@click.argument("run", metavar="COLLECTION")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="Only these types; may be repeated.")
@click.option("--begin", metavar="TIME", help="Valid from, TAI; default always.")
@click.option("--end", metavar="TIME", help="Valid until, TAI; default for ever.")
def certify_calibs_command(
    repository: str, run: str, types: tuple[str, ...], begin: str | None, end: str | None
) -> int:
    """Make calibrations of a run valid for a time (step 4).

    Example: qserv pipeline certify-calibs repo u/me/bias --type bias --begin 2026-11-20 --end 2026-12-20
    """
    with _opened(repository) as butler:
        from qserv_py.pipelines.repository.calibrations import certify_run, known_types
        from qserv_py.pipelines.repository.certification import validity

        return print_report(certify_run(butler, run, validity(begin, end), types=known_types(types)))


@click.command("register-skymap")
@repository_argument
@click.option("--name", default="qsky", show_default=True, help="Of the sky map.")
@click.option("--tract-order", type=int, default=5, show_default=True, help="HEALPix order of tracts.")
@click.option("--patch-order", type=int, default=9, show_default=True, help="HEALPix order of patches.")
@click.option("--border", metavar="ARCSEC", type=float, default=60.0, show_default=True, help="Around each cell.")
@click.option(
    "--around",
    metavar="RA DEC RADIUS",
    type=(float, float, float),
    multiple=True,
    help="Tracts of this circle, too, degrees; may be repeated.",
)
def register_skymap_command(
    repository: str,
    name: str,
    tract_order: int,
    patch_order: int,
    border: float,
    around: tuple[tuple[float, float, float], ...],
) -> int:
    """Register tracts and patches where exposures looked (step 5)."""
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.skymap import SkyMap, register_skymap

        skymap = SkyMap(name=name, tract_order=tract_order, patch_order=patch_order, border_arcsec=border)
        return print_report(register_skymap(butler, skymap, around=around, progress=progress))


@click.command("ingest-refcats")
@repository_argument
@places_argument
@transfer_option("direct")
def ingest_refcats_command(repository: str, places: tuple[Path, ...], transfer: str) -> int:
    """Ingest shards of the reference catalogue, HTM7.parquet each (step 6)."""
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.refcats import ingest_refcats

        return print_report(ingest_refcats(butler, places, transfer=transfer, progress=progress))


@click.command("ingest-ancillary")
@repository_argument
@click.argument("directory", metavar="DIR", type=_PATHS)
@click.option("--label", metavar="NAME", default="truth", show_default=True, help="The types are NAME_<file>.")
@transfer_option("direct")
def ingest_ancillary_command(repository: str, directory: Path, label: str, transfer: str) -> int:
    """Ingest other tables as Parquet, such as a simulation's truth (step 7).

    DIR/NAME.parquet is a table of the instrument, DIR/NAME/<exposure>_<detector>.parquet one of an image.
    """
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.ancillary import ingest_ancillary

        return print_report(ingest_ancillary(butler, directory, label=label, transfer=transfer, progress=progress))


@click.command("define-visits")
@repository_argument
@click.option(
    "--padding", metavar="ARCSEC", type=float, default=15.0, show_default=True, help="Of regions, around the images."
)
def define_visits_command(repository: str, padding: float) -> int:
    """Define visits, with their regions, of the science exposures (step 8)."""
    with _opened(repository) as butler, stage_progress("files") as progress:
        from qserv_py.pipelines.repository.raws.visits import define_visits

        return print_report(define_visits(butler, padding_arcsec=padding, progress=progress))


@click.command("arrange-collections")
@repository_argument
def arrange_collections_command(repository: str) -> int:
    """Make the usual collections, and the chain that pipelines read (step 9)."""
    with _opened(repository) as butler:
        from qserv_py.pipelines.repository.arrangement import arrange_collections

        return print_report(arrange_collections(butler))


@click.command()
@repository_argument
@format_option
def show(repository: str, row_format: str) -> None:
    """List collections, datasets by type, and the runs that were written last."""
    with _opened(repository, writeable=False) as butler:
        from qserv_py.pipelines.repository.status import repository_status

        found = repository_status(butler)
    from qserv_py.cli.rows import print_rows

    rows = []
    for one in found.collections:
        written = one.written.isoformat(sep=" ", timespec="seconds") if one.written else ""
        for name, count in one.datasets.items() or {", ".join(one.children): None}.items():
            rows.append((one.name, one.kind, name, count, written))
    print_rows(("collection", "kind", "type or children", "datasets", "last written"), rows, row_format)
    say(f"{counted(found.exposures, 'exposure')}, {counted(found.visits, 'visit')}.")
    if found.last_runs:
        say(f"Written last: {', '.join(one.name for one in found.last_runs[:3])}.")


@click.command()
@repository_argument
def convert(repository: str) -> None:
    """Give the dataset types of a repository that an earlier version made their present names.

    All or none; datasets keep their ids, runs and files. It can be repeated, also after it was killed.
    """
    with _opened(repository) as butler:
        from qserv_py.pipelines.repository.former_names import convert_names

        renamed = convert_names(butler)
    for one in renamed:
        say(f"{one.former} is {one.name} now: {counted(one.datasets, 'dataset')}")
    if not renamed:
        say("Nothing to convert: all dataset types have their present names.")


def print_report(report: StepReport) -> int:
    """Say what came of a step: what was left out one by one, then one line; return the exit code."""
    for problem in report.problems:
        known = problem.place in problem.message
        click.echo(problem.message if known else f"{problem.place}: {problem.message}", err=True)
    say(report.summary())
    return PARTIAL if report.problems else 0


@contextmanager
def _opened(repository: str, *, writeable: bool = True) -> Iterator[Butler]:
    _need_middleware()
    from qserv_py.pipelines.repository.opening import opened

    with opened(repository, writeable=writeable) as butler:
        yield butler


def _need_middleware() -> None:
    from qserv_py.extras import import_extra

    import_extra("lsst.daf.butler")
    import_extra("lsst.pipe.base")


COMMANDS = (
    init,
    create,
    register_instrument_command,
    ingest_raws_command,
    ingest_calibs_command,
    certify_calibs_command,
    register_skymap_command,
    ingest_refcats_command,
    ingest_ancillary_command,
    define_visits_command,
    arrange_collections_command,
    convert,
    show,
)
"""Commands of the group, in the order of the steps."""
