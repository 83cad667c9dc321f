"""The parts of the synchronous face in which something of the program runs: bodies of `with` and of `for`.

    with lock as held:                  AcquireTimeout, and the body does not run
        work(held.token)
    # here LockLost was raised, if it was lost meanwhile

A thread cannot be cancelled: the body of a lock that is lost runs to its end, and is told then.  One that
takes long asks `held.check()` before each thing that others may see, and gives them `held.token`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from agreed.backends.contract import Event
from agreed.client.errors import Forked
from agreed.coordination.on_the_loop import Asynchronous, OnTheLoop
from agreed.errors import AgreedError
from agreed.recipes import following, kv
from agreed.recipes.errors import LeadershipLost, Lost

Granted = TypeVar("Granted", bound="SomeGrant")
Result = TypeVar("Result")
State = TypeVar("State")
Item = TypeVar("Item")


class SomeGrant(Protocol):
    def end_body(self, error: BaseException | None) -> None: ...


class EndOfBody(OnTheLoop[Asynchronous]):
    """What is done with a grant at the end of a body."""

    def end_body(self, error: BaseException | None) -> None:
        """Give it back, and raise `Lost` if it was lost meanwhile; `error` is what the body ended with.  One
        call for all of it: who is interrupted while he waits here has begun to give back."""
        grant: Any = self.asynchronous

        async def there() -> tuple[Lost | None, AgreedError | None]:
            lost = grant.loss() if grant.lost_by_now() else None
            try:
                await self._end(grant, well=error is None)
            except AgreedError as failure:
                return lost, failure
            return lost, None

        try:
            lost, failure = self._wait_for(there())
        except Forked:
            if error is None:
                raise
            return
        if failure is not None and lost is None and error is None:
            raise failure
        if lost is not None and (error is None or isinstance(error, Exception)):
            raise lost from error

    async def _end(self, grant: Any, *, well: bool) -> None:
        await grant.release()


class Obtaining(Generic[Granted]):
    """`with lock.hold(timeout=5.0) as held`: one attempt, and the body that runs with what it got."""

    def __init__(self, acquire: Callable[[], Granted]) -> None:
        self._acquire = acquire
        self._grant: Granted | None = None

    def __enter__(self) -> Granted:
        self._grant = self._acquire()
        return self._grant

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._grant is not None
        self._grant.end_body(error)


class Bodies(OnTheLoop[Asynchronous], Generic[Asynchronous, Granted]):
    """`with` for what is obtained; each thread has bodies of its own."""

    def __init__(self, asynchronous: Asynchronous) -> None:
        super().__init__(asynchronous)
        self._of_thread = threading.local()

    def acquire(self, timeout: float | None = None) -> Granted:
        raise NotImplementedError

    def hold(self, timeout: float | None = None) -> Obtaining[Granted]:
        """For `with`, with a time of its own."""
        return Obtaining(lambda: self.acquire(timeout))

    def __enter__(self) -> Granted:
        obtaining = self.hold()
        grant = obtaining.__enter__()
        if not hasattr(self._of_thread, "obtained"):
            self._of_thread.obtained = []
        self._of_thread.obtained.append(obtaining)
        return grant

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._of_thread.obtained.pop().__exit__(kind, error, trace)


class Leading(Bodies[Asynchronous, Granted]):
    """Leadership is obtained like a lock, and worked with until it ends."""

    def lead(self, timeout: float | None = None) -> Obtaining[Granted]:
        return self.hold(timeout)

    def run(self, work: Callable[[Granted], Result]) -> Result:
        """Wait until it leads, and do this, here; as often as leadership was lost meanwhile, again.  `work`
        asks `term.check()` from time to time.  Returns what it does, and raises what it raises."""
        while True:
            try:
                with self.lead() as term:
                    return work(term)
            except LeadershipLost as loss:
                if loss.__cause__ is not None and not isinstance(loss.__cause__, LeadershipLost):
                    raise


class Working(EndOfBody[Asynchronous]):
    """`with job:` it is done at the end of the body, given back where that raises, or where nobody could say
    that it is done."""

    def __enter__(self) -> Self:
        job: Any = self.asynchronous
        try:
            self._call(job.check)
        except BaseException as error:
            self.end_body(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_body(error)

    async def _end(self, grant: Any, *, well: bool) -> None:
        await grant.end(well=well)


class Taking(OnTheLoop[Asynchronous], Generic[Asynchronous, Item]):
    """`for job in queue:` waits for each of them."""

    def take(self) -> Item:
        raise NotImplementedError

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        return self.take()


class Stream(OnTheLoop[following.Stream[Any]], Generic[Item]):
    """`for item in stream`, and `with` to end it."""

    def next(self, timeout: float | None = None) -> Item:
        """Raises TimeoutError, and StopAsyncIteration where there are no more; after a TimeoutError the next
        call goes on waiting for what this one has waited for."""
        return cast(Item, self._wait_for(self.asynchronous.next(timeout)))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        try:
            return self.next()
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._wait_for(self.asynchronous.close())

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Following(Stream[State]):
    """The newest state now, then each newer one."""


class Watching(Stream[Event]):
    """Every change, in order."""


OnTheLoop.FACES[following.Stream] = Stream
OnTheLoop.FACES[following.Following] = Following
OnTheLoop.FACES[kv.Watching] = Watching
