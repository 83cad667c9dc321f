"""The leader is killed under load, again and again; how long until the next write is acknowledged, and what
is lost?

    python -m tests.torture.failover --kills 30

Some kazoo clients, each knowing all three nodes, create nodes and count in a node of their own as fast as
they are answered.  At a random moment the leader gets SIGKILL; the clock runs until the first
acknowledgement, at any client, of a write that was asked after the kill.  Then the node comes back, catches
up, and the next leader dies.  At the end every acknowledged creation must be there, every counter at least
where it was acknowledged to be, and every client must still have the session it began with.
"""
from __future__ import annotations

import argparse
import logging
import random
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState

from tests.acceptance.cluster import Cluster, wait_until

CLIENTS = 6
SESSION_TIMEOUT_S = 10.0


@dataclass
class Outcome:
    kills: int = 0
    seconds: list[float] = field(default_factory=list)
    acknowledged: int = 0
    uncertain: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        middle = statistics.median(self.seconds) if self.seconds else 0.0
        return (
            f"{self.kills} leaders killed: next acknowledged write after {middle * 1000:.0f} ms (p50),"
            f" {max(self.seconds, default=0.0) * 1000:.0f} ms (max); {self.acknowledged} acknowledged writes,"
            f" {self.uncertain} without an answer; {len(self.problems)} problems"
        )


class Writer(threading.Thread):
    """One kazoo client at work; `acknowledgements` holds when each write was asked and when it was
    answered."""

    def __init__(self, number: int, hosts: str, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self.root = f"/failover/{number}"
        self._stopping = stopping
        self.client = KazooClient(hosts, timeout=SESSION_TIMEOUT_S, randomize_hosts=True)
        self.client.add_listener(self._state_changed)
        self.client.start(30)
        self.session_id = self.client.client_id[0]
        self.created: list[int] = []
        self.counted = 0
        self.uncertain = 0
        self.lost_sessions = 0
        self.asked_of_last = 0.0
        self.problems: list[str] = []

    def _state_changed(self, state: str) -> None:
        if state == KazooState.LOST:
            self.lost_sessions += 1

    def prepare(self) -> None:
        self.client.ensure_path(self.root)
        self.client.create(f"{self.root}/counter", b"0")

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            asked = time.monotonic()
            try:
                if number % 2:
                    self.client.set(f"{self.root}/counter", str(number).encode())
                    self.counted = number
                else:
                    self.client.create(f"{self.root}/n{number}", b"x")
                    self.created.append(number)
                self.asked_of_last = asked
            except NodeExistsError:
                self.problems.append(f"{self.root}/n{number}: somebody made it")
            except (ConnectionLoss, OperationTimeoutError, SessionExpiredError, KazooTimeoutError):
                self.uncertain += 1
                time.sleep(0.01)
            number += 1

    def judge(self, reader: KazooClient) -> list[str]:
        present = set(reader.get_children(self.root))
        problems = list(self.problems)
        lost = [n for n in self.created if f"n{n}" not in present]
        problems += [f"{self.root}/n{n} was acknowledged and is lost" for n in lost]
        value = int(reader.get(f"{self.root}/counter")[0])
        if value < self.counted:
            problems.append(f"{self.root}/counter is {value}, {self.counted} was acknowledged")
        if self.lost_sessions or self.client.client_id[0] != self.session_id:
            problems.append(f"{self.root}: the session was lost {self.lost_sessions} times")
        return problems


def kill_once(cluster: Cluster, writers: list[Writer], dice: random.Random) -> float:
    """Seconds until a write was acknowledged that was asked after the kill."""
    time.sleep(dice.uniform(0.3, 1.5))
    victim = cluster.wait_for_leader()
    killed = time.monotonic()
    victim.kill()
    dead = time.monotonic()  # what was asked before this may still have been answered by the victim

    def somebody_was_answered() -> bool:
        return any(writer.asked_of_last > dead for writer in writers)

    wait_until(somebody_was_answered, 60, "a write is acknowledged after the leader was killed")
    seconds = time.monotonic() - killed
    cluster.restart(victim)
    return seconds


def run(kills: int, seed: int = 1, *, tell: bool = False) -> Outcome:
    dice = random.Random(seed)
    outcome = Outcome()
    stopping = threading.Event()
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    with Cluster(3) as cluster:
        writers = [Writer(number, cluster.hosts, stopping) for number in range(CLIENTS)]
        for writer in writers:
            writer.prepare()
        for writer in writers:
            writer.start()
        for _ in range(kills):
            outcome.seconds.append(kill_once(cluster, writers, dice))
            outcome.kills += 1
            if tell:
                print(f"kill {outcome.kills}: {outcome.seconds[-1] * 1000:.0f} ms", flush=True)
        stopping.set()
        for writer in writers:
            writer.join(60)
        judge(cluster, writers, outcome)
    return outcome


def judge(cluster: Cluster, writers: list[Writer], outcome: Outcome) -> None:
    reader = KazooClient(cluster.hosts, timeout=SESSION_TIMEOUT_S)
    reader.start(30)
    reader.sync("/")
    for writer in writers:
        outcome.acknowledged += len(writer.created) + writer.counted // 2
        outcome.uncertain += writer.uncertain
        outcome.problems += writer.judge(reader)
    for client in (reader, *(writer.client for writer in writers)):
        client.stop()
        client.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.failover", description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    outcome = run(options.kills, options.seed, tell=True)
    for problem in outcome.problems[:20]:
        print(problem)
    print(outcome)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
