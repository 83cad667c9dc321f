"""The theorems of the clocks, each as a property of random executions, with the clock as an argument.

A property plays an execution out with a clock, compares every pair of events with happens-before by
definition (`executions`), and returns how much it looked at, or raises `Refuted`.  The clocks of the
package must pass; each of `mutants` is refuted by the property that it is meant for.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from agreed.clocks.cluster import advanced
from agreed.clocks.dotted import Siblings
from agreed.clocks.encoding import decode, encode
from agreed.clocks.hybrid import HybridClock, HybridTime
from agreed.clocks.lamport import LamportTime
from agreed.clocks.order import Causality
from agreed.clocks.vector import VectorClock, deliverable
from agreed.clocks.version import VersionVector
from agreed.errors import ClockSkew
from tests.clocks.executions import NODES, Execution, drawn

SKEW_MS = 40


class Refuted(AssertionError):
    """A counterexample."""


@dataclass
class Looked:
    """What one run of a property looked at."""

    events: int
    checks: int


# --- numbers: Lamport and hybrid --------------------------------------------------------------------------


def lamport_times(execution: Execution, clock: type[LamportTime]) -> list[LamportTime]:
    now: dict[str, LamportTime] = {node: clock(0, node) for node in NODES}
    times: list[LamportTime] = []
    for event in execution.events:
        mine = now[event.node]
        mine = mine.tick() if event.sent_by is None else mine.receive(times[event.sent_by])
        now[event.node] = mine
        times.append(mine)
    return times


def lamport_order(random: Random, clock: type[LamportTime]) -> Looked:
    """Times grow along happens-before, and no two are the same: a total order that contains it."""
    execution = drawn(random, random.randint(2, 40))
    times = lamport_times(execution, clock)
    if len(set(times)) != len(times):
        raise Refuted(f"two events have the same time: {execution.told()}")
    pairs = execution.pairs()
    for first, second in pairs:
        if execution.happens_before(first, second) and not times[first] < times[second]:
            raise Refuted(f"{first} -> {second}, {times[first]} and {times[second]}: {execution.told()}")
    return Looked(len(times), len(pairs))


def hybrid_times(execution: Execution, clock: type[HybridClock]) -> list[HybridTime]:
    now: dict[str, HybridClock] = {node: clock(SKEW_MS) for node in NODES}
    times: list[HybridTime] = []
    for event in execution.events:
        mine = now[event.node]
        if event.sent_by is None:
            mine = mine.tick(event.wall_ms)
        else:
            mine = mine.receive(times[event.sent_by], event.wall_ms)
        now[event.node] = mine
        times.append(mine.time)
    return times


def hybrid_order(random: Random, clock: type[HybridClock]) -> Looked:
    """Times grow along happens-before."""
    execution = drawn(random, random.randint(2, 40), SKEW_MS)
    times = hybrid_times(execution, clock)
    pairs = execution.pairs()
    for first, second in pairs:
        if execution.happens_before(first, second) and not times[first] < times[second]:
            raise Refuted(f"{first} -> {second}, {times[first]} and {times[second]}: {execution.told()}")
    return Looked(len(times), len(pairs))


def hybrid_closeness(random: Random, clock: type[HybridClock]) -> Looked:
    """l is the greatest wall clock in the past of the event and itself, c the longest chain with that l."""
    execution = drawn(random, random.randint(2, 60), SKEW_MS)
    times = hybrid_times(execution, clock)
    furthest: list[int] = []
    chain: list[int] = []
    for number, event in enumerate(execution.events):
        before = execution.directly_before[number]
        furthest.append(max([event.wall_ms, *(furthest[each] for each in before)]))
        same = [chain[each] + 1 for each in before if furthest[each] == furthest[number]]
        chain.append(max(same, default=0))
        if times[number] != HybridTime(furthest[-1], chain[-1]):
            right = HybridTime(furthest[-1], chain[-1])
            raise Refuted(f"{number} has {times[number]}, not {right}: {execution.told()}")
        if not 0 <= times[number].wall_ms - event.wall_ms <= SKEW_MS:
            raise Refuted(f"{number} is further off than clocks are: {execution.told()}")
    return Looked(len(times), 3 * len(times))


def hybrid_cut(random: Random, clock: type[HybridClock]) -> Looked:
    """The events with l up to any instant are a consistent cut."""
    execution = drawn(random, random.randint(2, 40), SKEW_MS)
    times = hybrid_times(execution, clock)
    for instant in {time.wall_ms for time in times}:
        inside = sum(1 << number for number, time in enumerate(times) if time.wall_ms <= instant)
        for number, past in enumerate(execution.past):
            if inside >> number & 1 and past & ~inside:
                raise Refuted(f"{number} is within {instant} and knew what is not: {execution.told()}")
    return Looked(len(times), len(times) * len({time.wall_ms for time in times}))


def hybrid_bound(random: Random, clock: type[HybridClock]) -> Looked:
    """Some walls are wrong by anything.  What is from further ahead than the bound is refused, nothing else
    is, and nobody's time is ever ahead of his own wall by more than the bound."""
    execution = drawn(random, random.randint(2, 40), SKEW_MS * random.choice((2, 10, 100)))
    now: dict[str, HybridClock] = {node: clock(SKEW_MS) for node in NODES}
    times: list[HybridTime] = []
    for number, event in enumerate(execution.events):
        mine = now[event.node]
        if event.sent_by is None:
            mine = mine.tick(event.wall_ms)
        else:
            sent = times[event.sent_by]
            too_far = sent.wall_ms > event.wall_ms + SKEW_MS
            try:
                mine = mine.receive(sent, event.wall_ms)
                refused = False
            except ClockSkew as skew:
                refused = skew.ahead_ms == sent.wall_ms - event.wall_ms
            if refused is not too_far:
                raise Refuted(f"{number} refused: {refused}, too far ahead: {too_far}: {execution.told()}")
        if not mine.time.wall_ms <= event.wall_ms + SKEW_MS or mine.time < now[event.node].time:
            raise Refuted(f"{number} was taken along, to {mine.time}: {execution.told()}")
        now[event.node] = mine
        times.append(mine.time)
    return Looked(len(times), 2 * len(times))


# --- vectors ----------------------------------------------------------------------------------------------


def vector_times(execution: Execution, clock: type[VectorClock]) -> list[VersionVector]:
    now: dict[str, VectorClock] = {node: clock(node) for node in NODES}
    times: list[VersionVector] = []
    for event in execution.events:
        mine = now[event.node]
        mine = mine.tick() if event.sent_by is None else mine.receive(times[event.sent_by])
        now[event.node] = mine
        times.append(mine.time)
    return times


def vector_characterises(random: Random, clock: type[VectorClock]) -> Looked:
    """Vectors are before, after, or concurrent exactly as the events are."""
    execution = drawn(random, random.randint(2, 24))
    times = vector_times(execution, clock)
    pairs = execution.pairs()
    for first, second in pairs:
        known = Causality.BEFORE if execution.happens_before(first, second) else Causality.CONCURRENT
        if times[first].compare(times[second]) is not known:
            raise Refuted(f"{first} and {second} are {known.value}: {execution.told()}")
        if times[second].compare(times[first]) is not known.converse:
            raise Refuted(f"{second} and {first} are {known.converse.value}: {execution.told()}")
    return Looked(len(times), 2 * len(pairs))


def known_of(random: Random, most: int) -> dict[str, int]:
    return {node: random.randint(1, most) for node in NODES if random.random() < 0.7}


Merge = Callable[[VersionVector, VersionVector], VersionVector]


def version_is_a_set(random: Random, merge: Merge) -> Looked:
    """Replicas that update and hear of each other: vectors are to each other as the sets of updates known,
    and a merged one is the union.  Half of them travel as bytes."""
    updates: dict[str, set[tuple[str, int]]] = {node: set() for node in NODES}
    vectors = {node: VersionVector() for node in NODES}
    steps = random.randint(10, 40)
    checks = 0
    for _ in range(steps):
        node, other = random.choice(NODES), random.choice(NODES)
        if random.random() < 0.5:
            vectors[node] = vectors[node].increment(node)
            updates[node].add((node, vectors[node].counter(node)))
        else:
            heard = vectors[other]
            if random.random() < 0.5:
                heard = decode(encode(heard), vectors[node])
            vectors[node] = merge(vectors[node], heard)
            updates[node] |= updates[other]
        for each in NODES:
            mine, theirs = updates[node], updates[each]
            related = vectors[node].compare(vectors[each])
            if related is not as_sets(mine, theirs):
                raise Refuted(f"{vectors[node]} is {related.value} to {vectors[each]}: {mine} and {theirs}")
            checks += 1
    return Looked(steps, checks)


def as_sets(mine: set[Any], theirs: set[Any]) -> Causality:
    if mine == theirs:
        return Causality.EQUAL
    return Causality.BEFORE if mine < theirs else Causality.AFTER if mine > theirs else Causality.CONCURRENT


def pruning_has_its_price(
    random: Random, prune: Callable[[VersionVector, set[str]], VersionVector]
) -> Looked:
    """Where all agree on what is forgotten, no answer changes; else what descends though it was pruned did
    descend."""
    gone = set(random.sample(NODES, 2))
    agreed = {node: random.randint(1, 3) for node in gone}
    keep = set(NODES) - gone
    few = [VersionVector.of({**known_of(random, 3), **agreed}) for _ in range(5)]
    any_of = [VersionVector.of(known_of(random, 3)) for _ in range(5)]
    for first in few:
        for second in few:
            if prune(first, keep).compare(prune(second, keep)) is not first.compare(second):
                raise Refuted(f"{first} and {second}, without {gone}")
    for first in any_of:
        for second in any_of:
            if prune(first, keep).descends(second) and not first.descends(second):
                raise Refuted(f"{first} does not descend from {second}, without {gone} it does")
    return Looked(10, 50)


# --- messages to everybody --------------------------------------------------------------------------------

Test = Callable[[str, VersionVector, VersionVector], bool]


def causal_delivery(random: Random, may_deliver: Test) -> Looked:
    """Messages in any order of arrival: delivered in causal order, and held back only while a predecessor is
    missing.  Causal order is worked out from who had delivered what when it sent."""
    nodes = NODES[: random.randint(2, 5)]
    delivered: dict[str, list[int]] = {node: [] for node in nodes}
    vectors = {node: VersionVector() for node in nodes}
    waiting: dict[str, list[int]] = {node: [] for node in nodes}
    messages: list[tuple[str, VersionVector]] = []
    past: list[set[int]] = []
    steps = random.randint(10, 60)
    checks = 0
    for _ in range(steps):
        node = random.choice(nodes)
        if random.random() < 0.3:
            past.append(set(delivered[node]))
            vectors[node] = vectors[node].increment(node)
            messages.append((node, vectors[node]))
            delivered[node].append(len(messages) - 1)
            for other in nodes:
                if other != node:
                    waiting[other].append(len(messages) - 1)
        elif waiting[node]:
            message = random.choice(waiting[node])
            sender, sent = messages[message]
            complete = past[message] <= set(delivered[node])
            if may_deliver(sender, sent, vectors[node]) is not complete:
                raise Refuted(f"message {message} of {sender}, {sent}, at {node}, which has {vectors[node]}")
            checks += 1
            if complete:
                waiting[node].remove(message)
                delivered[node].append(message)
                vectors[node] = vectors[node].increment(sender)
    return Looked(steps, checks)


# --- replicated values ------------------------------------------------------------------------------------


def siblings_are_maximal(random: Random, siblings: type[Siblings[int]]) -> Looked:
    """Clients read anywhere and write anywhere; replicas hear of each other in any order.  A replica's
    siblings are those of the writes it has heard of that no other of them knew."""
    replicas = NODES[: random.randint(1, 4)]
    held = {node: siblings() for node in replicas}
    heard: dict[str, set[int]] = {node: set() for node in replicas}
    knew: list[set[int]] = []
    """By write: all writes in its past."""
    clients: list[tuple[VersionVector, set[int]]] = [(VersionVector(), set()) for _ in range(3)]
    steps = random.randint(5, 40)
    for _ in range(steps):
        node, other, client = random.choice(replicas), random.choice(replicas), random.randrange(3)
        act = random.random()
        if act < 0.3:
            read = set(held[node].values)
            clients[client] = held[node].context, read.union(*(knew[each] for each in read))
        elif act < 0.65:
            context, past = clients[client]
            held[node] = held[node].put(len(knew), context, node)
            heard[node] = heard[node] | past | {len(knew)}
            knew.append(set(past))
        else:
            held[node] = held[node].merge(held[other])
            heard[node] |= heard[other]
        hidden = {each for write in heard[node] for each in knew[write]}
        if set(held[node].values) != heard[node] - hidden:
            raise Refuted(f"{node} holds {held[node].values}, not {sorted(heard[node] - hidden)}")
    return Looked(steps, steps)


# --- the cluster's clock ----------------------------------------------------------------------------------


def cluster_clock(random: Random, after: Callable[[int, int], int]) -> Looked:
    """Leaders with clocks of their own stamp one log; nodes begin at its beginning or at a snapshot."""
    entries = random.randint(2, 60)
    leader_ms = {node: random.randint(0, 5_000) for node in NODES}
    leader = random.choice(NODES)
    clock, clocks = 0, [0]
    furthest = 0
    log = []
    for _ in range(entries):
        if random.random() < 0.1:
            leader = random.choice(NODES)
        leader_ms[leader] += random.randint(0, 20)
        furthest = max(furthest, leader_ms[leader])
        log.append(leader_ms[leader])
        before, clock = clock, after(clock, leader_ms[leader])
        clocks.append(clock)
        if clock < before or clock > furthest or clock < leader_ms[leader]:
            raise Refuted(f"{clock} after {before}, stamped {leader_ms[leader]}")
    snapshot = random.randrange(entries)
    restarted = clocks[snapshot]
    for stamp in log[snapshot:]:
        restarted = after(restarted, stamp)
    if restarted != clock:
        raise Refuted(f"a node that began at entry {snapshot} has {restarted}, not {clock}")
    return Looked(entries, 3 * entries)


# --- all of them ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Property:
    check: Callable[[Random, Any], Looked]
    clock: Any
    """What of the package it is about."""


PROPERTIES: dict[str, Property] = {
    "lamport: a total order that contains happens-before": Property(lamport_order, LamportTime),
    "vector: happens-before, exactly": Property(vector_characterises, VectorClock),
    "vector: causal delivery, exactly": Property(causal_delivery, deliverable),
    "version: as the sets of updates known": Property(version_is_a_set, VersionVector.merge),
    "version: what pruning costs": Property(pruning_has_its_price, VersionVector.pruned),
    "dotted: siblings are what nobody knew": Property(siblings_are_maximal, Siblings),
    "hybrid: contains happens-before": Property(hybrid_order, HybridClock),
    "hybrid: close to the wall, and c is small": Property(hybrid_closeness, HybridClock),
    "hybrid: every instant is a consistent cut": Property(hybrid_cut, HybridClock),
    "hybrid: nobody is taken along by a wrong clock": Property(hybrid_bound, HybridClock),
    "cluster: the same for all, never back": Property(cluster_clock, advanced),
}
