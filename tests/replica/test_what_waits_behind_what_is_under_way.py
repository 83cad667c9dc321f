"""A node has only so many batches under way at its leader.  What waits behind them has to leave when they
come back: its clients wait for it and say nothing more, so no other turn may come for a long time."""

from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.raft.messages import AppendEntries
from agreed.replica import events
from agreed.replica.proposals import Proposals
from agreed.replica.requests import MAX_BATCHES_UNDER_WAY
from agreed.wire.peer.messages import Forward
from agreed.wire.zookeeper.messages import SetDataRequest
from tests.replica.alone import Alone, Client


class Led(Alone):
    """A follower of n2, which makes one entry of all that was forwarded to it."""

    def __init__(self) -> None:
        self.last = 0
        self.forwarded: list[bytes] = []
        super().__init__(members=("n1", "n2", "n3"))
        self.agree(Entry(1, 1, EntryKind.NOTHING, b""))

    def turn(self, *happened: object) -> events.Effects:
        effects = super().turn(*happened)
        self.forwarded += [message.batch for _, message in effects.send if isinstance(message, Forward)]
        return effects

    def agree(self, entry: Entry) -> None:
        term = 1 if self.last else 0
        self.turn(events.PeerMessage("n2", AppendEntries(1, self.last, term, self.last, 1, [entry])))
        self.last = entry.index
        self.turn(events.PeerMessage("n2", AppendEntries(1, self.last, 1, self.last, 1, [])))

    def agree_to_what_was_forwarded(self) -> None:
        proposals = Proposals("n2")
        for batch in self.forwarded:
            proposals.add("n1", batch)
        self.forwarded.clear()
        payload, _ = proposals.next(1_000)
        self.agree(Entry(self.last + 1, 1, EntryKind.PAYLOAD, payload))


def test_it_leaves_in_the_turn_in_which_they_come_back() -> None:
    node = Led()
    client = Client(node)
    client.connect()
    node.agree_to_what_was_forwarded()
    assert len(client.replies) == 1
    for _ in range(MAX_BATCHES_UNDER_WAY + 3):
        client.ask(SetDataRequest(b"/", b"", -1))
    assert len(node.forwarded) == MAX_BATCHES_UNDER_WAY
    node.agree_to_what_was_forwarded()
    assert len(client.replies) == 1 + MAX_BATCHES_UNDER_WAY
    assert len(node.forwarded) == 1, "all that waited, in one batch"
    node.agree_to_what_was_forwarded()
    assert len(client.replies) == 1 + MAX_BATCHES_UNDER_WAY + 3
