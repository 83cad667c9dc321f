"""Does the simulator notice?  Every mutant, in every profile of faults that suits it, until it is killed.

    python -m tests.sim.kill_matrix                          all mutants, each in the profiles that suit it
    python -m tests.sim.kill_matrix --mutant R6 --mutant R29 --profile membership
    python -m tests.sim.kill_matrix --kept FILE --minutes 2  in pieces: go on with what is not in the file yet
    python -m tests.sim.kill_matrix --kept FILE --publish    and write the table into docs/mutants.md

From several starting seeds, one seed after the other is played with the mutant's parts until a run fails
that does not fail with the shipped ones; the figures are the medians over the starts.  A mutant that survives
in all of its profiles makes the exit code 1.  Beside the profiles of the simulator there are those of
`mutants/grounds.py`.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agreed.consensus import protocols
from agreed.sim.plan import PROFILES
from agreed.sim.run import SHIPPED
from tests.sim.mutants import ALL, FAMILIES, Mutant
from tests.sim.mutants.grounds import GROUNDS, play, shipped

STARTS = (0, 10_000, 20_000)
SEEDS = 400
SECONDS = 60.0

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
PUBLISHED = Path(__file__).resolve().parent.parent.parent / "docs" / "mutants.md"


class Kill(msgspec.Struct, frozen=True):
    """From one starting seed: what it took."""

    seed: int
    """The one that killed."""
    seeds: int
    seconds: float
    """Of the processor."""
    last_seconds: float
    """Those of the killing seed alone."""
    failure: str


class Trial(msgspec.Struct, frozen=True):
    """One mutant in one profile."""

    number: str
    profile: str
    kills: tuple[Kill, ...]
    starts: int

    @property
    def mutant(self) -> Mutant:
        return ALL[self.number]

    @property
    def killed(self) -> bool:
        """From most of the starts."""
        return 2 * len(self.kills) > self.starts

    @property
    def seeds(self) -> float:
        return statistics.median(kill.seeds for kill in self.kills)

    @property
    def seconds(self) -> float:
        return statistics.median(kill.seconds for kill in self.kills)

    @property
    def failure(self) -> str:
        """The most frequent one."""
        failures = [kill.failure for kill in self.kills]
        return max(failures, key=failures.count)


def hunt(mutant: Mutant, profile: str, start: int, seeds: int, seconds: float) -> Kill | None:
    """Play seeds from this one on until the mutant is killed; None where it outlives them, or the time."""
    began = time.process_time()
    for seed in range(start, start + seeds):
        began_last = time.process_time()
        failure = play(profile, seed, mutant.parts, mutant.part)
        now = time.process_time()
        if failure is not None and play(profile, seed, SHIPPED, shipped(mutant.part)) is None:
            return Kill(seed, seed - start + 1, now - began, now - began_last, failure)
        if now - began > seconds:
            return None
    return None


def try_out(mutant: Mutant, profile: str, starts: Sequence[int], seeds: int, seconds: float) -> Trial:
    kills = [hunt(mutant, profile, start, seeds, seconds) for start in starts]
    return Trial(mutant.id, profile, tuple(kill for kill in kills if kill is not None), len(kills))


# --- telling ----------------------------------------------------------------------------------------------


def line(trial: Trial) -> str:
    mutant = trial.mutant
    name = f"{mutant.id:<4} {mutant.name:<34} {trial.profile:<18}"
    if not trial.kills:
        return f"{name} SURVIVES"
    told = f"{name} {trial.seeds:>6.0f} seeds {trial.seconds:>7.1f} s  {trial.failure}"
    if len(trial.kills) < trial.starts:
        told += f"  (from {len(trial.kills)} of {trial.starts} starts)"
    return told


def table(trials: Sequence[Trial], seeds: int) -> str:
    """Of all, in Markdown: one for each family."""
    tables = []
    for letter, family in FAMILIES.items():
        of_family = [trial for trial in trials if trial.number.startswith(letter)]
        if of_family:
            tables.append(f"### {family}\n\n" + "\n".join(_lines(of_family, seeds)))
    return "\n\n".join(tables)


def _lines(trials: Sequence[Trial], seeds: int) -> list[str]:
    profiles = [profile for profile in GROUNDS if any(trial.profile == profile for trial in trials)]
    lines = [
        "| mutant | the rule it breaks | " + " | ".join(map(_column, profiles)) + " | seconds | noticed as |",
        "| --- | --- | " + " | ".join("---:" for _ in profiles) + " | ---: | --- |",
    ]
    for mutant in ALL.values():
        found = {trial.profile: trial for trial in trials if trial.mutant is mutant}
        if not found:
            continue
        cells = [_cell(found.get(profile), seeds) for profile in profiles]
        killed = [trial for trial in found.values() if trial.killed]
        best = min(killed, key=lambda trial: trial.seconds) if killed else None
        told = f"{best.seconds:.1f} | {best.failure}" if best is not None else "| **survives**"
        rule = mutant.rule.partition(": ")[2]
        lines.append(f"| {mutant.id} `{mutant.name}` | {rule} | {' | '.join(cells)} | {told} |")
    return lines


def _column(profile: str) -> str:
    """Which protocol it is, the table says."""
    consensus, _, faults = profile.partition("-")
    return faults if consensus in protocols.NAMES else profile


def _cell(trial: Trial | None, seeds: int) -> str:
    if trial is None:
        return ""
    return f"{trial.seeds:.0f}" if trial.killed else f"> {seeds}"


def told(trials: Sequence[Trial], asked: Sequence[str]) -> tuple[str, int]:
    """How it ended, in a line; and the exit code."""
    killed = {trial.number for trial in trials if trial.killed}
    survivors = [number for number in asked if number not in killed]
    line = f"{len(asked) - len(survivors)} of {len(asked)} killed"
    if survivors:
        return f"{line}; {', '.join(survivors)} survive", 1
    best = [min(t.seeds for t in trials if t.number == number and t.killed) for number in asked]
    return f"{line}, half of them by {statistics.median(best):.0f} seeds or fewer", 0


def publish(trials: Sequence[Trial], seeds: int) -> None:
    """Put the table into the page, between its marks."""
    text = PUBLISHED.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    line, _ = told(trials, list(ALL))
    found = f"{line[0].upper()}{line[1:]}.\n\n{table(trials, seeds)}"
    PUBLISHED.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}", encoding="utf-8")


# --- trials that are kept ---------------------------------------------------------------------------------


def read_kept(file: Path | None) -> list[Trial]:
    if file is None or not file.exists():
        return []
    return [msgspec.json.decode(line, type=Trial) for line in file.read_bytes().splitlines()]


def keep(file: Path | None, trial: Trial) -> None:
    if file is not None:
        with file.open("ab") as opened:
            opened.write(msgspec.json.encode(trial) + b"\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kill_matrix", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mutant", action="append", choices=list(ALL), help="only this one (more than once)")
    parser.add_argument("--profile", action="append", choices=GROUNDS, help="instead of those that suit it")
    parser.add_argument("--every-profile", action="store_true", help="instead of those that suit it")
    parser.add_argument("--best", action="store_true", help="only in the profile that suits it best")
    parser.add_argument("--starts", type=int, default=len(STARTS), help="from how many seeds to begin")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most, from each start")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the processor, from each start")
    parser.add_argument("--kept", type=Path, help="a file of trials: those in it are not made again")
    parser.add_argument("--minutes", type=float, help="begin no trial after so long")
    parser.add_argument("--publish", action="store_true", help=f"write the table into {PUBLISHED.name}")
    asked = parser.parse_args(arguments)
    mutants = [ALL[number] for number in asked.mutant] if asked.mutant else list(ALL.values())
    starts = [10_000 * place for place in range(asked.starts)]
    trials = read_kept(asked.kept)
    known = {(trial.number, trial.profile) for trial in trials}
    ends_at = time.monotonic() + 60 * (asked.minutes or 1e9)
    for mutant in mutants:
        suiting = mutant.profiles[:1] if asked.best else mutant.profiles
        for profile in asked.profile or (PROFILES if asked.every_profile else suiting):
            if (mutant.id, profile) in known or time.monotonic() > ends_at:
                continue
            trials.append(try_out(mutant, profile, starts, asked.seeds, asked.seconds))
            keep(asked.kept, trials[-1])
            print(line(trials[-1]), flush=True)
    if asked.publish:
        publish(trials, asked.seeds)
    sentence, code = told(trials, [mutant.id for mutant in mutants])
    print(sentence)
    return code


if __name__ == "__main__":
    sys.exit(main())
