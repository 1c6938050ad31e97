"""Opening a repository; the only place that knows how the Butler says that it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsst.daf.butler import Butler, CollectionType, MissingDatasetTypeError
from lsst.daf.butler.registry import MissingCollectionError, RegistryConsistencyError
from lsst.resources import ResourcePath
from sqlalchemy.exc import DatabaseError

from qserv_py.errors import NotFoundError, RepositoryError

INIT_HINT = "qserv pipeline init makes one."


@contextmanager
def opened(repository: str, *, writeable: bool = False) -> Iterator[Butler]:
    """Yield the Butler of a repository.

    Parameters
    ----------
    repository
        Directory, URI or alias, as the Butler knows it.
    writeable
        Whether something is to be changed.

    Raises
    ------
    NotFoundError
        If there is none.
    RepositoryError
        If its registry does not answer, or is not whole.
    """
    try:
        butler = Butler.from_config(repository, writeable=writeable)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no Butler repository {repository}", hint=INIT_HINT) from error
    except (DatabaseError, RuntimeError, RegistryConsistencyError, KeyError, ValueError) as error:
        raise RepositoryError(
            f"the Butler repository {repository} cannot be opened",
            detail=first_line(error),
            hint="Where it was not finished, qserv pipeline init finishes it.",
        ) from error
    with butler:
        try:
            yield butler
        except DatabaseError as error:
            raise RepositoryError(
                f"the registry of {repository} refuses",
                detail=first_line(error),
                hint="Try again; nothing is half done.",
            ) from error
        except (MissingDatasetTypeError, MissingCollectionError) as error:
            raise NotFoundError(f"{repository}: {first_line(error)}") from error


def has_collection(butler: Butler, name: str) -> bool:
    """Whether a repository has a collection."""
    try:
        butler.collections.get_info(name)
    except MissingCollectionError:
        return False
    return True


def register_collection(butler: Butler, name: str, kind: CollectionType = CollectionType.RUN) -> bool:
    """Register a collection; return whether it is new.

    In one transaction: the Butler itself commits the name of a run before the run, and a process that is killed between
    the two leaves a name that no dataset can ever be put under.
    """
    with butler.transaction():
        return bool(butler.collections.register(name, kind))


def file_uri(path: Path) -> ResourcePath:
    """Return what the Butler calls a file whose name may have blanks, ``#`` or ``%``."""
    return ResourcePath(path.absolute().as_uri())


def first_line(error: BaseException) -> str:
    """Return the first line of what a foreign error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
