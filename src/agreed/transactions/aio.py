"""The asynchronous face of `agreed.atomic`, over `psycopg.AsyncConnection`.

    async with await atomic("agreed://127.0.0.1:2181", orders=orders, billing=billing) as tx:
        await tx.orders.execute("UPDATE stock SET n = n - 1 WHERE item = %s", (item,))
        await tx.billing.execute("INSERT INTO invoice VALUES (%s, %s)", (customer, price))

What it promises and raises is the same.  Branches are prepared and finished at the same time.  A task that is
cancelled at the end of the block first has the transaction aborted, if it is not decided: that can take until
`timeout_s` is over.  `InDoubt.outcome()` and `wait()` are awaited.
"""
from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from agreed.client import aio
from agreed.transactions.decisions import USUAL_TIMEOUT_S, Decisions
from agreed.transactions.inquiry import asked, in_log
from agreed.transactions.records import Outcome
from agreed.transactions.transaction import Face, TransactionParts
from agreed.transactions.work import run_async

__all__ = ["Transaction", "atomic", "outcome_of", "wait_for"]

class Transaction(TransactionParts):
    """Made by `atomic`, entered once."""

    async def __aenter__(self) -> Self:
        await run_async(self._entering())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await run_async(self._ending(failed=error is not None))


async def atomic(
    cluster: str | aio.Session, /, *, timeout_s: float = USUAL_TIMEOUT_S, **connections: Any
) -> Transaction:
    """As `agreed.atomic`.  The session of a URL is kept for the next time on this event loop."""
    face = Face(run_async, asyncio.sleep, _renewing(cluster))
    return Transaction(await _session(cluster), timeout_s, face, connections)


async def outcome_of(cluster: str | aio.Session, transaction: str) -> Outcome | None:
    """As `agreed.transactions.outcome_of`."""
    decisions = Decisions(await _session(cluster), _renewing(cluster))
    return await run_async(asked(in_log(decisions, transaction), None, asyncio.sleep))


async def wait_for(cluster: str | aio.Session, transaction: str, timeout_s: float = 60.0) -> Outcome:
    """As `agreed.transactions.wait_for`."""
    decisions = Decisions(await _session(cluster), _renewing(cluster))
    outcome = await run_async(asked(in_log(decisions, transaction), timeout_s, asyncio.sleep))
    assert outcome is not None
    return outcome


_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[aio.Session]]] = (
    weakref.WeakKeyDictionary()
)


async def _session(cluster: str | aio.Session) -> aio.Session:
    if not isinstance(cluster, str):
        return cluster
    known = _sessions.setdefault(asyncio.get_running_loop(), {})
    task = known.get(cluster)
    if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().state.final)):
        # A task: those who come together share a session, and one who is cancelled takes nobody along.
        task = known[cluster] = asyncio.ensure_future(aio.connect(cluster))
    return await asyncio.shield(task)


def _renewing(cluster: str | aio.Session) -> Callable[[], Awaitable[aio.Session]] | None:
    return partial(_session, cluster) if isinstance(cluster, str) else None
