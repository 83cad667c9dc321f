"""Three real nodes, as processes, behind a network that a test can cut.

    with agreed.testing.cluster() as nodes:
        client = kazoo.client.KazooClient(nodes.hosts)
        ...
        nodes.faults.kill_leader()
        with nodes.faults.partition({"n1"}, {"n2", "n3"}):
            ...

What one server in this process cannot show: elections, nodes that are cut off, and what clients make of it.
The price is that time passes as it does, and that it takes about as long to begin as three Python programs.
Faults of single requests are those of `zookeeper()` and `etcd()`: they need a server that is in our hands.

The nodes and what stands between them are those of `agreed torture`; everybody calls through its relays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tempfile
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from agreed.check.linearizable import linearizable
from agreed.check.models import MODELS
from agreed.check.verdict import Budget
from agreed.client import aio, loop_thread
from agreed.client.errors import NoNode
from agreed.client.etcd_channel import EtcdChannel
from agreed.errors import ConfigurationError
from agreed.store.ranges import FROM_KEY_ON
from agreed.testing.history import OwnHistory
from agreed.testing.locks import Locks
from agreed.testing.server import JUDGE_STEPS, Left, NotLinearizable
from agreed.torture import clusters
from agreed.torture.network import Direction, Network, Rule
from agreed.torture.node import Node
from agreed.torture.processes import LOOPBACK, NotServing
from agreed.torture.systems.agreed import Agreed
from agreed.wire.etcd.messages import DeleteRangeRequest

Wanted = TypeVar("Wanted")

PLACE: Final = "c1"
"""From which all clients call."""

WITHIN_S: Final = 60.0

_DELETE: Final = "/etcdserverpb.KV/DeleteRange"

OF_ZOOKEEPER: Final = "/zookeeper"


class _BothDoors(Agreed):
    """Nodes that serve clients of ZooKeeper and of etcd."""

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        return [*super().command(node, nodes), "--etcd", f"{node.host}:{node.election_port}"]


class _Nodes(clusters.Cluster):
    async def _open_fronts(self, network: Network) -> None:
        await super()._open_fronts(network)
        for node in self.nodes:
            await network.open_front(node.name, node.election_front, node.election_port, source=PLACE)


class ClusterFaults:
    """What can be done to nodes, by their names ("n1"), and between them."""

    def __init__(self, cluster: LeashedCluster) -> None:
        self._cluster = cluster

    def kill(self, name: str) -> None:
        """As if its power went: SIGKILL."""
        node = self._cluster.node(name)

        async def kill() -> None:
            if node.process is not None:
                node.process.kill()

        self._cluster.run(kill())

    def kill_leader(self) -> str:
        """Whoever leads now; returns its name."""
        leader = self._cluster.leader()
        self.kill(leader)
        return leader

    def start(self, name: str) -> None:
        """Again, with what is on its disk; returns when it serves."""
        cluster = self._cluster
        cluster.run(cluster.nodes.restart(cluster.node(name)))

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP: its connections stay, and it says nothing."""
        process = self._cluster.node(name).process
        assert process is not None
        process.pause()
        try:
            yield
        finally:
            process.resume()

    @contextlib.contextmanager
    def partition(self, *groups: Collection[str]) -> Iterator[None]:
        """Nodes of different groups do not hear each other; clients hear them all."""
        directions = [
            direction
            for some, others in itertools.permutations(groups, 2)
            for direction in itertools.product(some, others)
        ]
        with self._cut(directions):
            yield

    @contextlib.contextmanager
    def isolated(self, name: str) -> Iterator[None]:
        """Nobody hears this node and it hears nobody: neither the others nor clients."""
        others = [each.name for each in self._cluster.nodes.nodes if each.name != name]
        directions = [pair for other in (*others, PLACE) for pair in ((name, other), (other, name))]
        with self._cut(directions):
            yield

    @contextlib.contextmanager
    def _cut(self, directions: Collection[Direction]) -> Iterator[None]:
        names = {name for direction in directions for name in direction} - {PLACE}
        for name in names:
            self._cluster.node(name)
        rule = Rule(frozenset(directions), cut=True, reset=True)
        self._cluster.add(rule)
        try:
            yield
        finally:
            self._cluster.remove(rule)


class LeashedCluster:
    """Made by `cluster()`."""

    def __init__(self, size: int, directory: Path) -> None:
        self._thread = loop_thread.shared()
        self._network = Network(random.Random(0))
        self._rules: list[Rule] = []
        self._locks = Locks()
        self.history = OwnHistory()
        self.faults = ClusterFaults(self)
        self.nodes = _Nodes(_BothDoors(), size, directory, self._network)
        self.run(self.nodes.__aenter__())

    def run(self, coroutine: Coroutine[Any, Any, Wanted]) -> Wanted:
        """On the thread of the network."""
        return self._thread.run(coroutine)

    def node(self, name: str) -> Node:
        """Raises ConfigurationError where there is none."""
        for node in self.nodes.nodes:
            if node.name == name:
                return node
        raise ConfigurationError(f"no node is called {name!r}: {', '.join(self.names)}")

    # --- where it is --------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes.nodes]

    @property
    def hosts(self) -> str:
        """For a client of ZooKeeper."""
        return ",".join(f"{LOOPBACK}:{node.client_fronts[PLACE]}" for node in self.nodes.nodes)

    @property
    def endpoints(self) -> list[str]:
        """For clients of etcd."""
        return [f"{LOOPBACK}:{node.election_front}" for node in self.nodes.nodes]

    @property
    def url(self) -> str:
        """For `agreed.connect`."""
        return f"agreed://{self.hosts}"

    def leader(self) -> str:
        """Who leads now; waits for an election.  Raises NotServing."""

        async def look() -> str:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    node = await self.nodes.leader()
                    if node is not None:
                        return node.name
                    await asyncio.sleep(clusters.POLL_S)

        try:
            return self.run(look())
        except TimeoutError:
            raise NotServing(f"nobody leads after {WITHIN_S:g} s") from None

    # --- its life -----------------------------------------------------------------------------------------

    def add(self, rule: Rule) -> None:
        async def add() -> None:
            self._network.add(rule)
            self._rules.append(rule)

        self.run(add())

    def remove(self, rule: Rule) -> None:
        """No error if it is gone already."""

        async def remove() -> None:
            self._network.remove(rule)
            if rule in self._rules:
                self._rules.remove(rule)

        self.run(remove())

    def heal(self) -> None:
        """Every node runs and serves, and all hear each other.  Raises NotServing."""
        for rule in list(self._rules):
            self.remove(rule)

        async def heal() -> None:
            for node in self.nodes.nodes:
                if not node.running:
                    await self.nodes.restart(node)
                elif node.process is not None and node.process.paused:
                    node.process.resume()
            await self.nodes.wait_until_serving(self.nodes.nodes, WITHIN_S)

        self.run(heal())

    def reset(self) -> None:
        """Healed and empty.  Sessions of clients that were not closed go on."""
        self.heal()
        self.run(self._empty())
        self._locks.clear()
        self.history.clear()

    async def _empty(self) -> None:
        async with self._session() as session:
            for path, _ in reversed([found async for found in _below(session, "/")]):
                with contextlib.suppress(NoNode):
                    await session.delete(path)
        async with EtcdChannel(self.endpoints) as channel:
            everything = DeleteRangeRequest(key=FROM_KEY_ON, range_end=FROM_KEY_ON)
            await channel.call(_DELETE, everything, timeout_s=WITHIN_S, repeatable=True)

    def _session(self) -> contextlib.AbstractAsyncContextManager[aio.Session]:
        return _connected(self.url)

    def close(self) -> None:
        self.run(self.nodes.stop())

    # --- assertions ---------------------------------------------------------------------------------------

    def inside(self, name: str, who: str | None = None) -> contextlib.AbstractContextManager[None]:
        """Around what the lock `name` protects."""
        return self._locks.inside(name, who)

    def assert_lock_never_shared(self, name: str) -> None:
        """Nobody was `inside` of it while somebody else was."""
        self._locks.assert_never_shared(name)

    def assert_no_ephemerals_left(self) -> None:
        """No znode is there that would go with a session."""

        async def look() -> list[str]:
            async with self._session() as session:
                await session.sync("/")
                return [path async for path, ephemeral in _below(session, "/") if ephemeral]

        if left := self.run(look()):
            raise Left(f"still there: {', '.join(sorted(left))}")

    def assert_linearizable(self, model: str, *, initial: object = None) -> None:
        """The test's own history, by one of the models of `agreed.check`.  Raises NotLinearizable."""
        if model not in MODELS:
            raise ConfigurationError(f"no model is called {model!r}: {', '.join(sorted(MODELS))}")
        verdict = linearizable(self.history.history(), MODELS[model](initial), Budget(steps=JUDGE_STEPS))
        if not verdict.holds:
            raise NotLinearizable(verdict)


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[aio.Session]:
    session = await aio.connect(url, connect_timeout_s=WITHIN_S, request_timeout_s=WITHIN_S)
    try:
        yield session
    finally:
        await session.close()


async def _below(session: aio.Session, path: str) -> AsyncIterator[tuple[str, bool]]:
    """Each znode, its parents first, and whether it is ephemeral; without ZooKeeper's own."""
    try:
        found = await session.children(path)
    except NoNode:
        return
    if path != "/":
        yield path, bool(found.stat.ephemeral_owner)
    for name in found.names:
        child = f"{path.rstrip('/')}/{name}"
        if child != OF_ZOOKEEPER:
            async for each in _below(session, child):
                yield each


@contextlib.contextmanager
def cluster(size: int = 3) -> Iterator[LeashedCluster]:
    """Nodes n1, n2, ... that serve clients of ZooKeeper and of etcd, until the end of the context."""
    with tempfile.TemporaryDirectory(prefix="agreed-testing-") as directory:
        nodes = LeashedCluster(size, Path(directory))
        try:
            yield nodes
        finally:
            nodes.close()
