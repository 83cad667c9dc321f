"""Checks what `list_append` and `rw_register` say, without trusting them: the definitions, read literally.

`problem` takes a verdict and says what is wrong with it.  Each side of a circle must be one of the history,
found anew from its reads and writes alone; the sides must close, and be those of the anomaly by whose name
it goes.  What shows without a circle is looked up in the operations that are named.  An order that is to
explain a history is replayed.  Nothing here knows of version orders, graphs or knots; both have only the
history in common.

Slow where histories are large: it looks at all reads of a key for every side.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final

from agreed.check.history import History, Operation, Process, Status
from agreed.check.transactions.anomalies import PROCESS, REALTIME
from agreed.check.transactions.micro import APPEND, READ
from agreed.check.transactions.options import Options
from agreed.check.transactions.serial import replays
from agreed.check.verdict import Dependency, Finding, Outcome, Verdict, Witness

Step = tuple[str, Hashable, Any]


def problem(history: History, write: str, verdict: Verdict, options: Options | None = None) -> str | None:
    """What is wrong with a verdict on transactions that append (`write` is APPEND) or write registers
    (WRITE); None if nothing is."""
    facts = Facts(history, write, options or Options())
    if verdict.outcome is Outcome.VIOLATED and not verdict.findings:
        return "violated, and nothing was found"
    for finding in verdict.findings:
        wrong = _of_circle(facts, finding) if finding.cycle else _of_direct(facts, finding)
        if wrong is not None:
            return f"{finding.name}: {wrong}"
    for witness in verdict.witnesses:
        wrong = _of_witness(facts, witness)
        if wrong is not None:
            return wrong
    return None


class Facts:
    """The operations by index, and the reads of each key."""

    def __init__(self, history: History, write: str, options: Options) -> None:
        self.options = options
        self.lists = write == APPEND
        self.operation = {operation.index: operation for operation in history}
        self.steps: dict[int, list[Step]] = {}
        self.reads: dict[Hashable, list[tuple[int, Any]]] = {}
        self.writer: dict[tuple[Hashable, Hashable], int] = {}
        for operation in history:
            known: Any = operation.result if operation.status is Status.OK else operation.argument
            committed = operation.status is Status.OK
            self.steps[operation.index] = [
                (function, key, tuple(value or ()) if function == READ and self.lists else value)
                for function, key, value in known
                if function != READ or committed
            ]
            for function, key, value in self.steps[operation.index]:
                if function != READ:
                    self.writer[key, value] = operation.index
                else:
                    self.reads.setdefault(key, []).append((operation.index, value))

    def written(self, index: int, key: Hashable) -> list[Any]:
        return [
            value for function, its_key, value in self.steps[index] if function != READ and its_key == key
        ]

    def read(self, index: int, key: Hashable) -> list[Any]:
        if self.operation[index].status is not Status.OK:
            return []
        return [
            value for function, its_key, value in self.steps[index] if function == READ and its_key == key
        ]

    def took_effect(self, index: int) -> bool:
        """Committed; or nobody knows, and something that it wrote was read."""
        status = self.operation[index].status
        if status is not Status.INFO:
            return status is Status.OK
        return any(
            value == read or (self.lists and value in read)
            for function, key, value in self.steps[index]
            if function != READ
            for _, read in self.reads.get(key, ())
        )

    def by_revision(self, key: Hashable, one: Hashable, other: Hashable) -> bool:
        """Whether the server says that one value was written before the other, of two that are committed."""
        if not self.options.revisions or (key, one) not in self.writer or (key, other) not in self.writer:
            return False
        writers = [self.operation[self.writer[key, value]] for value in (one, other)]
        earlier, later = (each.revision if each.status is Status.OK else None for each in writers)
        return earlier is not None and later is not None and earlier < later

    def before(self, key: Hashable, one: Any, other: Any) -> bool:
        """Whether one version of a key came before another: of a list, named by their last elements."""
        return self._list_before(key, one, other) if self.lists else other in _Values(self, key).after(one)

    def _list_before(self, key: Hashable, one: Hashable, other: Hashable) -> bool:
        shown = False
        for _, read in self.reads.get(key, ()):
            if other in read:
                if one not in read or read.index(one) > read.index(other):
                    return False
                shown = True
            elif one in read:
                shown = True
        return shown or self.by_revision(key, one, other)

    def missed(self, key: Hashable, read: Any, other: Hashable) -> bool:
        """Whether who read this from a key did not see a value that was written later."""
        if not self.lists:
            return self.before(key, read, other)
        if other in read:
            return False
        if read and self.by_revision(key, read[-1], other):
            return True
        return all(
            seen[: len(read)] == read if other in seen else _one_begins_the_other(seen, read)
            for _, seen in self.reads.get(key, ())
        )


class _Values:
    """The order of the values of one register, as far as there are reasons for it.  What was aborted, or
    overwritten by its own transaction, has no place in it."""

    def __init__(self, facts: Facts, key: Hashable) -> None:
        self.facts = facts
        self.key = key
        self.touches: list[tuple[Operation, bool, list[Any]]] = []
        """Of each transaction that touches the key: whether it begins with a read, and all that it saw or
        made of it that has a place."""
        for index, steps in facts.steps.items():
            here = [step for step in steps if step[1] == key]
            values = [value for _, _, value in here if self._has_place(value)]
            if values and facts.took_effect(index):
                self.touches.append((facts.operation[index], here[0][0] == READ, values))

    def _has_place(self, value: Hashable) -> bool:
        writer = self.facts.writer.get((self.key, value))
        return writer is None or (
            self.facts.operation[writer].status is not Status.FAIL
            and self.facts.written(writer, self.key)[-1] == value
        )

    def after(self, value: Hashable) -> set[Hashable]:
        """All values that came after this one."""
        found: set[Hashable] = set()
        waiting = [value]
        while waiting:
            for later in self._directly_after(waiting.pop()):
                if later not in found:
                    found.add(later)
                    waiting.append(later)
        return found

    def _directly_after(self, value: Hashable) -> Iterator[Hashable]:
        options = self.facts.options
        if value is None:
            for steps in self.facts.steps.values():
                yield from (later for _, key, later in steps if key == self.key and later is not None)
        for operation, begins_with_read, values in self.touches:
            own = [written for written in self.facts.written(operation.index, self.key) if written in values]
            if options.writes_follow_reads_keys and begins_with_read and values[0] == value:
                yield from own
            yield from (written for written in own if self.facts.by_revision(self.key, value, written))
            if values[-1] != value:
                continue
            for other, _, its_values in self.touches:
                one_process = other.process == operation.process and other.called >= operation.called
                in_time = operation.returned is not None and operation.returned < other.called
                if other is not operation and (
                    (options.sequential_keys and one_process) or (options.linearizable_keys and in_time)
                ):
                    yield its_values[0]


def _one_begins_the_other(one: Sequence[Any], other: Sequence[Any]) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _of_circle(facts: Facts, finding: Finding) -> str | None:
    sides = finding.cycle
    for position, side in enumerate(sides):
        if sides[position - 1].after != side.before:
            return f"it does not close at operation {side.before}"
        for index in (side.before, side.after):
            if not facts.took_effect(index):
                return f"it is not known that operation {index} took effect"
        if not _holds(facts, side):
            return f"operation {side.before} does not come before {side.after} by {side.kind}"
    if len({side.before for side in sides}) < len(sides):
        return "it passes an operation twice"
    if not {side.before for side in sides} <= set(finding.operations):
        return "its operations are not all named"
    expected = _name(facts, [side.kind for side in sides], [side.before for side in sides])
    return None if finding.name == expected else f"this is {expected}"


def _holds(facts: Facts, side: Dependency) -> bool:
    one, other = facts.operation[side.before], facts.operation[side.after]
    wrote = facts.written(other.index, side.key)
    match side.kind:
        case "process":
            return one.process == other.process and (one.called, one.index) < (other.called, other.index)
        case "realtime":
            return one.returned is not None and one.returned < other.called
        case "ww":
            return any(
                facts.before(side.key, earlier, later)
                for earlier in facts.written(one.index, side.key)
                for later in wrote
            )
        case "wr":
            seen = facts.read(other.index, side.key)
            return any(
                (read[-1:] == (value,) if facts.lists else read == value)
                for read in seen
                for value in facts.written(one.index, side.key)
            )
        case "rw":
            seen = facts.read(one.index, side.key)
            return any(facts.missed(side.key, read, later) for read in seen for later in wrote)
    return False


def _name(facts: Facts, kinds: Sequence[str], operations: Sequence[int]) -> str:
    form = "-realtime" if "realtime" in kinds else "-process" if "process" in kinds else ""
    misses = [kind == "rw" for kind in kinds]
    if sum(misses) == 1:
        return "G-single-item" + form
    if any(misses):
        adjacent = any(one and other for one, other in zip(misses, misses[1:] + misses[:1], strict=True))
        return ("G2-item" if adjacent else "G-nonadjacent-item") + form
    certain = all(facts.operation[index].status is Status.OK for index in operations)
    return ("G0" if certain and "wr" not in kinds else "G1c") + form


def _of_witness(facts: Facts, witness: Witness) -> str | None:
    order = list(witness.order)
    if len(set(order)) < len(order):
        return "an operation stands twice in the order"
    operations = [facts.operation[index] for index in order]
    if {each.index for each in facts.operation.values() if each.status is Status.OK} - set(order):
        return "a committed operation is missing in the order"
    if any(each.status is Status.FAIL for each in operations):
        return "an aborted operation stands in the order"
    if not replays(operations, lists=facts.lists):
        return "in this order, not all transactions read what they read"
    sought = facts.options.sought()
    if any(name.endswith(REALTIME) for name in sought) and not _in_time(operations):
        return "the order is not that of real time"
    if any(name.endswith(PROCESS) for name in sought) and not _in_sessions(operations):
        return "the order is not that of a process"
    return None


def _in_time(operations: Sequence[Operation]) -> bool:
    """Whether none stands behind one that was called after its return."""
    latest_call = None
    for operation in operations:
        if latest_call is not None and operation.returned is not None and operation.returned < latest_call:
            return False
        latest_call = operation.called if latest_call is None else max(latest_call, operation.called)
    return True


def _in_sessions(operations: Sequence[Operation]) -> bool:
    latest: dict[Process, tuple[int, int]] = {}
    for operation in operations:
        place = (operation.called, operation.index)
        if latest.get(operation.process, place) > place:
            return False
        latest[operation.process] = place
    return True


def _of_direct(facts: Facts, finding: Finding) -> str | None:
    shown = _SHOWN.get(finding.name)
    if shown is None:
        return "no such anomaly shows without a circle"
    if not finding.operations or not all(index in facts.operation for index in finding.operations):
        return "it names operations that are not there"
    return None if shown(facts, finding.key, finding.operations) else "its operations do not show it"


def _aborted_read(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    writer, reader = operations
    return facts.operation[writer].status is Status.FAIL and any(
        value in _elements(facts, read)
        for value in facts.written(writer, key)
        for read in facts.read(reader, key)
    )


def _elements(facts: Facts, read: Any) -> Sequence[Any]:
    return list(read) if facts.lists else [read]


def _intermediate_read(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    writer, reader = operations
    return writer != reader and any(
        _elements(facts, read)[-1:] == [value]
        for value in facts.written(writer, key)[:-1]
        for read in facts.read(reader, key)
    )


def _internal(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    """Runs the transaction on its own: what it does not know of a list is whatever it reads first."""
    known: Any = None
    appended: tuple[Any, ...] = ()
    for function, its_key, value in facts.steps[operations[0]]:
        if its_key != key:
            continue
        if function != READ:
            known, appended = (known, (*appended, value)) if facts.lists else ((value,), ())
            continue
        if facts.lists:
            if known is not None and value != known + appended:
                return True
            if appended and value[-len(appended) :] != appended:
                return True
            known, appended = value, ()
        elif known is not None and known != (value,):
            return True
        else:
            known = (value,)
    return False


def _future_read(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    steps = [step for step in facts.steps[operations[0]] if step[1] == key]
    return any(
        function == READ
        and any(later in _elements(facts, read) for its, _, later in steps[at:] if its != READ)
        for at, (function, _, read) in enumerate(steps)
    )


def _lost_update(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    """Each begins by reading the same of the key, and writes it afterwards."""
    begun = []
    for index in operations:
        first = next((step for step in facts.steps[index] if step[1] == key), None)
        if first is None or first[0] != READ or not facts.written(index, key):
            return False
        if facts.operation[index].status is not Status.OK:
            return False
        begun.append(first[2][-1:] if facts.lists else first[2])
    return len(operations) > 1 and all(one == begun[0] for one in begun)


def _dirty_update(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    aborted, committed = operations
    return (
        facts.operation[aborted].status is Status.FAIL
        and facts.operation[committed].status is Status.OK
        and any(
            one in read and other in read and read.index(one) < read.index(other)
            for _, read in facts.reads.get(key, ())
            for one in facts.written(aborted, key)
            for other in facts.written(committed, key)
        )
    )


def _garbage_read(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    return any(
        (key, value) not in facts.writer
        for read in facts.read(operations[0], key)
        for value in _elements(facts, read)
        if value is not None
    )


def _duplicate_elements(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    return any(len(set(read)) < len(read) for read in facts.read(operations[0], key))


def _incompatible_order(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    reads = [dict.fromkeys(read) for index in operations for read in facts.read(index, key)]
    appended = facts.written(operations[0], key)
    mine = [[element for element in read if element in appended] for read in reads]
    if any(seen != appended[: len(seen)] for seen in mine):
        return facts.took_effect(operations[0])
    return any(not _one_begins_the_other(list(one), list(other)) for one in reads for other in reads)


def _cyclic_versions(facts: Facts, key: Hashable, operations: Sequence[int]) -> bool:
    if not facts.lists:
        values = _Values(facts, key)
        touched = {step[2] for index in operations for step in facts.steps[index] if step[1] == key}
        return any(value in values.after(value) for value in touched)
    written = [value for index in facts.operation for value in facts.written(index, key)]
    return any(
        facts.by_revision(key, one, other)
        and any(one not in read or read.index(one) > read.index(other) for read in showing)
        for other in written
        if (showing := [read for _, read in facts.reads.get(key, ()) if other in read])
        for one in written
    )


_SHOWN: Final[dict[str, Callable[[Facts, Hashable, Sequence[int]], bool]]] = {
    "G1a": _aborted_read,
    "G1b": _intermediate_read,
    "internal": _internal,
    "future-read": _future_read,
    "lost-update": _lost_update,
    "dirty-update": _dirty_update,
    "garbage-read": _garbage_read,
    "duplicate-elements": _duplicate_elements,
    "incompatible-order": _incompatible_order,
    "cyclic-versions": _cyclic_versions,
}
