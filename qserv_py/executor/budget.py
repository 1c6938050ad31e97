"""Bytes that queries may hold at a time: all of a process together, and each for itself."""

from __future__ import annotations

import threading

from qserv_py.errors import LimitError


class Budget:
    """Bytes of one kind that a process may hold; thread-safe.

    Parameters
    ----------
    what
        What is held, for messages: "rows of running queries".
    most
        Bytes that all accounts together may hold.
    each
        Bytes that one account may hold; None allows it all of ``most``.
    setting, each_setting
        Names of the settings that ``most`` and ``each`` come from; messages tell the user to raise them.
    why, cure
        Why a query needs so many, and what its user can do.
    """

    def __init__(
        self,
        what: str,
        most: int,
        *,
        setting: str,
        each: int | None = None,
        each_setting: str = "",
        why: str = "",
        cure: str = "Ask for fewer rows or columns",
    ) -> None:
        self.what = what
        self._why = why
        self._cure = cure
        self.most = most
        self.each = most if each is None else each
        self._setting = setting
        self._each_setting = each_setting or setting
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Bytes that are held."""
        return self._taken

    def account(self) -> Account:
        """Return an account of one query."""
        return Account(self)

    def take(self, size: int, *, of_account: int) -> None:
        """Take bytes for an account that has some already.

        Raises
        ------
        LimitError
            If the account or the process would hold too many; nothing is taken then.
        """
        if of_account + size > self.each:
            raise LimitError(
                f"more than {_mebibytes(self.each)} of {self.what} would have to be held for one query",
                detail=self._why,
                hint=f'{self._cure}; "{self._each_setting}" in settings.yaml sets the limit.',
            )
        with self._lock:
            if self._taken + size > self.most:
                raise LimitError(
                    f"more than {_mebibytes(self.most)} of {self.what} would have to be held at a time",
                    detail=f"Other queries of this process hold {_mebibytes(self._taken - of_account)} of it.",
                    hint=f'Try again when other queries have ended; "{self._setting}" in settings.yaml sets the limit.',
                )
            self._taken += size

    def give_back(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._taken -= size


class Account:
    """What one query holds of a budget; thread-safe.

    Parameters
    ----------
    budget
        The process's budget, which this account takes its bytes from.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self.taken = 0
        """Bytes that the query holds."""

        self.most = 0
        """Bytes that it held at its highest."""

    def take(self, size: int) -> None:
        """Take bytes; LimitError if they are too many for the query or for the process."""
        with self._lock:
            self._budget.take(size, of_account=self.taken)
            self.taken += size
            self.most = max(self.most, self.taken)

    def give_back(self, size: int | None = None) -> None:
        """Give back so many bytes, or all that the account holds when no number is given."""
        with self._lock:
            size = self.taken if size is None else size
            self.taken -= size
            self._budget.give_back(size)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB" if size >= 10 << 20 else f"{size / (1 << 20):.1f} MiB"
