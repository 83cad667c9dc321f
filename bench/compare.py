"""The cases, and the rounds in which all systems go through them.

A round is: three fresh nodes of one system, a warm-up (a JVM compiles what runs often, and would be measured
before it had), every case, the end; then the same with the next system.  The next round goes through them in
the opposite order, so that a machine which gets slower or faster by the hour favours nobody.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench import generator
from bench.cluster import Cluster
from bench.generator import Load, LoadResult
from bench.machine import Sharing
from bench.systems import System

KEYS = 1000
SHAPES = ((1, 1), (50, 1), (10, 50))
SPREAD_SHAPES = ((51, 1), (12, 50))
OPERATIONS = ("get", "set", "create")


class Case(msgspec.Struct, frozen=True):
    """One shape of load.  `spread`: round robin over all nodes, otherwise everything on the leader."""

    operation: str
    connections: int
    outstanding: int
    spread: bool = False

    @property
    def name(self) -> str:
        where = " spread" if self.spread else ""
        return f"{self.operation} {self.connections}x{self.outstanding}{where}"


class NodeCost(msgspec.Struct, frozen=True):
    """What one node used in one case: `cpu_s` with the case's warm-up, `peak_kib` since its start."""

    leads: bool
    cpu_s: float
    peak_kib: int


class Measurement(msgspec.Struct, frozen=True):
    """One case, one system, one round.  `cpu_us_per_operation` is over all nodes together."""

    system: str
    case: str
    round: int
    load: LoadResult
    nodes: list[NodeCost]
    cpu_us_per_operation: float
    foreign_share: float
    elections: int


class Plan(msgspec.Struct, frozen=True):
    rounds: int
    seconds: float
    warmup_s: float
    system_warmup_s: float
    operations: tuple[str, ...] = OPERATIONS
    spread: bool = True

    def cases(self) -> list[Case]:
        """Creates come last: they make the tree grow, and with it the memory that the others are charged
        for."""
        cases = [
            Case(op, *shape)
            for op in OPERATIONS
            if op != "create" and op in self.operations
            for shape in SHAPES
        ]
        if self.spread and "set" in self.operations:
            cases += [Case("set", *shape, spread=True) for shape in SPREAD_SHAPES]
        if "create" in self.operations:
            cases += [Case("create", *shape) for shape in SHAPES]
        return cases


QUICK = Plan(rounds=1, seconds=1.5, warmup_s=0.5, system_warmup_s=6.0)
FULL = Plan(rounds=3, seconds=5.0, warmup_s=1.5, system_warmup_s=20.0)


def run(
    plan: Plan, systems: Sequence[System], directory: Path, say: Callable[[str], None]
) -> list[Measurement]:
    """Raises CannotMeasure as soon as one system cannot be measured."""
    found: list[Measurement] = []
    for round_number in range(plan.rounds):
        order = systems if round_number % 2 == 0 else list(reversed(systems))
        for system in order:
            say(f"round {round_number + 1} of {plan.rounds}: {system.name}")
            began = time.monotonic()
            with Cluster(system, directory) as cluster:
                say(f"  three nodes serve after {time.monotonic() - began:.1f} s")
                warm_up(cluster, plan.system_warmup_s)
                for case in plan.cases():
                    measurement = measure(cluster, case, plan, round_number)
                    found.append(measurement)
                    say(f"  {_line(measurement)}")
    return found


def warm_up(cluster: Cluster, seconds: float) -> None:
    """Makes the keys, then presses with what will be measured: half of the time sets, half gets, on all
    nodes."""
    addresses = cluster.addresses()
    generator.run(Load(operation="fill", connections=1, outstanding=50, keys=KEYS), addresses[:1])
    for operation in ("set", "get"):
        load = Load(
            operation=operation,
            connections=12,
            outstanding=50,
            keys=KEYS,
            seconds=seconds / 2,
            warmup_s=0,
            existing=True,
        )
        generator.run(load, addresses)


def measure(cluster: Cluster, case: Case, plan: Plan, round_number: int) -> Measurement:
    leader, term = cluster.leader(), cluster.term()
    addresses = cluster.addresses() if case.spread else cluster.addresses(leader)
    load = Load(
        operation=case.operation,
        connections=case.connections,
        outstanding=case.outstanding,
        seconds=plan.seconds,
        warmup_s=plan.warmup_s,
        keys=KEYS,
        directory=f"/create-{case.connections}-{case.outstanding}"
        if case.operation == "create"
        else "/bench",
        existing=case.operation != "create",
    )
    sharing = Sharing()
    before = cluster.usage()
    result = generator.run(load, addresses)
    after = cluster.usage()
    nodes = [
        NodeCost(number == leader, round(new.cpu_s - old.cpu_s, 2), new.peak_kib)
        for number, (old, new) in enumerate(zip(before, after, strict=True))
    ]
    used_s = sum(node.cpu_s for node in nodes)
    return Measurement(
        system=cluster.system.name,
        case=case.name,
        round=round_number,
        load=result,
        nodes=nodes,
        cpu_us_per_operation=used_s * 1e6 / max(result.sent, 1),
        foreign_share=round(
            sharing.foreign_share(used_s + result.cpu_us_per_operation * result.sent / 1e6), 3
        ),
        elections=cluster.term() - term,
    )


def _line(found: Measurement) -> str:
    load = found.load
    milliseconds = [f"{us / 1000:.2f}" for us in (load.p50_us, load.p99_us, load.p999_us)]
    parts = [
        f"{found.case:<18} {load.throughput:>10,.0f}/s",
        f"p50/99/99.9 {' / '.join(milliseconds)} ms",
        f"generator busy {load.busy_share:.0%}",
        f"others {found.foreign_share:.0%}",
    ]
    if not load.clean:
        parts.append(f"NOT CLEAN: {load.errors} errors (first {load.first_error}), {load.lost} lost")
    if found.elections:
        parts.append(f"{found.elections} ELECTIONS")
    return "  ".join(parts)


def to_terminal(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
