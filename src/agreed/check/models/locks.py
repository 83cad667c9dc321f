"""Locks: a bare mutex, and a lock that is held by somebody under a fencing token.

Mutex (as Knossos has it): nobody acquires what is held, nobody releases what is free; who does it is not
looked at.

| function | argument | result |
| -------- | -------- | ------ |
| acquire  |          |        |
| release  |          |        |

Lock: it is held by a process, under a token that is larger than all before.  A lock of a lease or session
may be taken from its holder (`expire`), who need not know; that is what tokens are for: a resource remembers
the largest that it has seen, and turns smaller ones away.

| function | argument                        | result                                         |
| -------- | ------------------------------- | ---------------------------------------------- |
| acquire  |                                 | the token (a whole number)                     |
| release  | the token, or None: whatever    |                                                |
| expire   | the token, or None: whoever     |                                                |
| use      | the token                       | True; False: refused, a larger one was there   |

Only the process that acquired it releases it.  An acquisition that was never answered may hold the lock for
ever, under a token that nobody knows.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from agreed.check.history import Operation, Process, Status
from agreed.check.models.model import Model
from agreed.check.models.values import Effect, malformed, number, unknown_function
from agreed.errors import MalformedInput


class Mutex(Model[bool]):
    """Held or free."""

    name = "mutex"

    def __init__(self, initial: object = None) -> None:
        if not isinstance(initial, bool | None):
            raise MalformedInput(f"a {self.name} begins held (true) or free (false), not {initial!r}")
        self._initial = bool(initial)

    @property
    def initial(self) -> bool:
        return self._initial

    def effect(self, operation: Operation) -> Hashable:
        if operation.function not in ("acquire", "release"):
            raise unknown_function(self.name, operation)
        return None if operation.status is Status.FAIL else operation.function

    def step(self, state: bool, operation: Operation) -> Sequence[bool]:
        acquires = operation.function == "acquire"
        return (acquires,) if state != acquires else ()

    def states(self, operations: Sequence[Operation]) -> Sequence[bool]:
        return (False, True)

    def show(self, state: bool) -> str:
        return "held" if state else "free"


class Held(NamedTuple):
    """`token` is the largest ever given, `seen` the largest that the resource has seen; of a holder whose
    token nobody knows, `named` is False."""

    holder: Process | None = None
    token: int = -1
    seen: int = -1
    named: bool = True


class Lock(Model[Held]):
    """Held by one process at a time, under ever larger tokens."""

    name = "lock"

    def __init__(self, initial: object = None) -> None:
        if initial is not None:
            raise MalformedInput(f"a {self.name} begins free")

    @property
    def initial(self) -> Held:
        return Held()

    def effect(self, operation: Operation) -> Effect:
        """A use that was never answered may have shown its token to the resource."""
        if operation.function not in ("acquire", "release", "expire", "use"):
            raise unknown_function(self.name, operation)
        if operation.status is Status.FAIL:
            return None
        if operation.function == "acquire":
            known = operation.status is Status.OK
            return ("acquire", operation.process, number(operation, operation.result) if known else None)
        token = None if operation.argument is None else number(operation, operation.argument)
        if operation.function != "use":
            return (operation.function, operation.process if operation.function == "release" else None, token)
        if token is None or (operation.status is Status.OK and not isinstance(operation.result, bool)):
            raise malformed(operation, "a token, and True or False", operation.result)
        return ("use", token, operation.result)

    def step(self, state: Held, operation: Operation) -> Sequence[Held]:
        match self.effect(operation):
            case ("acquire", process, token):
                if state.holder is not None:
                    return ()
                if token is None:
                    return (state._replace(holder=process, named=False),)
                later = token > state.token
                return (state._replace(holder=process, token=token, named=True),) if later else ()
            case ("use", token, refused) if refused is False:
                return (state,) if token < state.seen else ()
            case ("use", token, _):
                return (state._replace(seen=token),) if token >= state.seen else ()
            case (what, process, token):
                held = state.holder is not None and (what == "expire" or state.holder == process)
                right = token is None or token == state.token or not state.named
                return (state._replace(holder=None, named=True),) if held and right else ()
        return ()

    def reads_only(self, operation: Operation) -> bool:
        return operation.function == "use" and operation.result is False

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """The lock and the resource know nothing of each other."""
        return (first.function == "use") != (second.function == "use")

    def show(self, state: Held) -> str:
        if state.holder is None:
            return f"free, last token {state.token}"
        return f"held by {state.holder} under {state.token if state.named else 'an unknown token'}"
