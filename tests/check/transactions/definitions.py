"""Models of consistency by their definitions, tried in every way there is: for a handful of transactions.

    serial       some order of all in which each reads what those before it left (serializable; with
                 `after`, in an order that contains given pairs: sessions, real time)
    snapshots    some order of commits, and for each transaction a moment before its commit: it reads what
                 was committed by then, and nobody else commits a write of its keys in between (snapshot
                 isolation)
    histories    some version order of each key such that the graph of dependencies lacks certain cycles
                 (Adya's levels, for lists and registers)
    visibility   some total order and some visibility within it (Cerone, Bernardi and Gotsman 2015; registers)

Transactions of which nobody knows whether they took effect may have, or not.  Nothing here is shared with
the checkers but the shape of an operation.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations, pairwise, permutations, product
from typing import Any, NamedTuple

from agreed.check.history import History, Operation, Status

Pairs = frozenset[tuple[int, int]]
State = dict[Hashable, Any]
Ordered = Callable[[Hashable, Sequence[Any]], bool]
"""Of a key and its values in an order: whether they may have come in this order."""


class Small(NamedTuple):
    """A transaction: its number, its steps (reads only where they are known), what it wrote to which
    keys."""

    number: int
    operation: Operation
    steps: tuple[tuple[str, Hashable, Any], ...]

    @property
    def writes(self) -> frozenset[Hashable]:
        return frozenset(key for function, key, _ in self.steps if function != "r")


def small(history: History) -> list[Small]:
    """All that may have taken effect."""
    found = []
    for operation in history:
        if operation.status is Status.FAIL:
            continue
        committed = operation.status is Status.OK
        known: Any = operation.result if committed else operation.argument
        steps = tuple(
            (f, k, tuple(v) if isinstance(v, list) else v) for f, k, v in known if f != "r" or committed
        )
        found.append(Small(len(found), operation, steps))
    return found


def in_sessions(transactions: Sequence[Small]) -> Pairs:
    return frozenset(
        (one.number, other.number)
        for one, other in combinations(transactions, 2)
        if one.operation.process == other.operation.process
    )


def in_time(transactions: Sequence[Small]) -> Pairs:
    """Real time, and sessions."""
    return in_sessions(transactions) | {
        (one.number, other.number)
        for one, other in permutations(transactions, 2)
        if one.operation.returned is not None and one.operation.returned < other.operation.called
    }


def anyhow(key: Hashable, order: Sequence[Any]) -> bool:
    return True


def by_revision(transactions: Sequence[Small]) -> Ordered:
    """As the server says of those that are known to be committed."""
    revision = {
        (key, value): each.operation.revision if each.operation.status is Status.OK else None
        for each in transactions
        for f, key, value in each.steps
        if f != "r"
    }

    def ordered(key: Hashable, order: Sequence[Any]) -> bool:
        known = [place for value in order if (place := revision[key, value]) is not None]
        return known == sorted(known)

    return ordered


def by_touch(transactions: Sequence[Small], pairs: Pairs) -> Ordered:
    """Registers: of each of these pairs, the second never sees an older version of a key than the first did
    last."""

    def ordered(key: Hashable, order: Sequence[Any]) -> bool:
        place = {None: -1} | {value: position for position, value in enumerate(order)}
        for one, other in pairs:
            earlier, later = (
                [
                    place[value]
                    for _, its, value in transactions[number].steps
                    if its == key and value in place
                ]
                for number in (one, other)
            )
            if earlier and later and earlier[-1] > later[0]:
                return False
        return True

    return ordered


def _in_order(done: Sequence[Small], ordered: Ordered) -> bool:
    """Whether the keys may have been written in the order of these transactions."""
    orders: dict[Hashable, list[Any]] = {}
    for each in done:
        for key in each.writes:
            values = [value for f, its, value in each.steps if its == key and f != "r"]
            orders.setdefault(key, []).extend(values[-1:])
    return all(ordered(key, order) for key, order in orders.items())


def run(transaction: Small, state: State, lists: bool) -> State | None:
    """The state after it; None if it reads something else than is there."""
    after = dict(state)
    for function, key, value in transaction.steps:
        there = after.get(key, () if lists else None)
        if function == "append":
            after[key] = (*there, value)
        elif function == "w":
            after[key] = value
        elif (value or ()) != there if lists else value != there:
            return None
    return after


def _maybe(transactions: Sequence[Small]) -> Iterator[list[Small]]:
    """The committed ones with each choice of those that are not known."""
    sure = [each for each in transactions if each.operation.status is Status.OK]
    unsure = [each for each in transactions if each.operation.status is not Status.OK]
    for count in range(len(unsure) + 1):
        for chosen in combinations(unsure, count):
            yield sorted((*sure, *chosen))


def serial(
    transactions: Sequence[Small], lists: bool, after: Pairs = frozenset(), ordered: Ordered = anyhow
) -> bool:
    return any(_serial(chosen, [], {}, lists, after, ordered) for chosen in _maybe(transactions))


def _serial(
    left: Sequence[Small], done: list[Small], state: State, lists: bool, after: Pairs, ordered: Ordered
) -> bool:
    if not left:
        return _in_order(done, ordered)
    numbers = {each.number for each in left}
    for each in left:
        if any((other, each.number) in after for other in numbers):
            continue
        then = run(each, state, lists)
        rest = [one for one in left if one is not each]
        if then is not None and _serial(rest, [*done, each], then, lists, after, ordered):
            return True
    return False


def snapshots(
    transactions: Sequence[Small], lists: bool, after: Pairs = frozenset(), ordered: Ordered = anyhow
) -> bool:
    """`after`: the one has committed before the other takes its snapshot."""
    return any(_snapshots(chosen, [], [{}], lists, after, ordered) for chosen in _maybe(transactions))


def _snapshots(
    left: Sequence[Small], done: list[Small], states: list[State], lists: bool, after: Pairs, ordered: Ordered
) -> bool:
    if not left:
        return _in_order(done, ordered)
    numbers = {each.number for each in left}
    for each in left:
        if any((other, each.number) in after for other in numbers):
            continue
        earliest = 0
        for position, other in enumerate(done, 1):
            if (other.number, each.number) in after or other.writes & each.writes:
                earliest = position
        for moment in range(earliest, len(states)):
            seen = run(each, states[moment], lists)
            if seen is None:
                continue
            then = dict(states[-1])
            then.update((key, seen[key]) for key in each.writes)
            rest = [one for one in left if one is not each]
            if _snapshots(rest, [*done, each], [*states, then], lists, after, ordered):
                return True
    return False


class Edges(NamedTuple):
    """Of a graph of dependencies."""

    ww: Pairs
    wr: Pairs
    rw: Pairs


def histories(
    transactions: Sequence[Small],
    written: Collection[tuple[Hashable, Any]],
    lists: bool,
    *,
    committed_reads: bool,
    ordered: Ordered = anyhow,
) -> frozenset[Edges]:
    """The dependencies for each version order of the keys that there may have been.

    `committed_reads`: nobody reads what was aborted, overwritten by its own transaction, or not yet written
    by itself.  `written` has all values that anybody wrote, aborted or not: what is read must be one of
    them."""
    found: set[Edges] = set()
    for chosen in _maybe(transactions):
        wrote = {(key, value): each for each in chosen for f, key, value in each.steps if f != "r"}
        reads = [(each, key, value) for each in chosen for f, key, value in each.steps if f == "r"]
        values = [(key, value) for _, key, read in reads for value in (read or () if lists else (read,))]
        if any((key, value) not in written for key, value in values if value is not None):
            continue
        if committed_reads and not _reads_committed(chosen, wrote, lists):
            continue
        final = _final(chosen)
        candidates: dict[Hashable, list[tuple[Any, ...]]] = {}
        for key in {key for key, _ in wrote}:
            these = [value for its, value in wrote if its == key]
            if lists:
                seen = [
                    tuple(v for v in read or () if (key, v) in wrote) for _, its, read in reads if its == key
                ]
                orders = _list_orders(these, seen)
            else:
                orders = permutations(
                    [value for value in these if final[wrote[key, value].number, key] == value]
                )
            candidates[key] = [
                order
                for order in orders
                if ordered(key, order) and (not lists or _as_appended(key, order, chosen))
            ]
        for chosen_orders in product(*candidates.values()):
            found.add(_edges(dict(zip(candidates, chosen_orders, strict=True)), reads, wrote, lists))
    return frozenset(found)


def _as_appended(key: Hashable, order: Sequence[Any], chosen: Iterable[Small]) -> bool:
    """Whether it has the elements of each transaction in the order in which it appended them."""
    place = {element: position for position, element in enumerate(order)}
    for each in chosen:
        own = [place[element] for f, its, element in each.steps if its == key and f != "r"]
        if own != sorted(own):
            return False
    return True


def _list_orders(elements: Sequence[Any], seen: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The orders of these elements of which all that was seen is the beginning."""
    longest = max(seen, key=len, default=())
    if len(set(longest)) == len(longest) and all(longest[: len(one)] == one for one in seen):
        for rest in permutations([element for element in elements if element not in longest]):
            yield (*longest, *rest)


def _final(chosen: Iterable[Small]) -> dict[tuple[int, Hashable], Any]:
    return {(each.number, key): value for each in chosen for f, key, value in each.steps if f != "r"}


def _reads_committed(
    chosen: Sequence[Small], wrote: Mapping[tuple[Hashable, Any], Small], lists: bool
) -> bool:
    final = _final(chosen)
    for each in chosen:
        own: set[tuple[Hashable, Any]] = set()
        for function, key, value in each.steps:
            if function != "r":
                own.add((key, value))
                continue
            seen = list(value or ()) if lists else [] if value is None else [value]
            if any((key, one) not in wrote for one in seen):
                return False
            if any(wrote[key, one] is each and (key, one) not in own for one in seen):
                return False
            if (
                seen
                and wrote[key, seen[-1]] is not each
                and final[wrote[key, seen[-1]].number, key] != seen[-1]
            ):
                return False
    return True


def _edges(
    orders: Mapping[Hashable, Sequence[Any]],
    reads: Iterable[tuple[Small, Hashable, Any]],
    wrote: Mapping[tuple[Hashable, Any], Small],
    lists: bool,
) -> Edges:
    ww, wr, rw = set(), set(), set()
    for key, order in orders.items():
        for one, other in pairwise(order):
            ww.add((wrote[key, one].number, wrote[key, other].number))
    for reader, key, read in reads:
        seen = read if not lists else read[-1] if read else None
        order = orders.get(key, ())
        if seen is not None and (key, seen) in wrote:
            wr.add((wrote[key, seen].number, reader.number))
            if seen not in order:
                continue
        following = order[order.index(seen) + 1 :] if seen in order else order if seen is None else ()
        if following:
            rw.add((reader.number, wrote[key, following[0]].number))
    return Edges(*(frozenset(pair for pair in pairs if pair[0] != pair[1]) for pairs in (ww, wr, rw)))


def acyclic(pairs: Iterable[tuple[int, int]]) -> bool:
    left = set(pairs)
    while left:
        targets = {target for _, target in left}
        kept = {pair for pair in left if pair[0] in targets}
        if len(kept) == len(left):
            return False
        left = kept
    return True


def no_single_miss(edges: Edges) -> bool:
    """No cycle with one rw at most."""
    flow = edges.ww | edges.wr
    return acyclic(flow) and all(acyclic(flow | {miss}) for miss in edges.rw)


def visibility(
    transactions: Sequence[Small],
    *,
    transitive: bool = False,
    prefix: bool = False,
    no_conflict: bool = False,
    ordered: Ordered = anyhow,
) -> bool:
    """Registers: whether some order and some visibility give every transaction its reads.  Visibility is
    part of the order; further it may have to be transitive, to be closed under what is ordered before what
    is visible, and to relate any two that write one key."""
    for chosen in _maybe(transactions):
        for order in permutations(chosen):
            if _in_order(order, ordered) and _visible(order, [], transitive, prefix, no_conflict):
                return True
    return False


def _visible(
    order: Sequence[Small], seen: list[frozenset[int]], transitive: bool, prefix: bool, no_conflict: bool
) -> bool:
    """Chooses for one transaction after the other which of those before it (by position) it sees."""
    at = len(seen)
    if at == len(order):
        return True
    must = frozenset(
        position for position in range(at) if no_conflict and order[position].writes & order[at].writes
    )
    for sees in chain.from_iterable(combinations(range(at), count) for count in range(at + 1)):
        if not must.issubset(sees):
            continue
        if prefix and any(position not in sees for one in sees for position in range(one)):
            continue
        if transitive and any(not seen[one].issubset(sees) for one in sees):
            continue
        state: State = {}
        for position in sees:
            state.update((key, value) for f, key, value in order[position].steps if f != "r")
        if run(order[at], state, lists=False) is None:
            continue
        if _visible(order, [*seen, frozenset(sees)], transitive, prefix, no_conflict):
            return True
    return False
