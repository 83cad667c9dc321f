"""What breaks while the bank works: its clients, its databases and the nodes of the cluster, by SIGKILL.

Clients are where the coordinators live; each of them is nearly always within a transfer, so that a kill at a
random instant meets every step of the protocol sooner or later.  What was killed is started again after a
random time.  Often several fall at once, so that also a coordinator with its database is gone, or a majority
of the nodes.

Clients and nodes are also stopped (SIGSTOP) and go on later as if nothing had happened: a coordinator which
sleeps longer than its transaction may take wakes up to commit what has been aborted in the meantime.
"""
from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

WEIGHTS: Mapping[str, int] = {"coordinator": 5, "database": 2, "node": 3, "pause": 2}
KINDS = tuple(WEIGHTS)

AT_ONCE = (1, 1, 1, 2, 3)
"""How many fall together, each as often as it stands here."""


class Breakable(Protocol):
    @property
    def running(self) -> bool: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...


class Pause:
    """Makes a process stand still where it would be killed, and go on where it would be started."""

    running = True

    def __init__(self, stop: Callable[[], None], go_on: Callable[[], None]) -> None:
        self.kill, self.start = stop, go_on


class Faults:
    """`victims`: kind -> those of that kind.  `between_s`: the least and the most seconds between two faults;
    `away_s`: from a fault to its end, for each kind.  `step` is to be called often, from the thread that
    starts processes; nothing is broken between its calls."""

    def __init__(
        self,
        victims: Mapping[str, Sequence[Breakable]],
        dice: Random,
        between_s: tuple[float, float],
        away_s: Mapping[str, tuple[float, float]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._victims = {kind: list(each) for kind, each in victims.items() if each}
        self._dice = dice
        self._between_s = between_s
        self._away_s = away_s
        self._down: list[tuple[float, Breakable]] = []
        self._clock = clock
        self._next = clock() + dice.uniform(*between_s)
        self.broken: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        """By themselves.  A database may: its killed predecessor is still going away."""

    def step(self) -> None:
        now = self._clock()
        self._raise_the_dead(now)
        if now >= self._next:
            self._next = now + self._dice.uniform(*self._between_s)
            for _ in range(self._dice.choice(AT_ONCE)):
                self._break_one(now)

    def _break_one(self, now: float) -> None:
        kinds = list(self._victims)
        (kind,) = self._dice.choices(kinds, [WEIGHTS[each] for each in kinds])
        down = [each for _, each in self._down]
        standing = [each for each in self._victims[kind] if each not in down and each.running]
        if standing:
            victim = self._dice.choice(standing)
            victim.kill()
            self.broken[kind] += 1
            self._down.append((now + self._dice.uniform(*self._away_s[kind]), victim))

    def heal(self) -> None:
        """Everything runs again, though it need not serve yet."""
        self._raise_the_dead(float("inf"))

    def _raise_the_dead(self, now: float) -> None:
        for due, victim in list(self._down):
            if due <= now:
                self._down.remove((due, victim))
                victim.start()
        down = [each for _, each in self._down]
        for kind, victims in self._victims.items():
            for victim in victims:
                if victim not in down and not victim.running:
                    self.ended[kind] += 1
                    victim.start()
