"""The network between real processes, in our hands: every connection passes through a relay of ours.

Nodes and clients are told the address of a `Front` instead of that of the node behind it.  The front finds
out who calls (`who`), and from then on hands over what either side says as the rules of the moment allow:

    cut      nothing passes in this direction.  What was said is kept, as TCP would keep it, and comes late;
             or the connection breaks when the cut is over (`Rule.reset`).
    delay    every piece comes later, and not always equally later; never in another order, for it is TCP.
    loss     of a share of the pieces the first transmission is lost, so that they and all behind them come
             `RETRANSMISSION_S` later; now and then a connection breaks altogether.

A rule is about directions: (n1, n2) is what n1 says to n2, over whichever connection.  Rules add up: a
direction is cut if any rule cuts it.  A connection comes about only where both directions are open, and a
process that dies behind a cut is noticed when the cut is over.

Nothing here needs root.  What it cannot do is to lose single packets: a relay begins where TCP ends
(`namespaces.py` can, where we are root).
"""
from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from agreed.torture.processes import LOOPBACK

RETRANSMISSION_S: Final = 0.2
"""The shortest time after which Linux sends a lost packet again."""

PIECE_BYTES: Final = 65536

MOST_FIRST_BYTES: Final = 65536
"""Of who has not said by then who he is we do not know it."""

SAY_WHO_WITHIN_S: Final = 5.0

BREAKS_PER_LOSS: Final = 0.05
"""How many connections break for each piece that is lost."""

Direction = tuple[str, str]
"""(who speaks, who is to hear it)."""


class Caller(NamedTuple):
    """Who calls (empty: nobody of ours), and what is handed over in the place of the first bytes."""

    name: str
    first: bytes


Who = Callable[[bytes], Caller | None]
"""The caller by the first bytes of a connection.  None: more bytes are needed."""


@dataclass(frozen=True, eq=False)
class Rule:
    """What befalls these directions.  `reset`: connections that were cut break when the rule goes."""

    directions: frozenset[Direction]
    cut: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reset: bool = False


class Links(Protocol):
    """What stands between nodes, and between them and their clients: relays, or namespaces of the kernel.

    `relayed`: nodes are called at fronts of ours (`Network.open_front`).  `missing`: by fault, why it cannot
    be played here."""

    relayed: bool
    missing: Mapping[str, str]

    def host(self, name: str) -> str:
        """The address of this node."""
        ...

    def source(self, place: str) -> str | None:
        """The address from which clients at this place call; None: whichever."""
        ...

    def inside(self, name: str, command: Sequence[str]) -> list[str]:
        """The command that runs `command` where this node is."""
        ...

    async def open(self) -> None:
        """Before any node is started.  Raises `NotServing` where it cannot be done."""
        ...

    async def close(self) -> None:
        """After all nodes have ended."""
        ...

    def add(self, rule: Rule) -> None: ...

    def remove(self, rule: Rule) -> None:
        """No error if it is gone already."""
        ...


@dataclass
class _Way:
    """One direction between two names, as all rules together make it."""

    direction: Direction
    passable: asyncio.Event
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    connections: set[_Connection] = field(default_factory=set)

    def obey(self, rules: Iterable[Rule]) -> None:
        mine = [rule for rule in rules if self.direction in rule.directions]
        self.delay_s = sum(rule.delay_s for rule in mine)
        self.jitter_s = sum(rule.jitter_s for rule in mine)
        self.loss = min(0.9, sum(rule.loss for rule in mine))
        if any(rule.cut for rule in mine):
            self.passable.clear()
        else:
            self.passable.set()

    async def travel(self, dice: random.Random) -> bool:
        """Returns when a piece that was said just now may be heard; False: the connection breaks instead."""
        await self.passable.wait()
        wait_s = self.delay_s + self.jitter_s * dice.random()
        if self.loss and dice.random() < self.loss:
            if dice.random() < BREAKS_PER_LOSS:
                return False
            wait_s += RETRANSMISSION_S
        if wait_s:
            await asyncio.sleep(wait_s)
            await self.passable.wait()  # it may have been cut meanwhile
        return True


class Network:
    """Implements `Links` with relays: the rules in force, and the directions they are about.  `dice`: for
    jitter and loss."""

    relayed = True
    missing: Mapping[str, str] = {}

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self._rules: list[Rule] = []
        self._ways: dict[Direction, _Way] = {}
        self._fronts: list[Front] = []

    def host(self, name: str) -> str:
        return LOOPBACK

    def source(self, place: str) -> str | None:
        return None

    def inside(self, name: str, command: Sequence[str]) -> list[str]:
        return list(command)

    async def open(self) -> None:
        """Fronts are opened one by one."""

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)
        self._obey(rule)

    def remove(self, rule: Rule) -> None:
        """No error if it is gone already."""
        if rule not in self._rules:
            return
        self._rules.remove(rule)
        if rule.reset:
            for direction in rule.directions:
                for connection in list(self.way(direction).connections):
                    connection.break_off()
        self._obey(rule)

    def _obey(self, rule: Rule) -> None:
        for direction in rule.directions:
            self.way(direction).obey(self._rules)

    def way(self, direction: Direction) -> _Way:
        if direction not in self._ways:
            way = self._ways[direction] = _Way(direction, asyncio.Event())
            way.obey(self._rules)
        return self._ways[direction]

    async def open_front(
        self, target: str, port: int, target_port: int, *, source: str | None = None, who: Who | None = None
    ) -> None:
        """Listen at `port` for those who want to reach `target`, which listens at `target_port`; callers are
        `source`, or whoever `who` finds that they are."""
        front = Front(self, target, target_port, source, who)
        await front.listen(port)
        self._fronts.append(front)

    async def close(self) -> None:
        for front in self._fronts:
            await front.close()
        self._fronts.clear()


class Front:
    """The address at which others reach one target."""

    def __init__(
        self, network: Network, target: str, target_port: int, source: str | None, who: Who | None
    ) -> None:
        self._network = network
        self._target = target
        self._target_port = target_port
        self._source = source
        self._who = who
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._called, LOOPBACK, port, limit=PIECE_BYTES)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        try:
            with contextlib.suppress(OSError, TimeoutError):
                await self._connect_through(reader, writer)
        except asyncio.CancelledError:
            pass  # the network is closed, and the task with it
        finally:
            self._calls.discard(call)
            writer.close()  # what was handed over still goes out

    async def _connect_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, first = Caller(self._source, b"") if self._source else await self._hear_who(reader)
        there = self._network.way((source, self._target))
        back = self._network.way((self._target, source))
        await there.passable.wait()
        await back.passable.wait()
        target_reader, target_writer = await asyncio.open_connection(
            LOOPBACK, self._target_port, limit=PIECE_BYTES
        )
        connection = _Connection(self._network.dice, (writer, target_writer))
        there.connections.add(connection)
        back.connections.add(connection)
        try:
            await connection.carry(reader, target_reader, there, back, first)
        finally:
            there.connections.discard(connection)
            back.connections.discard(connection)
            target_writer.close()

    async def _hear_who(self, reader: asyncio.StreamReader) -> Caller:
        assert self._who is not None
        first = b""
        async with asyncio.timeout(SAY_WHO_WITHIN_S):
            while (caller := self._who(first)) is None and len(first) < MOST_FIRST_BYTES:
                piece = await reader.read(PIECE_BYTES)
                if not piece:
                    raise ConnectionResetError
                first += piece
        return caller or Caller("", first)


class _Connection:
    """Two sockets and two directions between them."""

    def __init__(
        self, dice: random.Random, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    ) -> None:
        self._dice = dice
        self._writers = writers

    def break_off(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def carry(
        self,
        caller: asyncio.StreamReader,
        called: asyncio.StreamReader,
        there: _Way,
        back: _Way,
        first: bytes,
    ) -> None:
        """Until either side ends it, or loss does."""
        to_caller, to_called = self._writers
        pumps = {
            asyncio.ensure_future(self._pump(caller, to_called, there, first)),
            asyncio.ensure_future(self._pump(called, to_caller, back, b"")),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: _Way, piece: bytes
    ) -> None:
        piece = piece or await reader.read(PIECE_BYTES)
        while True:
            # The end of a connection travels as its bytes do: behind a cut nobody hears of it either.
            if not await way.travel(self._dice) or not piece:
                return
            writer.write(piece)
            await writer.drain()
            piece = await reader.read(PIECE_BYTES)
