"""Locks and elections of ours beside those of kazoo, of etcd and of pysyncobj, on three nodes each.

    python -m bench.locks [--quick] [--publish]

    alone         one client takes a lock and gives it back, again and again, connected to the leader
    contended     twenty clients hand one lock on: four processes with five clients each, every client with a
                  connection and a session of its own, dealt round robin to the three nodes
    elections     the process of a leader is killed (SIGKILL); how long until the next one leads

A round is: three fresh nodes of one service, then every client that can use it, one after the other.  The
next round begins with the other services.  What a figure is worth says its ratio to another of the same run.
That nobody had the lock while another did is looked at in every case, with the times that all processes
noted; a run in which it was is no measurement.

Exit status: 0, 1 if a bar was missed, 2 if it could not be measured.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle, islice, product
from pathlib import Path
from typing import Final

import click
import msgspec

from bench import compare, report
from bench.cluster import Cluster
from bench.compare import to_terminal
from bench.etcd_systems import Agreed, Etcd, EtcdCluster
from bench.generator import CannotMeasure
from bench.lock_fleet import Crossed, PySyncObjCluster, Worker, figures, hand_on, missing, version_of, workers
from bench.lock_load import Load
from bench.lock_report import CASES, Handover, Locks, Measurement, Plan, as_text, missed_bars
from bench.machine import Sharing, describe
from bench.systems import System, ZooKeeper

QUICK = Plan(rounds=1, seconds=0.8, warmup_s=0.3, java_warmup_s=5.0, elections=2)
FULL = Plan(rounds=3, seconds=2.0, warmup_s=0.5, java_warmup_s=14.0, elections=5)

PROCESSES, OF_EACH = 4, 5
TTL_S = 4.0
"""Of candidates: the shortest that ZooKeeper grants."""

HEARTBEAT_S = TTL_S / 3
"""From one to the next at most, of kazoo; ours are more frequent."""

STANDS_WITHIN_S = 2.0
"""Who is connected stands in line by then; if not, he is late only in being measured, not in leading."""

SUCCEEDS_WITHIN_S = 60.0


class Contestant(msgspec.Struct, frozen=True):
    """A client and what it asks.  `scheme`: of ours, by which protocol."""

    name: str
    client: str
    service: str
    scheme: str = ""
    elects: bool = False


CONTESTANTS = (
    Contestant("kazoo on ZooKeeper", "kazoo", "ZooKeeper", elects=True),
    Contestant("ours on ZooKeeper", "ours", "ZooKeeper", "zk", elects=True),
    Contestant("ours on ZooKeeper, threads", "ours, threads", "ZooKeeper", "zk"),
    Contestant("ours on ours", "ours", "ours", "agreed", elects=True),
    Contestant("ours on ours, threads", "ours, threads", "ours", "agreed"),
    Contestant("kazoo on ours", "kazoo", "ours", elects=True),
    Contestant("ours on ours, as etcd", "ours", "ours", "etcd"),
    Contestant("ours on etcd", "ours", "etcd", "etcd", elects=True),
    Contestant("etcd's lock service", "lock service", "etcd"),
    Contestant("python-etcd3 on etcd", "python-etcd3", "etcd"),
    Contestant("pysyncobj", "pysyncobj", "pysyncobj"),
)
NODES: Final[dict[str, System]] = {"ZooKeeper": ZooKeeper(), "ours": Agreed(), "etcd": Etcd()}


class Service:
    """Three nodes that serve.  `addresses`: the leader's first, where that is known."""

    def __init__(self, cluster: Cluster | PySyncObjCluster, addresses: Callable[[str], list[str]]) -> None:
        self.cluster = cluster
        self.addresses = addresses

    def term(self) -> int:
        return self.cluster.term() if isinstance(self.cluster, Cluster) else 0

    def used_s(self) -> float:
        if isinstance(self.cluster, PySyncObjCluster):
            return self.cluster.used_s()
        return sum(usage.cpu_s for usage in self.cluster.usage())


@contextmanager
def serving(name: str, directory: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        if name == "pysyncobj":
            members = stack.enter_context(PySyncObjCluster(directory))
            yield Service(members, lambda _: [",".join(members.addresses)])
            return
        kind = Cluster if name == "ZooKeeper" else EtcdCluster
        cluster = stack.enter_context(kind(NODES[name], directory))

        def addresses(scheme: str) -> list[str]:
            if name != "ours" or scheme == "etcd":
                return cluster.addresses()
            first = cluster.leader()
            return [f"127.0.0.1:{ports.election}" for ports in cluster.ports[first:] + cluster.ports[:first]]

        yield Service(cluster, addresses)


# --- what is measured --------------------------------------------------------------------------------------


def loads(contestant: Contestant, case: str, addresses: Sequence[str]) -> list[Load]:
    """One for each process."""
    load = Load(contestant.client, contestant.scheme, name=f"bench-{case}-{time.monotonic_ns()}")
    if case == "alone":
        return [replace(load, addresses=list(addresses[:1]))]
    dealt = cycle(addresses)
    return [replace(load, addresses=list(islice(dealt, OF_EACH))) for _ in range(PROCESSES)]


def measure(contestant: Contestant, service: Service, case: str, number: int, plan: Plan) -> Measurement:
    addresses, term = service.addresses(contestant.scheme), service.term()
    sharing, before_s = Sharing(), service.used_s() + _used_by_workers_s()
    of_each = loads(contestant, case, addresses)
    handed = hand_on(of_each, plan.seconds, plan.warmup_s, service.used_s)
    used_s = service.used_s() + _used_by_workers_s() - before_s
    return Measurement(
        contestant=contestant.name,
        case=case,
        round=number,
        figures=figures(handed),
        foreign_share=round(sharing.foreign_share(used_s), 3),
        elections=service.term() - term,
    )


def _used_by_workers_s() -> float:
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def elect(contestants: Sequence[Contestant], service: Service, count: int) -> list[Handover]:
    """`count` elections of each at once; each loses its leader at another moment between two heartbeats."""
    leading, following, of = [], [], []
    for contestant in contestants:
        addresses = list(islice(cycle(service.addresses(contestant.scheme)), count))
        names = [f"bench-election-{time.monotonic_ns()}-{number}" for number in range(count)]
        load = Load(contestant.client, contestant.scheme, ttl_s=TTL_S)
        leading += [
            replace(load, addresses=[address], elections=[name])
            for address, name in zip(addresses, names, strict=True)
        ]
        following.append(replace(load, addresses=addresses, elections=names))
        of += [contestant] * count
    with workers(leading) as leaders:
        for worker in leaders:
            _next_leader(worker)
        with workers(following) as followers:
            time.sleep(STANDS_WITHIN_S)
            killed = {}
            for load, worker in zip(leading, leaders, strict=True):
                killed[load.elections[0]] = worker.kill()
                time.sleep(HEARTBEAT_S / count)
            led = dict(_next_leader(worker) for worker in followers for _ in range(count))
    took_s = [
        (contestant, round(led[load.elections[0]] - killed[load.elections[0]], 3))
        for contestant, load in zip(of, leading, strict=True)
    ]
    return [
        Handover(each.name, TTL_S, sorted(seconds for contestant, seconds in took_s if contestant is each))
        for each in contestants
    ]


def warm_up(contestant: Contestant, service: Service, seconds: float) -> None:
    """A JVM compiles what runs often: first what all requests have in common, then what locks are made of."""
    assert isinstance(service.cluster, Cluster)
    compare.warm_up(service.cluster, seconds / 2)
    hand_on(
        loads(contestant, "contended", service.addresses(contestant.scheme)), seconds / 2, 0.0, service.used_s
    )


def _next_leader(worker: Worker) -> tuple[str, float]:
    _, name, at = worker.says(time.monotonic() + SUCCEEDS_WITHIN_S).split()
    return name, float(at)


# --- the rounds --------------------------------------------------------------------------------------------


def run(
    plan: Plan, contestants: Sequence[Contestant], directory: Path, say: Callable[[str], None]
) -> tuple[list[Measurement], list[Handover], list[str]]:
    """And why some of others could not be measured; of ours that raises CannotMeasure."""
    found: list[Measurement] = []
    elected: list[Handover] = []
    without: list[str] = []
    services = report.in_order(each.service for each in contestants)
    for number in range(plan.rounds):
        for name in services if number % 2 == 0 else list(reversed(services)):
            say(f"round {number + 1} of {plan.rounds}: {name}")
            of_service = [each for each in contestants if each.service == name]
            with serving(name, directory) as service:
                if name == "ZooKeeper":
                    warm_up(of_service[0], service, plan.java_warmup_s)
                in_turn = of_service if number % 2 == 0 else list(reversed(of_service))
                for contestant, case in product(in_turn, CASES):
                    try:
                        found.append(measure(contestant, service, case, number, plan))
                        say(f"  {line_of(found[-1])}")
                    except CannotMeasure as reason:
                        if contestant.client.startswith("ours"):
                            raise
                        without.append(f"{contestant.name}, {case}, round {number + 1}: {reason}")
                        say(f"  without {without[-1]}")
                if number == 0 and (electing := [each for each in of_service if each.elects]):
                    elected += elect(electing, service, plan.elections)
                    for each in elected[-len(electing) :]:
                        took = ", ".join(f"{took_s:.2f}" for took_s in each.took_s)
                        say(f"  {each.contestant}: the next leader after {took} s, ttl {each.ttl_s:g} s")
    return found, elected, without


def line_of(found: Measurement) -> str:
    of = found.figures
    parts = [
        f"{found.contestant:<27} {found.case:<10} {of.holds_per_s:>7,.0f} holds/s",
        f"{of.changes_per_s:>7,.0f} hand-overs/s",
        f"cycle p50/99 {of.cycle_p50_ms:.2f} / {of.cycle_p99_ms:.2f} ms",
        f"hand-over p50/99 {of.hand_over_p50_ms:.2f} / {of.hand_over_p99_ms:.2f} ms",
        f"processor {of.clients_ms:.2f} + {of.servers_ms:.2f} ms",
        f"others {found.foreign_share:.0%}",
    ]
    if found.elections:
        parts.append(f"{found.elections} ELECTIONS")
    return "  ".join(parts)


def present(
    contestants: Sequence[Contestant], say: Callable[[str], None]
) -> tuple[list[Contestant], list[str]]:
    """Those that can be measured here, and why the others cannot."""
    found, without = [], []
    for contestant in contestants:
        why = missing(contestant.client)
        if not why and contestant.service in NODES:
            try:
                NODES[contestant.service].version()
            except CannotMeasure as reason:
                why = str(reason)
        if why:
            without.append(f"{contestant.name}: {why}")
            say(f"without {without[-1]}")
        else:
            found.append(contestant)
    return found, without


def versions(contestants: Sequence[Contestant]) -> list[str]:
    services = [NODES[each].version() for each in NODES if any(one.service == each for one in contestants)]
    clients = ("kazoo", "python-etcd3", "pysyncobj")
    return services + [version_of(each) for each in clients if any(one.client == each for one in contestants)]


@click.command()
@click.option("--quick", is_flag=True, help="One short round. The bars are shown, not judged.")
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
@click.option("--only", help="Of those whose names have this in it; no ratios to others.")
@click.option("--rounds", type=click.IntRange(1, 20))
@click.option("--seconds", type=click.FloatRange(0.1, 120), help="Per case and round.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the nodes keep their data; default: the directory for temporary files.",
)
def main(
    quick: bool,
    publish: bool,
    only: str | None,
    rounds: int | None,
    seconds: float | None,
    directory: Path | None,
) -> None:
    plan = QUICK if quick else FULL
    plan = msgspec.structs.replace(plan, rounds=rounds or plan.rounds, seconds=seconds or plan.seconds)
    where = directory or Path(tempfile.gettempdir())
    with report.or_cannot_measure(Crossed):
        machine = describe(where)
        if machine.file_system == "tmpfs":
            raise CannotMeasure(f"{where} is in memory, where a sync costs nothing: choose another directory")
        contestants, without = present(
            [each for each in CONTESTANTS if not only or only in each.name], to_terminal
        )
        found, elected, failed = run(plan, contestants, where, to_terminal)
    missed = missed_bars(found, elected)
    result = Locks(
        report.now(), machine, versions(contestants), plan, found, elected, [*without, *failed], missed
    )
    report.deliver("locks", result, as_text(result), published=publish)
    if missed and not quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
