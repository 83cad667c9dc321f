"""Small random histories, the same for the same seed, for comparing checkers with brute force."""
from __future__ import annotations

from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from agreed.check.history import History, Operation, Status, history


@dataclass(frozen=True)
class Shape:
    sessions: int = 4
    operations: int = 8
    keys: int = 3
    reads: float = 0.55
    again: float = 0.0
    """How often a value is written that was written before."""
    lost: float = 0.08
    """How often a write is the last of its session, and never answered."""
    failed: float = 0.04
    thin: float = 0.01
    revisions: bool = False


def registers(dice: Random, shape: Shape) -> History:
    """Reads and writes; a read finds any value of its key, or, more often, one that was written recently."""
    count = dice.randint(1, shape.operations)
    width = dice.randint(1, shape.sessions)
    keys = "xyz"[: dice.randint(1, shape.keys)]
    kinds = [(dice.randrange(width), dice.choice(keys), dice.random() < shape.reads) for _ in range(count)]
    written: dict[str, list[int]] = {key: [] for key in keys}
    for _, key, reads in kinds:
        if not reads:
            again = written[key] and dice.random() < shape.again
            written[key].append(dice.choice(written[key]) if again else 1 + sum(map(len, written.values())))
    nexts = {key: iter(of) for key, of in written.items()}
    done: dict[str, list[int | None]] = {key: [None] for key in keys}
    gone: set[int] = set()
    operations = []
    for index, (process, key, reads) in enumerate(kinds):
        if process in gone:
            continue
        status, value = Status.OK, None
        if reads:
            value = _found(dice, shape, done[key], written[key])
        else:
            value = next(nexts[key])
            done[key].append(value)
            fate = dice.random()
            if fate < shape.lost:
                status = Status.INFO
                gone.add(process)
            elif fate < shape.lost + shape.failed:
                status = Status.FAIL
        operations.append(_operation(index, process, key, reads, value, status))
    return history(operations)


def _found(dice: Random, shape: Shape, done: list[int | None], all_of_it: list[int]) -> int | None:
    chance = dice.random()
    if chance < shape.thin:
        return 99
    if chance < 0.4 and all_of_it:
        return dice.choice(all_of_it)
    return dice.choice(done[-3:]) if chance < 0.9 else done[0]


def _operation(
    index: int, process: int, key: str, reads: bool, value: int | None, status: Status
) -> Operation:
    return Operation(
        index=index,
        process=process,
        function="read" if reads else "write",
        argument=None if reads else value,
        result=value if reads else None,
        called=2 * index,
        returned=None if status is Status.INFO else 2 * index + 1,
        status=status,
        key=key,
    )


def replicas(dice: Random, shape: Shape) -> History:
    """What the clients of a weak store see: each session has a copy of its own, which hears of the writes of
    others later, in any order or in that of the writer, and keeps what came last or what is newest by a
    clock.  One read in some of them is changed afterwards."""
    width = dice.randint(2, shape.sessions)
    keys = "xyz"[: dice.choice((1, 2, 2, 3))]
    in_order, newest, hears = dice.random() < 0.6, dice.random() < 0.5, dice.choice((0.4, 0.7, 0.95))
    copies: list[dict[str, tuple[int, int]]] = [{} for _ in range(width)]
    coming: list[list[tuple[str, int]]] = [[] for _ in range(width)]
    written = 0
    operations = []
    for index in range(dice.randint(6, shape.operations)):
        process, key = dice.randrange(width), dice.choice(keys)
        heard = key
        listens = dice.random() < 0.4
        while listens and coming[process] and dice.random() < hears:
            about, value = coming[process].pop(0 if in_order else dice.randrange(len(coming[process])))
            if not newest or copies[process].get(about, (0, 0))[0] < value:
                copies[process][about] = (value, value)
                heard = about
        reads = dice.random() < (shape.reads if heard == key else 0.9)
        key = heard if reads else key
        if not reads:
            written += 1
            copies[process][key] = (written, written)
            for other in range(width):
                if other != process:
                    coming[other].append((key, written))
        value_read = copies[process].get(key, (0, None))[1]
        operations.append(_operation(index, process, key, reads, value_read, Status.OK))
    if dice.random() < 0.3:
        operations = _changed(dice, operations)
    return history(operations)


def neighbours(dice: Random, of: History) -> History:
    """A history like another: up to three operations left out, put in, or with another answer."""
    lines: dict[int, list[tuple[str, bool, int | None, Status]]] = {}
    for each in of:
        reads = each.function == "read"
        value = each.result if reads else each.argument
        assert isinstance(each.process, int)
        assert isinstance(value, int | None)
        lines.setdefault(each.process, []).append((str(each.key), reads, value, each.status))
    keys = sorted({line[0] for own in lines.values() for line in own})
    for _ in range(dice.randint(0, 3)):
        own = dice.choice(list(lines.values()))
        at = dice.randrange(len(own)) if own else 0
        key = dice.choice(keys)
        read = (key, True, dice.choice((None, 1, 2)), Status.OK)
        match dice.choice(("out", "in", "write", "answer")):
            case "out":
                del own[at : at + 1]
            case "in":
                own.insert(at, read)
            case "write":
                own.insert(at, (key, False, dice.randint(3, 1000), Status.OK))
            case "answer" if own and own[at][1]:
                own[at] = (own[at][0], *read[1:])
    operations: list[Operation] = []
    for process, own in lines.items():
        lost = next((at for at, each in enumerate(own) if each[3] is Status.INFO), len(own))
        for place, (key, reads, value, status) in enumerate(own[: lost + 1]):
            made = _operation(10 * place + process, process, key, reads, value, status)
            operations.append(replace(made, index=len(operations)))
    return history(operations)


def _changed(dice: Random, operations: list[Operation]) -> list[Operation]:
    """One read finds something else."""
    reads = [each for each in operations if each.function == "read"]
    if not reads:
        return operations
    chosen = dice.choice(reads)
    others = [each.argument for each in operations if each.function == "write" and each.key == chosen.key]
    changed = replace(chosen, result=dice.choice([None, *others]))
    return [changed if each is chosen else each for each in operations]


def cas_registers(dice: Random, shape: Shape) -> History:
    """Reads, writes and compare-and-sets of few values, on one or two keys."""
    count = dice.randint(1, shape.operations)
    width = dice.randint(1, shape.sessions)
    keys = "xy"[: dice.randint(1, 2)]
    gone: set[int] = set()
    operations = []
    for index in range(count):
        process = dice.randrange(width)
        if process in gone:
            continue
        function = dice.choice(("read", "write", "cas"))
        value = dice.randrange(3)
        result = dice.choice((None, 0, 1, 2)) if function == "read" else None
        argument: object = {"read": None, "write": value, "cas": (value, dice.randrange(3))}[function]
        status = Status.OK
        chance = dice.random()
        if chance < 0.15:
            status = Status.INFO
            gone.add(process)
        elif chance < 0.3:
            status = Status.FAIL
        operations.append(
            Operation(
                index=index,
                process=process,
                function=function,
                argument=argument,
                result=result if status is Status.OK else None,
                called=2 * index,
                returned=None if status is Status.INFO else 2 * index + 1,
                status=status,
                key=dice.choice(keys),
                error=None if status is not Status.FAIL or chance < 0.22 else "refused",
            )
        )
    return history(operations)


def numbered(dice: Random, shape: Shape) -> History:
    """Answers with revisions that mostly grow, of objects whose values nobody tells."""
    operations = []
    revision = 0
    for index in range(dice.randint(1, shape.operations)):
        revision += dice.choice((0, 1, 1, 1, 2))
        operations.append(
            Operation(
                index=index,
                process=dice.randrange(shape.sessions),
                function=dice.choice(("exists", "exists", "set")),
                argument=0,
                result=None,
                called=2 * index,
                returned=2 * index + 1,
                status=dice.choices((Status.OK, Status.FAIL), (9, 1))[0],
                revision=revision - dice.choice((0, 0, 0, 1)),
            )
        )
    return history(operations)


def sets(dice: Random, shape: Shape) -> History:
    """Adds and reads of sets that overlap in time; most reads find what they should."""
    at = 0
    added: list[int] = []
    operations = []
    busy: dict[int, int] = {}
    for index in range(dice.randint(2, shape.operations)):
        process = dice.randrange(shape.sessions)
        at += 1
        called = max(at, busy.get(process, 0) + 1)
        if called > 1 << 20:
            continue
        status = dice.choices((Status.OK, Status.INFO, Status.FAIL), (8, 1, 1))[0]
        reads = dice.random() < 0.5
        returned = called + dice.randint(0, 4)
        busy[process] = 1 << 30 if status is Status.INFO else returned
        found = [each for each in dict.fromkeys(added) if dice.random() < 0.85]
        if dice.random() < 0.04:
            found.append(dice.choice([*added, 77]))
        operations.append(
            Operation(
                index=index,
                process=process,
                function="read" if reads else "add",
                argument=None if reads else index,
                result=tuple(found) if reads and status is Status.OK else None,
                called=called,
                returned=None if status is Status.INFO else returned,
                status=status,
            )
        )
        if not reads:
            added.append(index)
    return history(operations)
