"""What a failure means to the middleware.

* An image with nothing in it ends its quantum as "unprocessable": no failure, and everything else goes on without it.
* A fit that the data do not determine is an algorithm's failure: what was written before it stays, with the reason.
* Anything else that we can name (a missing calibration, a wrong header) will not go away by a retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lsst.pipe.base import AlgorithmError, RepeatableQuantumError, UnprocessableDataError

from qserv_py.errors import NoFitError, QservError, UnusableImageError


class UnusableData(UnprocessableDataError):
    """The image holds nothing to measure."""


class FitFailed(AlgorithmError):
    """The data do not determine a fit.

    Parameters
    ----------
    error
        What the fit said.
    """

    def __init__(self, error: QservError) -> None:
        super().__init__(error.render())
        self.error = error

    @property
    def metadata(self) -> dict[str, str]:
        """The error's code and parts."""
        return {"code": self.error.code, "detail": self.error.detail, "hint": self.error.hint}


class QuantumRefused(RepeatableQuantumError):
    """An input is missing or wrong; a retry would find the same."""


@contextmanager
def as_quantum_failures() -> Iterator[None]:
    """Raise our errors as the middleware knows them, with their hints."""
    try:
        yield
    except UnusableImageError as error:
        raise UnusableData(error.render()) from error
    except NoFitError as error:
        raise FitFailed(error) from error
    except QservError as error:
        raise QuantumRefused(error.render()) from error
