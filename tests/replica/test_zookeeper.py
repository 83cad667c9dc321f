"""The order of replies: what waits for a barrier, what waits for the log, and what comes behind both."""

from __future__ import annotations

import msgspec

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.store.records import OPEN_ACL
from agreed.wire.peer.messages import Forward
from agreed.wire.zookeeper.connection import Answer
from agreed.wire.zookeeper.messages import (
    CreateMode,
    CreateRequest,
    ErrorCode,
    GetDataRequest,
    PingRequest,
    SetDataRequest,
)
from agreed.wire.zookeeper.replies import CreateReply, ErrorReply, GetDataReply, SetDataReply
from tests.replica.alone import Alone, Client


def create(path: bytes, data: bytes = b"") -> CreateRequest:
    return CreateRequest(path, data, OPEN_ACL, CreateMode.PERSISTENT)


def replies(client: Client) -> list[object]:
    return [answer.reply for answer in client.replies if isinstance(answer, Answer)]


def test_a_read_behind_a_write_sees_it_and_is_answered_after_it() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    client.ask(create(b"/a", b"1"), GetDataRequest(b"/a", False))
    assert replies(client) == []
    node.saving = True
    node.turn()
    written, read = replies(client)
    assert written == CreateReply(b"/a")
    assert isinstance(read, GetDataReply)
    assert read.data == b"1"


class Leader:
    """Leads the node under test as n2: agrees to all that is forwarded, and never confirms a read."""

    def __init__(self, node: Alone) -> None:
        self.node = node
        self.entries = [Entry(1, 1, EntryKind.NOTHING, b"")]
        self.seen = 0
        self.append()

    def append(self) -> None:
        last = len(self.entries)
        for commit in (0, last):
            self.node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, commit, 1, list(self.entries))))

    def agree(self) -> None:
        """To all that was forwarded since it last did."""
        sent = [message for effects in self.node.effects[self.seen :] for _, message in effects.send]
        self.seen = len(self.node.effects)
        for message in sent:
            if isinstance(message, Forward):
                payload = msgspec.msgpack.encode([1_000, [msgspec.Raw(message.batch)]])
                self.entries.append(Entry(len(self.entries) + 1, 1, EntryKind.PAYLOAD, payload))
        self.append()


def test_a_linearizable_read_is_not_overtaken_by_the_write_behind_it() -> None:
    """The write is agreed upon before the read is confirmed: it must neither take the read's place in the
    queue nor be seen by it."""
    node = Alone(Settings(linearizable_reads=True), members=("n1", "n2", "n3"))
    leader = Leader(node)
    client = node.client()
    leader.agree()
    client.ask(create(b"/a", b"old"))
    leader.agree()
    client.replies.clear()
    client.ask(GetDataRequest(b"/a", False), SetDataRequest(b"/a", b"new", -1), GetDataRequest(b"/a", False))
    assert replies(client) == []
    leader.agree()
    before, changed = replies(client)
    assert isinstance(before, GetDataReply)
    assert before.data == b"old"
    assert isinstance(changed, SetDataReply), "the read behind it still waits to be confirmed"


def test_an_error_that_is_known_at_once_waits_for_its_turn() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    client.ask(create(b"/a"), CreateRequest(b"/b", b"", OPEN_ACL, 99), GetDataRequest(b"/none", False))
    assert replies(client) == []
    node.saving = True
    node.turn()
    assert replies(client) == [
        CreateReply(b"/a"),
        ErrorReply(ErrorCode.BAD_ARGUMENTS),
        ErrorReply(ErrorCode.NO_NODE),
    ]


def test_a_ping_is_answered_although_nothing_can_be_agreed_upon() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    client.ask(PingRequest())
    assert len(replies(client)) == 1


def test_an_event_leaves_before_the_reply_to_the_write_that_caused_it() -> None:
    node = Alone()
    client = node.client()
    client.ask(create(b"/a"), GetDataRequest(b"/a", True))
    client.replies.clear()
    client.ask(SetDataRequest(b"/a", b"x", -1))
    assert [type(message).__name__ for message in client.replies] == ["Notification", "Answer"]
