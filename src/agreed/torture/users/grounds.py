"""Where users work: how they reach the service, and what goes wrong with that.

    ClusterGround   agreed://, zk://, etcd://: a cluster behind a network, with the faults of `torture.faults`
    MemberGround    node://: each user process is a member of the cluster as well, and those faults hit both
    FileGround      file://: the user process that happens to serve is killed and stopped

A service in memory ends with its process: what goes wrong there is played by whoever may look into it
(`agreed.cli.torture_memory`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

from agreed.torture.address import Address
from agreed.torture.clusters import PLACES, Cluster
from agreed.torture.faults.nemesis import Nemesis
from agreed.torture.faults.shim import build
from agreed.torture.network import Network
from agreed.torture.node import Node
from agreed.torture.processes import NotServing
from agreed.torture.recorder import Clock
from agreed.torture.systems.agreed import Agreed
from agreed.torture.systems.system import System
from agreed.torture.users import work
from agreed.torture.users.seats import Holding, Seat, Seats
from agreed.torture.users.work import Task, encode

PROGRAM: Final = (sys.executable, "-m", "agreed.torture.users.program")

ROOT: Final = "users"

FAULTS: Final = ("kill", "pause", "partition", "oneway", "transfer")

PEACE_S: Final = (1.0, 7.0)
"""Between the faults of what serves, so that its users come to hold something."""

HURRIED_S: Final = (0.0, 0.5)
"""The same, where users are hit by those alone."""

SCHEMES: Final = {"agreed": "agreed", "agreed-etcd": "etcd", "zookeeper": "zk", "etcd": "etcd"}

TTL_S: Final = {"agreed": 5.0, "agreed-etcd": 4.0, "zookeeper": 5.0, "etcd": 4.0, "node": 5.0, "file": 2.0}

Tell = Callable[[str], None]


class Ground(Protocol):
    """`url` is for who looks at the end; `played` counts what was done to whom.  `name` is that of
    `--against`."""

    name: str
    ttl_s: float

    @property
    def played(self) -> Counter[str]: ...

    @property
    def problems(self) -> list[str]: ...

    def open(self) -> contextlib.AbstractAsyncContextManager[None]:
        """The service and the users run; all of it is gone at the end.  Raises `NotServing`."""
        ...

    async def play(self, seconds: float, holding: Holding) -> None:
        """Faults, for that long."""
        ...

    async def heal(self) -> None:
        """Everything runs again.  Raises `NotServing`."""
        ...

    @property
    def url(self) -> str: ...

    def present(self) -> list[str]:
        """Who works there now, by the name on the diary."""
        ...

    def notice_the_dead(self) -> None:
        """Who ended without being told to is a problem, and somebody new comes."""
        ...

    async def until_all_left(self, within_s: float) -> None:
        """They were told that they may; who does not is a problem."""
        ...


class Staff:
    """How many user processes, and what all of them are told.  Every second one does not await."""

    def __init__(
        self,
        number: int,
        recipes: Sequence[str],
        directory: Path,
        seed: int,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.number = number
        self.recipes = tuple(recipes)
        self.directory = directory
        self.seed = seed
        self.program = list(program)

    def task(self, number: int, life: int, url: str, ttl_s: float) -> Task:
        return Task(
            who=f"u{number}.{life}",
            url=url,
            ttl_s=ttl_s,
            recipes=self.recipes,
            synchronous=not number % 2,
            directory=self.directory,
            seed=f"{self.seed}/{life}",
        )

    def command(self, number: int, life: int, url: str, ttl_s: float) -> list[str]:
        return [*self.program, encode(self.task(number, life, url, ttl_s))]

    def seats(self, url: Callable[[int], str], ttl_s: float) -> Seats:
        return Seats(
            [
                Seat(
                    number,
                    lambda life, number=number: self.command(number, life, url(number), ttl_s),  # type: ignore[misc]
                    self.directory / f"u{number}.log",
                )
                for number in range(1, self.number + 1)
            ],
            ttl_s,
        )


class OfSeats:
    """What is the same wherever users have processes of their own."""

    seats: Seats

    def present(self) -> list[str]:
        return [seat.who for seat in self.seats.seats]

    def notice_the_dead(self) -> None:
        self.seats.notice_the_dead()

    async def until_all_left(self, within_s: float) -> None:
        await self.seats.until_all_left(within_s)


class ClusterGround(OfSeats):
    """`nodes` of `system`, and users of their own processes; half of them call from each place."""

    def __init__(
        self, system: System, nodes: int, staff: Staff, faults: Sequence[str], tell: Tell, ttl_s: float
    ) -> None:
        self.name = system.name
        self.ttl_s = ttl_s
        self._staff = staff
        self._scheme = SCHEMES[system.name]
        dice = random.Random(f"{staff.seed}/network")
        shims = build(staff.directory, system.uses_libc, faults)
        playable = [kind for kind in faults if kind not in shims.missing]
        self._cluster = Cluster(system, nodes, staff.directory, Network(dice), shims.environment)
        self._nemesis = Nemesis(self._cluster, shims, playable, staff.seed, Clock(), tell, peace_s=PEACE_S)
        self._tell = tell
        self.seats = staff.seats(self._url_for, ttl_s)

    def _url_for(self, number: int) -> str:
        return self._url_of(self._cluster.addresses(PLACES[number // 2 % len(PLACES)]))

    def _url_of(self, addresses: Sequence[Address]) -> str:
        return f"{self._scheme}://{','.join(map(str, addresses))}/{ROOT}"

    @property
    def url(self) -> str:
        return self._url_of([node.client_address for node in self._cluster.nodes])

    @property
    def played(self) -> Counter[str]:
        return self._nemesis.played + self.seats.played

    @property
    def problems(self) -> list[str]:
        return self._cluster.ended_by_themselves + self.seats.problems

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._cluster:
            self.seats.start()
            try:
                yield
            finally:
                self.seats.stop()

    async def play(self, seconds: float, holding: Holding) -> None:
        async with asyncio.TaskGroup() as together:
            together.create_task(self._nemesis.play(seconds))
            dice = random.Random(f"{self._staff.seed}/users")
            together.create_task(self.seats.play(seconds, dice, self._tell, holding))

    async def heal(self) -> None:
        await self._nemesis.heal()
        self.seats.notice_the_dead()


class Members(Agreed):
    """Nodes that are users: the process of each is a user process, which is a member by its URL."""

    name = "node"

    def __init__(self, staff: Staff, ttl_s: float) -> None:
        super().__init__()
        self._staff = staff
        self._ttl_s = ttl_s
        self._lives: Counter[int] = Counter()

    def command(self, node: Node, nodes: Sequence[Node]) -> list[str]:
        """Its ZooKeeper port is for those who ask who leads, and for the last look."""
        self._lives[node.number] += 1
        peers = ",".join(f"{each.name}={each.host}:{each.peer_front}" for each in nodes)
        knobs = {
            "peers": peers,
            "listen": f"{node.host}:{node.peer_port}",
            "zookeeper": f"{node.host}:{node.client_port}",
            "tick_ms": "1000",
            "root": ROOT,
        }
        asked = "&".join(f"{knob}={quote(value, safe=':,=')}" for knob, value in knobs.items())
        url = f"node://{node.name}{quote(str(node.data))}?{asked}"
        return self._staff.command(node.number, self._lives[node.number], url, self._ttl_s)


class MemberGround(OfSeats):
    def __init__(self, nodes: int, staff: Staff, faults: Sequence[str], tell: Tell, ttl_s: float) -> None:
        self.name = "node"
        self.ttl_s = ttl_s
        self.seats = Seats([], ttl_s)
        shims = build(staff.directory, True, faults)
        network = Network(random.Random(f"{staff.seed}/network"))
        self._cluster = Cluster(Members(staff, ttl_s), nodes, staff.directory, network)
        self._nemesis = Nemesis(self._cluster, shims, faults, staff.seed, Clock(), tell, peace_s=HURRIED_S)

    @property
    def url(self) -> str:
        addresses = ",".join(str(node.client_address) for node in self._cluster.nodes)
        return f"agreed://{addresses}/{ROOT}"

    @property
    def played(self) -> Counter[str]:
        return self._nemesis.played

    @property
    def problems(self) -> list[str]:
        return self._cluster.ended_by_themselves + self.seats.problems

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self._cluster:
            yield

    async def play(self, seconds: float, holding: Holding) -> None:
        await self._nemesis.play(seconds)

    async def heal(self) -> None:
        await self._nemesis.heal()
        for node in self._cluster.nodes:
            process = node.process
            assert process is not None, "it serves"
            self.seats.seats.append(
                Seat(node.number, lambda life: [], node.log, life=life_of(process.args), process=process)
            )


def life_of(arguments: object) -> int:
    """Which life of a user a process is."""
    assert isinstance(arguments, list)
    return int(work.decode(arguments[-1]).who.rpartition(".")[2])


class FileGround(OfSeats):
    """A directory.  `serve-kill`, `serve-stop`: of the process that serves it at that moment."""

    def __init__(self, staff: Staff, tell: Tell, ttl_s: float) -> None:
        self.name = "file"
        self.ttl_s = ttl_s
        self.path = staff.directory / "shared"
        self.seats = staff.seats(lambda number: self.url, ttl_s)
        self._staff = staff
        self._tell = tell

    @property
    def url(self) -> str:
        return f"file://{quote(str(self.path))}?root={ROOT}"

    @property
    def played(self) -> Counter[str]:
        return self.seats.played

    @property
    def problems(self) -> list[str]:
        return self.seats.problems

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        self.seats.start()
        try:
            yield
        finally:
            self.seats.stop()

    async def play(self, seconds: float, holding: Holding) -> None:
        dice = random.Random(f"{self._staff.seed}/users")
        await self.seats.play(seconds, dice, self._tell, holding, self._who_serves)

    def _who_serves(self) -> int | None:
        return serving(self.path / "socket")

    async def heal(self) -> None:
        self.seats.notice_the_dead()


def serving(path: Path) -> int | None:
    """The number of the process that listens at a Unix socket."""
    credentials = struct.Struct("3i")
    try:
        with socket.socket(socket.AF_UNIX) as way:
            way.settimeout(1.0)
            way.connect(str(path))
            told = way.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
            return int(credentials.unpack(told)[0])
    except OSError:
        return None


def ground_of(
    name: str, system: System | None, nodes: int, staff: Staff, faults: Sequence[str], tell: Tell
) -> Ground:
    """By the name of `--against`.  Raises `NotServing` for one that is none."""
    ttl_s = TTL_S.get(name, 5.0)
    if name == "node":
        return MemberGround(nodes, staff, faults, tell, ttl_s)
    if name == "file":
        return FileGround(staff, tell, ttl_s)
    if system is None:
        raise NotServing(f"nobody knows {name}")
    return ClusterGround(system, nodes, staff, faults, tell, ttl_s)
