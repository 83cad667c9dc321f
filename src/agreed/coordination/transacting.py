"""Transactions of the synchronous face: the function is run on the thread that calls.

    @client.transactional
    def move(t: Transaction, number: int) -> None:
        t.put("stock/a", b"%d" % (int(t.get("stock/a") or b"0") - number))

    move(3)

`recipes.transactions` says what is promised.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from agreed.backends.contract import Guard
from agreed.client.errors import ClientError
from agreed.coordination.leaving import LEAVING
from agreed.coordination.on_the_loop import Asynchronous, OnTheLoop, give_back
from agreed.recipes.errors import TransactionTimeout
from agreed.recipes.transactions import pause_s

if TYPE_CHECKING:
    from agreed.coordination.synchronous.transactions import Transaction

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Within(OnTheLoop[Asynchronous]):
    """An attempt; what it asks for is broken off at `ends_at` (of the monotonic clock) with TimeoutError."""

    ends_at: float | None = None

    def _wait_for(
        self,
        coroutine: Coroutine[Any, Any, Any],
        unwanted: Callable[[Any], Coroutine[Any, Any, object]] = give_back,
    ) -> Any:
        async def within() -> Any:
            left_s = None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())
            async with asyncio.timeout(left_s):
                return await coroutine

        return super()._wait_for(within(), unwanted)


class Transacting(OnTheLoop[Asynchronous]):
    """What a client does with functions."""

    def __init__(self, asynchronous: Asynchronous) -> None:
        super().__init__(asynchronous)
        client: Any = asynchronous
        LEAVING.remember(self._thread, client._sessions)

    def transaction(self) -> Transaction:
        raise NotImplementedError

    def transact(self, work: Callable[[Transaction], Result], *, timeout: float | None = None) -> Result:
        """Run it until what it read was still so when it was committed.  Returns what it returned then.

        Raises what `work` raises, nothing of it being done; TransactionTimeout after `timeout` seconds of
        waiting in all: what it asks for then is broken off, and what `work` does besides is not."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        hopeless: set[Guard] = set()
        for attempt in itertools.count():
            if attempt:
                time.sleep(pause_s(attempt))
            transaction = self.transaction()
            transaction.ends_at = ends_at
            try:
                if ends_at is not None and time.monotonic() >= ends_at:
                    raise TimeoutError
                done, result = self._attempt(transaction, work, hopeless)
            except TimeoutError as error:
                if ends_at is None or time.monotonic() < ends_at:
                    raise  # of somebody else
                maybe = transaction.asynchronous.committing
                raise TransactionTimeout(f"not committed within {timeout} s", maybe=maybe) from error
            if done:
                return cast("Result", result)
        raise AssertionError("it counts for ever")

    def _attempt(
        self, transaction: Transaction, work: Callable[[Transaction], Result], hopeless: set[Guard]
    ) -> tuple[bool, Result | None]:
        try:
            result = work(transaction)
        except ClientError:
            raise
        except Exception:
            if transaction.is_true():
                raise
            return False, None
        if transaction.commit():
            return True, result
        transaction.raise_if_hopeless(hopeless)
        return False, None

    def transactional(
        self, work: Callable[Concatenate[Transaction, Arguments], Result]
    ) -> Callable[Arguments, Result]:
        """A decorator: calling it makes a transaction of it, whose first argument is the transaction."""

        @functools.wraps(work)
        def whole(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
            return self.transact(lambda transaction: work(transaction, *arguments, **named))

        return whole
