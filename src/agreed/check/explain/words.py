"""How an operation and a value are said in few words, the same on the page and in a terminal.

Values are said as one reads them aloud, without the quotes and brackets of a programming language where they
are not needed: `write 3`, `read → 3`, `cas [1 2]`, `transfer [a b 5] ✗`.  What is not known ends with `?`.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import TypeGuard

import msgspec

from agreed.check.history import Operation, Process, Status

_PLAIN = re.compile(r"[^\s\[\]{},→'\"]+")

MOST_CHARACTERS = 2_000
"""Of one value, where there is space for it; a page of a megabyte per value helps nobody."""


def value(thing: object, most: int = MOST_CHARACTERS) -> str:
    """`thing` on one line of at most `most` characters."""
    text = _said(thing)
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


def _said(thing: object) -> str:
    match thing:
        case None:
            return "nil"
        case bool():
            return "true" if thing else "false"
        case Enum():
            return str(thing.value)
        case str():
            return thing if _PLAIN.fullmatch(thing) else repr(thing)
        case bytes():
            return _said(thing.decode()) if _readable(thing) else "0x" + thing.hex()
        case Mapping():
            pairs = (f"{_said(key)} {_said(each)}" for key, each in thing.items())
            return "{" + ", ".join(pairs) + "}"
        case Set():
            return "{" + " ".join(sorted(_said(each) for each in thing)) + "}"
        case msgspec.Struct():
            fields = (f"{name} {_said(getattr(thing, name))}" for name in thing.__struct_fields__)
            return f"{type(thing).__name__}({', '.join(fields)})"
        case Sequence():
            return "[" + " ".join(_said(each) for each in thing) + "]"
    return str(thing)


def _readable(text: bytes) -> bool:
    try:
        return text.decode().isprintable()
    except UnicodeDecodeError:
        return False


def operation(each: Operation, most: int = 60, with_key: bool = False) -> str:
    """What was asked and what was answered, in at most about `most` characters."""
    asked = each.function
    if with_key and each.key is not None:
        asked += " " + name(each.key)
    if _is_transaction(each.argument):
        asked = _steps(each.argument if each.result is None else each.result, most)
    elif each.argument is not None:
        asked += " " + value(each.argument, most)
    if each.status is Status.FAIL:
        return asked + " ✗"
    if each.status is Status.INFO:
        return asked + " ?"
    if _is_transaction(each.argument) or (each.result is None and each.function not in _ASKS):
        return asked
    if each.result is True and each.argument is not None:
        return asked + " ✓"
    return f"{asked} → {value(each.result, most)}"


def answer(each: Operation) -> str:
    """The answer alone; empty where there is none, or it says nothing."""
    if each.status is not Status.OK or (each.result is None and each.function not in _ASKS):
        return ""
    return value(each.result)


_ASKS = frozenset({"read", "get", "dequeue", "poll", "peek", "exists"})
"""Functions whose answer says something even when it is nothing."""


def _is_transaction(argument: object) -> TypeGuard[Sequence[Sequence[object]]]:
    """A list of micro-operations, each beginning with its name.  The answer is the same list with its blanks
    filled in, so that it says all."""
    return (
        isinstance(argument, list | tuple)
        and len(argument) > 0
        and all(isinstance(step, list | tuple) and len(step) > 1 for step in argument)
        and all(type(step[0]) is str for step in argument)
    )


def _steps(transaction: object, most: int) -> str:
    """`append x 1, r y [2]`"""
    if not _is_transaction(transaction):
        return value(transaction, most)
    text = ", ".join(" ".join(_said(part) for part in step) for step in transaction)
    return text if len(text) <= most else text[: most - 1] + "…"


def name(key: object, most: int = 60) -> str:
    """Of a key: text as it is, anything else as a value; nothing for None."""
    if isinstance(key, str):
        return key if len(key) <= most else key[: most - 1] + "…"
    return "" if key is None else value(key, most)


def client(process: Process) -> str:
    """Numbers are no names."""
    return f"client {process}" if isinstance(process, int) else process

