"""The log of decisions: one record for each transaction, in the store of a cluster.

    /agreed/transactions                    {"cluster": "5f0c2b6a91d3e847"}, see `names.py`
    /agreed/transactions/records/<id>       a record, see `records.py`
    /agreed/transactions/recovery           who would like to be the one that recovers
    /agreed/transactions/clock              set to learn the time of the cluster

The rule is that of `agreed.atomic_commit.replicated`: *the first decision in the log is the decision*.  To
decide is to replace the open record at version 0, which the cluster lets happen once, whoever tries.

Its lost replies.  A decision that was sent and not answered is sent again until there is an answer: either it
is done now, or the record has been replaced, and then it is read and obeyed, be it our own or another's.

A record that is gone says nothing to who wants to decide: the transaction may have been committed (by the try
whose reply was lost, or by an operator who saw all branches prepared), finished everywhere, and forgotten.
That is `Forgotten`, and not "aborted".  To who sees a branch that *is still prepared* it says that the
transaction is not going to be committed: a commit is not forgotten before every branch is finished.

A read of a session may be older than what others were told.  Who acts upon a record that he did *not* find
has to look up to date: `now_ms` writes, and what the same session reads after it is at least as new as that.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agreed.client.errors import (
    BadVersion,
    ConnectionLost,
    NodeExists,
    NoNode,
    Refused,
    TimedOut,
    Unanswered,
)
from agreed.client.values import Operation, SetData
from agreed.errors import MalformedInput
from agreed.transactions.errors import AtomicCommitError, Forgotten
from agreed.transactions.names import is_cluster, is_transaction, new_cluster
from agreed.transactions.records import Filed, Record, decode, encode
from agreed.transactions.work import Work

ROOT = "/agreed/transactions"
RECORDS = f"{ROOT}/records"
RECOVERY = f"{ROOT}/recovery"
CLOCK = f"{ROOT}/clock"

OPEN, DECIDED = 0, 1
"""Versions of a record."""

USUAL_TIMEOUT_S = 10.0


class Identity(msgspec.Struct, frozen=True):
    """What lies at ROOT."""

    cluster: str


class GuardFailed(AtomicCommitError):
    """The cluster has refused the decision, mostly for an operation that was to happen with it: nothing is
    decided yet."""

    surely_not_done = True


class Decisions:
    """`session` is a session of `agreed.client`, synchronous or asynchronous; `clock` counts seconds, and
    deadlines are on it.  `renew` opens another session when this one is over.  What the session raises comes
    out, as `agreed.client.errors`."""

    def __init__(
        self,
        session: Any,
        renew: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self.cluster = ""
        self._renew = renew
        self._clock = clock

    def open(self, deadline: float) -> Work[str]:
        """Once, before anything else: the name of the cluster, which is drawn at the first use ever."""
        while not self.cluster:
            try:
                found = yield lambda: self.session.get(ROOT, fresh=True, timeout_s=self._left(deadline))
                self.cluster = _identity(found.data)
            except NoNode:
                yield from self._found(deadline)
        return self.cluster

    def _found(self, deadline: float) -> Work[None]:
        yield lambda: self.session.ensure_path("/agreed", timeout_s=self._left(deadline))
        drawn = msgspec.json.encode(Identity(new_cluster()))
        for path, data in ((ROOT, drawn), (RECORDS, b""), (RECOVERY, b""), (CLOCK, b"")):
            yield from self._create(path, data, deadline)

    def _create(self, path: str, data: bytes, deadline: float) -> Work[None]:
        try:
            yield lambda: self.session.create(path, data, timeout_s=self._left(deadline))
        except NodeExists:
            pass  # somebody was faster

    # --- one transaction ------------------------------------------------------------------------------

    def begin(self, transaction: str, record: Record, deadline: float) -> Work[None]:
        """Before the first branch is prepared.  Raises Unanswered if it is not known to be there in time."""
        path, data, again = _path(transaction), encode(record), False
        while True:
            try:
                yield lambda: self.session.create(path, data, timeout_s=self._left(deadline))
                return
            except NodeExists:
                if again:
                    return  # ours, whose reply was lost: no name is used twice
                raise
            except NoNode:
                # Only without RECORDS, say if somebody has cleaned up.
                yield from self._found(deadline)
            except Unanswered as unanswered:
                if not (yield from self._may_ask_again(unanswered, deadline)):
                    raise
                again = True

    def decide(
        self, transaction: str, decided: Record, deadline: float, operations: Sequence[Operation] = ()
    ) -> Work[Record]:
        """Have it decided so, together with the operations, if it is open; what stands, whoever has decided.

        Raises GuardFailed, Forgotten (see above), or Unanswered when the time is over."""
        change = SetData(_path(transaction), encode(decided), OPEN)
        while True:
            try:
                yield self._deciding(change, operations, deadline)
                return decided
            except (BadVersion, NoNode) as refused:
                if refused.index:
                    raise _guard_failed(refused) from refused
                standing = yield from self.read(transaction, deadline, fresh=True)
                if standing is None:
                    raise Forgotten(transaction) from refused
                if standing.outcome is not None:
                    return standing
            except Refused as refused:
                raise _guard_failed(refused) from refused
            except Unanswered as unanswered:
                if not (yield from self._may_ask_again(unanswered, deadline)):
                    raise

    def _may_ask_again(self, unanswered: Unanswered, deadline: float) -> Work[bool]:
        if self._clock() >= deadline:
            return False
        if isinstance(unanswered, ConnectionLost | TimedOut):
            return True
        if self._renew is None:
            return False
        self.session = yield self._renew
        return True

    def _deciding(
        self, change: SetData, operations: Sequence[Operation], deadline: float
    ) -> Callable[[], Any]:
        left_s = self._left(deadline)
        if operations:
            return lambda: self.session.multi([change, *operations], timeout_s=left_s)
        return lambda: self.session.set(change.path, change.data, version=change.version, timeout_s=left_s)

    def read(self, transaction: str, deadline: float, *, fresh: bool = False) -> Work[Record | None]:
        """As this session sees it; with `fresh`, at least as new as anything that anybody has been told."""
        filed = yield from self.filed(transaction, deadline, fresh=fresh)
        return filed.record if filed else None

    def filed(self, transaction: str, deadline: float, *, fresh: bool = False) -> Work[Filed | None]:
        """The same with its times."""
        if not is_transaction(transaction):
            return None
        path = _path(transaction)
        while True:
            try:
                found = yield lambda: self.session.get(path, fresh=fresh, timeout_s=self._left(deadline))
            except NoNode:
                return None
            except Unanswered as unanswered:
                if not (yield from self._may_ask_again(unanswered, deadline)):
                    raise
            else:
                return Filed(decode(found.data), found.stat.created_ms, found.stat.modified_ms)

    def forget(self, transaction: str, deadline: float) -> Work[None]:
        """Of a decided one, once every branch is finished.  If it is not answered it is left to recovery."""
        try:
            yield lambda: self.session.delete(
                _path(transaction), version=DECIDED, timeout_s=self._left(deadline)
            )
        except (NoNode, Unanswered):
            pass

    # --- all of them ----------------------------------------------------------------------------------

    def now_ms(self, deadline: float) -> Work[int]:
        """The time of the cluster.  What this session reads from here on is at least as new as this."""
        while True:
            try:
                stat = yield lambda: self.session.set(CLOCK, b"", timeout_s=self._left(deadline))
            except NoNode:
                yield from self._found(deadline)
            else:
                now: int = stat.modified_ms
                return now

    def names(self, deadline: float) -> Work[tuple[str, ...]]:
        """Of every transaction that is known to anybody."""
        try:
            children = yield lambda: self.session.children(
                RECORDS, fresh=True, timeout_s=self._left(deadline)
            )
        except NoNode:
            return ()
        names: tuple[str, ...] = children.names
        return names

    def all(self, deadline: float) -> Work[dict[str, Filed | None]]:
        """Every transaction that is known, by name; None for a record that cannot be read, which says nothing
        about what was decided, and is not the same as no record."""
        found: dict[str, Filed | None] = {}
        for name in (yield from self.names(deadline)):
            try:
                filed = yield from self.filed(name, deadline)
            except MalformedInput:
                found[name] = None
                continue
            if filed is not None:
                found[name] = filed
        return found

    def _left(self, deadline: float) -> float:
        """What a request is given: never nothing, so that a deadline that is just over still gets an answer
        if there is one."""
        return max(deadline - self._clock(), 0.05)


def _guard_failed(refused: Refused) -> GuardFailed:
    return GuardFailed(f"the cluster refused: {type(refused).__name__} {refused}")


def _path(transaction: str) -> str:
    return f"{RECORDS}/{transaction}"


def _identity(data: bytes) -> str:
    try:
        cluster = msgspec.json.decode(data, type=Identity).cluster
    except msgspec.MsgspecError as error:
        raise MalformedInput(f"{ROOT} does not name a cluster: {error}") from error
    if not is_cluster(cluster):
        raise MalformedInput(f"{ROOT} does not name a cluster: {cluster!r}")
    return cluster


