"""What the fuzzers share: nonsense is made of sense, thrown, watched over, counted, and told of.

`Mutator` spoils what was good.  `run` throws inputs at something in this process: each is drawn from the seed
and its own number alone, so that `--first N --inputs 1` throws one again; each has a second of processor, and
more is a hang; what comes out of it as an exception is a problem.  Memory is looked at after a tenth of the
inputs, when caches are warm, and at the end (`Memory`); what grew too much in between is a problem too.
`main` is the command line around it.

What is thrown, and what has to hold afterwards, is each fuzzer's own.  The one that throws at a cluster of
processes (`fuzz`) has a loop of its own as well, since there nobody knows which input did the harm.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tests.progress import Progress

HANG_S = 1.0
GROWTH_LIMIT_BYTES = 64 * 1024 * 1024
MOST_PROBLEMS = 10


class Mutator:
    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def spoil(self, data: bytes) -> bytes:
        """Like `data`, with one to three things wrong."""
        spoilt = bytearray(data or b"\0")
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            self._one_thing(spoilt)
        return bytes(spoilt)

    def _one_thing(self, data: bytearray) -> None:
        dice = self._dice
        if not data:
            return
        at = dice.randrange(len(data))
        kind = dice.randrange(7)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at] = dice.choice((0, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = dice.randbytes(dice.randrange(1, 9))
        elif kind == 4:
            del data[at : at + dice.randrange(1, 9)]
        elif kind == 5:
            length = dice.choice((-1, -2, 0, 1, 0x7FFFFFFF, -0x80000000, len(data), 1 << 20))
            data[at : at + 4] = length.to_bytes(4, "big", signed=True)
        else:
            data += data[at : at + 64]


# --- what came of it ----------------------------------------------------------------------------------------


@dataclass
class Memory:
    """In bytes, of each process by its name: after a tenth of the inputs, and at the end."""

    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    def look(self, done: int, wanted: int, measure: Callable[[], dict[str, int]]) -> None:
        """Measure, if it is the first time since a tenth is done."""
        if not self.first and done >= max(1, wanted // 10):
            self.first = measure()

    def problems(self, limit_bytes: int) -> list[str]:
        growth = {name: last - self.first.get(name, last) for name, last in self.last.items()}
        return [f"{name} grew by {size >> 20} MiB" for name, size in growth.items() if size > limit_bytes]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {self.first.get(name, 0) >> 20} -> {last >> 20} MiB" for name, last in self.last.items()
        )


@dataclass
class Outcome:
    inputs: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    """What else there was of each kind, such as answers: without any, only a closed door was tested."""
    timed: str = "input"
    slowest_s: float = 0.0
    """Of what is timed."""
    memory: Memory = field(default_factory=Memory)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """What another process threw."""
        self.inputs += other.inputs
        self.counted += other.counted
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.memory.first.update(other.memory.first)
        self.memory.last.update(other.memory.last)
        self.problems += other.problems

    def __str__(self) -> str:
        counted = "".join(f"{count} {name}, " for name, count in sorted(self.counted.items()))
        return (
            f"{self.inputs} inputs: {counted}{len(self.problems)} problems; the slowest {self.timed} took"
            f" {self.slowest_s * 1000:.0f} ms; memory: {self.memory}"
        )

    def end(self) -> int:
        """Print all of it; the exit code that it deserves."""
        for problem in self.problems:
            print(problem)
        print(self)
        return 1 if self.problems else 0


# --- many of them, in this process --------------------------------------------------------------------------


class Fuzzer(Protocol):
    counted: Counter[str]

    def throw(self, dice: random.Random, number: int) -> None:
        """Throw one input, drawn by these dice.  Raises whatever should not come out."""


class Hang(BaseException):
    """One input took too much of the processor.  Not an Exception, so that nothing under test swallows it."""


def _hangs(_signal: int, _frame: object) -> None:
    raise Hang


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, _hangs)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(
    make: Callable[[], Fuzzer], inputs: int, seed: int = 1, first: int = 0, *, tell: bool = False
) -> Outcome:
    """Throw the inputs `first` and so on.  After a problem a fuzzer is made anew; the tenth is the end."""
    outcome = Outcome()
    fuzzer = make()
    progress = Progress(inputs, f"inputs from {first} on")

    def measure() -> dict[str, int]:
        return {f"inputs from {first} on": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}

    for number in range(first, first + inputs):
        started = time.process_time()
        try:
            with _in_time():
                fuzzer.throw(random.Random(f"{seed}:{number}"), number)
        except (Exception, Hang):
            outcome.problems.append(f"input {number} of seed {seed}:\n{traceback.format_exc()}")
            if len(outcome.problems) >= MOST_PROBLEMS:
                break
            outcome.counted += fuzzer.counted
            fuzzer = make()
        outcome.inputs += 1
        outcome.slowest_s = max(outcome.slowest_s, time.process_time() - started)
        outcome.memory.look(outcome.inputs, inputs, measure)
        if tell:
            progress.tell(outcome.inputs)
    outcome.counted += fuzzer.counted
    outcome.memory.last = measure()
    outcome.problems += outcome.memory.problems(GROWTH_LIMIT_BYTES)
    return outcome


# --- the command line ---------------------------------------------------------------------------------------


def options_of(name: str, teaching: str | None) -> argparse.ArgumentParser:
    """What every fuzzer can be told."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.torture.{name}",
        description=teaching,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def _share(make: Callable[[], Fuzzer], inputs: int, seed: int, first: int) -> Outcome:
    return run(make, inputs, seed, first, tell=True)


def main(name: str, teaching: str | None, make: Callable[[], Fuzzer]) -> int:
    parser = options_of(name, teaching)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the inputs")
    options = parser.parse_args()
    share = -(-options.inputs // options.jobs)
    shares = [(make, share, options.seed, options.first + share * turn) for turn in range(options.jobs)]
    if options.jobs == 1:
        return _share(*shares[0]).end()
    outcome = Outcome()
    with multiprocessing.Pool(options.jobs) as pool:
        for part in pool.starmap(_share, shares):
            outcome.add(part)
    return outcome.end()
