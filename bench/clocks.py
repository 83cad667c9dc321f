"""Version vectors: how long a merge and a comparison take at 3, 100 and 10,000 nodes, beside dictionaries.

    python -m bench.clocks [--rounds 7] [--publish]

Beside ours runs what one writes first: a dictionary from node to counter, merged and compared name by
name.  Both do the same to the same vectors in one process, in turns, and of each case the least time of its
rounds counts.

Vectors of one cluster mention the same nodes, and share one tuple of names once they were merged or decoded
beside each other ("shared").  Where each has a tuple of its own, equal to the other's ("apart"), that has
to be found out first.  And where only half of the nodes are in common ("half"), names must be merged: the
case that we are not made for.  Comparisons are of one vector that is before another, where every counter
has to be looked at, and of two that are concurrent, where two counters may be enough.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import click
import msgspec

from agreed.clocks.encoding import decode, encode
from agreed.clocks.order import Causality
from agreed.clocks.version import VersionVector
from bench import report

SIZES = (3, 100, 10_000)
LEAST_S = 0.02
"""Of one measurement: so many repetitions are made that it takes this long."""

Counters = dict[str, int]


def merged(first: Counters, second: Counters) -> Counters:
    found = dict(first)
    for name, counter in second.items():
        if counter > found.get(name, 0):
            found[name] = counter
    return found


def compared(first: Counters, second: Counters) -> Causality:
    less = any(counter > first.get(name, 0) for name, counter in second.items())
    more = any(counter > second.get(name, 0) for name, counter in first.items())
    if less:
        return Causality.CONCURRENT if more else Causality.BEFORE
    return Causality.AFTER if more else Causality.EQUAL


class Case(msgspec.Struct, frozen=True):
    """The same thing done by both; `agrees` says whether they come to the same."""

    name: str
    nodes: int
    ours: Callable[[], object]
    naive: Callable[[], object]
    agrees: bool


class Timed(msgspec.Struct, frozen=True):
    name: str
    nodes: int
    ours_us: float
    naive_us: float

    @property
    def ratio(self) -> float:
        return self.ours_us / self.naive_us


class Sized(msgspec.Struct, frozen=True):
    """A vector as bytes: ours, and the dictionary as MessagePack."""

    nodes: int
    ours_bytes: int
    messagepack_bytes: int
    encode_us: float
    decode_us: float
    decode_beside_us: float


class Clocks(msgspec.Struct, frozen=True):
    taken: str
    python: str
    rounds: int
    timed: list[Timed]
    sized: list[Sized]


def drawn(random: Random, names: list[str]) -> Counters:
    return {name: random.randint(1_000, 60_000) for name in names}


def cases(nodes: int, seed: int = 1) -> Iterator[Case]:
    random = Random(f"{nodes} {seed}")
    names = [f"node-{number:05}" for number in range(nodes)]
    first, second = drawn(random, names), drawn(random, names)
    later = {name: counter + random.randint(0, 3) for name, counter in first.items()} | {
        names[-1]: first[names[-1]] + 1
    }
    other = drawn(random, names[nodes // 2 :] + [f"other-{number:05}" for number in range(nodes // 2)])
    of = VersionVector.of
    one = of(first)

    def shared(counters: Counters) -> VersionVector:
        return decode(encode(of(counters)), one)

    for name, right, left in (
        ("merge, shared", second, shared(second)),
        ("merge, apart", second, of(second)),
        ("merge, half", other, of(other)),
    ):
        agrees = dict(one.merge(left).items()) == merged(first, right)
        yield Case(name, nodes, partial(one.merge, left), partial(merged, first, right), agrees)
    for name, right, left in (
        ("compare: before, shared", later, shared(later)),
        ("compare: before, apart", later, of(later)),
        ("compare: concurrent, shared", second, shared(second)),
        ("compare: concurrent, half", other, of(other)),
    ):
        agrees = one.compare(left) is compared(first, right)
        yield Case(name, nodes, partial(one.compare, left), partial(compared, first, right), agrees)


def seconds(act: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        act()
    return time.perf_counter() - began


def repetitions(act: Callable[[], object]) -> int:
    times = 1
    while seconds(act, times) < LEAST_S:
        times *= 2
    return times


def least_us(acts: list[Callable[[], object]], rounds: int) -> list[float]:
    """Of each, in turns."""
    often = [repetitions(act) for act in acts]
    best = [float("inf")] * len(acts)
    for _ in range(rounds):
        for place, act in enumerate(acts):
            best[place] = min(best[place], seconds(act, often[place]) / often[place] * 1e6)
    return best


def measure(rounds: int, sizes: tuple[int, ...] = SIZES) -> Clocks:
    timed, sized = [], []
    for nodes in sizes:
        for case in cases(nodes):
            if not case.agrees:
                raise AssertionError(f"{case.name}, {nodes}: not the same as the dictionary")
            timed.append(Timed(case.name, nodes, *least_us([case.ours, case.naive], rounds)))
        sized.append(size(nodes, rounds))
    return Clocks(report.now(), sys.version.split()[0], rounds, timed, sized)


def size(nodes: int, rounds: int) -> Sized:
    counters = drawn(Random(nodes), [f"node-{number:05}" for number in range(nodes)])
    vector = VersionVector.of(counters)
    data = encode(vector)
    acts: list[Callable[[], object]] = [
        partial(encode, vector), partial(decode, data), partial(decode, data, vector)
    ]  # fmt: skip
    return Sized(nodes, len(data), len(msgspec.msgpack.encode(counters)), *least_us(acts, rounds))


def as_text(result: Clocks) -> str:
    head = f"Taken {result.taken}, the least of {result.rounds} rounds; Python {result.python}."
    rows = [
        [f"{each.name}, {each.nodes:,}", f"{each.ours_us:.2f}", f"{each.naive_us:.2f}", f"{each.ratio:.2f}x"]
        for each in sorted(result.timed, key=lambda each: each.name.split()[0] != "merge")
    ]
    bytes_rows = [
        [
            f"{each.nodes:,}",
            f"{each.ours_bytes:,}",
            f"{each.messagepack_bytes:,}",
            f"{each.encode_us:.1f}",
            f"{each.decode_us:.1f}",
            f"{each.decode_beside_us:.1f}",
        ]
        for each in result.sized
    ]
    heads = ["nodes", "bytes", "MessagePack", "encode µs", "decode µs", "decode beside a known one µs"]
    return "\n\n".join(
        [
            head,
            report.table(["case, nodes", "ours µs", "dictionary µs", "ratio"], rows),
            report.table(heads, bytes_rows),
        ]
    )


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1, 100))
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
def main(rounds: int, publish: bool) -> None:
    """Version vectors beside dictionaries."""
    result = measure(rounds)
    report.deliver("clocks", result, as_text(result), published=publish)


if __name__ == "__main__":
    main()
