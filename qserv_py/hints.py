"""What a user may have meant: known names that are close to a written one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def close_names(written: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the known names that are closest to a written one, whatever their case; none when none is close."""
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(written.lower(), list(folded), n=most, cutoff=0.6)
    # A long common prefix makes everything close: keep what is nearly as close as the best.
    likeness = [difflib.SequenceMatcher(None, written.lower(), match).ratio() for match in close]
    return [folded[match] for match, ratio in zip(close, likeness, strict=True) if ratio >= max(likeness) - 0.08]


def did_you_mean(written: str, known: Iterable[str], *, most: int = 3) -> str:
    """Return a hint with the closest known names; empty when none is close."""
    return question(close_names(written, known, most=most))


def question(names: Iterable[str]) -> str:
    """Return a hint that asks whether one of some names was meant; empty when there is none."""
    asked = " or ".join(f'"{name}"' for name in names)
    return f"Did you mean {asked}?" if asked else ""


def or_did_you_mean(written: object, known: Iterable[str]) -> str:
    """Return the end of a message, ``; did you mean "x"?``; empty when no known name is close."""
    close = close_names(str(written), known, most=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def is_one_slip(written: str, word: str) -> bool:
    """Return whether a word was written with one slip: a letter too many, too few, another one, or two swapped."""
    pairs = enumerate(zip(written, word, strict=False))
    start = next((place for place, (one, other) in pairs if one != other), min(len(written), len(word)))
    left, right = written[start:], word[start:]
    swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
    return written != word and (left[1:] == right or left == right[1:] or left[1:] == right[1:] or swapped)
