"""Contents of files whose rows a table has; they keep the same file from being loaded twice.

A file is known by the SHA-256 of its content, which its contribution records. It counts once its super-transaction has
committed: an ingest that failed has left no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

from qserv_py.errors import ContributionError
from qserv_py.registry.statements import Connection, run

AGAIN_HINT = "Its rows would be there twice; --again loads them all the same."


def check_contents(connection: Connection, transaction_id: int, table: str, labels: Mapping[str, str]) -> None:
    """Raise unless every other super-transaction brought a table the rows of other files than these.

    Parameters
    ----------
    labels
        What messages call each file, by the SHA-256 of its content.

    Raises
    ------
    ContributionError
        If a table has the rows of one of the files; names the first such file and counts the others.
    """
    rows = run(
        connection, "loaded_contents", transaction_id=transaction_id, table=table, sha256s=list(labels)
    ).fetchall()
    if not rows:
        return
    sha256, source, loaded_by, moment = rows[0]
    more = len({row[0] for row in rows}) - 1
    others = f"; so it has those of {more} more {'file' if more == 1 else 'files'}" if more else ""
    raise ContributionError(
        f'{labels[sha256]}: table "{table}" has the rows of this file already{others}; nothing was loaded',
        detail=f"Super-transaction {loaded_by} loaded {source} on {moment.astimezone(UTC):%Y-%m-%d at %H:%M:%S} UTC; "
        f"the content is the same, SHA-256 {sha256}.",
        hint=AGAIN_HINT,
    )
