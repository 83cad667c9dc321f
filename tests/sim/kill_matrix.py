"""Does the simulator notice?  Every mutant, in every profile of faults, until it is killed.

    python -m tests.sim.kill_matrix                          all mutants, each in the profiles that suit it
    python -m tests.sim.kill_matrix --mutant R6 --mutant R29 --profile membership
    python -m tests.sim.kill_matrix --publish                and write docs/mutants.md

From several starting seeds, one seed after the other is played with the mutant's parts until a run fails
that does not fail with the shipped ones; the figures are the medians over the starts.  A mutant that survives
in all of its profiles makes the exit code 1.
"""
from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agreed.sim.plan import PROFILES
from agreed.sim.run import run
from tests.sim.mutants import ALL, Mutant

STARTS = (0, 10_000, 20_000)
SEEDS = 400
SECONDS = 60.0

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

    mutant: Mutant
    profile: str
    kills: tuple[Kill, ...]
    starts: int

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
        outcome = run(seed, profile, parts=mutant.parts)
        now = time.process_time()
        if outcome.failure is not None and run(seed, profile).clean:
            return Kill(seed, seed - start + 1, now - began, now - began_last, outcome.failure)
        if now - began > seconds:
            return None
    return None


def try_out(mutant: Mutant, profile: str, starts: Sequence[int], seeds: int, seconds: float) -> Trial:
    kills = [hunt(mutant, profile, start, seeds, seconds) for start in starts]
    return Trial(mutant, profile, tuple(kill for kill in kills if kill is not None), len(kills))


# --- telling ----------------------------------------------------------------------------------------------


def line(trial: Trial) -> str:
    mutant = trial.mutant
    name = f"{mutant.id:<4} {mutant.name:<28} {trial.profile:<10}"
    if not trial.kills:
        return f"{name} SURVIVES"
    told = f"{name} {trial.seeds:>6.0f} seeds {trial.seconds:>7.1f} s  {trial.failure}"
    if len(trial.kills) < trial.starts:
        told += f"  (from {len(trial.kills)} of {trial.starts} starts)"
    return told


def table(trials: Sequence[Trial], seeds: int) -> str:
    """Of all, in Markdown."""
    profiles = [profile for profile in PROFILES if any(trial.profile == profile for trial in trials)]
    lines = [
        "| mutant | the rule it breaks | " + " | ".join(profiles) + " | seconds | noticed as |",
        "| --- | --- | " + " | ".join("---:" for _ in profiles) + " | ---: | --- |",
    ]
    for mutant in dict.fromkeys(trial.mutant for trial in trials):
        found = {trial.profile: trial for trial in trials if trial.mutant is mutant}
        cells = []
        for profile in profiles:
            trial = found.get(profile)
            if trial is None:
                cells.append("")
            elif not trial.killed:
                cells.append(f"> {seeds}")
            else:
                cells.append(f"{trial.seeds:.0f}")
        killed = [trial for trial in found.values() if trial.killed]
        best = min(killed, key=lambda trial: trial.seconds) if killed else None
        told = f"{best.seconds:.1f} | {best.failure}" if best is not None else "| **survives**"
        rule = mutant.rule.removeprefix(f"{mutant.id}: ")
        lines.append(f"| {mutant.id} `{mutant.name}` | {rule} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kill_matrix", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mutant", action="append", choices=list(ALL), help="only this one (more than once)")
    parser.add_argument("--profile", action="append", choices=PROFILES, help="instead of those that suit it")
    parser.add_argument("--every-profile", action="store_true")
    parser.add_argument("--starts", type=int, default=len(STARTS), help="from how many seeds to begin")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most, from each start")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the processor, from each start")
    parser.add_argument("--publish", action="store_true", help=f"write {PUBLISHED.name}")
    asked = parser.parse_args(arguments)
    mutants = [ALL[number] for number in asked.mutant] if asked.mutant else list(ALL.values())
    starts = [10_000 * place for place in range(asked.starts)]
    trials: list[Trial] = []
    survivors = []
    for mutant in mutants:
        profiles = asked.profile or (PROFILES if asked.every_profile else mutant.profiles)
        tried = []
        for profile in profiles:
            tried.append(try_out(mutant, profile, starts, asked.seeds, asked.seconds))
            print(line(tried[-1]), flush=True)
        trials += tried
        if not any(trial.killed for trial in tried):
            survivors.append(mutant.id)
    told = f"; {', '.join(survivors)} survive" if survivors else ""
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} killed{told}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
