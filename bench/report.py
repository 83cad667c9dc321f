"""Tables for people, JSON for machines, and the generated part of docs/benchmarks.md.

Only what was measured gets into the page: the text between the two markers of a name is replaced as a whole
by the tables of one run, with the date and the machine, and nobody writes there by hand.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from bench.bars import Verdict, judge, median
from bench.compare import Measurement, Plan, to_terminal
from bench.generator import CannotMeasure, LoadResult
from bench.machine import Machine

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


class Comparison(msgspec.Struct, frozen=True):
    """One whole run, as it is kept."""

    taken: str
    machine: Machine
    versions: dict[str, str]
    plan: Plan
    ceiling: dict[str, LoadResult]
    measurements: list[Measurement]
    verdicts: list[Verdict]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def keep(name: str, result: msgspec.Struct) -> Path:
    """Writes bench/results/NAME-TIME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{now().replace(':', '')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return path


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; all but the first are aligned to the
    right."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = (
        "|"
        + "|".join("-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths))
        + "|"
    )
    return "\n".join([line(heads), rule, *map(line, rows)])


def throughput_table(found: Sequence[Measurement]) -> str:
    rows = []
    for case in in_order(each.case for each in found):
        ours = median(found, "ours", case, lambda load: load.throughput)
        theirs = median(found, "zookeeper", case, lambda load: load.throughput)
        rows.append(
            [
                case,
                _count(ours),
                _count(theirs),
                f"{ours / theirs:.2f}x" if ours and theirs else "",
                _latencies(found, "ours", case),
                _latencies(found, "zookeeper", case),
            ]
        )
    heads = [
        "case",
        "ours /s",
        "ZooKeeper /s",
        "ratio",
        "ours p50 / p99 / p99.9 ms",
        "ZooKeeper p50 / p99 / p99.9 ms",
    ]
    return table(heads, rows)


def cost_table(found: Sequence[Measurement]) -> str:
    rows = []
    for case in in_order(each.case for each in found):
        cells = [case]
        for system in ("ours", "zookeeper"):
            of = [each for each in found if each.system == system and each.case == case]
            cells += [
                _middle([each.cpu_us_per_operation for each in of], "{:.1f}"),
                _middle([n.cpu_s for each in of for n in each.nodes if n.leads], "{:.1f}"),
                _middle([n.cpu_s for each in of for n in each.nodes if not n.leads], "{:.1f}"),
                _middle([max(n.peak_kib for n in each.nodes) / 1024 for each in of], "{:.0f}"),
            ]
        rows.append(cells)
    heads = ["case"]
    for system in ("ours", "ZooKeeper"):
        heads += [f"{system} µs/op", "leader s", "follower s", "peak MiB"]
    return table(heads, rows)


def conduct_table(found: Sequence[Measurement]) -> str:
    """What would make the other tables doubtful: errors, elections, a busy generator, a shared
    machine."""
    rows = []
    for case in in_order(each.case for each in found):
        of = [each for each in found if each.case == case]
        rows.append(
            [
                case,
                str(sum(each.load.errors for each in of)),
                str(sum(each.load.lost for each in of)),
                str(sum(each.elections for each in of)),
                f"{max(each.load.busy_share for each in of):.0%}",
                f"{max(each.foreign_share for each in of):.0%}",
                f"{max(each.load.longest_silence_ms for each in of if each.system == 'ours'):.0f}"
                if any(each.system == "ours" for each in of)
                else "",
                f"{max(each.load.longest_silence_ms for each in of if each.system == 'zookeeper'):.0f}"
                if any(each.system == "zookeeper" for each in of)
                else "",
            ]
        )
    heads = [
        "case",
        "errors",
        "lost",
        "elections",
        "generator busy",
        "others' processor share",
        "ours silent ms",
        "ZooKeeper silent ms",
    ]
    return table(heads, rows)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        [
            v.bar.case,
            v.bar.figure.replace("_us", ""),
            f"{'≥' if v.bar.at_least else '≤'} {v.bar.bound}x",
            f"{v.ratio:.2f}x",
            "holds" if v.holds else "MISSED",
        ]
        for v in verdicts
    ]
    return table(["case", "figure", "bar", "measured", ""], rows)


def as_text(result: Comparison) -> str:
    """Everything of one run, in Markdown."""
    ceiling = ", ".join(f"{name} {load.throughput:,.0f}/s" for name, load in result.ceiling.items())
    machine = result.machine
    plan = result.plan
    head = [
        f"Taken {result.taken} on {machine.processors} x {machine.processor}, {machine.memory_mib:,} MiB,",
        f"Linux {machine.kernel}, {machine.file_system}; an append of 4 KiB with fdatasync takes "
        f"{machine.sync_us:.0f} µs there.",
        *(f"{name}: {version}." for name, version in result.versions.items()),
        f"{plan.rounds} rounds of {plan.seconds:g} s a case; medians of the rounds.",
        f"The generator's own ceiling: {ceiling}.",
    ]
    found = result.measurements
    parts = ["\n".join(head), throughput_table(found), cost_table(found), conduct_table(found)]
    if result.verdicts:
        parts.append(verdict_table(result.verdicts))
    return "\n\n".join(parts)


def verdicts_of(found: Sequence[Measurement]) -> list[Verdict]:
    return judge(found)


def publish(name: str, text: str, page: Path = PAGE) -> None:
    """Replaces what stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`."""
    begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
    before, found, rest = page.read_text().partition(begin)
    _old, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} lacks the markers of {name!r}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def deliver(
    name: str, result: msgspec.Struct, text: str, *, published: bool, section: str | None = None
) -> None:
    """Show what was measured, keep it, and put it on the page if that was asked for; into the section of this
    name, if it has another one than the result."""
    click.echo(text)
    to_terminal(f"\nkept in {keep(name, result)}")
    if published:
        publish(section or name, text)


@contextlib.contextmanager
def or_cannot_measure(*reasons: type[Exception]) -> Iterator[None]:
    """Exit with 2, and in words, where nothing could be measured, for one of these reasons as well."""
    try:
        yield
    except (CannotMeasure, *reasons) as reason:
        to_terminal(f"cannot measure: {reason}")
        sys.exit(2)


def in_order(names: object) -> list[str]:
    """Each once, in the order in which they come first."""
    return list(dict.fromkeys(names))  # type: ignore[call-overload]


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _middle(values: list[float], form: str) -> str:
    return form.format(statistics.median(values)) if values else ""


def _latencies(found: Sequence[Measurement], system: str, case: str) -> str:
    p50 = median(found, system, case, lambda load: load.p50_us)
    p99 = median(found, system, case, lambda load: load.p99_us)
    p999 = median(found, system, case, lambda load: load.p999_us)
    if p50 is None or p99 is None or p999 is None:
        return ""
    return f"{p50 / 1000:.2f} / {p99 / 1000:.2f} / {p999 / 1000:.2f}"
