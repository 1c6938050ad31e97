"""``qserv sim``: data whose truth is known."""

from __future__ import annotations

import os
from pathlib import Path

import click

from qserv_py.cli.options import say
from qserv_py.cli.progress import stage_progress
from qserv_py.counts import counted


@click.group()
def sim() -> None:
    """Make data whose truth is known."""


@sim.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@click.option("--visits", metavar="N", type=int, default=4, show_default=True, help="Science exposures.")
@click.option("--detectors", metavar="N", type=int, default=4, show_default=True, help="Of the camera, 1 to 189.")
@click.option("--size", metavar="PIXELS", type=int, default=2048, show_default=True, help="Side of a detector.")
@click.option("--amplifiers", metavar="N", type=int, default=2, show_default=True, help="Of a detector.")
@click.option(
    "--crosstalk", metavar="SHARE", type=float, default=0.0, show_default=True, help="Of an amplifier in its neighbour."
)
@click.option("--bands", metavar="LETTERS", default="gri", show_default=True, help="Of the visits, in turns.")
@click.option("--seed", metavar="N", type=int, default=1, show_default=True, help="The same seed, the same bytes.")
@click.option("--ra", metavar="DEG", type=float, default=53.13, show_default=True, help="Middle of the field, ICRS.")
@click.option("--dec", metavar="DEG", type=float, default=-28.1, show_default=True, help="Middle of the field, ICRS.")
@click.option("--dither", metavar="ARCSEC", type=float, default=60.0, show_default=True, help="Of the visits.")
@click.option("--exposure", metavar="SECONDS", type=float, default=30.0, show_default=True, help="Of each visit.")
@click.option("--first-night", metavar="DATE", default="2026-11-20", show_default=True, help="Of the visits.")
@click.option("--visits-a-night", metavar="N", type=int, default=8, show_default=True, help="Before the night is over.")
@click.option("--nights-apart", metavar="N", type=int, default=3, show_default=True, help="From night to night.")
@click.option("--stars", metavar="N", type=float, default=50_000, show_default=True, help="In a square degree.")
@click.option("--galaxies", metavar="N", type=float, default=326_000, show_default=True, help="In a square degree.")
@click.option("--transients", metavar="N", type=float, default=500, show_default=True, help="In a square degree.")
@click.option("--moving", metavar="N", type=float, default=500, show_default=True, help="In a square degree.")
@click.option(
    "--cosmic-rays", metavar="N", type=float, default=0.2, show_default=True, help="In a square centimetre and second."
)
@click.option("--biases", metavar="N", type=int, default=5, show_default=True, help="Bias exposures.")
@click.option("--darks", metavar="N", type=int, default=3, show_default=True, help="Dark exposures.")
@click.option("--flats", metavar="N", type=int, default=5, show_default=True, help="Flat exposures of each band.")
@click.option("--processes", metavar="N", type=click.IntRange(1), help="That work side by side; default one a core.")
def survey(
    directory: Path,
    visits: int,
    detectors: int,
    size: int,
    amplifiers: int,
    crosstalk: float,
    bands: str,
    seed: int,
    ra: float,
    dec: float,
    dither: float,
    exposure: float,
    first_night: str,
    visits_a_night: int,
    nights_apart: int,
    stars: float,
    galaxies: float,
    transients: float,
    moving: float,
    cosmic_rays: float,
    biases: int,
    darks: int,
    flats: int,
    processes: int | None,
) -> None:
    """Simulate a survey of one field: raw images, calibrations, reference catalogue, and the truth.

    What was made before in the same directory, by the same request, is kept: a survey that was broken off goes on.

    Example: qserv sim survey my-survey --visits 8 --bands gri
    """
    from qserv_py.pipelines.survey.request import SurveyRequest
    from qserv_py.pipelines.survey.run import simulate_survey

    request = SurveyRequest(
        visits=visits,
        detectors=detectors,
        size=size,
        amplifiers=amplifiers,
        crosstalk=crosstalk,
        bands=bands,
        seed=seed,
        ra=ra,
        dec=dec,
        first_night=first_night,
        visits_a_night=visits_a_night,
        nights_apart=nights_apart,
        exposure_s=exposure,
        dither_arcsec=dither,
        stars_per_deg2=stars,
        galaxies_per_deg2=galaxies,
        transients_per_deg2=transients,
        moving_per_deg2=moving,
        cosmic_rays_per_cm2_s=cosmic_rays,
        biases=biases,
        darks=darks,
        flats=flats,
    )
    try:
        with stage_progress("images") as show:
            summary = simulate_survey(
                request,
                directory,
                processes=processes or len(os.sched_getaffinity(0)),
                progress=lambda progress: show("simulating", progress.done, progress.total),
            )
    except KeyboardInterrupt:
        say(f"Stopped. What is whole in {directory} stays; the same command goes on.")
        raise
    kept = f", {summary.kept} of them from before" if summary.kept else ""
    say(
        f"{directory}: {counted(summary.visits, 'visit')}, {counted(summary.calibrations, 'calibration exposure')}, "
        f"{counted(summary.images, 'image')}{kept}, {summary.raw_bytes / 1e6:,.0f} MB, {summary.seconds:.1f} s"
    )
