"""Some nodes in memory that speak to each other, each with callers of the etcd API.

nodes = Together("n1", "n2", "n3")      they have a leader
nodes.leader, nodes.follower            names
nodes.caller("n2").ask("KV/Put", ...)   as in `calling.py`
nodes.pass_ms(300)                      time passes for all, and what they say arrives
nodes.cut.add("n3")                     says nothing to the others and hears nothing
nodes.start("n4", identity)             a node with an empty log, which the others call once it is a member
"""

from __future__ import annotations

import random

import msgspec

from agreed.consensus.machine import Ballot
from agreed.consensus.members import Member, Members
from agreed.consensus.protocols import ProtocolConfig, make
from agreed.consensus.raft.config import RaftConfig
from agreed.node.passwords import work
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.replica.settings import Settings
from agreed.replica.words import Surroundings
from agreed.store.machine import Store
from agreed.types import Instant
from tests.replica.alone import WALL_MS
from tests.replica.etcd.calling import Asked, Caller

MOST_TURNS = 400


class _Dice:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


class Node:
    """One of them, as `Caller` wants it."""

    def __init__(self, together: Together, replica: Replica) -> None:
        self._together = together
        self.replica = replica
        self.logs: list[str] = []

    @property
    def now(self) -> Instant:
        return self._together.now

    def turn(self) -> None:
        """Long enough for what a leader says with its next heartbeat only."""
        self._together.settle()
        self._together.pass_ms(300)


def member(name: str, identity: int) -> Member:
    return Member(name, identity, f"127.0.0.1:{7420 + identity}")


class Together:
    def __init__(
        self, *names: str, settings: Settings | None = None, consensus: ProtocolConfig | None = None
    ) -> None:
        self._consensus = consensus or RaftConfig()
        self.now: Instant = 0
        self.cut: set[str] = set()
        self.passwords: list[events.HashPassword | events.CheckPassword] = []
        """Every one that was hashed or checked."""
        self.nodes: dict[str, Node] = {}
        self._callers: dict[str, Caller] = {}
        self._settings = settings or Settings(etcd_bcrypt_cost=4)
        self.founders = Members(tuple(member(name, number) for number, name in enumerate(names, 1)))
        for number, name in enumerate(names, 1):
            self._make(name, number)
        self.until_led()

    def _make(self, name: str, identity: int) -> None:
        port = 2370 + identity
        settings = msgspec.structs.replace(
            self._settings, cluster=77, etcd_client_urls=(f"http://127.0.0.1:{port}",)
        )
        ballot, dice = Ballot(0, None), _Dice(identity)
        machine = make(
            self._consensus, name, self.founders, ballot, None, [], dice, self.now, identity
        )
        replica = Replica(
            name, identity, 1, settings, machine, Store(), 0, random.Random(identity).randbytes, Surroundings,
            self.now, WALL_MS + self.now,
        )  # fmt: skip
        self.nodes[name] = Node(self, replica)
        self._callers[name] = Caller(self.nodes[name])  # type: ignore[arg-type]

    def start(self, name: str, identity: int) -> None:
        """It says hello to all, as a stranger does."""
        self._make(name, identity)
        me = member(name, identity)
        for node in self.nodes.values():
            node.replica.step(events.StrangerSeen(name, identity, me.address, ""))
        self.settle()

    # --- time -----------------------------------------------------------------------------------------------

    def pass_ms(self, duration_ms: int, step_ms: int = 50) -> None:
        end = self.now + duration_ms
        while self.now < end:
            self.now += step_ms
            for node in self.nodes.values():
                node.replica.step(events.TimePassed(self.now, WALL_MS + self.now))
            self.settle()

    def settle(self) -> None:
        """Until nobody has anything to say any more."""
        for _ in range(MOST_TURNS):
            said = [self._turn(name, node.replica) for name, node in self.nodes.items()]
            if not any(said):
                return
        raise AssertionError("they speak for ever")

    def _turn(self, name: str, replica: Replica) -> bool:
        effects = replica.take()
        self.nodes[name].logs += [sentence for _, sentence in effects.logs]
        for target, message in effects.send:
            if not {name, target} & self.cut and target in self.nodes:
                self.nodes[target].replica.step(events.PeerMessage(name, message))
        for save in effects.saves:
            replica.step(events.Saved(save.serial))
        for job in effects.passwords:
            self.passwords.append(job)
            replica.step(work(job))
        return bool(effects.send or effects.saves or effects.passwords or effects.more)

    def until_led(self) -> None:
        for _ in range(200):
            self.pass_ms(50)
            names = {node.replica.machine.leader for name, node in self.nodes.items() if name not in self.cut}
            if None not in names and len(names) == 1:
                self.pass_ms(2_500)
                return
        raise AssertionError("nobody leads")

    # --- who ------------------------------------------------------------------------------------------------

    @property
    def leader(self) -> str:
        return next(
            name for name, node in self.nodes.items() if node.replica.leads and name not in self.cut
        )

    @property
    def follower(self) -> str:
        return next(name for name in self.nodes if name != self.leader and name not in self.cut)

    def caller(self, name: str) -> Caller:
        return self._callers[name]

    def replica(self, name: str) -> Replica:
        return self.nodes[name].replica


__all__ = ["Asked", "Node", "Together", "member"]
