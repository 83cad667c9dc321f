"""What a class says about itself so that it can be replicated.

    @agreed.replicated(version=2)
    class Stock:
        left: dict[str, int]                            its state: what is annotated here

        def __init__(self) -> None:                     how it begins
            self.left = {}

        @agreed.command                                 changes it, through the log
        def take(self, what: str, number: int) -> int:
            self.left[what] -= number
            return self.left[what]

        @agreed.query                                   reads it
        def level(self, what: str) -> int:
            return self.left.get(what, 0)

It stays an ordinary class: without a cluster its methods are methods, and can be tested as such.

A command depends on nothing but the state, its arguments, `agreed.now_ms()` and `agreed.random()`; it
changes nothing but `self`, and waits for nothing.  It is run on every replica, and by whoever asks for it
perhaps several times.  The types of its arguments and of its result are written down, and are such that JSON
can carry them (`recipes.codec`).

Which version a command is of: what it does must never change, for those who run an older program do what it
did then.  A command that is to do something else is a new one, with the same name and its own `since`, and
the one before stays for what is in the log:

    @agreed.command(since=2)
    def take(self, what: str, number: int) -> int: ...

    @agreed.command(name="take")
    def take_of_version_1(self, what: str, number: int) -> int: ...

A class whose state looks otherwise than before says how an older one is read.  `data` is what JSON makes of
it, and so is what is returned:

    @classmethod
    def upgrade(cls, version: int, data: dict[str, Any]) -> dict[str, Any]: ...

Without it, what an older state does not have is as `__init__` makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, overload

from agreed.errors import ConfigurationError

Function = TypeVar("Function", bound=Callable[..., Any])
Class = TypeVar("Class", bound=type)

_MARK: Final = "__agreed_replicated__"


class Command(NamedTuple):
    """`since`: the first version of the class that knows this form of it."""

    name: str
    since: int


class Query(NamedTuple):
    name: str


@overload
def replicated(kind: Class) -> Class: ...


@overload
def replicated(*, version: int = 1) -> Callable[[Class], Class]: ...


def replicated(kind: Class | None = None, *, version: int = 1) -> Class | Callable[[Class], Class]:
    """A class whose objects `client.replicated` makes.  A program with a higher version reads what those of
    lower ones have written, and not the other way round."""
    if version < 1:
        raise ConfigurationError(f"versions are counted from 1, and not from {version}")

    def declared(kind: Class) -> Class:
        setattr(kind, _MARK, version)
        return kind

    return declared if kind is None else declared(kind)


@overload
def command(function: Function) -> Function: ...


@overload
def command(*, since: int = 1, name: str | None = None) -> Callable[[Function], Function]: ...


def command(
    function: Function | None = None, *, since: int = 1, name: str | None = None
) -> Function | Callable[[Function], Function]:
    """A method that changes the object.  `since`: the first version of the class that has it like this.
    `name`: what it is called in the log, if not like the method."""

    def declared(function: Function) -> Function:
        setattr(function, _MARK, Command(name or function.__name__, since))
        return function

    return declared if function is None else declared(function)


def query(function: Function) -> Function:
    """A method that reads the object and changes nothing.  What it changes all the same no command sees, but
    perhaps the next query here: the state is read once for all queries between two commands."""
    setattr(function, _MARK, Query(function.__name__))
    return function


def version_of(kind: type) -> int:
    """Raises ConfigurationError where the class itself is not declared; what it descends from may have been
    of another version."""
    version = vars(kind).get(_MARK)
    if not isinstance(version, int):
        raise ConfigurationError(f"{kind.__name__} is not marked with @agreed.replicated")
    return version


def said_of(member: object) -> Command | Query | None:
    """None: it is neither."""
    said = getattr(member, _MARK, None)
    return said if isinstance(said, Command | Query) else None
