"""What was measured of locks, what was promised, and the tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench import report
from bench.lock_fleet import Figures
from bench.machine import Machine

CASES: Final = ("alone", "contended")


class Plan(msgspec.Struct, frozen=True):
    """`elections`: how many leaders are killed."""

    rounds: int
    seconds: float
    warmup_s: float
    java_warmup_s: float
    elections: int


class Measurement(msgspec.Struct, frozen=True):
    """One case, one contestant, one round."""

    contestant: str
    case: str
    round: int
    figures: Figures
    foreign_share: float
    elections: int


class Handover(msgspec.Struct, frozen=True):
    """From the end of a leader's process to the next one's leading, in seconds, shortest first."""

    contestant: str
    ttl_s: float
    took_s: list[float]


class Locks(msgspec.Struct, frozen=True):
    """One whole run, as it is kept."""

    taken: str
    machine: Machine
    versions: list[str]
    plan: Plan
    measurements: list[Measurement]
    elections: list[Handover]
    without: list[str]
    missed: list[str]


class Bar(msgspec.Struct, frozen=True):
    """Locks per second: at least `bound` times those of `beside`."""

    contestant: str
    beside: str
    bound: float


BARS: Final = (
    Bar("ours on ZooKeeper", "kazoo on ZooKeeper", 1.0),
    Bar("ours on ZooKeeper, threads", "kazoo on ZooKeeper", 1.0),
    Bar("ours on ours", "kazoo on ZooKeeper", 3.0),
)
ELECTS: Final = "ours on ours"
ELECTED_WITHIN_S: Final = 1.0
"""Beyond the ttl."""


def rate(figures: Figures, case: str) -> float:
    """Alone, the lock goes from nobody to nobody."""
    return figures.holds_per_s if case == "alone" else figures.changes_per_s


def median(
    found: Sequence[Measurement], contestant: str, case: str, of: Callable[[Figures], float]
) -> float | None:
    values = [of(each.figures) for each in found if (each.contestant, each.case) == (contestant, case)]
    return statistics.median(values) if values else None


def ratio(found: Sequence[Measurement], contestant: str, beside: str, case: str) -> float | None:
    """Of the rates."""
    one, other = (median(found, each, case, lambda of: rate(of, case)) for each in (contestant, beside))
    return one / other if one and other else None


def missed_bars(found: Sequence[Measurement], elected: Sequence[Handover]) -> list[str]:
    sentences = []
    for bar in BARS:
        for case in CASES:
            measured = ratio(found, bar.contestant, bar.beside, case)
            if measured is not None and measured < bar.bound:
                sentences.append(
                    f"{bar.contestant}, {case}: {measured:.2f}x {bar.beside}, the bar is {bar.bound:g}x"
                )
    sentences += [
        f"{each.contestant}: the next leader after {each.took_s[-1]:.2f} s, the bar is {each.ttl_s:g} + 1 s"
        for each in elected
        if each.contestant == ELECTS and each.took_s[-1] > each.ttl_s + ELECTED_WITHIN_S
    ]
    sentences += [
        f"{each.contestant}, {each.case}: {each.elections} elections of nodes"
        for each in found
        if each.elections
    ]
    return sentences


def as_text(result: Locks) -> str:
    machine, plan = result.machine, result.plan
    foreign = max((each.foreign_share for each in result.measurements), default=0.0)
    parts = [
        f"Taken {result.taken} on {machine.processors} x {machine.processor}, {machine.memory_mib:,} MiB,\n"
        f"Linux {machine.kernel}, {machine.file_system}; an append of 4 KiB with fdatasync takes "
        f"{machine.sync_us:.0f} µs there.\n"
        + "".join(f"{each}.\n" for each in result.versions)
        + f"{plan.rounds} rounds of {plan.seconds:g} s a case; medians of the rounds."
        f" Others took at most {foreign:.0%} of the processors.",
        rates_table(result.measurements),
    ]
    if result.elections:
        parts.append(elections_table(result.elections))
    parts += [f"Not measured: {each}." for each in result.without]
    parts.append(
        "\n".join(["Bars missed:", "", *(f"* {each}" for each in result.missed)])
        if result.missed
        else "All bars hold."
    )
    return "\n\n".join(parts)


def rates_table(found: Sequence[Measurement]) -> str:
    """A ratio is that to kazoo on ZooKeeper."""
    of_each = ["beside kazoo", "p50 / p99 ms", "processor ms"]
    heads = ["", "alone /s", *of_each, "contended /s", *of_each]
    rows = []
    for contestant in report.in_order(each.contestant for each in found):
        row = [contestant]
        for case, latencies in zip(CASES, LATENCIES, strict=True):
            per_s = median(found, contestant, case, lambda of, case=case: rate(of, case))  # type: ignore[misc]
            beside = ratio(found, contestant, "kazoo on ZooKeeper", case)
            middle, late = (median(found, contestant, case, of) for of in latencies)
            clients, servers = (median(found, contestant, case, of) for of in PROCESSOR)
            row += [
                "" if per_s is None else f"{per_s:,.0f}",
                "" if beside is None else f"{beside:.2f}x",
                "" if middle is None else f"{middle:.2f} / {late:.2f}",
                "" if clients is None else f"{clients:.2f} + {servers:.2f}",
            ]
        rows.append(row)
    return report.table(heads, rows)


LATENCIES: Final[tuple[tuple[Callable[[Figures], float], Callable[[Figures], float]], ...]] = (
    (lambda of: of.cycle_p50_ms, lambda of: of.cycle_p99_ms),
    (lambda of: of.hand_over_p50_ms, lambda of: of.hand_over_p99_ms),
)


PROCESSOR: Final[tuple[Callable[[Figures], float], ...]] = (
    lambda of: of.clients_ms,
    lambda of: of.servers_ms,
)


def elections_table(elected: Sequence[Handover]) -> str:
    heads = [
        "next leader after SIGKILL",
        "leaders killed",
        "shortest s",
        "median s",
        "longest s",
        "longest, ttls",
    ]
    rows = [
        [
            f"{each.contestant}, ttl {each.ttl_s:g} s",
            str(len(each.took_s)),
            f"{each.took_s[0]:.2f}",
            f"{statistics.median(each.took_s):.2f}",
            f"{each.took_s[-1]:.2f}",
            f"{each.took_s[-1] / each.ttl_s:.2f}",
        ]
        for each in elected
    ]
    return report.table(heads, rows)
