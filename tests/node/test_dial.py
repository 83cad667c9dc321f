"""The connections to the other members."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import closing

import uvloop

from agreed.consensus.members import Member, Members
from agreed.node.dial import Peers
from agreed.types import NodeId
from agreed.wire.peer.codec import Decoder, encode
from agreed.wire.peer.messages import PROTOCOL_VERSION, HeardNoted, Hello, HelloReply

HELLO = Hello(PROTOCOL_VERSION, 0, Member("n2", 2, "127.0.0.1:1"), 0, 1, Members(()), Members(()), 0, 0)


class Peer:
    """Answers as soon as somebody connects, and then listens."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.answered = threading.Event()
        self.heard: list[object] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        accepted, _ = self._listener.accept()
        with closing(self._listener), closing(accepted):
            accepted.sendall(encode(HelloReply(HELLO, None)))
            self.answered.set()
            decoder = Decoder()
            while data := accepted.recv(65536):
                self.heard += decoder.receive_data(data)


class Busy:
    """A node whose loop is so busy that the peer has answered before anything else can be done."""

    def __init__(self, peer: Peer) -> None:
        self.peers = Peers(self, lambda level, sentence: None)
        self.opened = asyncio.Event()
        self._peer = peer

    def hello(self) -> Hello:
        assert self._peer.answered.wait(30)
        return HELLO

    def greeted(self, peer: NodeId, reply: HelloReply) -> bool:
        return True

    def peer_opened(self, peer: NodeId) -> None:
        self.peers.send(peer, HeardNoted())
        self.opened.set()

    def peer_closed(self, peer: NodeId) -> None: ...


def test_what_is_said_on_a_connection_as_soon_as_it_stands_arrives() -> None:
    peer = Peer()

    async def run() -> None:
        node = Busy(peer)
        node.peers.know({"n2": peer.address})
        await asyncio.wait_for(node.opened.wait(), 30)
        node.peers.close()
        await asyncio.get_running_loop().run_in_executor(None, peer.thread.join, 30)

    uvloop.run(run())
    assert peer.heard == [HELLO, HeardNoted()]


class Idle:
    """A node that hears of nothing."""

    def hello(self) -> Hello:
        return HELLO

    def greeted(self, peer: NodeId, reply: HelloReply) -> bool:
        return False

    def peer_opened(self, peer: NodeId) -> None: ...

    def peer_closed(self, peer: NodeId) -> None: ...


def test_a_peer_that_answers_with_an_alert_of_tls_is_told_of_once() -> None:
    """It has certificates, and this node has none: both would try for ever, and say nothing."""
    logs: list[str] = []

    async def run() -> None:
        comes = asyncio.Event()
        connections = 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            await reader.read(65_536)
            writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
            writer.close()
            connections += 1
            if connections == 3:
                comes.set()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        peers = Peers(Idle(), lambda level, sentence: logs.append(sentence))
        peers.know({"n2": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"})
        await asyncio.wait_for(comes.wait(), 30)
        peers.close()
        server.close()

    asyncio.run(run())
    [log] = logs
    assert "n2" in log
    assert "TLS record" in log
