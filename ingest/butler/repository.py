"""A Butler repository as ingest reads it, and its errors as ours.

The Butler is imported when a repository is opened: it takes a second, and is an extra that catalogues do without.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qserv_py.catalog.dataset import names_of_type
from qserv_py.errors import NotFoundError, QservError, RepositoryError, UserError
from qserv_py.extras import import_extra
from qserv_py.hints import did_you_mean

Ref = Any
"""A ``lsst.daf.butler.DatasetRef``."""

TABLE = "ArrowTable"
"""Storage class that every table of the Butler can be read as."""


@contextmanager
def open_repository(location: str) -> Iterator[Repository]:
    """Yield a repository, as `Repository` opens it; its connections are closed at the end."""
    repository = Repository(location)
    try:
        yield repository
    finally:
        repository.butler.close()


class Repository:
    """A Butler repository that is open for reading.

    Parameters
    ----------
    location
        Directory, URI, or alias of the repository.

    Raises
    ------
    ConfigError
        If Rubin's middleware is not installed.
    NotFoundError
        If there is no repository.
    RepositoryError
        If it cannot be opened.
    """

    def __init__(self, location: str) -> None:
        logging.getLogger("lsst").addHandler(logging.NullHandler())  # else remarks go to the terminal
        butlers = import_extra("lsst.daf.butler")
        self.location = location
        try:
            self.butler = butlers.Butler.from_config(location, writeable=False)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"there is no Butler repository in {location}",
                detail=_one_line(error),
                hint="A repository is a directory with butler.yaml; butler create makes one.",
            ) from error
        except Exception as error:  # of storage, of the registry's database, of its configuration: of any library
            raise self._unreadable(error) from error

    def check_is_table(self, dataset_type: str) -> None:
        """Raise UserError unless datasets of a type can be read as tables; NotFoundError if there is no such type."""
        factory = import_extra("lsst.daf.butler").StorageClassFactory()
        with self._translated():
            found = self.butler.get_dataset_type(dataset_type)
        held = found.storageClass
        # Any dictionary could be converted, but only one kind is of columns.
        is_columns = held.pytype is not dict or held.name == "ArrowNumpyDict"
        if not (is_columns and factory.getStorageClass(TABLE).can_convert(held)):
            raise UserError(
                f'dataset type "{dataset_type}" of {self.location} holds {found.storageClass_name}, which is no table',
                hint="Tables are of the storage classes ArrowAstropy, ArrowTable, ArrowNumpy and DataFrame.",
            )

    def datasets(self, collection: str, dataset_type: str, *, where: str = "") -> Generator[Ref, None, None]:
        """Give the datasets of a type: of those with one data id the first of the collection's chain.

        Raises
        ------
        NotFoundError
            If there is no such collection or dataset type.
        UserError
            If ``where`` cannot be understood.
        RepositoryError
            If the registry does not answer.
        """
        with self._translated(), self.butler.query() as query:
            found = query.datasets(dataset_type, collection, find_first=True)
            yield from found.where(where) if where else found

    def images(self, collection: str, dataset_type: str, *, instrument: str, visits: Sequence[int]) -> Iterator[Ref]:
        """Give the datasets of a type of some visits, with their dimension records; none when there is no such type."""
        with self._translated(), self.butler.query() as query:
            if not self.butler.registry.queryDatasetTypes(dataset_type):
                return
            found = query.datasets(dataset_type, collection, find_first=True)
            bind = {"its_name": instrument, "its_visits": list(visits)}
            chosen = found.where("instrument = its_name AND visit IN (its_visits)", bind=bind)
            yield from chosen.with_dimension_records()

    def stored(self, refs: Sequence[Ref]) -> dict[Ref, bool]:
        """Return which datasets have their files."""
        with self._translated():
            return dict(self.butler.stored_many(refs))

    def refresh(self) -> None:
        """Notice dataset types and collections that others have made."""
        with self._translated():
            self.butler.registry.refresh()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of the Butler into ours."""
        errors = import_extra("lsst.daf.butler")
        try:
            yield
        except QservError:
            raise
        except errors.MissingDatasetTypeError as error:
            raise self._missing("dataset type", error, self._dataset_types()) from error
        except errors.MissingCollectionError as error:
            raise self._missing("collection", error, self.butler.collections.query("*")) from error
        except errors.InvalidQueryError as error:
            raise UserError(
                f"the condition on datasets of {self.location} cannot be understood: {_one_line(error)}",
                hint="Such as \"instrument = 'QCam' AND visit > 100\"; a visit or a detector needs its instrument.",
            ) from error
        except Exception as error:  # of the registry's database, of storage: of any library
            raise self._unreadable(error) from error

    def _dataset_types(self) -> list[str]:
        return [found.name for found in self.butler.registry.queryDatasetTypes()]

    def _missing(self, what: str, error: Exception, known: Sequence[str]) -> NotFoundError:
        quoted = _one_line(error).split("'")
        name = quoted[1] if len(quoted) > 1 else ""
        has = f"It has {', '.join(sorted(known)[:10])}." if known else "It has none yet."
        other = next((one for one in names_of_type(name)[1:] if one in known), None) if what == "dataset type" else None
        hint = did_you_mean(name, known, most=1) or has
        if other is not None:
            hint = f'Our pipelines call it "{other}" in this repository; --table says which table its rows go to.'
        return NotFoundError(f'the repository {self.location} has no {what} "{name}"', hint=hint)

    def _unreadable(self, error: Exception) -> RepositoryError:
        return RepositoryError(
            f"the Butler repository {self.location} cannot be read",
            detail=f"{type(error).__name__}: {_one_line(error)}",
            hint="butler query-collections REPO says whether the Butler itself can.",
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).strip('"')[:500]
