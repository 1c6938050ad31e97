"""How much memory and disk the queries of one process may use, and which part of it gets how much."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
MOST_BYTES = 8 << 30
"""What a process takes by default at the most: others, and the workers' servers, run beside it."""

LEAST_BYTES = 256 << 20
"""What a process takes by default at the least: less would refuse nearly everything."""

BATCHES = 2048
"""Batches that a process holds would fill: sixteen queries with a dozen each take less than a tenth of it."""

LEAST_BATCH, MOST_BATCH = 64 << 10, 1 << 20
"""Bytes of a batch: beyond a megabyte it is no faster, below some ten kilobytes each costs more than its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """What an operator decides; None for the default."""

    process_bytes: int | None = None
    query_bytes: int | None = None
    spill_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Bytes of each part of a process that answers queries."""

    merges: int
    """DuckDB's memory, of all queries together; beyond it, DuckDB spills."""

    rows: int
    """Rows of stages that all queries together keep for later stages."""

    query_rows: int
    """Those of one query."""

    replies: int
    """Written results that wait for their clients in memory; beyond it, they wait on the disk."""

    batch: int
    """Rows that travel together: of each running query about a dozen such batches are on their way."""

    merge_spill: int
    """Disk that DuckDB may use."""

    reply_spill: int
    """Disk on which results wait for slow clients."""


def shares_of(settings: MemorySettings, spill_dir: Path) -> Shares:
    """Return the share of each part: half for merges, three eighths for rows, the rest for what is on its way.

    Parameters
    ----------
    settings
        What the operator decided.
    spill_dir
        Directory whose disk is spilled to.
    """
    process = settings.process_bytes or min(MOST_BYTES, max(LEAST_BYTES, available_bytes() // 2))
    spill = settings.spill_bytes or max(1 << 20, shutil.disk_usage(spill_dir).free // 2)
    rows = process * 3 // 8
    return Shares(
        merges=process // 2,
        rows=rows,
        query_rows=min(rows, settings.query_bytes or process // 4),
        replies=process // 16,
        batch=max(LEAST_BATCH, min(MOST_BATCH, process // BATCHES)),
        merge_spill=spill // 2,
        reply_spill=spill - spill // 2,
    )


def available_bytes(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> int:
    """Return the memory that this process may use: that of the machine, or what its control groups leave of it.

    Parameters
    ----------
    cgroups
        Where control groups are mounted.
    own
        File that names those of this process.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(cgroups, own)])


def _limits(cgroups: Path, own: Path) -> Iterator[int]:
    """Yield the limits of the groups of this process and of those around them, of both versions of the interface."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            mount, file = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            mount, file = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = PurePosixPath(name.lstrip("/"))
        for group in (inside, *inside.parents):
            try:
                text = (mount / group / file).read_text().strip()
            except OSError:  # a container sees its own group as the root
                continue
            if text.isdecimal():
                yield int(text)
