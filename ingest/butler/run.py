"""Datasets of a Butler collection into a table, each exactly once.

    look        list the collection; leave out datasets whose rows the table has
    judge       a data id that the table has rows of from another dataset: refuse, keep or add
    load        some datasets in one super-transaction, whose commit writes their ids down
    publish     when asked to

A dataset's id is its identity: it is written down by the commit that brings its rows, so a process that is killed at
any moment leaves either both or nothing, and the next one goes on from there. Ingests into one table take turns, so
none loads what another is loading.

A dataset that cannot be loaded (its file cannot be read, a column is wrong, too many rows are rejected) makes its
super-transaction fail; the others of that transaction are then loaded without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from uuid import UUID

from qserv_py.catalog.model import Database, Table, names_of
from qserv_py.errors import ContributionError, NotFoundError
from qserv_py.ingest.butler.images import images_of
from qserv_py.ingest.butler.inputs import DatasetInput, describe, make_inputs
from qserv_py.ingest.butler.repository import Ref, Repository
from qserv_py.ingest.butler.requests import ButlerRequest, Failure, Reprocessed, Tally
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.requests import IngestSummary, InputOptions, ProgressListener, ignore_progress
from qserv_py.ingest.run import find_table, ingest_inputs
from qserv_py.registry.datasets import data_id_key, datasets_at, loaded_ids, take_numbers

DATASETS_AT_ONCE = 200
"""Datasets of one super-transaction at the most."""

BYTES_AT_ONCE = 1 << 29
"""When the files of a super-transaction have so many bytes, no more datasets are added to it."""

DATASETS_IN_LOOK = 5000
"""Datasets to be loaded that are kept in memory at a time."""

_PAGE = 1000


class DatasetIngest:
    """Loads the datasets of a request; ``tally`` says how far it is.

    Parameters
    ----------
    loaded
        Told of each super-transaction.
    failed
        Told of each dataset that cannot be loaded.
    stopped
        Asked before each super-transaction whether to stop.
    progress
        Told of the rows of the super-transaction at work.
    """

    def __init__(
        self,
        destination: Destination,
        repository: Repository,
        request: ButlerRequest,
        *,
        loaded: Callable[[IngestSummary, Tally], None] = lambda summary, tally: None,
        failed: Callable[[Failure], None] = lambda failure: None,
        stopped: Callable[[], bool] = lambda: False,
        progress: ProgressListener = ignore_progress,
    ) -> None:
        self._destination = destination
        self._repository = repository
        self._request = request
        self._loaded = loaded
        self._failed = failed
        self._stopped = stopped
        self._progress = progress
        self._database: Database = destination.registry.database(request.database)
        self._table = choose_table(self._database, request)
        self._hopeless: set[UUID] = set()
        """Datasets that failed for good; as they never change, they are not tried again."""
        self._passed: set[UUID] = set()
        """Reprocessed datasets that were passed over."""
        self._absent: set[UUID] = set()
        """Datasets of the last look that have no file; the next look tries them again."""
        self._told: set[UUID] = set()
        """Datasets without a file that ``failed`` was told of, so that it is told once."""
        self._to_publish = True
        """Whether rows may await publishing; at first those of an earlier process that was killed."""
        self.tally = Tally()

    def run(self) -> int:
        """Load every dataset that is in the collection and not in the table; return how many were.

        Raises
        ------
        NotFoundError
            If the repository has no such collection or dataset type.
        UserError
            If the condition cannot be understood, or datasets of the type are no tables.
        RepositoryError
            If the repository does not answer.
        """
        before = self.tally.datasets
        self._repository.refresh()
        self._repository.check_is_table(self._request.dataset_type)
        self._absent.clear()
        while not self._stopped():
            refs = self._look()
            self._load_all(refs)
            if len(refs) < DATASETS_IN_LOOK:
                break
        self.tally.failed = len(self._hopeless) + len(self._absent)
        count = self.tally.datasets - before
        self._to_publish = self._to_publish or count > 0
        if self._request.publish and self._to_publish and (count or self.tally.there_before):
            self.tally.snapshot = publish_database(self._destination, self._database.name).snapshot
            self._to_publish = False
        return count

    def _look(self) -> list[Ref]:
        """Return datasets that are to be loaded, not more than are kept in memory.

        The listing is read to its end before anything is loaded: a registry in SQLite cannot be written to meanwhile.
        """
        request = self._request
        chosen: list[Ref] = []
        self.tally.there_before = 0
        found = self._repository.datasets(request.collection, request.dataset_type, where=request.where)
        with closing(found) as listing:
            for page in iter(lambda: list(islice(listing, _PAGE)), []):
                loaded = loaded_ids(self._destination.registry, self._table, [ref.id for ref in page])
                self.tally.there_before += len(loaded)
                passed = loaded | self._hopeless | self._passed | self._absent
                chosen += [ref for ref in page if ref.id not in passed]
                if len(chosen) >= DATASETS_IN_LOOK:
                    break
        return chosen[:DATASETS_IN_LOOK]

    def _load_all(self, refs: Sequence[Ref]) -> None:
        for start in range(0, len(refs), DATASETS_AT_ONCE):
            if self._stopped():
                return
            # Whoever holds the lock knows which datasets the table has: ingests into one table take turns.
            with self._destination.registry.lock(f"qserv datasets of {self._table.qualified}"):
                self._load_page(refs[start : start + DATASETS_AT_ONCE])

    def _load_page(self, refs: Sequence[Ref]) -> None:
        there = loaded_ids(self._destination.registry, self._table, [ref.id for ref in refs])
        fresh = self._with_files([ref for ref in refs if ref.id not in there])
        again = self._reprocessed(fresh)
        first = [ref for ref in fresh if ref.id not in again]
        match self._request.reprocessed:
            case Reprocessed.REFUSE:
                for ref in fresh:
                    if ref.id in again:
                        self._refuse(ref, *again[ref.id])
                again = {}
            case Reprocessed.KEEP:
                self._passed |= again.keys()
                self.tally.passed_over = len(self._passed)
                again = {}
            case Reprocessed.ADD:
                pass
        for chosen, keep_known in ((first, False), ([ref for ref in fresh if ref.id in again], True)):
            with ExitStack() as files:
                numbers = take_numbers(self._destination.registry, len(chosen)) if chosen else []
                inputs = make_inputs(self._repository, chosen, self._table, numbers, files)
                for batch in _batches(inputs):
                    if self._stopped():
                        return
                    self._load(batch, keep_known=keep_known)

    def _with_files(self, refs: list[Ref]) -> list[Ref]:
        """Return the datasets that have a file; the others fail, and may have one at the next look."""
        stored = self._repository.stored(refs) if refs else {}
        for ref in refs:
            if not stored[ref]:
                error = ContributionError(
                    f"{describe(ref)} has no file",
                    hint="Its file was removed from the datastore, or is not there yet.",
                )
                self._absent.add(ref.id)
                if ref.id not in self._told:
                    self._failed(Failure(label=describe(ref), error=error))
                self._told.add(ref.id)
        return [ref for ref in refs if stored[ref]]

    def _reprocessed(self, refs: Sequence[Ref]) -> dict[UUID, tuple[UUID, str]]:
        """Return id and run of the dataset that the table has rows of, for those whose data id it has."""
        if not refs:
            return {}
        data_ids = [dict(ref.dataId.required) for ref in refs]
        found = datasets_at(self._destination.registry, self._table, self._request.dataset_type, data_ids)
        keys = {ref.id: data_id_key(data_id) for ref, data_id in zip(refs, data_ids, strict=True)}
        return {name: found[key] for name, key in keys.items() if key in found}

    def _refuse(self, ref: Ref, dataset_id: UUID, run: str) -> None:
        error = ContributionError(
            f'{describe(ref)} was processed again: table "{self._table.qualified}" has the rows of run "{run}"',
            detail=f"Those are of dataset {dataset_id}.",
            hint="--reprocessed keep leaves the table as it is, --reprocessed add brings rows that it does not have; "
            "a database of its own shows the new processing whole.",
        )
        self._fail(ref, error)

    def _load(self, inputs: Sequence[DatasetInput], *, keep_known: bool) -> None:
        """Load datasets in one super-transaction; without those that make it fail."""
        try:
            summary = self._ingest(inputs, keep_known=keep_known)
        except ContributionError as error:
            if len(inputs) == 1:
                self._fail(inputs[0].ref, error)
                return
            middle = len(inputs) // 2
            for half in (inputs[:middle], inputs[middle:]):
                self._load(half, keep_known=keep_known)
            return
        self.tally.datasets += len(inputs)
        self.tally.rows += summary.rows_loaded
        self.tally.rows_passed_over += summary.rows_read - summary.rows_loaded - summary.rows_rejected
        self.tally.seconds += summary.seconds
        self._loaded(summary, self.tally)

    def _ingest(self, inputs: Sequence[DatasetInput], *, keep_known: bool) -> IngestSummary:
        request = self._request
        refs = [input.ref for input in inputs]
        images = images_of(self._repository, request.collection, request.image_types, refs)
        summary = ingest_inputs(
            self._destination,
            database=self._database,
            table=self._table,
            inputs=inputs,
            images=images,
            options=InputOptions(ignore_extra=request.ignore_extra, keep_known=keep_known),
            max_rejects=request.max_rejects,
            rejects_dir=request.rejects_dir,
            progress=self._progress,
        )
        self.tally.images += len(images)
        return summary

    def _fail(self, ref: Ref, error: ContributionError) -> None:
        self._hopeless.add(ref.id)
        self._failed(Failure(label=describe(ref), error=error))


def choose_table(database: Database, request: ButlerRequest) -> Table:
    """Return the table of a request: the one that it names, or the one that has the name of the dataset type."""
    if request.table is not None:
        return find_table(database, request.table)
    wanted = request.dataset_type.removesuffix("_table").replace("_", "")
    found = database.find_tables(wanted, exact=False)
    if len(found) == 1:
        return found[0]
    raise NotFoundError(
        f'database "{database.name}" has no table that is called like dataset type "{request.dataset_type}"',
        hint=f"--table says which it is, one of {', '.join(names_of(database.tables))}.",
    )


def _batches(inputs: Sequence[DatasetInput]) -> Iterator[list[DatasetInput]]:
    """Cut inputs where their files are large enough for a super-transaction."""
    batch: list[DatasetInput] = []
    size = 0
    for input in inputs:
        batch.append(input)
        size += input.bytes
        if size >= BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
