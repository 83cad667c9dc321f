"""To follow: accept what the leader proposes, say what is durable, and wait for a silence (phase 2b;
learning).

Three rules carry the safety of it:

* nothing is accepted under a ballot below the promised one, and accepting raises the promise
  (`multipaxos.py`);
* what is acknowledged is durable: the reply to values waits for their save;
* a commit index is believed only as far as our slots are accepted under *this* leader's ballot.  What we have
  accepted from an older leader may be another value than the one that was chosen, and knowing that a slot is
  chosen does not tell with which (P13).

Values are taken in any order.  A slot that is behind a hole does not count until the hole is filled: the
reply says that something is missing, and the leader goes back there.  A reply to an Accept without values
vouches for nothing that is not durable already, so it leaves at once: reads of the cluster do not wait for
this node's disk.
"""
from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind, Send
from agreed.consensus.multipaxos.messages import Accept, Accepted
from agreed.consensus.multipaxos.state import PaxosState, Role
from agreed.consensus.protocol_machine import LONG_AGO
from agreed.types import Instant, NodeId, Term

_PAYLOAD = EntryKind.PAYLOAD


class Follower(Role):
    name = "follower"

    def __init__(self, paxos: PaxosState) -> None:
        self.paxos = paxos
        self._round_answered = 0

    # --- time ---

    def on_time(self, now: Instant) -> None:
        paxos = self.paxos
        if now < paxos.election_deadline:
            return
        if paxos.promotable:
            paxos.campaign()
        else:
            # A learner cannot do anything about it, but whoever relies on it must know.
            paxos.leader = None

    def on_pause(self, late_ms: int) -> None:
        self.paxos.extend_election()

    def next_wake(self) -> Instant | None:
        paxos = self.paxos
        return paxos.election_deadline if paxos.promotable or paxos.leader is not None else None

    def on_peer_lost(self, peer: NodeId) -> None:
        """Our leader is probably dead: campaign soon, and do not discourage others who noticed first."""
        paxos = self.paxos
        if peer != paxos.leader:
            return
        paxos.leader = None
        paxos.heard = False
        paxos.last_heard = LONG_AGO
        paxos.election_deadline = paxos.now + paxos.dice.between(*paxos.config.leader_loss_delay_ms)
        paxos.arm(paxos.election_deadline)

    # --- phase 2b ---

    def on_accept(self, source: NodeId, message: Accept) -> None:
        paxos = self.paxos
        if not is_plausible(message):
            return
        hole = message.first > paxos.held + 1
        near = message.first <= paxos.slots.last_index + 1 + paxos.config.reordered_entries
        if message.entries and near:
            # What is chosen here is not accepted again: it could only be the same.
            known = paxos.chosen + 1 - message.first
            news = message.entries[known:] if known > 0 else message.entries
            if news:
                paxos.accept(news)
        self.learn(message)
        self._acknowledge(source, message, hole)

    def learn(self, message: Accept) -> None:
        paxos = self.paxos
        if message.commit > paxos.chosen:
            paxos.choose(min(message.commit, paxos.held))

    def _acknowledge(self, source: NodeId, message: Accept, hole: bool) -> None:
        paxos = self.paxos
        spoken = paxos.saved_serial >= paxos.ballot_serial
        if hole or not message.entries or paxos.held <= paxos.durable:
            # Nothing that is not durable already is vouched for.
            reply = Accepted(paxos.term, message.round, paxos.durable, paxos.held, hole)
            paxos.promise(source, reply, paxos.ballot_serial)
            self._round_answered = max(self._round_answered, message.round)
            return
        if spoken and message.round > self._round_answered:
            # Somebody's read waits for this round, and need not wait for our disk.
            self._round_answered = message.round
            paxos.send(source, Accepted(paxos.term, message.round, paxos.durable, paxos.held))
        reply = Accepted(paxos.term, message.round, paxos.held, paxos.held)
        paxos.promises.hold_last(paxos.serial, Send(source, reply))


def is_plausible(message: Accept) -> bool:
    """Whether a correct leader could have sent it: what could not be true must not be taken in."""
    index = message.first
    if index <= 0 or message.commit < 0 or message.round < 0:
        return False
    ballot = message.ballot
    for entry in message.entries:
        plain = entry.kind is _PAYLOAD and 0 < entry.term <= ballot
        if entry.index != index or not (plain or is_value(entry, ballot)):
            return False
        index += 1
    return True


def is_value(entry: Entry, ballot: Term) -> bool:
    """Whether somebody could have proposed it under this ballot or an older one."""
    if not 0 < entry.term <= ballot or entry.kind is EntryKind.MEMBERS:
        return False
    return entry.kind is not EntryKind.NOTHING or not entry.payload
