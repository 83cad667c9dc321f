"""Our own format: JSON Lines, one operation or fault per line.  A recorder can append to it as things happen.

    {"index": 0, "process": 3, "function": "cas", "argument": [1, 2], "called": 1200, "returned": 1950,
     "status": "ok", "result": false, "key": "x", "revision": 17}
    {"index": 1, "process": 4, "function": "write", "argument": 5, "called": 1300, "status": "info",
     "error": "connection lost"}
    {"fault": "partition", "began": 1100, "ended": 90000, "detail": "n1 | n2 n3"}

(each on one line).  The fields are those of `history.Operation` and `history.Fault`, where they are
explained; what is None may be left out, `index` too (then lines are numbered, from 0).  `status` is ok, fail
or info.  Times are whole numbers, of nanoseconds if they are to be read by people.  Operations may stand in
any order; empty lines do not count.

JSON knows fewer kinds of values than Python: tuples and sets come back as lists, keys of maps as texts, bytes
as texts if they are UTF-8 and as {"base64": ...} if not.
"""
from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agreed.check.history import Fault, History, Operation, Status, history
from agreed.check.models.values import frozen
from agreed.check.read.json_text import decoded
from agreed.errors import MalformedInput


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Either of the two; which one, `fault` tells."""

    index: int | None = None
    process: int | str | None = None
    function: str | None = None
    argument: Any = None
    called: int | None = None
    returned: int | None = None
    status: str | None = None
    result: Any = None
    key: Any = None
    revision: int | None = None
    error: str | None = None
    fault: str | None = None
    began: int | None = None
    ended: int | None = None
    detail: str = ""


def read(text: str) -> History:
    """The history of such a file.  Raises MalformedInput, with the line."""
    operations: list[Operation] = []
    faults: list[Fault] = []
    decoder = msgspec.json.Decoder(_Line)
    for number, said in enumerate(text.split("\n"), start=1):
        if not said.strip():
            continue
        try:
            line = decoded(decoder, said)
            if line.fault is None:
                operations.append(_operation(line, len(operations)))
            else:
                faults.append(Fault(line.fault, _needed(line.began, "began"), line.ended, line.detail))
        except MalformedInput as error:
            raise MalformedInput(f"line {number}: {error}") from error
    return history(operations, faults)


def _operation(line: _Line, number: int) -> Operation:
    status = _needed(line.status, "status")
    if status not in ("ok", "fail", "info"):
        raise MalformedInput(f"the status is {status!r}, not ok, fail or info")
    return Operation(
        index=number if line.index is None else line.index,
        process=_needed(line.process, "process"),
        function=_needed(line.function, "function"),
        argument=line.argument,
        result=line.result,
        called=_needed(line.called, "called"),
        returned=line.returned if status != "info" else None,
        status=Status(status),
        key=frozen(line.key),
        revision=line.revision,
        error=line.error,
    )


def _needed(value: Any, name: str) -> Any:
    if value is None:
        raise MalformedInput(f"{name!r} is missing")
    return value


def write(history: History) -> str:
    """The whole file.  What `read` makes of it is the same history, but for the kinds of values above."""
    things: list[Operation | Fault] = [*history.faults, *history.operations]
    return "".join(line(each) + "\n" for each in things)


def line(thing: Operation | Fault) -> str:
    """One operation or fault as a line, without its end."""
    if isinstance(thing, Fault):
        said = _Line(fault=thing.name, began=thing.began, ended=thing.ended, detail=thing.detail)
    else:
        said = _Line(
            index=thing.index,
            process=thing.process,
            function=thing.function,
            argument=_json(thing.argument),
            called=thing.called,
            returned=thing.returned,
            status=thing.status.value,
            result=_json(thing.result),
            key=_json(thing.key),
            revision=thing.revision,
            error=thing.error,
        )
    return msgspec.json.encode(said).decode()


def _json(value: Any) -> Any:
    """The value in kinds that JSON has.  Sets are ordered by their text, so that it is always the same."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return {"base64": b2a_base64(value, newline=False).decode()}
        case Mapping():
            return {str(_json(key)): _json(each) for key, each in value.items()}
        case set() | frozenset():
            return sorted((_json(each) for each in value), key=repr)
        case Iterable():
            return [_json(each) for each in value]
    raise MalformedInput(f"{value!r} cannot be written as JSON")
