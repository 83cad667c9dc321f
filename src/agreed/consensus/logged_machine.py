"""The durable log of a machine, and when what is in it counts.

Raft, Viewstamped Replication and ZAB keep their entries in a log without gaps and promise the same of it,
whatever the roles ask:

* what is committed is never truncated, and the commit index never goes back;
* all that is saved in one turn is one save, and the ballot is in every save;
* what counts as durable here (`saved`) is what the disk has said, less what was overwritten since.

An acceptor of Multi-Paxos has slots instead, which may be filled in any order (`multipaxos/slots.py`).
"""
from __future__ import annotations

from collections.abc import Iterable

from agreed.consensus.config import CommonConfig
from agreed.consensus.log import Log
from agreed.consensus.machine import Ballot, Dice, Entry, Save, SnapshotMark
from agreed.consensus.members import Members
from agreed.consensus.protocol_machine import ProtocolMachine
from agreed.types import Index, Instant, NodeId, Term


class LoggedMachine(ProtocolMachine):
    def __init__(
        self,
        me: NodeId,
        members: Members,
        ballot: Ballot,
        mark: SnapshotMark | None,
        entries: Iterable[Entry],
        config: CommonConfig,
        dice: Dice,
        now: Instant,
    ) -> None:
        super().__init__(me, config, dice, now)
        if mark is None or mark.index == 0:
            mark = SnapshotMark(0, 0, members)
        self.log = Log(mark, entries)
        self.ballot = ballot
        self.commit: Index = mark.index
        self.saved: Index = self.log.last_index
        """Up to here our log is durable."""

    # --- what is known ---

    @property
    def members(self) -> Members:
        """The members in force: those of the newest set in the log, committed or not."""
        return self.log.members

    @property
    def commit_saved(self) -> Index:
        """Up to here our log is both durable and every present leader's."""
        return min(self.commit, self.saved)

    @property
    def last_index(self) -> Index:
        return self.log.last_index

    @property
    def last_term(self) -> Term:
        return self.log.last_term

    @property
    def log_begins_after(self) -> Index:
        return self.log.base_index

    def snapshot_mark(self, index: Index) -> SnapshotMark:
        """The mark of a snapshot of a store that has applied exactly the entries up to `index`.

        `index` is committed, and not before what our log still holds.
        """
        term = self.log.term(index)
        assert term is not None
        assert index <= self.commit
        return SnapshotMark(index, term, self.log.members_at(index))

    # --- what is saved ---

    def append(self, entries: list[Entry]) -> None:
        self.log.append(entries)
        self._save(entries)

    def truncate(self, index: Index) -> None:
        """Take back what was never committed.  What is durable beyond it no longer counts, and a save of it
        that is still under way will not make it count (the ABA problem)."""
        assert index > self.commit, "what is committed is never taken back"
        self.log.truncate(index)
        self._forget_saved(index - 1)

    def _forget_saved(self, last: Index) -> None:
        self.saved = min(self.saved, last)
        for serial, upto in self.saving.items():
            if upto > last:
                self.saving[serial] = last

    def restore(self, mark: SnapshotMark) -> None:
        """The store, the disk and the log are now this snapshot."""
        assert mark.index > self.commit
        self.log.restore(mark)
        self.commit = mark.index
        self.saved = mark.index
        self.saving = dict.fromkeys(self.saving, mark.index)

    def save_ballot(self, ballot: Ballot) -> None:
        self.ballot = ballot
        self._save([])
        self.ballot_serial = self.serial

    def _save(self, entries: list[Entry]) -> None:
        save = self.effects.save
        if save is None:
            self.serial += 1
            self.effects.save = Save(self.serial, self.ballot, entries.copy())
        else:
            save.ballot = self.ballot
            if entries:
                pending, first = save.entries, entries[0].index
                while pending and pending[-1].index >= first:
                    pending.pop()
                pending += entries
        self.saving[self.serial] = self.log.last_index

    def on_saved_serial(self, serial: int) -> None:
        saving = self.saving
        if serial not in saving or (self.effects.save is not None and serial == self.effects.save.serial):
            return
        for earlier in list(saving):
            if earlier > serial:
                break
            upto = saving.pop(earlier)
            if upto > self.saved:
                self.saved = upto
        self.saved_serial = serial
        self.effects.send += self.promises.release(serial)

    # --- what is agreed ---

    def commit_to(self, index: Index) -> None:
        """All up to `index` is agreed forever."""
        assert self.commit < index <= self.log.last_index
        self.effects.commit += self.log.between(self.commit + 1, index)
        self.commit = index

    def compact(self, mark: SnapshotMark) -> None:
        config = self.config
        self.log.compact(
            mark, config.tail_entries, config.tail_bytes, self.role.needed_after(), config.catching_up_bytes
        )
