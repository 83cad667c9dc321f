"""Histories of Jepsen and its relatives: one map for each invocation, and one for each completion.

    {:process 3, :type :invoke, :f :cas, :value [1 2], :time 99286665244, :index 7}
    {:process 3, :type :ok,     :f :cas, :value [1 2], :time 99291886853, :index 9}

As EDN or JSON; one map per line, or all in one vector, list or array.  `:type` is invoke, ok, fail or info.
The order in the file is the order in which it happened; `:time` (nanoseconds) is kept where it follows that
order, and else moved until it does.

* An invocation without a completion, or with an `info`, may have happened or not.
* `fail` means that it did not happen, and not why: so without an `:error` of its own the operation gets the
  error "failed", and no model takes it for a refused compare-and-set.
* A `:process` that is not a number (`:nemesis`) breaks things: its maps become faults.
* Where there is no `:process` at all, a completion belongs to the oldest open invocation of that function
  which its value fits, and processes are made up.
* `:key` (Porcupine's key-value histories) is the operation's key.  With `independent`, each value is a pair
  [key value], as `jepsen.independent` has it; no file says so itself.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec

from agreed.check.history import Fault, History, Operation, Process, Status, history
from agreed.check.models.values import frozen
from agreed.check.read import edn
from agreed.check.read.json_text import decoded
from agreed.errors import MalformedInput

FAILED = "failed"
COMPLETIONS = {"ok": Status.OK, "fail": Status.FAIL, "info": Status.INFO}


def read_edn(text: str, independent: bool = False) -> History:
    """From EDN."""
    return from_maps(_flat(edn.values(text)), independent)


def read_json(text: str, independent: bool = False) -> History:
    """From JSON: an array, or one object per line."""
    if text.lstrip().startswith("["):
        return from_maps(decoded(msgspec.json.Decoder(list[Any]), text), independent)
    decoder = msgspec.json.Decoder()
    return from_maps((decoded(decoder, line) for line in text.split("\n") if line.strip()), independent)


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


class Event(NamedTuple):
    """One map, with what matters in it."""

    kind: str
    function: str
    value: Any
    process: Any
    time: int
    key: Any
    error: str | None


class _Open(NamedTuple):
    """An invocation that has not been completed yet."""

    number: int
    process: Process
    event: Event


def from_maps(maps: Iterable[Any], independent: bool = False, failures_have_reasons: bool = False) -> History:
    """The history that these maps tell.  `failures_have_reasons`: a failure without an error is an answer
    (Porcupine's logs)."""
    return _Reading(independent, failures_have_reasons).history(maps)


class _Reading:
    def __init__(self, independent: bool, failures_have_reasons: bool) -> None:
        self.independent = independent
        self.failures_have_reasons = failures_have_reasons
        self.now = -1
        self.calls = 0
        self.open: dict[Process, _Open] = {}
        self.lives: dict[Process, int] = {}
        self.operations: list[Operation] = []
        self.broken: list[Event] = []

    def history(self, maps: Iterable[Any]) -> History:
        for place, each in enumerate(maps):
            event = self._event(place, each)
            if not isinstance(event.process, int | None):
                self.broken.append(event)
            elif event.kind == "invoke":
                self._invoke(event)
            else:
                self._complete(place, event)
        for invocation in self.open.values():
            self._record(invocation, None)
        return history(self.operations, faults(self.broken))

    def _event(self, place: int, each: Any) -> Event:
        if not isinstance(each, Mapping):
            raise MalformedInput(f"entry {place} is no map")
        kind, function, said = each.get("type"), each.get("f", "txn"), each.get("time")
        if not isinstance(kind, str) or (kind != "invoke" and kind not in COMPLETIONS):
            raise MalformedInput(f"entry {place} is of type {kind!r}, not invoke, ok, fail or info")
        if not isinstance(function, str):
            raise MalformedInput(f"entry {place} has the function {function!r}")
        self.now = max(said, self.now + 1) if isinstance(said, int) else self.now + 1
        value, key, process = each.get("value"), each.get("key"), each.get("process")
        if self.independent and isinstance(process, int | None):
            if not isinstance(value, list | tuple) or len(value) != 2:
                raise MalformedInput(f"entry {place} has the value {value!r}, not a key and a value")
            key, value = value
        error = each.get("error")
        told = error if isinstance(error, str | None) else str(error)
        return Event(kind, function, value, process, self.now, frozen(key), told)

    def _invoke(self, event: Event) -> None:
        process = event.process
        if process is None:
            process = next(number for number in count() if number not in self.open)
        elif process in self.open:
            raise MalformedInput(f"process {process} invokes {event.function} while another is under way")
        self.open[process] = _Open(self.calls, self._name(process), event)
        self.calls += 1

    def _name(self, process: Process) -> Process:
        """A process that goes on after an operation that was never answered is another one."""
        life = self.lives.get(process, 1)
        return process if life == 1 else f"{process} ({life})"

    def _complete(self, place: int, event: Event) -> None:
        process = event.process
        if process is None:
            process = next((each for each, asked in self.open.items() if _answers(event, asked.event)), None)
        if process not in self.open:
            if event.kind == "info":
                return
            raise MalformedInput(f"entry {place} completes what was not invoked")
        self._record(self.open.pop(process), event)
        if event.kind == "info":
            self.lives[process] = self.lives.get(process, 1) + 1

    def _record(self, invocation: _Open, completion: Event | None) -> None:
        asked = invocation.event
        status = Status.INFO if completion is None else COMPLETIONS[completion.kind]
        error = None if completion is None else completion.error
        if status is Status.FAIL and error is None and not self.failures_have_reasons:
            error = FAILED
        self.operations.append(
            Operation(
                index=invocation.number,
                process=invocation.process,
                function=asked.function,
                argument=asked.value,
                result=completion.value if completion is not None and status is Status.OK else None,
                called=asked.time,
                returned=completion.time if completion is not None and status is not Status.INFO else None,
                status=status,
                key=asked.key,
                error=error,
            )
        )


def _answers(event: Event, asked: Event) -> bool:
    """Whether a completion may belong to an invocation: of transactions, the blanks are filled in."""
    if asked.function != event.function:
        return False
    if isinstance(asked.value, list) and isinstance(event.value, list):
        if len(asked.value) != len(event.value):
            return False
        return all(
            mine[:2] == its[:2] if isinstance(mine, list) and isinstance(its, list) else mine == its
            for mine, its in zip(asked.value, event.value, strict=True)
        )
    return asked.value is None or asked.value == event.value


def faults(events: Sequence[Event]) -> list[Fault]:
    """What was broken, and until when.  Jepsen writes two maps for each thing it does: `start` and `stop` (or
    `start-x` and `stop-x`) are one fault from the first of the former to the last of the latter, and
    anything else from its first map to its second."""
    found: list[Fault] = []
    latest: dict[str, int] = {}
    for event in events:
        name = event.function.removeprefix("start").removeprefix("stop").strip("-") or "fault"
        place = latest.get(name)
        detail = "" if event.value is None else str(event.value)
        if event.function.startswith("stop"):
            if place is not None:
                found[place] = msgspec.structs.replace(found[place], ended=event.time)
        elif place is None or found[place].ended is not None:
            latest[name] = len(found)
            found.append(Fault(name, event.time, None, detail))
        elif event.function.startswith("start"):
            found[place] = msgspec.structs.replace(found[place], detail=detail)
        else:
            found[place] = msgspec.structs.replace(found[place], ended=event.time, detail=detail)
    return found
