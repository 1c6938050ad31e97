"""Bytes that queries may hold at a time: all of a process together, and each for itself.

``room`` decides who gets bytes and who is refused; here are the threads that wait, and what the refused are told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext

from qserv_py.cancelling import Cancel
from qserv_py.errors import LimitError
from qserv_py.executor.room import Granted, Holder, Outcome, Refused, Room

WAIT_S = 30.0
"""How long a query waits for bytes that a refused one has not given back: its statements end first."""


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
        self._changed = threading.Condition()
        self._room = Room(most)
        self._known: dict[Holder, Account] = {}
        """The accounts of those that hold bytes or ask for them."""

        self.highest = 0
        """Bytes that were held at the highest."""

    @property
    def taken(self) -> int:
        """Bytes that are held."""
        with self._changed:
            return self._room.held

    def account(self, cancel: Cancel | None = None) -> Account:
        """Return an account of one query, the youngest.

        Parameters
        ----------
        cancel
            Ends the query, with the reason, when an older one needs what it holds; None for who cannot be ended.
        """
        with self._changed:
            return Account(self, self._room.enter(may_be_refused=cancel is not None), cancel)

    def take(self, account: Account, size: int, cancel: Cancel | None) -> None:
        """Take bytes for an account; it may have to wait for those of younger ones that are refused for it.

        Raises
        ------
        LimitError
            If the account or the process would hold too many; nothing is taken then.
        QservError
            The reason for which the query was cancelled meanwhile.
        """
        if account.taken + size > self.each:
            raise LimitError(
                f"more than {_mebibytes(self.each)} of {self.what} would have to be held for one query",
                detail=self._why,
                hint=f'{self._cure}; "{self._each_setting}" in settings.yaml sets the limit.',
            )
        holder = account.holder
        with self._changed:
            self._known[holder] = account
            account.is_granted = False
            refused = self._heed(self._room.ask(holder, size))
        self._tell(refused, besides=account)
        self._wait(holder, cancel)
        with self._changed:
            self._forget(holder)
        if cancel is not None and cancel.is_cancelled:
            self.give_back(account, size if account.is_granted else 0)
            raise cancel.reason
        if not account.is_granted:
            raise self._too_much(account)

    def give_back(self, account: Account, size: int | None) -> None:
        """Give bytes back, all of them when no number is given."""
        holder = account.holder
        with self._changed:
            refused = self._heed(self._room.give_back(holder, holder.held if size is None else size))
            self._forget(holder)
        self._tell(refused)

    def settle(self, account: Account) -> None:
        """Note that an account has all that it needs."""
        with self._changed:
            self._room.settle(account.holder)

    def _wait(self, holder: Holder, cancel: Cancel | None) -> None:
        """Wait until a holder has its bytes or is refused."""
        if not holder.wants:
            return
        ends = time.monotonic() + WAIT_S
        with nullcontext() if cancel is None else cancel.calling(self._wake), self._changed:
            while holder.wants and (left := ends - time.monotonic()) > 0 and not (cancel and cancel.is_cancelled):
                self._changed.wait(left)
            refused = self._heed(self._room.withdraw(holder)) if holder.wants else []
        self._tell(refused)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _heed(self, outcomes: Sequence[Outcome]) -> list[Account]:
        """Note what was decided and wake those that wait; return who is refused. The lock is held."""
        for outcome in outcomes:
            if isinstance(outcome, Granted):
                self._known[outcome.holder].is_granted = True
        if outcomes:
            self.highest = max(self.highest, self._room.held)
            self._changed.notify_all()
        return [self._known[outcome.holder] for outcome in outcomes if isinstance(outcome, Refused)]

    def _forget(self, holder: Holder) -> None:
        """Drop the account of one that neither holds bytes nor asks for them; the lock is held."""
        if not holder.held and not holder.wants:
            self._known.pop(holder, None)

    def _tell(self, refused: Sequence[Account], *, besides: Account | None = None) -> None:
        """End the queries that were refused; without the lock, as each of them calls others."""
        for account in refused:
            if account is not besides and account.cancel is not None:
                account.cancel.cancel(self._too_much(account))

    def _too_much(self, account: Account) -> LimitError:
        return LimitError(
            f"more than {_mebibytes(self.most)} of {self.what} would have to be held at a time",
            detail=f"Other queries of this process hold {_mebibytes(self.taken - account.taken)} of it.",
            hint=f'Try again when other queries have ended; "{self._setting}" in settings.yaml sets the limit.',
        )


class Account:
    """What one query holds of a budget; thread-safe.

    Parameters
    ----------
    budget
        The process's budget, which this account takes its bytes from.
    holder
        What it is in the budget's room.
    cancel
        Ends the query; None for who cannot be ended.
    """

    def __init__(self, budget: Budget, holder: Holder, cancel: Cancel | None) -> None:
        self._budget = budget
        self.holder = holder
        self.cancel = cancel
        self.is_granted = False
        """Whether it got what it asked for last."""

        self._asking = threading.Lock()
        self.most = 0
        """Bytes that it held at its highest."""

    @property
    def taken(self) -> int:
        """Bytes that the query holds."""
        return self.holder.held

    def take(self, size: int, *, cancel: Cancel | None = None) -> None:
        """Take bytes; LimitError if they are too many for the query or for the process.

        Parameters
        ----------
        size
            How many.
        cancel
            Ends the waiting for them; by default what ends the query.
        """
        if not size:
            return
        with self._asking:
            self._budget.take(self, size, cancel or self.cancel)
            self.most = max(self.most, self.taken)

    def settle(self) -> None:
        """Say that the query has all that it needs: it is not refused for the sake of an older one any more."""
        self._budget.settle(self)

    def give_back(self, size: int | None = None) -> None:
        """Give back so many bytes, or all that the account holds when no number is given."""
        self._budget.give_back(self, size)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB" if size >= 10 << 20 else f"{size / (1 << 20):.1f} MiB"
