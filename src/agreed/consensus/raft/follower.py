"""To follow: take what the leader sends, say what is durable, and wait for a silence (§5.2, §5.3).

Three rules carry the safety of it:

* entries are taken only where they join our log: same index, same term (log matching);
* only a real conflict truncates, never a shorter or older append (a late message must not take back what was
  acknowledged since);
* what is acknowledged is durable: the reply to entries waits for their save.

A reply to an append *without* entries vouches for nothing that is not durable already, so it leaves at once:
reads and commits of the cluster do not wait for this node's disk.
"""
from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind, Send
from agreed.consensus.members import decode_members
from agreed.consensus.protocol_machine import LONG_AGO
from agreed.consensus.raft.messages import AppendEntries, AppendEntriesReply
from agreed.consensus.raft.state import RaftState, Role
from agreed.errors import MalformedInput
from agreed.types import Index, Instant, NodeId, Term

_MEMBERS = EntryKind.MEMBERS


class Follower(Role):
    name = "follower"

    def __init__(self, raft: RaftState) -> None:
        self.raft = raft
        self._round_answered = 0

    # --- time ---

    def on_time(self, now: Instant) -> None:
        raft = self.raft
        if now < raft.election_deadline:
            return
        if raft.promotable:
            raft.campaign()
        else:
            # A learner cannot do anything about it, but whoever relies on it must know.
            raft.leader = None

    def on_pause(self, late_ms: int) -> None:
        self.raft.extend_election()

    def next_wake(self) -> Instant | None:
        raft = self.raft
        return raft.election_deadline if raft.promotable or raft.leader is not None else None

    def on_members(self) -> None:
        raft = self.raft
        if raft.promotable and raft.election_deadline <= raft.now:
            raft.reset_election()  # it was of no interest until now
        elif raft.promotable:
            raft.arm(raft.election_deadline)

    def on_peer_lost(self, peer: NodeId) -> None:
        """Our leader is probably dead: campaign soon, and do not refuse others who noticed first.

        Not with leases: there "I shall not vote for a while" is a promise the leader's reads rest on.
        """
        raft = self.raft
        if peer != raft.leader or raft.config.lease_reads:
            return
        raft.leader = None
        raft.heard = False
        raft.last_heard = LONG_AGO
        raft.election_deadline = raft.now + raft.dice.between(*raft.config.leader_loss_delay_ms)
        raft.arm(raft.election_deadline)

    # --- appends ---

    def on_append_entries(self, source: NodeId, message: AppendEntries) -> None:
        raft = self.raft
        if not is_plausible(message):
            return
        prev, entries, log = message.prev_index, message.entries, raft.log
        known = log.term(prev)
        if prev <= raft.commit:
            if known is not None and known != message.prev_term:
                return  # it contradicts what is committed: no leader of this term can have sent it
        elif known != message.prev_term:
            self._reject(source, message)
            return
        news = entries
        if entries and prev < log.last_index:
            kept = self._already_held(entries)
            if kept < 0:
                return
            news = entries[kept:]
            if news and news[0].index <= log.last_index:
                raft.truncate(news[0].index)
        if news:
            raft.append(news)
        matched = prev + len(entries)
        if matched < raft.commit:
            matched = raft.commit
        if message.commit > raft.commit:
            # Only as far as this message vouches for our log being the leader's (§5.3).
            commit = min(message.commit, matched)
            if commit > raft.commit:
                raft.commit_to(commit)
        self._acknowledge(source, message, matched)

    def _already_held(self, entries: list[Entry]) -> int:
        """How many of the first entries we have; -1 where they contradict what is committed."""
        raft = self.raft
        for position, entry in enumerate(entries):
            known = raft.log.term(entry.index)
            if known == entry.term:
                continue
            if entry.index > raft.commit:
                return position
            if known is not None:
                return -1
        return len(entries)

    def _acknowledge(self, source: NodeId, message: AppendEntries, matched: Index) -> None:
        raft = self.raft
        now = raft.saved_serial >= raft.ballot_serial
        if now and (matched <= raft.saved or not message.entries):
            # Nothing that is not durable already is vouched for.
            match = matched if matched <= raft.saved else raft.saved
            raft.send(source, AppendEntriesReply(raft.term, message.round, match))
            self._round_answered = message.round
            return
        if now and message.round > self._round_answered:
            # Somebody's read waits for this round, and need not wait for our disk.
            self._round_answered = message.round
            raft.send(source, AppendEntriesReply(raft.term, message.round, raft.commit_saved))
        reply = AppendEntriesReply(raft.term, message.round, matched)
        raft.promises.hold_last(raft.serial, Send(source, reply))

    def _reject(self, source: NodeId, message: AppendEntries) -> None:
        """Say where our log leaves the leader's, a whole term at a time (§5.3, end)."""
        raft, log = self.raft, self.raft.log
        prev = message.prev_index
        conflict_term: Term = 0
        if prev > log.last_index:
            conflict_index = log.last_index + 1
        else:
            term = log.term(prev)
            assert term is not None
            conflict_term = term
            conflict_index = max(log.first_of_term(prev), raft.commit + 1)
        reply = AppendEntriesReply(
            raft.term, message.round, raft.commit_saved, prev, conflict_term, conflict_index
        )
        self._round_answered = max(self._round_answered, message.round)
        raft.promise(source, reply, raft.ballot_serial)


def is_plausible(message: AppendEntries) -> bool:
    """Whether a correct leader could have sent it: what could not be true must not be taken in."""
    index, term = message.prev_index, message.prev_term
    if index < 0 or not 0 <= term <= message.term or message.commit < 0 or message.round < 0:
        return False
    for entry in message.entries:
        index += 1
        if entry.index != index or not term <= entry.term <= message.term:
            return False
        term = entry.term
        if entry.kind == _MEMBERS:
            try:
                decode_members(entry.payload)
            except MalformedInput:
                return False
    return True
