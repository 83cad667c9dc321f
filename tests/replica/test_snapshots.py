"""The store in pieces, out and in, and the digests that nodes compare."""

from __future__ import annotations

import hashlib

import pytest

from agreed.consensus.machine import ChunkLoaded, SnapshotMark
from agreed.consensus.members import Member, Members
from agreed.consensus.raft.messages import AppendEntries, ReadIndex, ReadIndexReply
from agreed.replica import events
from agreed.replica.settings import Settings
from agreed.replica.snapshots import KEPT_DIGESTS, Digests, SnapshotIn, SnapshotOut
from agreed.store.commands import Create, GrantLease, Put
from agreed.store.machine import Store
from agreed.store.records import OPEN_ACL
from agreed.wire.etcd.messages import RangeRequest
from agreed.wire.zookeeper.messages import CreateMode, CreateRequest
from tests.replica.alone import Alone
from tests.replica.etcd.calling import Caller

MARK = SnapshotMark(7, 2, Members((Member("n1", 1, ""),)))


def store_of(keys: int) -> Store:
    store = Store()
    store.execute(GrantLease(5, 1_000, b"", ()), "n1")
    for number in range(keys):
        store.execute(Create(5, b"/%d" % number, b"", None, 0), "n1")
    return store


def test_pieces_come_one_by_one_and_the_last_is_known_to_be_the_last() -> None:
    store, out = store_of(1_200), SnapshotOut()
    assert out.start(store, MARK) == events.StartSnapshot(MARK)
    store.execute(Create(5, b"/later", b"", None, 0), "n1")
    pieces = []
    while (piece := out.next_piece()) is not None:
        pieces.append(piece)
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert len(pieces) > 3
    taken = SnapshotIn()
    for piece in pieces:
        taken.feed(piece.data)
    restored = taken.finish()
    assert restored.tree.get(b"/1199") is not None
    assert restored.tree.get(b"/later") is None, "what came after the mark is not in it"


def test_one_that_ends_makes_room_for_the_next() -> None:
    out = SnapshotOut()
    out.start(store_of(1), MARK)
    assert out.running
    out.ended()
    assert not out.running
    assert out.next_piece() is None


def test_nodes_that_say_the_same_agree() -> None:
    digests = Digests("n1")
    digests.report("n2", 7, b"a")
    assert digests.disagreement(7, {"n1", "n2", "n3"}) is None, "ours is not known yet"
    digests.report("n1", 7, b"a")
    assert digests.disagreement(7, {"n1", "n2", "n3"}) is None


def test_one_against_one_of_three_is_told_and_two_against_one_is_the_end() -> None:
    digests = Digests("n1")
    digests.report("n1", 7, b"a")
    digests.report("n2", 7, b"b")
    assert digests.disagreement(7, {"n1", "n2", "n3"}) == (False, ["n2"])
    digests.report("n3", 7, b"b")
    assert digests.disagreement(7, {"n1", "n2", "n3"}) == (True, ["n2", "n3"])


def test_two_who_differ_from_us_and_from_each_other_are_no_majority() -> None:
    digests = Digests("n1")
    for node, digest in (("n1", b"a"), ("n2", b"b"), ("n3", b"c")):
        digests.report(node, 7, digest)
    assert digests.disagreement(7, {"n1", "n2", "n3"}) == (False, ["n2", "n3"])


def test_only_the_last_snapshots_are_remembered() -> None:
    digests = Digests("n1")
    for index in range(1, KEPT_DIGESTS + 2):
        digests.report("n1", index, b"a")
        digests.report("n2", index, b"b")
    assert digests.disagreement(1, {"n1", "n2", "n3"}) is None
    assert digests.disagreement(KEPT_DIGESTS + 1, {"n1", "n2", "n3"}) is not None


def test_a_node_takes_a_snapshot_when_its_log_has_grown_and_says_where_it_stands() -> None:
    node = Alone(Settings(snapshot_entries=20))
    client = node.client()
    for number in range(30):
        client.ask(CreateRequest(b"/%d" % number, b"", OPEN_ACL, CreateMode.PERSISTENT))
    node.pass_ms(300)
    written = [effect for effects in node.effects for effect in effects.snapshot]
    start = written[0]
    assert isinstance(start, events.StartSnapshot)
    pieces: list[bytes] = []
    while True:
        piece = written[-1]
        assert isinstance(piece, events.SnapshotPiece)
        pieces.append(piece.data)
        if piece.last:
            break
        written += node.turn(events.SnapshotPieceWritten()).snapshot
    assert node.replica.snapshot_index == 0
    digest = hashlib.sha256(b"".join(pieces)).digest()
    node.turn(events.SnapshotWritten(start.mark, digest))
    assert node.replica.snapshot_index == start.mark.index > 0


def test_learners_have_no_voice_in_whose_state_is_right() -> None:
    digests = Digests("n1")
    for node, digest in (("n1", b"a"), ("n2", b"a"), ("n4", b"b"), ("n5", b"b")):
        digests.report(node, 7, digest)
    assert digests.disagreement(7, {"n1", "n2", "n3"}) == (False, ["n4", "n5"])


@pytest.mark.parametrize(
    ("found", "offset", "asked"),
    [(None, 0, True), (3, 0, True), (3, 100, False), (7, 0, False)],
    ids=["none is left", "only an older one is", "an older one is on its way", "the newest is sent"],
)
def test_where_the_newest_snapshot_has_rotted_another_is_taken(
    found: int | None, offset: int, asked: bool
) -> None:
    node = Alone()
    replica = node.replica
    replica.snapshot_index = 7
    mark = None if found is None else SnapshotMark(found, 1, MARK.members)
    node.turn(ChunkLoaded("n2", mark, offset, b"", False))
    assert replica.checkpoint.due() is asked


def test_a_read_is_answered_when_a_snapshot_of_the_leader_has_what_it_waits_for() -> None:
    """It waited for the next entry, which in a quiet cluster comes too late."""
    node = Alone(members=("n1", "n2", "n3"))
    node.turn(events.PeerMessage("n2", AppendEntries(1, 0, 0, 0, 1, [])))
    caller = Caller(node)
    read = caller.ask("KV/Range", RangeRequest(b"a"))
    (context,) = [
        message.context
        for effects in node.effects
        for _, message in effects.send
        if isinstance(message, ReadIndex)
    ]
    node.turn(events.PeerMessage("n2", ReadIndexReply(context, 100)))
    assert read.status is None
    store = Store()
    store.execute(Put(b"a", b"1"))
    for piece in store.capture().pieces(100):
        node.turn(events.RestorePiece(piece))
    mark = SnapshotMark(100, 1, node.replica.members)
    node.turn(events.RestoreEnded(mark))
    assert read.reply.count == 1
