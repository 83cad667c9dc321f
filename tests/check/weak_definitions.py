"""The definitions once more, for tests alone: nothing clever, nothing shared with what they are to check.

`causal_replay.explainable` and `sequential_replay.has_an_order` try all orders; what they take for granted is
tried here as well: which of the never-answered writes happened, who wrote a value that was written twice, and
which causal order it was (any that contains the order of the sessions, not only the least).
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, product

from msgspec.structs import replace

from agreed.check.causal_replay import DEFINITIONS, Definition, Facts, events, explainable
from agreed.check.history import History, Operation, Status


def possible(history: History, kind: Definition) -> bool:
    """Whether any choice of what happened, and of who wrote what, has an explanation."""
    return any(explainable(each, kind) for each in told_apart(history.operations))


def told_apart(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Every history with unique values that this one may be: writes get new values, 100 and more."""
    unknown = [each.index for each in operations if each.status is Status.INFO]
    for size in range(len(unknown) + 1):
        for happened in combinations(unknown, size):
            yield from _by_writer(
                [each for each in operations if each.status is not Status.INFO or each.index in happened]
            )


def _by_writer(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    writes = [each for each in operations if each.function == "write" and each.status is not Status.FAIL]
    reads = [each for each in operations if each.function == "read" and each.status is Status.OK]
    choices = []
    for read in reads:
        writers: list[int | None] = [
            100 + each.index for each in writes if each.key == read.key and each.argument == read.result
        ]
        if read.result is None:
            writers.append(None)
        choices.append(writers or [99])
    renamed = {each.index: replace(each, argument=100 + each.index) for each in writes}
    for chosen in product(*choices):
        found = {read.index: replace(read, result=value) for read, value in zip(reads, chosen, strict=True)}
        yield [{**renamed, **found}.get(each.index, each) for each in operations]


def possible_in_some_causal_order(history: History, kind: Definition) -> bool:
    """Tries every partial order that contains that of the sessions.  Very small histories with unique
    values."""
    told = events(history.operations, None)
    facts = Facts(told, None)
    if facts.thin():
        return False
    count = len(told)
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j and not _ordered(facts, i, j)]
    for size in range(len(pairs) + 1):
        for more in combinations(pairs, size):
            past = list(facts.session_past)
            for i, j in more:
                past[j] |= 1 << i
            if _is_a_partial_order(past):
                facts.past = past
                if DEFINITIONS[kind](facts):
                    return True
    return False


def _ordered(facts: Facts, i: int, j: int) -> bool:
    return bool(facts.session_past[j] >> i & 1 or facts.session_past[i] >> j & 1)


def _is_a_partial_order(past: Sequence[int]) -> bool:
    for j, of in enumerate(past):
        if of >> j & 1:
            return False
        for i in range(len(past)):
            if of >> i & 1 and past[i] & ~of:
                return False
    return True


def guarantees_kept(operations: Sequence[Operation], which: Collection[str]) -> bool:
    """The session guarantees by value: what a read must have seen, by applying the rules until nothing more
    follows.  Values are unique."""
    told = events(operations, None)
    facts = Facts(told, None)
    if facts.thin() or facts.cyclic:
        return False
    count = range(len(told))
    same = [[told[i].process == told[j].process and i < j for j in count] for i in count]
    seen: list[set[int]] = [set() for _ in count]
    brings: list[set[int]] = [set() for _ in count]
    for _ in told:
        for j in count:
            for i in count:
                if told[j].reads:
                    if i in facts.writers[j]:
                        seen[j] |= {i} | brings[i]
                    if same[i][j] and not told[i].reads and "read-your-writes" in which:
                        seen[j] |= {i} | brings[i]
                    if same[i][j] and told[i].reads and "monotonic-reads" in which:
                        seen[j] |= seen[i]
                elif same[i][j] and not told[i].reads and "monotonic-writes" in which:
                    brings[j] |= {i} | brings[i]
                elif same[i][j] and told[i].reads and "writes-follow-reads" in which:
                    for writer in facts.writers[i]:
                        brings[j] |= {writer} | brings[writer]
    for j in count:
        for i in seen[j]:
            other = told[j].reads and told[i].key == told[j].key and told[i].value != told[j].value
            if other and (not facts.writers[j] or facts.past[i] >> facts.writers[j][0] & 1):
                return False
    return True


def revisions_in_order(history: History, which: Collection[str]) -> bool:
    """The session guarantees by revision: every pair of answers of one client."""
    told = [each for each in history if each.status is Status.OK and each.revision is not None]
    for at, later in enumerate(told):
        for earlier in told[:at]:
            if earlier.process != later.process:
                continue
            reads, read = later.function == "exists", earlier.function == "exists"
            guarantee = {
                (True, True): "monotonic-reads",
                (False, True): "read-your-writes",
                (False, False): "monotonic-writes",
                (True, False): "writes-follow-reads",
            }[read, reads]
            assert earlier.revision is not None
            assert later.revision is not None
            kept = later.revision >= earlier.revision if reads else later.revision > earlier.revision
            if guarantee in which and not kept:
                return False
    return True


def set_is_in_order(history: History, linearizable: bool) -> bool:
    """Nothing lost, unexpected or twice; not stale either if `linearizable`."""
    reads = [each for each in history if each.function == "read" and each.status is Status.OK]
    adds = [each for each in history if each.function == "add"]
    for read in reads:
        assert isinstance(read.result, tuple)
        assert read.returned is not None
        if len(set(read.result)) < len(read.result):
            return False
        for value in read.result:
            tried = [each for each in adds if each.argument == value and each.status is not Status.FAIL]
            if not any(each.called <= read.returned for each in tried):
                return False
        for add in adds:
            if add.argument in read.result:
                continue
            saw = [each for each in reads if add.argument in _values(each)]
            evidence = [each.returned for each in (*saw, *([add] if add.status is Status.OK else []))]
            known = any(each is not None and each < read.called for each in evidence)
            later = any(each.returned is not None and each.returned >= read.called for each in saw)
            if known and (linearizable or not later):
                return False
    return True


def _values(read: Operation) -> tuple[object, ...]:
    assert isinstance(read.result, tuple)
    return read.result
