"""Nonsense on every port: no node may crash, hang, grow without bound, or stop serving an honest client.

    python -m tests.torture.fuzz --inputs 1000000

On the client port: random bytes in place of a handshake, handshakes with flipped bits, and (most of all)
whole requests of every kind that were cut, stretched, spliced and flipped behind a good handshake.  On the
peer port: random bytes, broken frames, and good frames around spoilt messages, with a checksum that fits.
In between an honest client creates, reads and deletes, with a deadline; what nonsense happened to create is
swept away.  The memory of each node is measured after a tenth of the inputs and at the end.
"""
from __future__ import annotations

import multiprocessing
import random
import struct
import sys
import time
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from typing import NamedTuple

from agreed.wire.peer import codec, messages
from tests.acceptance.cluster import SUPER_DIGEST, Cluster, Node
from tests.acceptance.jute import Reader, Writer
from tests.acceptance.raw_client import NOTIFICATION, Closed, RawClient, Silent, connect
from tests.acceptance.requests import AnyRequest, CloseSession, Create, Delete, Read
from tests.differential.zookeeper.compare import PeerTraits
from tests.differential.zookeeper.generate import Generator
from tests.differential.zookeeper.script import Send
from tests.progress import Progress
from tests.torture.nonsense import Mutator, Outcome, options_of

ROOT = "/fuzz"
REQUESTS_A_CONNECTION = 100
THROWERS = 2
# the operations after which a connection goes on, whatever their bodies are
LASTING = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 21, 22, 101, 103, 104, 105, 106, 107}
GROWTH_LIMIT_BYTES = 256 * 1024 * 1024
HONEST_DEADLINE_S = 10.0
VISIT, VISITS = "honest visit", "honest visits"


# --- what is thrown -----------------------------------------------------------------------------------------


def whole_requests(seed: int) -> list[tuple[int, bytes]]:
    """Codes and bodies of some thousand requests of every kind, as the differential test draws them."""
    found: list[tuple[int, bytes]] = []
    for number in range(300):
        script = Generator(f"fuzz:{seed}:{number}", PeerTraits((3, 9, 3))).script()
        sends = [step for step in script.steps if isinstance(step, Send)]
        found += [(request.code, request.body(ROOT, 0)) for step in sends for request in step.requests]
    return [(code, body) for code, body in found if code in LASTING]


PEER_MESSAGES = (
    messages.OperatorHello(messages.PROTOCOL_VERSION),
    messages.StatusRequest(),
    messages.Forward(3, b"batch" * 10),
)


class Ports(NamedTuple):
    client: int
    peer: int


class Thrower:
    """One connection after the other, each with as much nonsense as it takes."""

    def __init__(self, nodes: list[Ports], seed: int) -> None:
        self._nodes = nodes
        self._dice = dice = random.Random(seed)
        self._mutator = Mutator(dice)
        self._requests = whole_requests(seed)

    def throw(self) -> int:
        """Returns how many inputs it was."""
        node = self._dice.choice(self._nodes)
        chance = self._dice.random()
        if chance < 0.12:
            return self._send(node.peer, self._peer_nonsense())
        if chance < 0.24:
            return self._send(node.client, self._handshake_nonsense())
        return self._requests_nonsense(node)

    def _peer_nonsense(self) -> Iterator[bytes]:
        dice = self._dice
        if dice.random() < 0.2:
            yield dice.randbytes(dice.randrange(1, 400))
            return
        if dice.random() < 0.7:
            yield codec.encode(PEER_MESSAGES[0])
        for _ in range(dice.randrange(1, 6)):
            frame = codec.encode(dice.choice(PEER_MESSAGES))
            if dice.random() < 0.5:
                yield self._mutator.spoil(frame)
            else:
                body = self._mutator.spoil(frame[codec.HEADER.size :])
                yield codec.framed(body)

    def _handshake_nonsense(self) -> Iterator[bytes]:
        dice = self._dice
        if dice.random() < 0.5:
            yield dice.randbytes(dice.randrange(1, 200))
            return
        body = Writer().int32(0).int64(0).int32(4000).int64(0).buffer(bytes(16)).boolean(False).bytes()
        yield self._mutator.spoil(Writer().buffer(body).bytes())
        yield dice.randbytes(dice.randrange(1, 60))

    def _send(self, port: int, inputs: Iterator[bytes]) -> int:
        count = 0
        client = RawClient(port, timeout_s=5)
        try:
            for data in inputs:
                count += 1
                client.send_bytes(data)
        except (Closed, Silent):
            pass
        client.close()
        return count

    def _requests_nonsense(self, node: Ports) -> int:
        """Counts what was answered, and the one input that ended the connection."""
        client = connect(node.client, timeout_ms=4000)
        frames = [self._frame(client) for _ in range(REQUESTS_A_CONNECTION)]
        broken = self._dice.random() < 0.1
        if broken:
            at = self._dice.randrange(len(frames))
            frames[at] = self._mutator.spoil(frames[at])
        answered = 0
        try:
            client.send_bytes(b"".join(frames) + RawClient.request(client.next_xid(), CloseSession().code))
            if broken:
                client.set_timeout(0.2)  # a spoilt length may let the server wait for more
            while True:
                answered += client.receive().xid != NOTIFICATION
        except (Closed, Silent, IndexError, struct.error):
            pass
        client.close()
        return answered + 1

    def _frame(self, client: RawClient) -> bytes:
        if self._dice.random() < 0.002:
            code, body = self._dice.randrange(-20, 130), self._dice.randbytes(self._dice.randrange(60))
        else:
            code, body = self._dice.choice(self._requests)
            body = self._mutator.spoil(body)
        return RawClient.request(client.next_xid(), code, body)


def throw_many(nodes: list[Ports], seed: int, thrown: Synchronized[int], wanted: int) -> None:
    """The life of one throwing process.  A connection that is refused or cut is what nonsense deserves."""
    thrower = Thrower(nodes, seed)
    while thrown.value < wanted:
        count = 0
        try:
            count = thrower.throw()
        except (Closed, Silent, OSError):
            time.sleep(0.01)
        with thrown.get_lock():
            thrown.value += count


# --- who is honest ------------------------------------------------------------------------------------------


class Honest:
    """A client that wants nothing special, and wants it soon."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._number = 0

    def be_served(self) -> float:
        """Seconds for a creation, a read and a deletion on a new connection to each node in turn."""
        self._number += 1
        node = self._nodes[self._number % len(self._nodes)]
        started = time.monotonic()
        client = connect(node.client_port, timeout_s=HONEST_DEADLINE_S)
        path = f"/honest-{self._number}"
        requests: tuple[AnyRequest, ...] = (Create(path, b"honest"), Read(4, path), Delete(path))
        for request in requests:
            reply = client.call(request.code, request.body("", 0))
            if reply.err:
                raise AssertionError(f"{type(request).__name__} of an honest client: error {reply.err}")
        client.call(CloseSession().code)
        client.close()
        return time.monotonic() - started

    def sweep(self) -> None:
        """Take away what nonsense has made, so that memory can be judged."""
        client = connect(self._nodes[0].client_port, timeout_s=HONEST_DEADLINE_S)
        client.call(100, Writer().int32(0).text("digest").buffer(b"super:test").bytes(), xid=-4)
        for path in (*self._below(client, ROOT), ROOT):
            client.call(2, Delete(path).body("", 0))
        client.call(1, Create(ROOT).body("", 0))
        client.close()

    def _below(self, client: RawClient, path: str) -> list[str]:
        """Every descendant, children before parents."""
        reply = client.call(8, Read(8, path).body("", 0))
        if reply.err:
            return []
        reader = Reader(reply.body)
        found: list[str] = []
        for name in reader.vector(reader.text):
            found += [*self._below(client, f"{path}/{name}"), f"{path}/{name}"]
        return found


def check_nodes(cluster: Cluster, outcome: Outcome) -> None:
    for node in cluster.nodes:
        if not node.running:
            outcome.problems.append(f"{node.name} ended\n{node.log_tail()}")
        elif "Traceback" in node.log_file.read_text("utf-8", "replace"):
            outcome.problems.append(f"{node.name} tells of an exception nobody caught\n{node.log_tail(80)}")


def resident_bytes(cluster: Cluster) -> dict[str, int]:
    return {node.name: node.resident_bytes() for node in cluster.nodes if node.running}


def run(inputs: int, seed: int = 1, *, nodes: int = 3, tell: bool = False) -> Outcome:
    outcome = Outcome(timed=VISIT)
    # No copies of this process: other threads of it may be at work in grpcio, which a copy may not survive.
    context = multiprocessing.get_context("spawn")
    thrown: Synchronized[int] = context.Value("q", 0)
    with Cluster(nodes, options=["--super-digest", SUPER_DIGEST]) as cluster:
        honest = Honest(cluster.nodes)
        honest.sweep()
        ports = [Ports(node.client_port, node.peer_port) for node in cluster.nodes]
        throwers = [
            context.Process(target=throw_many, args=(ports, seed + turn, thrown, inputs), daemon=True)
            for turn in range(THROWERS)
        ]
        for thrower in throwers:
            thrower.start()
        try:
            watch_over(cluster, honest, thrown, inputs, outcome, tell)
        finally:
            for thrower in throwers:
                thrower.terminate()
                thrower.join()
        outcome.memory.last = resident_bytes(cluster)
        outcome.problems += outcome.memory.problems(GROWTH_LIMIT_BYTES)
    return outcome


def watch_over(
    cluster: Cluster,
    honest: Honest,
    thrown: Synchronized[int],
    inputs: int,
    outcome: Outcome,
    tell: bool,
) -> None:
    """Be honest while others are not, until all is thrown or something is wrong."""
    progress = Progress(inputs, "inputs")
    visits = 0
    stuck_since, last = time.monotonic(), 0
    while outcome.inputs < inputs and not outcome.problems:
        try:
            outcome.slowest_s = max(outcome.slowest_s, honest.be_served())
            visits += 1
            if visits % 10 == 0:
                honest.sweep()
                check_nodes(cluster, outcome)
        except (Closed, Silent, OSError, AssertionError) as problem:
            outcome.problems.append(f"not served: {problem!r}\n{cluster.logs()}")
        outcome.inputs = thrown.value
        outcome.memory.look(outcome.inputs, inputs, lambda: resident_bytes(cluster))
        if outcome.inputs > last:
            stuck_since, last = time.monotonic(), outcome.inputs
        elif time.monotonic() > stuck_since + 30:
            outcome.problems.append("for 30 s no server has taken any input")
        if tell:
            progress.tell(outcome.inputs, f", {visits} {VISITS}")
        time.sleep(0.1)
    outcome.counted[VISITS] = visits
    check_nodes(cluster, outcome)


def main() -> int:
    parser = options_of("fuzz", __doc__)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    return run(options.inputs, options.seed, nodes=options.nodes, tell=True).end()


if __name__ == "__main__":
    sys.exit(main())
