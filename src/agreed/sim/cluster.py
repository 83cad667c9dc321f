"""The cluster of a run: nodes, network, clients and the judge, in one place."""
from __future__ import annotations

from agreed.consensus.members import everybody
from agreed.sim.clients import Client
from agreed.sim.etcd_clients import EtcdClient
from agreed.sim.history import Recorder
from agreed.sim.judge import Judge
from agreed.sim.network import Network
from agreed.sim.node import Node
from agreed.sim.parts import Parts
from agreed.sim.plan import Ask, Plan, client_names, node_names
from agreed.sim.story import Story
from agreed.sim.trace import Trace
from agreed.sim.world import MS, World
from agreed.sim.zookeeper_clients import ZooKeeperClient
from agreed.store.records import Record

PROBED = 1_000_000
PROBES_FROM = 40_000
"""Above the numbers of all that a plan asks for, and of all its clients."""


class Cluster:
    def __init__(self, plan: Plan, parts: Parts, trace: Trace) -> None:
        self.plan = plan
        self.parts = parts
        self.world = World(plan.seed, trace)
        self.network = Network(self.world, plan.conditions)
        self.recorder = Recorder()
        self.story = Story(self.world)
        self.judge = Judge(self)
        self.acting: Node | None = None
        """Whose turn it is, for who has to say whose mistake something was."""
        self.calm = False
        """The storm is over."""
        self.disturbed_at = 0
        self._held: dict[tuple[int, str], int] = {}
        """Session and lock -> the token it got last."""
        self.meetings: dict[str, Node] = {}
        """Client -> with whom it connects at the moment, if that serves."""
        self.troubles = 0
        """Faults that last."""
        self.cuts = 0
        """Those of them that cut the network."""
        self.removed: set[str] = set()
        """Members that an operator wanted to be rid of."""
        self.founder_names = node_names(plan.nodes)
        self.nodes: dict[str, Node] = {}
        for name in self.founder_names:
            self.add_node(name)
        self.ready = False
        """What clients work on has been made."""
        names = client_names(plan.clients)
        kinds: list[type[Client]] = [ZooKeeperClient] * (plan.clients - plan.etcd_clients)
        kinds += [EtcdClient] * plan.etcd_clients
        self.clients: list[Client] = [
            kind(self, name, number, [ask for ask in plan.asks if ask.client == name])
            for number, (kind, name) in enumerate(zip(kinds, names, strict=True), 1)
        ]

    def add_node(self, name: str, *, joining: bool = False) -> Node:
        node: Node = self.parts.node(self, name, len(self.nodes) + 1, joining=joining)
        self.nodes[name] = node
        self.network.nodes[name] = node
        return node

    def begin(self) -> None:
        for node in self.nodes.values():
            node.start()
        for client in self.clients:
            client.begin()

    def run(self, until_ms: int) -> None:
        self.world.run(until_ms * MS)

    def disturbed(self) -> None:
        """Something is wrong with a node or between nodes, or was until now."""
        self.disturbed_at = self.world.now

    def probe(self) -> None:
        """Every member has to serve somebody: a client for each, which speaks with no other node."""
        for number, node in enumerate(self.members(), 1):
            name = f"probe of {node.name}"
            ask = Ask(PROBED + number, self.world.now // MS, name, "add", "a", attempts=100)
            kind: type[Client] = EtcdClient if self.plan.etcd_clients else ZooKeeperClient
            client = kind(self, name, PROBES_FROM + number, [ask], only=node)
            self.clients.append(client)
            client.begin()

    # --- locks --------------------------------------------------------------------------------------------

    def lock_taken(self, session: int, key: str, token: int) -> None:
        self._held[session, key] = token

    def held_leases(self) -> dict[int, set[bytes]]:
        """Of etcd clients: lease -> keys that hang on it, as they were told."""
        return {
            client.lease.id: client.lease.owned for client in self.clients if isinstance(client, EtcdClient)
        }

    def place_gone(self, record: Record) -> None:
        """A lock of an etcd client is held as long as its key is there."""
        root, _, rest = record.key.decode().removeprefix("/").partition("/")
        if root == "lock":
            key, _, holder = rest.partition("/")
            process = f"{holder} of {key} at {record.create_revision}"
            call = self.recorder.call(process, "expire", ("lock", f"flat {key}"), self.world.now)
            call.argument = record.create_revision

    def session_ended(self, session: int) -> None:
        """Whatever it held is free from now on, or was set free before."""
        for (holder, key), token in list(self._held.items()):
            if holder == session:
                del self._held[holder, key]
                process = f"{key} at the end of {holder:#x}"
                call = self.recorder.call(process, "expire", ("lock", key), self.world.now)
                call.argument = token

    # --- who is who ---------------------------------------------------------------------------------------

    def leader(self) -> Node | None:
        """Of the newest term."""
        leaders = [node for node in self.nodes.values() if node.leads]
        return max(leaders, key=lambda node: node.replica.machine.term, default=None)

    def members(self) -> list[Node]:
        """Those that belong to the cluster, as its leader sees it."""
        leader = self.leader()
        if leader is None:
            return []
        return [self.nodes[name] for name in everybody(leader.replica.members)]

    def standing(self) -> str:
        """For somebody who wonders why it does not come to rest."""
        leader = self.leader()
        parts = [] if leader is None else [f"members {sorted(everybody(leader.replica.members))}"]
        for node in self.nodes.values():
            if not node.serving:
                parts.append(f"{node.name} {'founding' if node.up else node.refused or 'down'}")
                continue
            machine = node.replica.machine
            parts.append(
                f"{node.name} {machine.standing().role} of term {machine.term} under {machine.leader}, "
                f"applied {node.replica.applied} of {machine.last_index}"
            )
        return "; ".join(parts + [client.standing() for client in self.clients if not client.at_rest])
