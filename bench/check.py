"""How long the judge takes, beside Porcupine, and how much memory.

    python -m bench.check --porcupine /tmp/timer/timer --histories ../histories [--rounds 5] [--publish]

Time: the logs of Jepsen's etcd test (FOLDER/porcupine/jepsen/*.log) are judged as compare-and-set
registers, a round by Porcupine, a round by ours, in turns.  Of each file the least of its rounds counts;
reading it does not.  Ours is the whole of `linearizable`: the verdict with its witness, or with the smallest
piece that cannot be.  The bar: all files together in at most 0.6 of Porcupine's time.

Memory: the peak (`ru_maxrss`) of a process of its own that judges every history of a single object in FOLDER,
as MANIFEST.tsv asks; and of one process for each of a few histories that are beyond all means, within the
bounds that `Budget` has by itself.  The bar: 1 GiB.

Porcupine is a library for Go and not part of this project.  The program that `--porcupine` names is a few
lines around it, built anywhere: `go mod init timer && go get github.com/anishathalye/porcupine && go build`.
Called as `timer ROUNDS FILE...` it makes of each file the events that Porcupine's own test makes of it, calls
`porcupine.CheckEvents` with that test's model of etcd as often as it was told, and prints

    FILE <tab> SECONDS <tab> VERDICT

for each file: the least of its rounds, with a point, and `Ok` or `Illegal`.  Without `--porcupine` only ours
is measured.  Ends with 1 if a bar was missed or a verdict is not the expected one.
"""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from agreed.check import linearizable, read
from agreed.check.history import History, Operation, Status, history
from agreed.check.models import MODELS, AnyModel, CasRegister, Keyed
from agreed.check.verdict import Budget, Outcome
from bench import report

BAR_TIME = 0.6
BAR_MEMORY_MIB = 1024
EXPECTED = {"ok": Outcome.HOLDS, "illegal": Outcome.VIOLATED}
TIMEOUT_S = 900.0


class Shared(msgspec.Struct, frozen=True):
    """A history of a folder with MANIFEST.tsv, what it is to be judged as, and the verdict."""

    file: str
    model: str
    initial: object
    whole: bool
    """All keys together as one object."""
    expected: Outcome

    def made_model(self) -> AnyModel:
        model = MODELS[self.model](self.initial)
        return Keyed(model) if self.whole else model


NAMES = {
    "cas-register": "cas-register",
    "kv": "key-value",
    "multi-register": "multi-register",
    "mutex": "mutex",
    "set": "set",
    "set-full": "set",
    "counter": "counter",
    "bank": "bank",
}
"""What MANIFEST.tsv calls the models."""

BEGINS = {"init=0": 0, "init x=0 y=0": {"x": 0, "y": 0}}
"""How it says that an object begins with something."""


def shared_histories(folder: Path) -> Iterator[Shared]:
    """Those of a single object, which are judged for linearizability."""
    with (folder / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name, _, more = row["model"].partition(" ")
            if name in NAMES:
                initial = next((value for said, value in BEGINS.items() if more.startswith(said)), None)
                whole = "whole-map" in more
                yield Shared(row["file"], NAMES[name], initial, whole, EXPECTED[row["expected"]])


# --- time -------------------------------------------------------------------------------------------------


class Timed(msgspec.Struct, frozen=True):
    """One file: the least seconds of each, and what each said."""

    file: str
    operations: int
    steps: int
    ours_s: float
    ours: str
    porcupine_s: float | None = None
    porcupine: str = ""


def porcupine_round(timer: Path, files: Sequence[Path]) -> dict[str, tuple[float, str]]:
    """Seconds and verdict by file.  Raises ValueError if the timer prints anything else."""
    done = subprocess.run(
        [str(timer), "1", *map(str, files)], capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    return parsed(done.stdout)


def parsed(text: str) -> dict[str, tuple[float, str]]:
    """What a timer printed."""
    found = {}
    for line in text.splitlines():
        file, seconds, verdict = line.split("\t")
        if verdict not in ("Ok", "Illegal"):
            raise ValueError(f"the timer says {verdict!r} of {file}")
        found[file] = float(seconds), verdict
    return found


def measure_time(timer: Path | None, files: Sequence[Path], rounds: int) -> list[Timed]:
    told = [read.history(file.read_text(encoding="utf-8"), file.name) for file in files]
    best: dict[Path, Timed] = {}
    for _ in range(rounds):
        theirs = porcupine_round(timer, files) if timer else {}
        for file, each in zip(files, told, strict=True):
            began = time.perf_counter()
            verdict = linearizable(each, CasRegister())
            ours_s = time.perf_counter() - began
            porcupine_s, said = theirs.get(str(file), (None, ""))
            before = best.get(file)
            if before is not None:
                ours_s = min(ours_s, before.ours_s)
                if porcupine_s is not None and before.porcupine_s is not None:
                    porcupine_s = min(porcupine_s, before.porcupine_s)
            best[file] = Timed(
                file.name, len(each), verdict.steps, ours_s, verdict.outcome.value, porcupine_s, said
            )
    return list(best.values())


# --- memory -----------------------------------------------------------------------------------------------


class Weighed(msgspec.Struct, frozen=True):
    """What a process of its own judged, and its peak."""

    name: str
    outcome: str
    reason: str
    steps: int
    seconds: float
    peak_mib: int


def overlapping(model: str, asked: Sequence[tuple[str, object, object]]) -> History:
    """Operations of as many clients, all at once."""
    return history(
        Operation(number, number, function, argument, result, 0, 1_000 + number, Status.OK)
        for number, (function, argument, result) in enumerate(asked)
    )


def beyond_all_means(name: str) -> History:
    """Histories in which everything overlaps, and an answer that nothing explains: all there is has to be
    tried, and there is more of it than anybody can keep."""
    many = range(24)
    if name == "counter":
        return overlapping(name, [*(("add", 1 << n, None) for n in many), ("read", None, (1 << 24) + 1)])
    if name == "fifo-queue":
        enter, take = (("enqueue", n, None) for n in many), (("dequeue", None, n) for n in many)
        return overlapping(name, [*enter, *take, ("dequeue", None, "what nobody entered")])
    if name == "cas-register":
        swaps = [("cas", [n, other], None) for n in range(12) for other in range(12) if n != other]
        return overlapping(name, [("write", 0, None), *swaps[:60], ("read", None, "what nobody wrote")])
    assert name == "tree"
    sets = [("set", {"path": path, "data": n}, None) for n in range(12) for path in ("/a", "/b")]
    made = [("create", {"path": path}, path) for path in ("/a", "/b")]
    return overlapping(name, [*made, *sets, ("get", "/a", {"data": "what nobody wrote"})])


BEYOND = ("counter", "fifo-queue", "cas-register", "tree")


def weigh_beyond(name: str) -> Weighed:
    began = time.perf_counter()
    verdict = linearizable(beyond_all_means(name), MODELS[name](None))
    return _weighed(f"beyond all means: {name}", verdict.outcome.value, verdict.reason, verdict.steps, began)


def weigh_all(folder: Path) -> Weighed:
    began, steps, wrong = time.perf_counter(), 0, []
    for each in shared_histories(folder):
        told = read.history((folder / each.file).read_text(encoding="utf-8"), each.file)
        verdict = linearizable(told, each.made_model(), Budget())
        steps += verdict.steps
        if verdict.outcome is not each.expected:
            wrong.append(each.file)
    outcome = "as expected" if not wrong else "not as expected"
    return _weighed("all files", outcome, ", ".join(wrong), steps, began)


def _weighed(name: str, outcome: str, reason: str, steps: int, began: float) -> Weighed:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Weighed(name, outcome, reason, steps, time.perf_counter() - began, peak_kib // 1024)


def in_a_process(*arguments: str) -> Weighed:
    """Measured by this program, called again; so that nothing else counts."""
    command = [sys.executable, "-m", "bench.check", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S)
    return msgspec.json.decode(done.stdout, type=Weighed)


# --- the whole --------------------------------------------------------------------------------------------


class Judged(msgspec.Struct, frozen=True):
    """One whole run, as it is kept."""

    taken: str
    rounds: int
    timed: list[Timed]
    weighed: list[Weighed]

    @property
    def ratio(self) -> float | None:
        """Ours to Porcupine's, all files together."""
        theirs = [each.porcupine_s for each in self.timed if each.porcupine_s is not None]
        return sum(each.ours_s for each in self.timed) / sum(theirs) if theirs else None

    @property
    def holds(self) -> bool:
        """Whether both bars do, and all verdicts are as expected."""
        agree = {"": ("holds", "violated"), "Ok": ("holds",), "Illegal": ("violated",)}
        return (
            (self.ratio is None or self.ratio <= BAR_TIME)
            and all(each.ours in agree[each.porcupine] for each in self.timed)
            and all(each.peak_mib <= BAR_MEMORY_MIB for each in self.weighed)
            and all(each.outcome in ("as expected", "unknown") for each in self.weighed)
        )


def as_text(result: Judged) -> str:
    """For people, and for the page."""
    slowest = sorted(result.timed, key=lambda each: -max(each.ours_s, each.porcupine_s or 0))[:5]
    ours_ms = 1000 * sum(each.ours_s for each in result.timed)
    rows = [_row(each.file, each.ours_s, each.porcupine_s) for each in slowest]
    theirs = [each.porcupine_s for each in result.timed if each.porcupine_s is not None]
    everything = f"all {len(result.timed)} files"
    rows.append(_row(everything, ours_ms / 1000, sum(theirs) if theirs else None))
    time_table = report.table(["history", "ours ms", "Porcupine ms", "ratio"], rows)
    memory = report.table(
        ["memory", "verdict", "steps", "seconds", "peak MiB"],
        [
            [each.name, each.outcome, f"{each.steps:,}", f"{each.seconds:.1f}", f"{each.peak_mib:,}"]
            for each in result.weighed
        ],
    )
    head = f"Taken {result.taken}, the least of {result.rounds} rounds; Python {sys.version.split()[0]}."
    return f"{head}\n\n{time_table}\n\n{memory}"


def _row(name: str, ours_s: float, porcupine_s: float | None) -> list[str]:
    if porcupine_s is None:
        return [name, f"{1000 * ours_s:.2f}", "-", "-"]
    return [name, f"{1000 * ours_s:.2f}", f"{1000 * porcupine_s:.2f}", f"{ours_s / porcupine_s:.2g}x"]


@click.command()
@click.option("--porcupine", type=click.Path(path_type=Path, exists=True), help="The program around it.")
@click.option("--histories", type=click.Path(path_type=Path, exists=True), help="With MANIFEST.tsv.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--publish", is_flag=True, help="Write the tables into docs/benchmarks.md.")
@click.option("--weigh", type=click.Choice([*BEYOND, "all"]), help="One measurement of memory, as JSON.")
def main(
    porcupine: Path | None, histories: Path | None, rounds: int, publish: bool, weigh: str | None
) -> None:
    """How long the judge takes beside Porcupine, and how much memory.

    Exit status: 0, 1 if a bar was missed or a verdict is not the expected one.
    """
    if weigh in BEYOND:
        click.echo(msgspec.json.encode(weigh_beyond(weigh)).decode())
        return
    if histories is None:
        raise click.UsageError("--histories is missing")
    if weigh == "all":
        click.echo(msgspec.json.encode(weigh_all(histories)).decode())
        return
    files = sorted((histories / "porcupine" / "jepsen").glob("*.log"))
    if not files:
        raise click.UsageError(f"there are no logs in {histories}/porcupine/jepsen")
    timed = measure_time(porcupine, files, rounds)
    weighed = [in_a_process("--weigh", "all", "--histories", str(histories))]
    weighed += [in_a_process("--weigh", each) for each in BEYOND]
    result = Judged(report.now(), rounds, timed, weighed)
    report.deliver("check", result, as_text(result), published=publish)
    click.echo("the bars hold" if result.holds else "A BAR WAS MISSED")
    sys.exit(0 if result.holds else 1)


if __name__ == "__main__":
    main()
