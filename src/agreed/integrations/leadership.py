"""Leadership in the background of a program of threads.

    leadership = Leadership(Where(name="celery/beat"))
    leadership.start()
    term = leadership.term()                    None: somebody else leads, or nobody knows
    term.check(); send(task, token=term.token)
    leadership.close()                          resigns

It stands for election on the event loop that all synchronous clients of this process share.  So a program
that is busy keeps its leadership, and whoever asks is told what is certain at that moment.

`start` belongs into the process that works: what was started before a fork stays with the parent, and in the
child `term` raises Forked.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from agreed.backends.contract import Change, Entry
from agreed.client.errors import SessionClosed
from agreed.client.loop_thread import LoopThread, shared
from agreed.coordination.client import Client
from agreed.coordination.synchronous.election import Term
from agreed.integrations.candidacy import LEAVE_WITHIN_S, LOG, Candidacy, Where
from agreed.recipes import election

Result = TypeVar("Result")

CLOSE_WITHIN_S: Final = LEAVE_WITHIN_S + 2.0


class Leadership:
    def __init__(self, where: Where) -> None:
        self.where = where
        self._process = 0
        self._leads = threading.Event()

    def start(self) -> None:
        """Once for each process; again is nothing.  Raises ConfigurationError for a URL that is none."""
        if self._process == os.getpid():
            return
        self.where.check()
        self._process = os.getpid()
        self._leads = threading.Event()
        self._thread: LoopThread = shared()
        self._candidacy = Candidacy(self.where)
        self._task = self._thread.run(self._begin())

    async def _begin(self) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(self._candidacy.run(self._stay))
        task.add_done_callback(self._ended)
        return task

    async def _stay(self, term: election.Term) -> None:
        """Leading is all there is to do; what is done with it is done on other threads."""
        self._leads.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._leads.clear()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            LOG.error("%s: it does not stand for election any more: %s", self.where.name, task.exception())

    def close(self) -> None:
        """Resign.  Nothing where this process has not started it."""
        if self._process != os.getpid():
            return
        self._process = 0
        self._thread.run(self._stop())

    async def _stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task], timeout=CLOSE_WITHIN_S)

    def wait(self, timeout_s: float) -> bool:
        """Whether it led within so many seconds; only `term` says whether it does."""
        return self._leads.wait(timeout_s)

    def term(self) -> Term | None:
        """None unless it is certain now that nobody else leads.  Raises what has ended the candidacy:
        ConfigurationError, AuthenticationFailed, ..."""
        self._must_run()
        return self._thread.run(self._certain())

    async def _certain(self) -> Term | None:
        if self._task.done() and not self._task.cancelled():
            await self._task
        term = self._candidacy.certain()
        return None if term is None else Term.of(term)

    def _must_run(self) -> None:
        if not self._process:
            raise SessionClosed("it does not stand for election: not started, or closed", maybe=False)

    # --- what is kept beside it ---------------------------------------------------------------------------

    def entries(self, directory: str) -> list[Entry]:
        """All that stands directly below it.  Raises what the service does."""
        found: list[Entry] = self._ask(lambda client: client.kv.list(directory))
        return found

    def commit(self, term: Term, changes: Sequence[Change]) -> bool:
        """All of `changes`, if this term still holds in the service; False: it does not, and nothing was
        changed.  Raises what the service does."""
        return self._ask(lambda client: client.txn([term.asynchronous.condition()], changes)) is not None

    def most_changes(self) -> int:
        """In one commit."""
        most: int = self._ask(_most_changes)
        return most

    def _ask(self, question: Callable[[Client], Any]) -> Any:
        self._must_run()
        client = self._candidacy.client
        assert client is not None, "who leads has a client"

        async def asked() -> Any:
            return await question(client)

        return self._thread.run(asked())


async def _most_changes(client: Client) -> int:
    return client.capabilities.changes - 1  # one is for knowing what has become of the commit
