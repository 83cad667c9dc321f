"""To become leader: see whether there is need of one, then phase 1 for all slots at once.

First a *canvass*: who hears a leader, or has forgotten slots that we lack, says no, and nothing has changed
for anybody.  So a node that was cut off for a while does not depose a healthy leader when it comes back, and
proposers that cannot win do not duel.  Not in the papers, which elect by any means; safety does not rest on
it.

Then Prepare, under a ballot of our own that nobody has used, once it is durable.  Promises come in pieces,
for an acceptor that is far ahead of us has much to tell, and it is how we learn what was chosen meanwhile.
When a quorum has told everything, each slot gets the value that was accepted under the *highest* ballot
there: only that one can have been chosen, and where nothing was accepted nothing was chosen.  Our own promise
counts like any other: once it is durable.
"""
from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.multipaxos.follower import is_value
from agreed.consensus.multipaxos.messages import Acceptance, Canvass, CanvassReply, Prepare, Promise
from agreed.consensus.multipaxos.state import PaxosState, Role
from agreed.types import Index, Instant, NodeId


class Candidate(Role):
    """Asks whether to begin."""

    name = "candidate"

    def __init__(self, paxos: PaxosState) -> None:
        self.paxos = paxos
        self.granted: set[NodeId] = set()
        self.refused: set[NodeId] = set()
        self._promised = paxos.term

    def start(self) -> None:
        paxos = self.paxos
        for name in paxos.quorum.names:
            if name != paxos.me:
                paxos.promise(name, Canvass(paxos.term, paxos.chosen), paxos.ballot_serial)
        self.granted.add(paxos.me)
        self._decide()

    def on_canvass_reply(self, source: NodeId, message: CanvassReply) -> None:
        if message.ballot != self.paxos.term:
            return  # of an older candidacy: since then there may have been a leader
        (self.granted if message.granted else self.refused).add(source)
        self._promised = max(self._promised, message.promised)
        self._decide()

    def _decide(self) -> None:
        paxos = self.paxos
        if paxos.quorum.has(self.granted):
            paxos.become_candidate(self._promised)
        elif paxos.quorum.lost(self.refused):
            # Waiting as a follower lets the one who can win have the next word.
            paxos.become_follower(paxos.term, None)

    def on_time(self, now: Instant) -> None:
        """Nobody won: begin anew, with another random timeout."""
        if now >= self.paxos.election_deadline:
            self.paxos.campaign()

    def on_pause(self, late_ms: int) -> None:
        self.paxos.extend_election()

    def next_wake(self) -> Instant:
        return self.paxos.election_deadline


class Preparing(Role):
    """Phase 1 under a ballot of our own."""

    name = "preparing"

    def __init__(self, paxos: PaxosState) -> None:
        self.paxos = paxos
        self.first: Index = paxos.chosen + 1
        self.highest: dict[Index, Acceptance] = {}
        """For each slot what was accepted under the highest ballot, as far as we were told."""
        self.last: Index = paxos.chosen
        self.chosen: Index = paxos.chosen
        self.complete: set[NodeId] = set()
        """Who has told everything."""
        self._asked: dict[NodeId, Index] = {
            name: self.first for name in paxos.quorum.names if name != paxos.me
        }
        self._ask_again_at: Instant = paxos.now + paxos.config.heartbeat_ms

    def start(self) -> None:
        paxos = self.paxos
        for name in self._asked:
            paxos.promise(name, Prepare(paxos.term, self.first), paxos.ballot_serial)
        paxos.arm(self._ask_again_at)
        self._promise_ourselves()

    def _promise_ourselves(self) -> None:
        paxos = self.paxos
        if paxos.me in self.complete or paxos.ballot_serial > paxos.saved_serial:
            return
        slots = paxos.slots
        for index in range(self.first, slots.last_index + 1):
            value = slots.value(index)
            if value is not None:
                self.consider(Acceptance(slots.ballot(index), value))
        self._told_all(paxos.me, slots.last_index, paxos.chosen)

    def on_saved(self) -> None:
        self._promise_ourselves()

    def on_promise(self, source: NodeId, message: Promise) -> None:
        paxos = self.paxos
        if self._asked.get(source) != message.first or not _is_plausible(message):
            return
        for acceptance in message.accepted:
            self.consider(acceptance)
        if message.upto < message.last:
            self._asked[source] = message.upto + 1
            paxos.send(source, Prepare(paxos.term, message.upto + 1))
        else:
            del self._asked[source]
            self._told_all(source, message.last, message.chosen)

    def consider(self, acceptance: Acceptance) -> None:
        """The highest ballot of a slot wins."""
        index = acceptance.value.index
        known = self.highest.get(index)
        if known is None or acceptance.ballot > known.ballot:
            self.highest[index] = acceptance

    def _told_all(self, name: NodeId, last: Index, chosen: Index) -> None:
        paxos = self.paxos
        self.last = max(self.last, last)
        self.chosen = max(self.chosen, chosen)
        self.complete.add(name)
        if paxos.quorum.has(self.complete):
            paxos.become_leader()

    def values(self) -> list[Entry]:
        """What to propose in phase 2: what may have been chosen, and nothing at all for holes; without that,
        what is behind them could never be told to anybody."""
        values = []
        for index in range(self.first, self.last + 1):
            acceptance = self.highest.get(index)
            if acceptance is None:
                values.append(Entry(index, self.paxos.term, EntryKind.NOTHING, b""))
            else:
                values.append(acceptance.value)
        return values

    # --- time ---

    def on_time(self, now: Instant) -> None:
        paxos = self.paxos
        if now >= paxos.election_deadline:
            paxos.campaign()
        elif now >= self._ask_again_at:
            self._ask_again_at = now + paxos.config.heartbeat_ms
            for name, first in self._asked.items():
                paxos.promise(name, Prepare(paxos.term, first), paxos.ballot_serial)

    def on_pause(self, late_ms: int) -> None:
        self.paxos.extend_election()

    def next_wake(self) -> Instant:
        return min(self.paxos.election_deadline, self._ask_again_at)


def _is_plausible(message: Promise) -> bool:
    index = message.first - 1
    if message.upto < index or message.last < message.upto or message.chosen > message.last:
        return False
    for acceptance in message.accepted:
        if not index < acceptance.value.index <= message.upto or acceptance.ballot >= message.ballot:
            return False
        if not is_value(acceptance.value, acceptance.ballot):
            return False
        index = acceptance.value.index
    return True
