"""Synchronous objects: each stands for an asynchronous one, which lives on this process's loop thread.

What a method does is done there, and waited for here; what it returns is made synchronous as well.  Any
number of threads may use one object.  The package `synchronous` has one class for each class of the recipes,
and is written by `tools/write_synchronous.py`; what cannot be written that way, because a body or a function
of the program runs in between, is in `bodies.py`.

A forked process must not speak for its parent: what it has inherited refuses (`Forked`), and it connects
anew.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, Generic, Self, TypeVar, cast

from agreed.client.loop_thread import shared
from agreed.errors import AgreedError
from agreed.recipes.caller import SPEAKS_FOR

Asynchronous = TypeVar("Asynchronous")
Result = TypeVar("Result")


_of_thread: Final = threading.local()


def _this_thread() -> object:
    """Nobody else's, ever; the number of a thread is given to another one when it has ended."""
    found: object = getattr(_of_thread, "itself", None)
    if found is None:
        found = _of_thread.itself = object()
    return found


async def give_back(result: Any) -> None:
    """What is done with a grant that nobody takes."""
    if hasattr(result, "release"):
        with contextlib.suppress(AgreedError):
            await result.release()


class OnTheLoop(Generic[Asynchronous]):
    """`asynchronous` is the object itself, for who speaks to it on the loop himself."""

    FACES: ClassVar[dict[type, type[OnTheLoop[Any]]]] = {}
    """Asynchronous class -> synchronous class."""

    def __init__(self, asynchronous: Asynchronous) -> None:
        self.asynchronous = asynchronous
        self._thread = shared()

    def __repr__(self) -> str:
        return repr(self.asynchronous)

    def _wait_for(
        self,
        coroutine: Coroutine[Any, Any, Any],
        unwanted: Callable[[Any], Coroutine[Any, Any, object]] = give_back,
    ) -> Any:
        """Run it on the loop, and wait for it here.  Who is interrupted does not take what comes: that is
        `unwanted`."""
        told = SPEAKS_FOR.set(_this_thread())
        try:
            return self._synchronous(self._thread.run(coroutine, unwanted))
        finally:
            SPEAKS_FOR.reset(told)

    def _enter(self) -> Any:
        """What `async with` does at its beginning; who is interrupted has not entered."""
        surrounding: Any = self.asynchronous

        def unwanted(_: Any) -> Coroutine[Any, Any, object]:
            error = KeyboardInterrupt()
            return cast("Coroutine[Any, Any, object]", surrounding.__aexit__(type(error), error, None))

        return self._wait_for(surrounding.__aenter__(), unwanted)

    def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call it on the loop: what is asked there may set timers, which are not for other threads."""

        async def there() -> Any:
            return function(*arguments, **named)

        return self._wait_for(there())

    def _synchronous(self, result: Any) -> Any:
        if isinstance(result, list):
            return [self._synchronous(each) for each in result]
        face = self.FACES.get(type(result))
        return result if face is None else face.of(result)

    @classmethod
    def of(cls, asynchronous: Any) -> Self:
        return cls(asynchronous)
