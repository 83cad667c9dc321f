"""The session guarantees by value: what a read must have seen, and whether what it found is older than that.

What a read must have seen is a set of writes, a bit for each: the one that it read from, those that its
client has written (read-your-writes) or has seen before (monotonic-reads), and with each write what it
brings along: the earlier writes of its client (monotonic-writes), and what that client had read before it
(writes-follow-reads).
"""
from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Literal, TypeAlias, get_args

from agreed.check.causal import causally, from_thin_air
from agreed.check.causal_order import CausalOrder
from agreed.check.pieces import Contradiction, along
from agreed.check.registers import INITIAL, NOT_A_READ, Number, Registers

Guarantee: TypeAlias = Literal[
    "monotonic-reads", "read-your-writes", "monotonic-writes", "writes-follow-reads"
]

GUARANTEES: tuple[Guarantee, ...] = get_args(Guarantee)

MOST_WRITES = 60_000
"""A bit for each pair of them is half a gigabyte."""


class _Seen:
    """What has been seen so far, as sets of writes; fed with all operations in causal order.

    Writes have numbers of their own, which grow within each session."""

    def __init__(self, read: Registers, which: Collection[Guarantee]) -> None:
        self._read = read
        self._which = which
        self._bit: dict[Number, int] = {}
        self._brings: dict[Number, int] = {}
        """By write: itself and what it brings along."""
        none = [0] * len(read.sessions)
        self._written, self._found, self._known = none, none[:], none[:]
        """By session: what came with its writes, with the values it found, and all that its reads have
        seen."""
        self.order: list[Number] = []
        """The writes by their bits."""

    def writes(self, number: Number) -> None:
        session = self._read.session[number]
        brings = 1 << len(self.order)
        if "monotonic-writes" in self._which:
            brings |= self._written[session]
        if "writes-follow-reads" in self._which:
            brings |= self._found[session]
        self.order.append(number)
        self._brings[number] = brings
        self._written[session] |= brings

    def reads(self, number: Number) -> int:
        """All that it must have seen."""
        session = self._read.session[number]
        writer = self._read.writer[number]
        found = 0 if writer == INITIAL else self._brings[writer]
        seen = found
        if "read-your-writes" in self._which:
            seen |= self._written[session]
        if "monotonic-reads" in self._which:
            seen |= self._known[session]
        self._found[session] |= found
        self._known[session] |= seen
        return seen


def by_value(read: Registers, which: Collection[Guarantee]) -> CausalOrder | Contradiction:
    """The first read that found something older than it must have seen; else the causal order."""
    order = from_thin_air(read) or causally(read)
    if isinstance(order, Contradiction):
        return order
    seen = _Seen(read, which)
    masks: dict[Hashable, dict[int, int]] = {}
    """By key and session: the bits of the writes."""
    for number in order.line:
        key, session = read.operations[number].key, read.session[number]
        if read.writer[number] == NOT_A_READ:
            of = masks.setdefault(key, {})
            of[session] = of.get(session, 0) | 1 << len(seen.order)
            seen.writes(number)
            continue
        must = seen.reads(number)
        for mask in masks.get(key, {}).values():
            if must & mask:
                newer = seen.order[(must & mask).bit_length() - 1]
                if _newer(order, newer, read.writer[number]):
                    return _older_than(order, newer, number)
    return order


def _newer(order: CausalOrder, write: Number, than: Number) -> bool:
    """Of two writes to a key, or one and the initial value."""
    if than == INITIAL:
        return True
    operations = order.registers.operations
    one, other = operations[write].revision, operations[than].revision
    if one is not None and other is not None:
        return one > other
    return order.before(than, write)


def _older_than(order: CausalOrder, newer: Number, number: Number) -> Contradiction:
    """What a read found is older than `newer`, which it must have seen."""
    read = order.registers
    writer = read.writer[number]
    path = order.path(newer, number)
    told = list(along(read, path))
    if writer == INITIAL:
        told.append(f"yet {read.says(number)} finds what was there in the beginning")
    else:
        told.append(f"yet {read.says(number)} finds {read.says(writer)}, which is older")
        if order.before(writer, newer):
            before = order.path(writer, newer)
            path = [*before, *path[1:]]
            told = [*along(read, before), *told]
    past = (each for each in range(len(read.operations)) if order.before(each, number))
    return Contradiction(_broken(read, newer, number), (*dict.fromkeys((*path, *past)),), tuple(told))


def _broken(read: Registers, newer: Number, number: Number) -> Guarantee:
    """By what the client should have known of it."""
    own = read.sessions[read.session[number]][: read.place[number]]
    if newer in own:
        return "read-your-writes"
    found = {read.writer[each] for each in own if read.writer[each] >= 0}
    if newer in found:
        return "monotonic-reads"
    known = (*found, *own, read.writer[number])
    later = any(
        read.session[each] == read.session[newer] and read.place[each] > read.place[newer]
        for each in known
        if each >= 0
    )
    return "monotonic-writes" if later else "writes-follow-reads"
