"""What breaks the bank comes back in time, and what ends by itself does not go unseen."""
from __future__ import annotations

from random import Random

from tests.transactions.bank_faults import KINDS, Faults, Pause


class Victim:
    def __init__(self) -> None:
        self.running = True
        self.killed = 0

    def kill(self) -> None:
        assert self.running
        self.running = False
        self.killed += 1

    def start(self) -> None:
        assert not self.running
        self.running = True


class Ground:
    """Three victims of each kind and a clock that is turned by hand."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.victims = {kind: [Victim() for _ in range(3)] for kind in KINDS}
        self.faults = Faults(
            self.victims, Random(seed), (0.5, 1.0), dict.fromkeys(KINDS, (0.1, 2.0)), lambda: self.now
        )

    @property
    def all(self) -> list[Victim]:
        return [victim for victims in self.victims.values() for victim in victims]

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.now += 0.1
            self.faults.step()


def test_every_kind_breaks_and_several_at_once_and_nothing_stays_down() -> None:
    ground = Ground(1)
    most_down = 0
    for _ in range(300):
        ground.pass_time(0.1)
        most_down = max(most_down, sum(not victim.running for victim in ground.all))
    assert set(ground.faults.broken) == set(KINDS)
    assert ground.faults.broken.total() == sum(victim.killed for victim in ground.all) > 30
    assert most_down > 1
    ground.faults.heal()
    assert all(victim.running for victim in ground.all)
    assert not ground.faults.ended


def test_who_ended_by_itself_is_counted_and_started_again() -> None:
    ground = Ground(2)
    victim = ground.victims["node"][0]
    victim.running = False
    ground.faults.step()
    assert victim.running
    assert ground.faults.ended == {"node": 1}


def test_who_stands_still_was_not_killed() -> None:
    done: list[str] = []
    pause = Pause(lambda: done.append("stop"), lambda: done.append("go on"))
    faults = Faults({"pause": [pause]}, Random(3), (0.0, 0.0), {"pause": (1.0, 1.0)}, lambda: 5.0)
    faults.step()
    faults.heal()
    assert done == ["stop", "go on"]
    assert faults.broken == {"pause": 1}
