"""How a transaction over several databases can end, other than by being committed.

    the `with` block ends       committed: the decision stands, on all databases or, where one was lost
                                meanwhile, as soon as recovery reaches it (`Transaction.unfinished`)
    Refused                     surely nothing happened: it was not even begun
    Aborted                     surely nothing happened, or will happen, on any database
    InDoubt                     nobody here can know; the decision exists or will exist, and can be waited for
    Forgotten                   what was asked about was finished long ago, and is not known any more
    anything else               what the body raised; everything was rolled back

There is no fourth kind of answer and no guess: who must act on an InDoubt waits for its outcome.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agreed.errors import AgreedError


class AtomicCommitError(AgreedError):
    """Anything that atomic commit itself raises."""


class Refused(AtomicCommitError):
    """This cannot be done at all, and the message says why; nothing was begun."""

    surely_not_done = True


class Aborted(AtomicCommitError):
    """It was rolled back: nothing of it happened anywhere.

    `transaction` is its name.  `unfinished` names the branches that could not be told; recovery rolls them
    back, and until then they hold their locks."""

    surely_not_done = True

    def __init__(self, message: str, transaction: str, unfinished: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.transaction = transaction
        self.unfinished = unfinished


class Forgotten(AtomicCommitError):
    """The log of decisions knows this transaction no more: it was finished, one way or the other."""

    def __init__(self, transaction: str) -> None:
        super().__init__(f"{transaction} is not known: it was finished, and forgotten since, or never begun")
        self.transaction = transaction


class InDoubt(AtomicCommitError):
    """It may be committed, or be aborted; the log of decisions knows, or will know.

    `transaction` is its name, by which `agreed atomic show` finds it too.

    `outcome()` asks now: `Outcome.COMMITTED`, `Outcome.ABORTED`, or None while it is undecided.
    `wait(timeout_s)` asks until it is decided; recovery sees to that.  Raises TimeoutError.
    Of the asynchronous form, both are awaited.  Both raise `Forgotten`, and what the session raises."""

    def __init__(self, message: str, transaction: str, ask: Callable[[float | None], Any]) -> None:
        super().__init__(f"{message}; the outcome of {transaction} is not known here")
        self.transaction = transaction
        self._ask = ask

    def outcome(self) -> Any:
        return self._ask(None)

    def wait(self, timeout_s: float = 60.0) -> Any:
        return self._ask(timeout_s)


class VotedNo(AtomicCommitError):
    """A branch says that it has rolled back: surely nothing of it is prepared."""

    surely_not_done = True


class NotFinished(AtomicCommitError):
    """A prepared branch could not be finished now; it can be tried again."""

    surely_not_done = True
