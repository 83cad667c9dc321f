"""Replicated objects of the synchronous face: they look like objects of their class.

    with client.replicated(Stock, "stock") as stock:
        stock.take("chairs", 2)             through the log
        stock.level("chairs")               not older than any answer so far

Commands and queries run on the loop thread of this process, and what runs there keeps everything else on it
waiting: short work, no questions to other replicated objects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from agreed.coordination.on_the_loop import Asynchronous, OnTheLoop
from agreed.recipes.replicated.declaring import said_of
from agreed.recipes.replicated.schema import Object

if TYPE_CHECKING:
    from agreed.recipes.replicated.replica import Replica

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Replicating(OnTheLoop[Asynchronous], Generic[Asynchronous, Object]):
    """`with` gives what stands for the object; `call` and `local` name methods as `Stock.take`."""

    @property
    def _replica(self) -> Replica[Object]:
        return cast("Replica[Object]", self.asynchronous)

    def call(
        self,
        method: Callable[Concatenate[Object, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """A command or a query of the class; both linearizable.  Raises as `recipes.replicated.replica`."""
        return cast(Result, self._wait_for(self._replica.call(method, *arguments, **named)))

    def local(
        self,
        method: Callable[Concatenate[Object, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """A query, answered at once by what is known here; `position` tells how old that is."""
        return cast(Result, self._call(self._replica.local, method, *arguments, **named))

    def __enter__(self) -> Object:
        self._wait_for(self._replica.__aenter__())
        return cast(Object, _StandIn(self, self._replica.kind))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait_for(self._replica.__aexit__(kind, error, trace))


class _StandIn:
    """What is an object of the class for whoever calls its commands and queries, and has nothing else."""

    def __init__(self, face: Replicating[Any, Any], kind: type) -> None:
        object.__setattr__(self, "_of", (face, kind))

    def __getattr__(self, name: str) -> Any:
        face, kind = self._of
        method = getattr(kind, name, None)
        if said_of(method) is None:
            raise AttributeError(f"{name} is no command and no query of {kind.__name__}")
        return functools.partial(face.call, method)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a replicated object is changed by its commands")

    def __repr__(self) -> str:
        face, kind = self._of
        return f"<replicated {kind.__name__} {face.asynchronous.name!r}>"
