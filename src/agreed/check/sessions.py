"""The four session guarantees (Terry, Demers, Petersen, Spreitzer, Theimer, Welch 1994), client by client.

    monotonic-reads        a read sees what earlier reads of the client have seen
    read-your-writes       ... and what the client wrote before
    monotonic-writes       whoever sees a write sees what its client wrote before it
    writes-follow-reads    ... and what its client had read before it

There are two ways to tell what was seen, and both are used wherever they can be.

By revision.  Where the server told where in its order of changes an answer stands (`Operation.revision`), one
pass over each session is enough: reads never go back behind what was read or written, and writes always come
after it.  (An answered update is taken to have a place of its own in that order.)

By value.  Where it is known who read what from whom (`registers`): what a read must see are the write it
read from, those that the guarantees asked for add, and what these bring along.  It is violated if one of
them is newer than the value it found.  Newer: by revision where both carry one, else if it must have come
later, (session order and reads-from, closed under transitivity).  All four together are weak causal
consistency then ("CC" of `causal`).  Some violations are of two guarantees together: a client that sees y
but not the earlier x may have been sent to an old server (monotonic reads) or the server may have lost the
order of writes (monotonic writes). They are found if both are asked for, and named after what the client
should have known: here monotonic-writes, since the client has never seen x.

It is unknown if there is neither a revision on every answer nor uniqueness of the values (`Registers.doubt`).
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from agreed.check.causal import causally, finding_of
from agreed.check.causal_order import CausalOrder
from agreed.check.history import History, Operation, Process, Status
from agreed.check.pieces import Contradiction
from agreed.check.registers import NOT_A_READ, Registers, registers
from agreed.check.session_values import GUARANTEES, MOST_WRITES, Guarantee, by_value
from agreed.check.verdict import Finding, Outcome, Verdict, Witness

READ_ONLY = frozenset({"read", "get", "exists", "children", "contains", "peek", "size", "holder", "sync"})
"""What changes nothing; any other function takes a place of its own in the server's order."""


def session_guarantees(
    history: History, which: Collection[Guarantee] = GUARANTEES, initial: object = None
) -> Verdict:
    """Were these kept?  One finding by revision for each that was not, and one by value if that shows
    another.  Every register begins with `initial`.

    Raises MalformedInput for values that cannot be compared."""
    judged = f"session guarantees ({', '.join(each for each in GUARANTEES if each in which)})"
    answered = [each for each in history if each.status is Status.OK]
    findings = list(_by_revision(answered, which))
    read = registers(history.operations, initial)
    doubt = read.doubt or _too_many(read)
    seen = causally(read) if _too_many(read) else by_value(read, which)
    if isinstance(seen, Contradiction) and seen.name not in {finding.name for finding in findings}:
        findings.append(finding_of(read, seen, lambda piece: _wrong(piece, which)))
    if findings:
        return Verdict(judged, Outcome.VIOLATED, findings=findings, steps=len(history))
    if answered and all(each.revision is not None for each in answered):
        order = sorted(answered, key=lambda each: (each.revision or 0, _changed_nothing(each)))
    elif doubt:
        return Verdict(judged, Outcome.UNKNOWN, reason=doubt, steps=len(history))
    else:
        assert isinstance(seen, CausalOrder)
        order = [read.operations[number] for number in seen.line]
    witness = Witness(key=None, order=[each.index for each in order])
    return Verdict(judged, Outcome.HOLDS, witnesses=(witness,), steps=len(history))


def _too_many(read: Registers) -> str:
    writes = read.writer.count(NOT_A_READ)
    return f"memory: {writes} writes, by value {MOST_WRITES} at most" if writes > MOST_WRITES else ""


def _wrong(piece: Registers, which: Collection[Guarantee]) -> Contradiction | None:
    seen = by_value(piece, which)
    return seen if isinstance(seen, Contradiction) else None


def _changed_nothing(operation: Operation) -> bool:
    """It reads, or it was refused (with an error, or a compare-and-set with False): it only saw a state."""
    return operation.function in READ_ONLY or operation.error is not None or operation.result is False


def _by_revision(answered: Sequence[Operation], which: Collection[Guarantee]) -> Iterator[Finding]:
    """The first break of each guarantee."""
    highest: dict[tuple[Process, bool], tuple[int, Operation]] = {}
    """By session, the highest revision that it read, and the highest that it wrote, and where."""
    broken: set[Guarantee] = set()
    for operation in answered:
        revision, reads = operation.revision, _changed_nothing(operation)
        if revision is None:
            continue
        for guarantee, seen in AFTER[reads]:
            if guarantee not in which or guarantee in broken or (operation.process, seen) not in highest:
                continue
            before, earlier = highest[operation.process, seen]
            if revision < before or (revision == before and not reads):
                broken.add(guarantee)
                yield _behind(guarantee, earlier, operation)
        known = highest.setdefault((operation.process, reads), (revision, operation))
        if revision > known[0]:
            highest[operation.process, reads] = (revision, operation)


AFTER: dict[bool, Sequence[tuple[Guarantee, bool]]] = {
    True: (("monotonic-reads", True), ("read-your-writes", False)),
    False: (("writes-follow-reads", True), ("monotonic-writes", False)),
}
"""What a read (True) or a write may not be behind: what was read (True) or written before.  A read may see
the same; a write has a place of its own, after what was seen."""


def _behind(guarantee: Guarantee, earlier: Operation, operation: Operation) -> Finding:
    told = (
        f"client {operation.process} was answered at revision {earlier.revision} "
        f"(#{earlier.index}, {earlier.function}), and then at revision {operation.revision} "
        f"(#{operation.index}, {operation.function})"
    )
    return Finding(name=guarantee, operations=(earlier.index, operation.index), steps=(told,))
