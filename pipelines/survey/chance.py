"""Random numbers that depend on what is drawn and on nothing else: not on the order, nor on the number of processes."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Draw(IntEnum):
    """What is drawn; each has numbers of its own. The values are part of a survey's meaning: none is ever reused."""

    SKY = 1
    VISIT = 2
    DEVICE = 3
    RESPONSE = 4
    PIXELS = 5
    REFERENCES = 6


def numbers_for(seed: int, what: Draw, *which: int) -> np.random.Generator:
    """Return the random numbers of one thing.

    Parameters
    ----------
    seed
        Of the survey.
    what
        Kind of the thing.
    which
        Its numbers, such as those of exposure and detector.
    """
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, int(what), *which))))
