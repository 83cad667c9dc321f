"""What users do, whichever face of the client they use: names, numbers, and when it is enough.  A user
works until a file says that it is to finish, then obtains what it wants once more, and waits for another file
that says that it may go.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import msgspec

RECIPES: Final = ("lock", "semaphore", "election", "queue")

PERMITS: Final = 2

NAMES: Final = {
    "lock": ("locks/a", "locks/b", "locks/c"),
    "semaphore": ("semaphores/a", "semaphores/b"),
    "election": ("elections/a", "elections/b", "elections/c"),
}
"""Few, so that users meet; not only one, for whoever is stopped in a line holds up all behind."""

QUEUE: Final = "queues/a"
JOBS: Final = "jobs"
"""Before the number of a job, where it is spoken of."""

DONE: Final = "done"
"""Below it stands, by job, under which token it was done."""

FINISH, LEAVE = "finish", "leave"
"""Files in the directory of the run."""

HELD_S: Final = 0.3
"""So long something is held, on the average: long enough to be stopped or killed meanwhile."""

ACCESSES: Final = 4
PAUSE_S: Final = 0.15
PATIENCE_S: Final = 6.0
LAST_PATIENCE_S: Final = 90.0
"""After everything is healed it is obtained within this time, or somebody must say why not."""

LAST_LOOK_S: Final = 1.0
"""So long somebody waits for one more job before he looks whether there are any."""

CARELESS: Final = 0.6
"""How often somebody goes to the resource without asking `check` before."""

GIVEN_BACK: Final = 0.1
"""How many jobs are not done at the first time."""

PUTS: Final = 0.8
"""Jobs for each that is worked on: fewer, so that it is empty now and then."""


class Task(msgspec.Struct, frozen=True):
    """What one user process is told; as one argument."""

    who: str
    url: str
    ttl_s: float
    recipes: tuple[str, ...]
    synchronous: bool
    directory: Path
    seed: str

    @property
    def resource(self) -> Path:
        return self.directory / "resource"

    @property
    def diary(self) -> Path:
        return self.directory / "diaries" / f"{self.who}.jsonl"

    @property
    def finishing(self) -> bool:
        return (self.directory / FINISH).exists()

    @property
    def may_leave(self) -> bool:
        return (self.directory / LEAVE).exists()

    def dice(self, recipe: str) -> random.Random:
        return random.Random(f"{self.seed}/{self.who}/{recipe}")

    def holder(self, recipe: str) -> str:
        return f"{self.who}/{recipe}"


def encode(task: Task) -> str:
    return msgspec.json.encode(task, enc_hook=str).decode()


def decode(argument: str) -> Task:
    return msgspec.json.decode(argument, type=Task, dec_hook=lambda kind, value: kind(value))
