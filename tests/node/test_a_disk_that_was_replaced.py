"""A member that is replaced may be alive, and what it still says is not what the new one says.

(If the leader took it for that, the new one would be believed to have what the old one had; it lacks all of
it, refuses everything behind, and the leader has nothing else to send.)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from agreed.consensus.members import Member, Members
from agreed.disk.files import RealFiles
from agreed.disk.recovery import recover
from agreed.node.listen import PeerProtocol
from agreed.node.shell import Shell
from agreed.replica import events
from agreed.replica.replica import Replica
from agreed.replica.words import Surroundings
from agreed.wire.peer.codec import encode
from agreed.wire.peer.messages import PROTOCOL_VERSION, HeardNoted, Hello

CLUSTER = 5


def members(identity_of_n2: int) -> Members:
    return Members((Member("n1", 1, "127.0.0.1:1"), Member("n2", identity_of_n2, "127.0.0.1:2")))


class FakeReplica:
    wake = None
    log_end = (1, 1)

    def __init__(self) -> None:
        self.members = members(2)
        self.heard: list[str] = []
        self.surroundings = Surroundings

    def step(self, event: object) -> None:
        if isinstance(event, events.PeerMessage):
            self.heard.append(event.source)

    def take(self) -> events.Effects:
        return events.Effects()


class FakeTransport:
    def __init__(self) -> None:
        self.aborted = False

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


def heard(directory: Path, change: Callable[[FakeReplica], None], identity: int, log_index: int = 1) -> int:
    """How many messages are taken of a peer n2 with this identity, that says one, sees a change, and says one
    more."""

    async def run() -> int:
        recovered = recover(directory, RealFiles(), name="n1", fresh_identity=1)
        recovered.identity = msgspec.structs.replace(recovered.identity, cluster=CLUSTER)
        replica = FakeReplica()
        me = replica.members.voters[0]
        quiet = cast(Any, lambda *_: None)
        shell = Shell(
            cast(Replica, replica), recovered, me, replica.members, 1, {}, (0, 0), 0, False, None, quiet
        )
        try:
            speaker = PeerProtocol(shell)
            transport = FakeTransport()
            speaker.connection_made(cast(Any, transport))
            theirs = members(identity)
            peer = theirs.voters[1]
            speaker.data_received(
                encode(Hello(PROTOCOL_VERSION, CLUSTER, peer, 1, 1, theirs, theirs, 1, log_index))
            )
            speaker.data_received(encode(HeardNoted()))
            change(replica)
            speaker.data_received(encode(HeardNoted()) + encode(HeardNoted()))
            assert transport.aborted == (len(replica.heard) == 1)
            speaker.connection_lost(None)
            return len(replica.heard)
        finally:
            await shell.close()
            recovered.close()

    return asyncio.run(run())


def test_nothing_more_is_heard_of_it(tmp_path: Path) -> None:
    def replaced(replica: FakeReplica) -> None:
        replica.members = members(3)

    assert heard(tmp_path, replaced, identity=2) == 1


def test_another_change_does_not_matter(tmp_path: Path) -> None:
    def another_came(replica: FakeReplica) -> None:
        now = members(2)
        replica.members = Members(now.voters, (Member("n3", 9, "127.0.0.1:3"),))

    assert heard(tmp_path, another_came, identity=2) == 3


def test_one_that_this_node_still_knows_with_its_older_disk_is_heard(tmp_path: Path) -> None:
    """Its log is newer, and from it this node learns that it was replaced."""

    def told(replica: FakeReplica) -> None:
        replica.members = members(3)

    assert heard(tmp_path / "before", lambda replica: None, identity=3, log_index=7) == 3
    assert heard(tmp_path / "then", told, identity=3, log_index=7) == 3
