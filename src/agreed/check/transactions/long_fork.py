"""Single writes, and reads of groups of keys: all reads of a group agree on an order of the writes.

Each key is written once, by a transaction of its own; a read asks for all keys of a group at once.  Of two
reads of a group, one must have seen all that the other saw.  Where each saw a write that the other did not,
the writes happened in two orders: a long fork, which parallel snapshot isolation allows, and snapshot
isolation and all above it do not (it is G-nonadjacent).

    r1 saw x and not y:  x, r1, y        r2 saw y and not x:  y, r2, x

Operations are as in `list_append` and `rw_register`: lists of ("w", key, value) or ("r", key, value).
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Final

from agreed.check.history import History
from agreed.check.transactions.micro import READ, WRITE, Transaction, parse
from agreed.check.transactions.models import boundary
from agreed.check.verdict import Finding, Outcome, Verdict

MOST_FORKS: Final = 8
JUDGED: Final = "no long fork"

Group = frozenset[Hashable]


def long_fork(history: History, group_size: int | None = None) -> Verdict:
    """Judges reads of groups; of `group_size` keys each, where that is given.

    UNKNOWN where a key is written or seen with two values, or where a read is not of a whole group: then
    nothing can be concluded.  Raises MalformedInput for operations that are no transactions."""
    transactions = parse(history, WRITE)
    reads: dict[Group, list[tuple[Group, Transaction]]] = {}
    values: dict[Hashable, Hashable] = {}
    written: set[Hashable] = set()
    for transaction in transactions:
        for function, key, value in transaction.steps:
            if value is not None and values.setdefault(key, value) != value:
                return _unknown(f"{key!r} has more than one value, {values[key]!r} and {value!r}")
            if function == WRITE and key in written:
                return _unknown(f"{key!r} is written more than once")
            if function == WRITE:
                written.add(key)
        if transaction.committed and all(step.function == READ for step in transaction.steps):
            group = frozenset(step.key for step in transaction.steps)
            if group_size is not None and len(group) != group_size:
                index = transaction.operation.index
                return _unknown(f"operation {index} reads {len(group)} keys, not {group_size}")
            seen = frozenset(key for _, key, value in transaction.steps if value is not None)
            reads.setdefault(group, []).append((seen, transaction))
    forks = [fork for group in reads.values() for fork in _forks(group)]
    if forks:
        weakest, stronger = boundary(frozenset(("G-nonadjacent-item",)))
        return Verdict(
            JUDGED,
            Outcome.VIOLATED,
            f"long-fork ({len(forks)})",
            findings=tuple(_tell(*fork) for fork in forks[:MOST_FORKS]),
            ruled_out=weakest,
            also_ruled_out=stronger,
            steps=len(transactions),
        )
    telling = sum(1 for group, listed in reads.items() for seen, _ in listed if seen and seen != group)
    if not telling:
        return _unknown("no read saw some of its keys written and others not")
    reason = f"all reads of each group agree, {telling} of them in the middle of its writes"
    return Verdict(JUDGED, Outcome.HOLDS, reason, steps=len(transactions))


def _unknown(reason: str) -> Verdict:
    return Verdict(JUDGED, Outcome.UNKNOWN, reason)


def _forks(reads: Sequence[tuple[Group, Transaction]]) -> list[tuple[Transaction, Transaction]]:
    """Pairs of reads of one group of which each saw what the other did not.

    In the order of how much they saw, each must have seen all that the one before it saw; so only neighbours
    need be compared."""
    ordered = sorted(reads, key=lambda read: (len(read[0]), read[1].number))
    return [(one, other) for (less, one), (more, other) in pairwise(ordered) if not less <= more]


def _tell(one: Transaction, other: Transaction) -> Finding:
    saw = [{key for _, key, value in each.steps if value is not None} for each in (one, other)]
    numbers = (one.operation.index, other.operation.index)
    steps = [
        f"Operation {number} saw {_text(mine - its)} written, and {_text(its - mine)} not yet."
        for number, mine, its in zip(numbers, saw, reversed(saw), strict=True)
    ]
    return Finding("long-fork", numbers, (*steps, "So these were written in one order, and in the other."))


def _text(keys: set[Hashable]) -> str:
    return ", ".join(sorted(map(str, keys)))
