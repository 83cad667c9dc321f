"""`agreed.atomic`: one block, several databases, all of them or none.

    with agreed.atomic("agreed://127.0.0.1:2181", orders=orders, billing=billing) as tx:
        tx.orders.execute("UPDATE stock SET n = n - 1 WHERE item = %s", (item,))
        tx.billing.execute("INSERT INTO invoice VALUES (%s, %s)", (customer, price))

`orders` and `billing` are connections that are in no transaction.  When the block ends, what was done on
them is committed on all of them; when it raises, on none.  Where that cannot be told here, it is told so
(`errors.py`).

`tx.cluster` takes part as well: its operations are sent with the decision, and happen exactly if it is to
commit.

    with agreed.atomic(session, orders=orders) as tx:
        tx.orders.execute("...")
        tx.cluster.set("/orders/last", b"17", version=16)

The connections are used by the block alone, in one thread.  The end of the block may use other threads for a
moment, one connection each.
"""
from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from agreed.client import sync
from agreed.client.values import OPEN_ACL, Acl, Check, Create, Delete, SetData
from agreed.transactions.coordinator import Coordinator
from agreed.transactions.decisions import USUAL_TIMEOUT_S, Decisions
from agreed.transactions.errors import InDoubt, Refused
from agreed.transactions.inquiry import Look, asked, in_log
from agreed.transactions.names import check_branch, new_transaction
from agreed.transactions.participants import Participant, participant
from agreed.transactions.records import Outcome
from agreed.transactions.sessions import renewing, session_of
from agreed.transactions.work import Work, run

_clusters: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""What the cluster of a session is called, so that it is asked once."""


class ClusterOperations:
    """What is to be done in the cluster of the decisions, at the very moment of the decision and only if it
    is to commit.  Nothing is sent before; there are no results.  If one of them is refused, nothing
    happens."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def create(self, path: str, data: bytes = b"", *, acl: Acl = OPEN_ACL) -> None:
        """Refused if it is there, or its parent is not."""
        self._coordinator.operations.append(Create(path=path, data=data, acl=acl))

    def set(self, path: str, data: bytes, version: int = -1) -> None:
        """Refused if it is not there, or not at that version (-1: whichever)."""
        self._coordinator.operations.append(SetData(path, data, version))

    def delete(self, path: str, version: int = -1) -> None:
        self._coordinator.operations.append(Delete(path, version))

    def check(self, path: str, version: int = -1) -> None:
        """Changes nothing; refused if it is not there, or not at that version."""
        self._coordinator.operations.append(Check(path, version))


class Face(NamedTuple):
    """How work is run, how it waits, and where it finds another session."""

    run: Callable[[Work[Any]], Any]
    pause: Callable[[float], Any]
    renew: Callable[[], Any] | None


class TransactionParts:
    """What the two faces of a transaction have in common.

    id           its name in the log of decisions
    outcome      None before its end, and where it is not known
    unfinished   branches that recovery has yet to tell
    cluster      operations that happen with the decision
    any other    the connection of the branch of that name; `tx["name"]` is the same"""

    def __init__(self, session: Any, timeout_s: float, face: Face, given: dict[str, Any]) -> None:
        """`session` is open; `face.renew` opens another when it is over."""
        if not timeout_s > 0:
            raise Refused(f"timeout_s: {timeout_s} is no time")
        self.id = new_transaction()
        self._participants = [_checked(name, each) for name, each in given.items()]
        self._entered = False
        self._taken: list[Any] = []
        self._session = session
        decisions = self._decisions = Decisions(session, face.renew)
        decisions.cluster = _clusters.get(session, "")
        who = f"{socket.gethostname()}:{os.getpid()}"

        def in_doubt(message: str, look: Look | None = None) -> InDoubt:
            where = look or in_log(decisions, self.id)
            return InDoubt(message, self.id, lambda wait_s: face.run(asked(where, wait_s, face.pause)))

        self._coordinator = Coordinator(self.id, self._participants, decisions, who, timeout_s, in_doubt)
        self.cluster = ClusterOperations(self._coordinator)

    @property
    def outcome(self) -> Outcome | None:
        return self._coordinator.outcome

    @property
    def unfinished(self) -> tuple[str, ...]:
        return self._coordinator.unfinished

    def __getitem__(self, name: str) -> Any:
        for each in self._participants:
            if each.name == name:
                return each.connection
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            for each in self._participants:
                if each.name == name:
                    return each.connection
        raise AttributeError(f"this transaction has no branch called {name!r}")

    def _entering(self) -> Work[None]:
        if self._entered:
            raise Refused("a transaction is entered once: its name is never used again")
        self._entered = True
        self._taken = _take(self._participants)
        try:
            _clusters[self._session] = yield from self._decisions.open(time.monotonic() + USUAL_TIMEOUT_S)
            yield from self._coordinator.begin()
        except GeneratorExit:
            raise
        except BaseException:
            yield from self._leaving()
            raise

    def _ending(self, failed: bool) -> Work[None]:
        try:
            yield from self._coordinator.abandon() if failed else self._coordinator.commit()
        except GeneratorExit:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and self.outcome is None:
                error.add_note(f"{self.id} is left to recovery; `agreed atomic show` tells how it ends")
            yield from self._leaving()
            raise
        yield from self._leaving()

    def _leaving(self) -> Work[None]:
        _let_go(self._taken)
        for each in self._participants:
            yield from each.release()


class Transaction(TransactionParts):
    """The synchronous face; made by `atomic`, entered once."""

    def __enter__(self) -> Self:
        run(self._entering())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self._ending(failed=error is not None))


def atomic(
    cluster: str | sync.Session, /, *, timeout_s: float = USUAL_TIMEOUT_S, **connections: Any
) -> Transaction:
    """A transaction over all these connections, as a context manager.

    cluster       a URL, whose session the process keeps for the next time, or an open session
    timeout_s     what the end of the block may take until it is decided; recovery aborts what is undecided
                  for longer.  The block itself may take as long as it wants
    connections   by the name of the branch: psycopg, PyMySQL, SQLAlchemy, or PEP 249 with two-phase commit

    One connection alone is simply committed: then nothing is written in the cluster.

    Entering raises `Refused`, and what the drivers and the session raise; leaving raises `Aborted` or
    `InDoubt` where it is not committed, and what the block has raised."""
    face = Face(run, time.sleep, renewing(cluster))
    return Transaction(session_of(cluster), timeout_s, face, connections)


def _checked(name: str, given: Any) -> Participant:
    check_branch(name)
    if hasattr(TransactionParts, name) or name in ("id", "cluster") or name.startswith("_"):
        raise Refused(f"{name!r}: a branch cannot be called so, it means something else on a transaction")
    return participant(name, given)


# --- one transaction for a connection ---------------------------------------------------------------------

_taken: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those whose transaction is under way."""
_taking = threading.Lock()


def _take(participants: list[Participant]) -> list[Any]:
    """Raises Refused; then nothing is taken.  What cannot be referred to weakly is left to its driver, which
    refuses a second transaction in less clear words."""
    names: dict[int, str] = {}
    with _taking:
        for each in participants:
            key = id(each.driver_connection)
            if key in names:
                raise Refused(f"{names[key]} and {each.name} are one connection; give each one of its own")
            if each.driver_connection in _taken:
                raise Refused(f"{each.name}: the connection takes part in a transaction that is under way")
            names[key] = each.name
        connections = [each.driver_connection for each in participants]
        found = [each for each in connections if hasattr(each, "__weakref__")]
        _taken.update(found)
    return found


def _let_go(taken: list[Any]) -> None:
    with _taking:
        for each in taken:
            _taken.discard(each)
