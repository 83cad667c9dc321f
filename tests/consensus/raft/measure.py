"""How long one event takes: three machines in one process, without a network or a disk.

    python -m tests.consensus.raft.measure [--cycles 20000] [--payload-bytes 4096]

Each cycle is one batch of writes on its way: proposed at the leader, sent, saved by all three, acknowledged,
committed.  Told are microseconds of `step` and `take` together, for each kind of event on each role: the
median, for on a shared machine the mean measures the neighbours.  """
from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict, deque

from agreed.consensus.machine import Ballot, Event, Proposed, Received, Saved, TimePassed
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft


class FixedDice:
    def between(self, low: int, high: int) -> int:
        return low


class Bench:
    def __init__(self) -> None:
        names = ("n1", "n2", "n3")
        members = Members(tuple(Member(name, number, "") for number, name in enumerate(names, 1)))
        self.machines = {
            name: Raft(name, members, Ballot(0, None), None, [], RaftConfig(), FixedDice(), 0)
            for name in names
        }
        self.queue: deque[tuple[str, Event]] = deque()
        self.spent: dict[str, list[float]] = defaultdict(list)
        self.committed = 0

    def turn(self, name: str, event: Event) -> None:
        machine = self.machines[name]
        kind = type(event.message if isinstance(event, Received) else event).__name__
        begin = time.perf_counter()
        machine.step(event)
        effects = machine.take()
        self.spent[f"{machine.role.name} {kind}"].append(time.perf_counter() - begin)
        if effects.save is not None:
            self.queue.append((name, Saved(effects.save.serial)))
        for send in effects.send:
            self.queue.append((send.target, Received(name, send.message)))
        if name == "n1":
            self.committed += len(effects.commit)

    def drain(self) -> None:
        while self.queue:
            self.turn(*self.queue.popleft())

    def report(self) -> str:
        lines = [f"{'role and event':34} {'events':>8} {'µs each':>8}"]
        total = 0.0
        for kind, spent in sorted(self.spent.items()):
            each = statistics.median(spent) * 1e6
            total += each * len(spent)
            lines.append(f"{kind:34} {len(spent):8} {each:8.2f}")
        lines.append(f"{'a whole cycle, three machines':34} {self.committed:8} {total / self.committed:8.2f}")
        return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=20_000)
    parser.add_argument("--payload-bytes", type=int, default=4096)
    options = parser.parse_args()
    bench = Bench()
    bench.turn("n1", TimePassed(500))
    bench.drain()
    assert bench.machines["n1"].leads
    bench.spent.clear()
    bench.committed = 0
    payload = b"x" * options.payload_bytes
    now = 500
    for cycle in range(options.cycles):
        if cycle % 2 == 0:
            now += 1
            for name in bench.machines:
                bench.turn(name, TimePassed(now))
        bench.turn("n1", Proposed(payload, ("n2",)))
        bench.drain()
    print(bench.report())


if __name__ == "__main__":
    main()
