"""The stage with Rafts on it, and their words."""

from __future__ import annotations

from agreed.consensus.machine import Effects, Entry, Save
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import ClusterInvariants, View, check, check_step, view
from agreed.consensus.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    ReadIndex,
    ReadIndexReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from agreed.consensus.raft.raft import Raft
from tests.consensus import stage
from tests.consensus.stage import OrderedDice, StageDisk, tell_members, word


class Stage(stage.Stage[Raft]):
    def __init__(self, names: tuple[str, ...], config: RaftConfig) -> None:
        self.config = config
        self.cluster = ClusterInvariants()
        super().__init__(names)

    def make(self, name: str, disk: StageDisk, entries: list[Entry], dice: OrderedDice, now: int) -> Raft:
        return Raft(name, self.members[name], disk.ballot, disk.mark, entries, self.config, dice, now)

    def view(self, machine: Raft) -> View:
        return view(machine)

    def check(self, machine: Raft) -> None:
        check(machine)

    def check_turn(self, before: View, machine: Raft, effects: Effects) -> None:
        check_step(before, machine)
        self.cluster.check(machine, self.machines.values())
        self.cluster.agreed(machine, effects.commit)

    def role(self, machine: Raft) -> str:
        return machine.role.name

    def tell_role(self, machine: Raft) -> str:
        return f"{machine.role.name} term={machine.term}"

    def tell_save(self, save: Save) -> str:
        return " ".join(map(word, save.entries)) or f"term={save.ballot.term} vote={save.ballot.vote}"

    def tell_message(self, message: object) -> str:
        return tell(message)

    def tell_status(self, machine: Raft) -> str:
        return (
            f"{machine.role.name} term={machine.term} last={machine.log.last_index}"
            f" commit={machine.commit} leader={machine.leader} {tell_members(machine.members)}"
        )


def tell(message: object) -> str:
    match message:
        case RequestVote(term, index, last_term, pre, transfer):
            flag = " for a transfer" if transfer else ""
            return f"{'PreVote' if pre else 'RequestVote'} term={term} last={index}@{last_term}{flag}"
        case RequestVoteReply(term, granted, pre):
            return f"{'PreVote' if pre else 'RequestVote'}Reply term={term} {'yes' if granted else 'no'}"
        case AppendEntries(term, index, prev_term, commit, _, entries):
            listed = " ".join(map(word, entries))
            return f"AppendEntries term={term} prev={index}@{prev_term} [{listed}] commit={commit}"
        case AppendEntriesReply(term, _, matched, rejected, conflict_term, conflict_index):
            if rejected:
                return f"AppendEntriesReply term={term} no {rejected} try {conflict_index}@{conflict_term}"
            return f"AppendEntriesReply term={term} match={matched}"
        case InstallSnapshot(term, mark, offset, _, done):
            last = " (last)" if done else ""
            return f"InstallSnapshot term={term} {mark.index}@{mark.term} offset={offset}{last}"
        case InstallSnapshotReply(term, index, next_offset):
            return f"InstallSnapshotReply term={term} {index} next={next_offset}"
        case TimeoutNow(term):
            return f"TimeoutNow term={term}"
        case ReadIndex():
            return "ReadIndex"
        case ReadIndexReply(_, read_index):
            return f"ReadIndexReply {read_index}"
    raise AssertionError(f"no word for {message}")
