"""More parts of the synchronous face in which something of the program runs; as `bodies.py`.

for mine in shares: ...             asking for the next share says: what was taken from me I have left
with double_barrier: ...
cell.update(lambda old: ...)        runs here, on the thread that calls
registry.register(..., healthy=f)   `f` is asked on a thread of its own
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from agreed.backends.contract import Entry
from agreed.client.errors import BadVersion
from agreed.coordination.on_the_loop import Asynchronous, OnTheLoop
from agreed.recipes import assignment, barrier
from agreed.recipes.cached_subtree import View
from agreed.recipes.cell import Versioned
from agreed.recipes.kv import Entries, Names
from agreed.recipes.registry import ASKED_EVERY_S

if TYPE_CHECKING:
    from agreed.coordination.synchronous.grant import Grant
    from agreed.coordination.synchronous.group import Membership
    from agreed.coordination.synchronous.registry import Registering

Value = TypeVar("Value")


class Updating(OnTheLoop[Asynchronous], Generic[Asynchronous, Value]):
    def get(self) -> Versioned[Value] | None:
        raise NotImplementedError

    def set(self, value: Value, *, if_version: int | None = None) -> Versioned[Value]:
        raise NotImplementedError

    def update(self, change_value: Callable[[Value | None], Value]) -> Versioned[Value]:
        """`change_value(old)` is the new one; None: there is none.  It may be called several times, and
        should do nothing but that."""
        while True:
            found = self.get()
            value = change_value(None if found is None else found.value)
            try:
                return self.set(value, if_version=0 if found is None else found.version)
            except BadVersion:
                continue


class Surrounding(OnTheLoop[Asynchronous]):
    """`with`, for what is entered on the loop and gives itself."""

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asynchronous: Any = self.asynchronous
        self._wait_for(asynchronous.__aexit__(kind, error, trace))


class FollowedSubtree(Surrounding[Asynchronous]):
    """What is at hand is read on the thread that asks: a state never changes."""

    @property
    def view(self) -> View:
        """The newest state that is known here."""
        return cast("View", cast(Any, self.asynchronous).view)

    def get(self, key: str) -> Entry | None:
        return self.view.get(key)

    def keys(self) -> Names:
        """All that are below it, at any depth."""
        return self.view.keys()

    def list(self, directory: str = "") -> Entries:
        """The keys directly below it, by name."""
        return self.view.list(directory)

    def names(self, directory: str = "") -> Names:
        """The names directly below it; also of what is no key and has keys below it."""
        return self.view.names(directory)

    def stale_for(self) -> float:
        """Seconds since the service was heard last; 0 while it is followed."""
        return cast(float, cast(Any, self.asynchronous).stale_for())


class Assignment(Surrounding[assignment.Assignment]):
    """`with` and `for`; each share is told as a dict, item -> Grant."""

    def next(self, timeout: float | None = None) -> dict[str, Grant]:
        """What is owned now, once that is something else than what was told last.  What was taken away by
        then is given back first.

        Raises TimeoutError; MembershipLost; what the backend does."""
        share = self._wait_for(self.asynchronous.next(timeout))
        return {item: self._synchronous(grant) for item, grant in share.items()}

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Grant]:
        return self.next()


class Assigning(OnTheLoop[Asynchronous]):
    def assign(self, membership: Membership, items: Iterable[str]) -> Assignment:
        """Divide `items` among all members; each of them says the same ones."""
        group: Any = self.asynchronous
        return cast("Assignment", self._call(group.assign, membership.asynchronous, items))


class Registers(OnTheLoop[Asynchronous]):
    def register(
        self,
        name: str,
        address: str,
        meta: Mapping[str, str] | None = None,
        *,
        ttl: float | None = None,
        healthy: Callable[[], bool] | None = None,
        every_s: float = ASKED_EVERY_S,
    ) -> Registering:
        """With `healthy`, nobody is told of it before that has said yes."""
        registry: Any = self.asynchronous

        async def asked() -> bool:
            assert healthy is not None
            return await asyncio.to_thread(healthy)

        health = None if healthy is None else asked
        registering = self._call(
            registry.register, name, address, meta, ttl=ttl, healthy=health, every_s=every_s
        )
        return cast("Registering", registering)


class Passage(OnTheLoop[barrier.Passage]):
    """`with double.once(timeout=5.0) as generation:`"""

    def __enter__(self) -> int:
        return cast(int, self._enter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait_for(self.asynchronous.__aexit__(kind, error, trace))


class GoingInAndOut(OnTheLoop[Asynchronous]):
    """`with` a double barrier; each thread goes in and out by itself."""

    def __init__(self, asynchronous: Asynchronous) -> None:
        super().__init__(asynchronous)
        self._of_thread = threading.local()

    def once(self, timeout: float | None = None) -> Passage:
        raise NotImplementedError

    def __enter__(self) -> int:
        passage = self.once()
        generation = passage.__enter__()
        if not hasattr(self._of_thread, "passages"):
            self._of_thread.passages = []
        self._of_thread.passages.append(passage)
        return generation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._of_thread.passages.pop().__exit__(kind, error, trace)


OnTheLoop.FACES[assignment.Assignment] = Assignment
OnTheLoop.FACES[barrier.Passage] = Passage
