"""Numbers with the noun that they count."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 row``, ``0 rows``, ``12,345 rows``; ``plural`` where it is not made with s."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
