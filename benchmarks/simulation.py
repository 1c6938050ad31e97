"""Drawing the sources of a detector against GalSim in the same run, and whole images. Prints one JSON document.

CPU seconds are the least of some runs on one thread, each run of ours beside one of GalSim's.

    python benchmarks/simulation.py [--side 2048] [--repeat 2] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is loaded

import galsim
import numpy as np

from qserv_py.pipelines.survey.drawing import add_sources
from qserv_py.pipelines.survey.exposing import Simulator
from qserv_py.pipelines.survey.request import SurveyRequest

THRESHOLD = 0.5  # electrons per pixel


def cpu(repeat: int, work: Callable[[], Any]) -> float:
    """Return the least CPU seconds of some runs."""
    least = float("inf")
    for _ in range(repeat):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
    return least


def ours(sources: np.ndarray, side: int) -> np.ndarray:
    image = np.zeros((side, side))
    add_sources(image, sources, threshold=THRESHOLD)
    return image


def galsims(sources: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Return the image, and the share of a star's light that its stamp lacks, in the median."""
    image, lost = galsim.ImageD(side, side, scale=1), []
    for row in sources:
        light = galsim.Kolmogorov(fwhm=row["fwhm"]).shear(e1=row["psf_e1"], e2=row["psf_e2"])
        if row["radius"] > 0:
            galaxy = galsim.Spergel(nu=row["profile"], half_light_radius=row["radius"])
            light = galsim.Convolve(galaxy.shear(e1=row["e1"], e2=row["e2"]), light)
        middle = galsim.PositionD(row["x"] + 1, row["y"] + 1)
        stamp = light.withFlux(row["flux"]).drawImage(center=middle, scale=1, dtype=float)
        if row["radius"] == 0:
            lost.append(1 - stamp.array.sum() / row["flux"])
        common = stamp.bounds & image.bounds
        if common.isDefined():
            image[common] += stamp[common]
    return image.array, float(np.median(lost))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    simulator = Simulator(SurveyRequest(size=options.side, seed=options.seed))
    visit = simulator.plan.visits[1]
    sources = simulator.drawn_sources(visit, simulator.camera.detectors[0], threshold=THRESHOLD)
    drawing = cpu(options.repeat, lambda: ours(sources, options.side))
    peer = cpu(options.repeat, lambda: galsims(sources, options.side))
    kinds = {info.kind: info for info in simulator.plan.calibrations}
    result = {
        "benchmark": "simulation",
        "pixels": options.side**2,
        "sources": len(sources),
        "drawing": {
            "cpu_s": round(drawing, 3),
            "galsim_cpu_s": round(peer, 3),
            "galsim_over_ours": round(peer / drawing, 1),
            "galsim_light_lost": round(galsims(sources, options.side)[1], 5),
        },
        "image_cpu_s": {
            "science": round(cpu(options.repeat, lambda: simulator.science(visit, 0)), 3),
            **{
                kind: round(cpu(options.repeat, lambda info=info: simulator.calibration(info, 0)), 3)
                for kind, info in kinds.items()
            },
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
