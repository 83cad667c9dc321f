"""Where the leader's time goes while it takes writes: `python -m bench.profile`.

Two instruments, each used where it is there, and each attached to a running leader for a few seconds:

py-spy   samples the Python stacks a few hundred times a second from outside, and so hardly disturbs what it
looks at.  It tells which module of ours the time is spent in.  Time in a C extension counts for the Python
line that called it.  (`pip install py-spy`; it may read another process only as root or with ptrace allowed.)
perf     samples the whole process with all its threads, and tells the kernel, the interpreter and each
extension apart, but no Python function.

Without py-spy, cProfile takes its place: every node is started under it, so the interpreter calls it at every
call and return; many small functions then look more expensive than they are, and throughput drops to a part.
The report says which of them was used.
"""

from __future__ import annotations

import pstats
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from bench import generator, report
from bench.cluster import Cluster
from bench.compare import KEYS, warm_up
from bench.generator import CannotMeasure, Load, LoadResult
from bench.systems import Agreed, NodePorts

SHAPES = ((50, 1), (10, 50))
SAMPLES_PER_S = 400
HIDDEN_BELOW = 0.005
MOST_FUNCTIONS = 20


class Breakdown(msgspec.Struct, frozen=True):
    """Shares from 0 to 1, largest first.  `own`: in that module itself; `below`: in it or in what it called;
    `functions`: in that function itself."""

    instrument: str
    own: dict[str, float]
    below: dict[str, float]
    functions: dict[str, float]


class ProfileOf(msgspec.Struct, frozen=True):
    load: str
    result: LoadResult
    modules: Breakdown
    objects: Breakdown | None


class Profiles(msgspec.Struct, frozen=True):
    taken: str
    version: str
    profiles: list[ProfileOf]


class AgreedUnderProfiler(Agreed):
    """Each node leaves `profile.out` in its directory when it ends."""

    def command(self, number: int, ports: list[NodePorts], directory: Path) -> list[str]:
        plain = super().command(number, ports, directory)
        return [sys.executable, "-m", "cProfile", "-o", str(directory / "profile.out"), *plain]


def profile(connections: int, outstanding: int, seconds: float, place: Path) -> ProfileOf:
    sampler = find_py_spy()
    with Cluster(Agreed() if sampler else AgreedUnderProfiler(), place) as cluster:
        warm_up(cluster, 2.0)
        leader = cluster.leader()
        pid = cluster.processes[leader].pid
        load = Load(
            operation="set",
            connections=connections,
            outstanding=outstanding,
            keys=KEYS,
            existing=True,
            seconds=seconds + 2.0,
        )
        running = generator.start(load, cluster.addresses(leader))
        try:
            objects = by_object(pid, seconds, place) if shutil.which("perf") else None
            modules = by_module(sampler, pid, seconds, place) if sampler else None
            result = generator.finish(running, load)
        finally:
            running.kill()
        if modules is None:
            cluster.stop()
            modules = from_cprofile(cluster.directories[leader] / "profile.out")
    return ProfileOf(load.name, result, modules, objects)


def find_py_spy() -> str | None:
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def by_module(py_spy: str, pid: int, seconds: float, place: Path) -> Breakdown:
    with tempfile.NamedTemporaryFile(dir=place, suffix=".stacks") as output:
        options = ["--format", "raw", "--full-filenames", "--rate", str(SAMPLES_PER_S), "--nonblocking"]
        span = ["--duration", str(max(1, round(seconds / 2)))]
        _run([py_spy, "record", "--pid", str(pid), "--output", output.name, *options, *span], seconds)
        return from_stacks(Path(output.name).read_text())


def by_object(pid: int, seconds: float, place: Path) -> Breakdown:
    with tempfile.NamedTemporaryFile(dir=place, suffix=".perf") as data:
        span = ["sleep", str(max(1, round(seconds / 2)))]
        _run(
            ["perf", "record", "-q", "-F", str(SAMPLES_PER_S), "-p", str(pid), "-o", data.name, "--", *span],
            seconds,
        )
        text = _run(["perf", "report", "-q", "-i", data.name, "--stdio", "--sort", "dso"], seconds)
    shares = {
        match[2]: float(match[1]) / 100 for match in re.finditer(r"^\s*([\d.]+)%\s+(\S+)", text, re.MULTILINE)
    }
    return Breakdown("perf", shares, {}, {})


def from_stacks(text: str) -> Breakdown:
    """Lines of `outermost;...;innermost count`, a frame being `function (path:line)`."""
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        modules = [module_of(frame) for frame in frames]
        own[modules[-1]] += int(count)
        below.update(dict.fromkeys(modules, int(count)))
        functions[function_of(frames[-1])] += int(count)
    return _shares("py-spy", own, below, functions)


def from_cprofile(path: Path) -> Breakdown:
    """cProfile has no stacks, so `below` is left out: times of nested calls cannot be added up."""
    own: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    statistics: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    statistics = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    for (file, _, name), (_, _, own_s, _, _) in statistics.items():
        frame = f"{name} ({file}:0)" if file != "~" else name
        own[module_of(frame)] += round(own_s * 1e6)
        functions[function_of(frame)] += round(own_s * 1e6)
    return _shares("cProfile", own, Counter(), functions)


def module_of(frame: str) -> str:
    """Ours by path below the package; of others the top of the package; C functions by their name."""
    place = re.search(r"\((.+?)(?::\d+)?\)$", frame)
    if place is None or "/" not in place[1]:
        return frame
    parts = Path(place[1]).parts
    if "agreed" in parts:
        last = len(parts) - 1 - parts[::-1].index("agreed")
        return "/".join(parts[last + 1 :])
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return f"python: {parts[-1]}"


def function_of(frame: str) -> str:
    module = module_of(frame)
    return frame if module == frame else f"{module}: {frame.partition(' (')[0]}"


def _shares(instrument: str, own: Counter[str], below: Counter[str], functions: Counter[str]) -> Breakdown:
    total = max(own.total(), 1)

    def divided(counts: Counter[str]) -> dict[str, float]:
        return {name: count / total for name, count in counts.most_common()}

    return Breakdown(instrument, divided(own), divided(below), divided(functions))


def _run(command: Sequence[str], seconds: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{command[0]} did not end in its time") from None
    if done.returncode:
        raise CannotMeasure(f"{command[0]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def as_text(result: Profiles) -> str:
    parts = [f"Taken {result.taken} of {result.version}."]
    for each in result.profiles:
        parts.append(f"### {each.load} on the leader: {each.result.throughput:,.0f}/s")
        parts.append(_table(each.modules, "module"))
        functions = [
            [name, f"{share:.1%}"] for name, share in list(each.modules.functions.items())[:MOST_FUNCTIONS]
        ]
        parts.append(report.table([f"function ({each.modules.instrument})", "own time"], functions))
        if each.objects is not None:
            parts.append(_table(each.objects, "object"))
    return "\n\n".join(parts)


def _table(of: Breakdown, what: str) -> str:
    rows = [
        [name, f"{share:.1%}", *([f"{of.below[name]:.1%}"] if of.below else [])]
        for name, share in of.own.items()
        if share >= HIDDEN_BELOW
    ]
    heads = [f"{what} ({of.instrument})", "own time", *(["with what it calls"] if of.below else [])]
    return report.table(heads, rows)


@click.command()
@click.option("--seconds", default=8.0, show_default=True, type=click.FloatRange(2, 60), help="Per shape.")
@click.option("--directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
def main(seconds: float, directory: Path | None, publish: bool) -> None:
    """Where the leader's time goes at `set` 50x1 and 10x50."""
    place = directory or Path(tempfile.gettempdir())
    with report.or_cannot_measure():
        profiles = [profile(*shape, seconds, place) for shape in SHAPES]
    result = Profiles(report.now(), Agreed().version(), profiles)
    report.deliver("profile", result, as_text(result), published=publish)


if __name__ == "__main__":
    main()
