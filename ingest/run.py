"""One ingest: files of one table, in one super-transaction that commits whole or leaves nothing.

    read        files to a spool of converted, located rows; rejects to files
    stage       spool to parts on disk; for a director: new chunks, overlap, director index
    commit      one transaction of the registry: the moment of truth
    load        parts to the row stores; whoever comes next finishes it when this process dies

Before the commit nothing that anybody reads has changed. After it nothing can be lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from qserv_py.catalog.dataset import Image, NewDataset
from qserv_py.catalog.model import ChildTable, Database, DirectorTable, Orphans, RefTable, Table, names_of
from qserv_py.catalog.part import PartRole
from qserv_py.errors import NotFoundError, QservError, UserError
from qserv_py.hints import did_you_mean
from qserv_py.ingest.contents import check_not_loaded, check_repeated, contents_of, sha256s_of
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.inputs import FileInput, Input
from qserv_py.ingest.intake import InputFile
from qserv_py.ingest.progress import RowCounter
from qserv_py.ingest.recovery import finish_transaction, process_context, recover, remove_staged
from qserv_py.ingest.requests import (
    FileSummary,
    IngestStage,
    IngestSummary,
    InputOptions,
    ProgressListener,
    ignore_progress,
)
from qserv_py.ingest.spool import DEFAULT_BUDGET
from qserv_py.ingest.table_staging import (
    IngestJob,
    Staged,
    stage_child_with_orphans,
    stage_director,
    stage_following,
    stage_ref,
)
from qserv_py.registry.transactions import (
    abort_transaction,
    begin_transaction,
    commit_transaction,
    family_lock,
    record_contribution,
)


def run_ingest(
    destination: Destination,
    *,
    database: str,
    table: str,
    files: Sequence[Path],
    options: InputOptions | None = None,
    max_rejects: int = 0,
    rejects_dir: Path | None = None,
    budget: int = DEFAULT_BUDGET,
    progress: ProgressListener = ignore_progress,
) -> IngestSummary:
    """Ingest files into a table; queries see the rows after the next publishing.

    Parameters
    ----------
    database, table
        Names, in any case.
    max_rejects
        Rows of each file that may be turned away; one more makes the whole ingest fail.
    rejects_dir
        Directory of reject files; the working directory by default.
    budget
        Bytes of rows that the ingest may hold in memory.
    progress
        Told how far each stage is, from any thread.

    Raises
    ------
    NotFoundError
        If there is no such database or table.
    ContributionError
        If a file cannot be read, has wrong columns, or has more rejects than allowed, or if a table that no key tells
        would get its rows twice (``options.again`` allows that); nothing is left of the ingest.
    WorkerError
        If a shard refuses rows. The ingest is committed then and is finished by the next one, or by publishing.
    """
    found = destination.registry.database(database)
    target = find_table(found, table)
    if not files:
        raise UserError(f'no files to ingest into "{target.qualified}" were given')
    options = options or InputOptions()
    return ingest_inputs(
        destination,
        database=found,
        table=target,
        inputs=[FileInput(file, options) for file in files],
        options=options,
        max_rejects=max_rejects,
        rejects_dir=rejects_dir,
        budget=budget,
        progress=progress,
    )


def ingest_inputs(
    destination: Destination,
    *,
    database: Database,
    table: Table,
    inputs: Sequence[Input],
    options: InputOptions,
    images: Sequence[Image] = (),
    max_rejects: int = 0,
    rejects_dir: Path | None = None,
    budget: int = DEFAULT_BUDGET,
    progress: ProgressListener = ignore_progress,
) -> IngestSummary:
    """Ingest inputs of any kind as `run_ingest` does files.

    Parameters
    ----------
    images
        Images that the rows were measured on; the registry knows them from the commit on.

    Raises
    ------
    TransactionStateError
        If the table has the rows of one of the inputs' datasets; nothing is left of the ingest.
    """
    started = time.monotonic()
    if options.keep_known and isinstance(table, DirectorTable) and not table.unique:
        raise UserError(
            f'ids of "{table.qualified}" repeat (unique: false), so it is not known which rows it has already',
            hint="Load them all, or none of the files whose rows it has.",
        )
    recover(destination, database=database.name)
    sha256s = sha256s_of(table, inputs)
    transaction_id = begin_transaction(destination.registry, database.name, context=_context(table, inputs))
    job = IngestJob(
        destination=destination,
        database=database,
        table=table,
        transaction_id=transaction_id,
        inputs=tuple(inputs),
        sha256s=sha256s,
        images=tuple(images),
        options=options,
        max_rejects=max_rejects,
        rejects_dir=rejects_dir or Path.cwd(),
        budget=budget,
        progress=progress,
    )
    files: list[InputFile] = []
    with _aborting(job, files):
        staged = _stage_and_commit(job, files)
    rows = sum(part.rows for part in staged.parts if part.role is not PartRole.INDEX)
    counter = RowCounter(progress, IngestStage.LOADING, rows)
    finish_transaction(destination, database, transaction_id, loaded=counter.add)
    return _summary(job, files, staged, seconds=time.monotonic() - started)


def _stage_and_commit(job: IngestJob, files: list[InputFile]) -> Staged:
    registry = job.destination.registry
    contents = {} if job.options.again else contents_of(job.inputs, job.sha256s)
    if contents:
        check_not_loaded(registry, job.transaction_id, job.table, contents)
    # Ids are compared with those that are there, chunks are added: nobody else may do so until the commit.
    alone = isinstance(job.table, DirectorTable | RefTable) or _has_orphans(job.table)
    with family_lock(registry, job.database.family.name) if alone else nullcontext():
        staged = _stage(job, files)
        if contents:
            check_repeated(files, job.sha256s)
        _record(job, files)
        commit_transaction(
            registry,
            job.transaction_id,
            parts=staged.parts,
            chunks=staged.new_chunks,
            datasets=[(job.table.name, dataset, rows) for dataset, rows in _datasets(files)],
            images=job.images,
            new_contents=(job.table.name, contents) if contents else None,
        )
    return staged


def _datasets(files: Sequence[InputFile]) -> list[tuple[NewDataset, int]]:
    found = [(file.input.dataset, file.rows_loaded) for file in files]
    return [(dataset, rows) for dataset, rows in found if dataset is not None]


def _stage(job: IngestJob, files: list[InputFile]) -> Staged:
    match job.table:
        case DirectorTable():
            return stage_director(job, job.table, files)
        case RefTable():
            return stage_ref(job, files)
        case ChildTable() as table if _has_orphans(table):
            return stage_child_with_orphans(job, table, files)
        case _:
            return stage_following(job, files)


def _has_orphans(table: Table) -> bool:
    return isinstance(table, ChildTable) and table.orphans is not Orphans.NONE


@contextmanager
def _aborting(job: IngestJob, files: list[InputFile]) -> Iterator[None]:
    """Abort the super-transaction and remove its files when its work fails or is broken off."""
    try:
        yield
    except BaseException as error:
        reason = error.message if isinstance(error, QservError) else type(error).__name__
        with suppress(QservError):  # the registry may be what failed; the next ingest recovers
            _record(job, files, error=reason)
            abort_transaction(job.destination.registry, job.transaction_id, reason=reason)
            remove_staged(job.destination, job.database, job.transaction_id)
        raise
    finally:
        for file in files:
            file.rejects.close()


def _record(job: IngestJob, files: Sequence[InputFile], *, error: str | None = None) -> None:
    for file, sha256 in zip(files, job.sha256s, strict=False):  # fewer files when one could not be opened
        record_contribution(
            job.destination.registry,
            job.transaction_id,
            table=job.table.name,
            source=file.input.source,
            format=file.input.format,
            bytes=file.input.bytes,
            rows_read=file.rows_read,
            rows_loaded=0 if error else file.rows_loaded,
            rows_rejected=file.rejects.count,
            reject_file=str(file.rejects.path) if file.rejects.count else None,
            error=error,
            sha256=sha256,
        )


def _summary(job: IngestJob, files: list[InputFile], staged: Staged, *, seconds: float) -> IngestSummary:
    return IngestSummary(
        transaction_id=job.transaction_id,
        database=job.database.name,
        table=job.table.name,
        files=tuple(
            FileSummary(
                label=file.input.label,
                bytes=file.input.bytes,
                rows_read=file.rows_read,
                rows_loaded=file.rows_loaded,
                rows_rejected=file.rejects.count,
                reject_file=file.rejects.path if file.rejects.count else None,
                notes=file.notes,
            )
            for file in files
        ),
        chunks=staged.chunks,
        new_chunks=len(staged.new_chunks),
        orphans=staged.orphans,
        parts=len(staged.parts),
        seconds=seconds,
    )


def _context(table: Table, inputs: Sequence[Input]) -> dict[str, object]:
    return {
        "table": table.name,
        "files": [input.source for input in inputs],
        **process_context(),
    }


def find_table(database: Database, name: str) -> Table:
    """Return a table by its name in any case; NotFoundError if there is none."""
    exact = database.find_tables(name, exact=True) or database.find_tables(name, exact=False)
    if len(exact) == 1:
        return exact[0]
    known = names_of(database.tables)
    raise NotFoundError(
        f'database "{database.name}" has no table "{name}"',
        hint=did_you_mean(name, known, most=1) or f"It has {', '.join(known)}.",
    )
