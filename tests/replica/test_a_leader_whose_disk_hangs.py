"""A leader that cannot commit for a while is told everything again and again; it must not make of that an
entry which fits into no message between nodes: that one could never be replicated, and nothing after it."""

from __future__ import annotations

import msgspec

from agreed.replica import events
from agreed.replica.proposals import MAX_ENTRY_BYTES, MAX_GATHERED_BYTES
from agreed.store.commands import Batch, SetData
from agreed.wire.peer.codec import MAX_BODY_BYTES
from agreed.wire.peer.messages import Forward
from agreed.wire.zookeeper.messages import SetDataRequest
from tests.replica.alone import Alone

MEGABYTE = 1024 * 1024


def batch(first: int) -> bytes:
    return msgspec.msgpack.encode(Batch("n2.2", 1, first, [SetData(7, b"/a", bytes(2 * MEGABYTE), -1)]))


def test_what_was_repeated_meanwhile_is_proposed_in_entries_that_fit_into_a_message() -> None:
    node = Alone()
    node.saving = False
    under_way = [batch(first) for first in range(1, 9)]
    for _ in range(6):
        # What a follower says once a second while nothing of it is applied.
        for each in under_way:
            node.turn(events.PeerMessage("n2", Forward(1, each)))
        assert node.replica.proposals.size_bytes <= MAX_GATHERED_BYTES
    node.saving = True
    node.turn()
    entries = [entry for effects in node.effects for save in effects.saves for entry in save.entries]
    assert max(len(entry.payload) for entry in entries) <= MAX_ENTRY_BYTES + MEGABYTE < MAX_BODY_BYTES
    assert node.replica.store.once.last("n2.2", 1) == 8, "each was taken in, and once"
    assert not node.replica.proposals


def test_its_own_requests_are_not_gathered_again_every_second() -> None:
    node = Alone()
    client = node.client()
    node.saving = False
    for _ in range(12):
        client.ask(SetDataRequest(b"/a", bytes(MEGABYTE - 100), -1))
    node.pass_ms(20_000, 500)
    assert node.replica.proposals.size_bytes <= MAX_GATHERED_BYTES
    node.saving = True
    node.turn()
    assert len(client.replies) == 1 + 12


def test_a_batch_that_nobody_could_apply_does_not_get_into_the_log() -> None:
    """There it would end every node, at once and at each restart."""
    command = SetData(7, b"/a", b"", -1)
    for number, forwarded in enumerate(
        (
            b"",
            b"\xc1",
            b"\x91" * 100_000,
            msgspec.msgpack.encode(["n2.2", 1, 1, [[99, "no such command"]]]),
            msgspec.msgpack.encode(Batch("n1.1", 1, 1, [command])),
            msgspec.msgpack.encode(Batch("n2", 1, 1, [command])),
            msgspec.msgpack.encode(Batch("n2.2", 1, (1 << 64) - 1, [command])),
            msgspec.msgpack.encode(Batch("n2.2", (1 << 64) - 1, 1, [command])),
            msgspec.msgpack.encode(Batch("n2.2", 1, -1, [command])),
        )
    ):
        node = Alone()
        before = node.replica.machine.last_index
        node.turn(events.PeerMessage("n2", Forward(1, forwarded)))
        assert node.replica.machine.last_index == before, number
        assert "is refused" in node.logs
