"""What clients hear whose node is far behind, and is given a snapshot instead of the entries they wait for.

The test plays the leader of a node that follows: what the node forwards is either committed, as entries, or
done elsewhere and sent as a snapshot.
"""

from __future__ import annotations

import msgspec
import pytest

from agreed.consensus.machine import Entry, EntryKind, SnapshotMark
from agreed.consensus.raft.messages import AppendEntries, InstallSnapshot
from agreed.replica import events
from agreed.store.commands import Batch, DeleteRange, GrantLease, Payload, Put, RevokeLease, SetConfiguration
from agreed.store.machine import Store
from agreed.store.results import Result
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    CampaignRequest,
    DeleteRangeRequest,
    LeaseGrantRequest,
    LockRequest,
    PutRequest,
    RangeRequest,
)
from agreed.wire.peer.messages import Forward
from tests.replica.alone import WALL_MS, Alone
from tests.replica.etcd.calling import Asked, Caller

NAME, LEASE, KEY = b"lk", 7, b"lk/7"


class Behind:
    """`node` follows n2, which this is.  `store`: what the others have."""

    def __init__(self) -> None:
        self.node = Alone(members=("n1", "n2", "n3"))
        self.caller = Caller(self.node)
        self.store = Store()
        self.others = 0
        self._index = 0
        self._term = 1
        self._heard = 0
        self.commit(SetConfiguration(b"server.1", 1), GrantLease(LEASE, 60_000, b"", None))

    def _batches(self) -> list[Batch]:
        """What the node has said since, each once."""
        said = [message for effects in self.node.effects for _, message in effects.send]
        fresh, self._heard = said[self._heard :], len(said)
        batches = {message.batch: None for message in fresh if isinstance(message, Forward)}
        return [msgspec.msgpack.decode(batch, type=Batch) for batch in batches]

    def _apply(self, batches: list[Batch]) -> None:
        self.store.begin(WALL_MS, self._term)
        for batch in batches:
            for command in batch.commands[self.store.admit(batch) :]:
                self.store.execute(command, batch.origin)
        self.store.fresh.clear()

    def commit(self, *commands: object) -> None:
        """What the node has asked for, and what others did, reaches it as an entry."""
        batches = [*self._batches(), *self._of_another(*commands)]
        self._apply(batches)
        payload = msgspec.msgpack.encode(Payload(WALL_MS, batches))
        previous = (self._index, self._term if self._index else 0)
        self._index += 1
        entries = [Entry(self._index, self._term, EntryKind.PAYLOAD, payload)]
        for commit in (self._index - 1, self._index):
            said = AppendEntries(self._term, *previous, commit, 1, list(entries))
            self.node.turn(events.PeerMessage("n2", said))
        assert self.node.replica.applied == self._index

    def swallow(self, *commands: object) -> None:
        """The same, but the node is sent a snapshot behind it."""
        self._apply([*self._batches(), *self._of_another(*commands)])
        self._index += 100
        mark = SnapshotMark(self._index, self._term, self.node.replica.members)
        self.node.turn(events.PeerMessage("n2", InstallSnapshot(self._term, mark, 0, b"", True)))
        for piece in self.store.capture().pieces(100):
            self.node.turn(events.RestorePiece(piece))
        self.node.turn(events.RestoreEnded(mark))

    def _of_another(self, *commands: object) -> list[Batch]:
        first, self.others = self.others + 1, self.others + len(commands)
        return [Batch("n3.3", 1, first, list(commands))] if commands else []  # type: ignore[arg-type]

    def lock(self) -> Asked:
        return self.caller.ask("Lock/Lock", LockRequest(NAME, LEASE))

    def has(self, key: bytes) -> bool:
        """Everywhere, when all that was said has come."""
        self.commit()
        here = self.node.replica.store.flat.get(key) is not None
        assert here == (self.store.flat.get(key) is not None)
        return here


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("KV/Put", PutRequest(b"k", b"v")),
        ("KV/DeleteRange", DeleteRangeRequest(b"k")),
        ("Lease/LeaseGrant", LeaseGrantRequest(60, 9)),
        ("Lock/Lock", LockRequest(b"without a lease")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_came_of_a_write_is_not_known_and_said_to_be(method: str, request_: msgspec.Struct) -> None:
    behind = Behind()
    asked = behind.caller.ask(method, request_)
    assert asked.status is None
    behind.swallow()
    assert asked.status == errors.TIMEOUT_CONNECTION_LOST
    assert not behind.node.replica.etcd._waiting


def test_a_write_that_has_not_left_yet_is_done_behind_the_snapshot() -> None:
    behind = Behind()
    behind.swallow()
    asked = behind.caller.ask("KV/Put", PutRequest(b"k", b"v"))
    behind.commit()
    assert asked.reply.header.revision == 2


def test_zookeepers_clients_are_sent_away_to_ask_again() -> None:
    behind = Behind()
    client = behind.node.client()
    behind.swallow()
    assert client.closed
    behind.commit(Put(b"k", b"v"))
    assert behind.node.replica.store.flat.get(b"k") is not None


def test_who_waits_for_a_lock_finds_the_place_that_the_snapshot_brought() -> None:
    behind = Behind()
    held = behind.lock()
    behind.swallow()
    assert held.status is None
    behind.commit()
    assert held.reply.key == KEY
    assert behind.has(KEY)


def test_where_it_has_brought_none_a_new_one_is_taken() -> None:
    """Somebody has deleted it since: whoever waits stands in the row again, and does not wait for ever."""
    behind = Behind()
    held = behind.lock()
    behind.swallow(DeleteRange(KEY, None))
    behind.commit()
    assert held.reply.key == KEY
    assert behind.has(KEY)


def test_without_his_lease_he_is_told_so() -> None:
    behind = Behind()
    held = behind.lock()
    behind.swallow(RevokeLease(LEASE, plain=True))
    behind.commit()
    assert held.status is not None
    assert held.status.message == errors.LEASE_NOT_FOUND.message


def test_a_candidate_goes_on_with_the_place_and_with_what_he_says() -> None:
    behind = Behind()
    elected = behind.caller.ask("Election/Campaign", CampaignRequest(NAME, LEASE, b"me"))
    behind.swallow()
    behind.commit()
    assert elected.reply.leader.key == KEY
    record = behind.node.replica.store.flat.get(KEY)
    assert record is not None
    assert record.value == b"me"


@pytest.mark.parametrize("gives_up", ["the client", "the node"])
def test_a_place_that_nobody_waits_for_is_given_up_also_where_a_snapshot_brought_it(gives_up: str) -> None:
    """It had stood until its lease ended, and nobody behind it had been let in."""
    behind = Behind()
    held = behind.lock()
    if gives_up == "the client":
        held.call.abandoned()
    else:
        behind.node.pass_ms(8_000)
        assert held.status is not None
    behind.swallow()
    assert behind.store.flat.get(KEY) is not None
    behind.node.turn()
    assert not behind.has(KEY)


def test_a_place_that_stood_there_before_is_not_taken_away_with_the_call() -> None:
    """The lease has the lock, by another call; this one would only have found that."""
    behind = Behind()
    behind.commit(Put(KEY, b"", LEASE))
    held = behind.lock()
    held.call.abandoned()
    behind.swallow()
    behind.node.turn()
    assert behind.has(KEY)


def test_an_errand_of_the_node_itself_is_told_that_nothing_is_known() -> None:
    behind = Behind()
    told: list[Result | None] = []
    behind.node.replica.submit(Put(b"k", b"v"), told.append)
    behind.node.turn()
    behind.swallow()
    assert told == [None]
    behind.commit()
    assert told == [None]


def test_reads_are_answered_out_of_the_snapshot() -> None:
    behind = Behind()
    behind.swallow(Put(b"k", b"v"))
    read = behind.caller.ask("KV/Range", RangeRequest(b"k", serializable=True))
    assert read.reply.count == 1
