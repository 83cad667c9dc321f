"""The stage with ZABs on it, which speak in ZooKeeper's words."""

from __future__ import annotations

from typing import Any

import msgspec

from agreed.consensus.machine import Effects, Entry, EntryKind, Save, SnapshotMark
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.invariants import ClusterInvariants, View, check, check_step, view
from agreed.consensus.zab.messages import Notification, Vote
from agreed.consensus.zab.zab import Zab
from tests.consensus import stage
from tests.consensus.stage import OrderedDice, StageDisk, word

MESSAGES = {
    "FollowerInfo": "FOLLOWERINFO", "LeaderInfo": "LEADERINFO", "AckEpoch": "ACKEPOCH", "Diff": "DIFF",
    "NewLeader": "NEWLEADER", "AckNewLeader": "ACK of NEWLEADER", "UpToDate": "UPTODATE",
    "Proposal": "PROPOSAL", "Ack": "ACK", "Commit": "COMMIT", "Ask": "ASK", "Ping": "PING",
    "PingReply": "PING of a follower", "SnapshotPiece": "SNAP", "SnapshotPieceReply": "SNAP is held",
    "ReadIndex": "SYNC", "ReadIndexReply": "SYNC is answered",
}  # fmt: skip
"""What ZooKeeper calls it, where it has it."""

WORDS = {"term": "epoch", "settled": "current", "vote": "from"}
"""Of a field, where ZAB has another word for it."""

UNTOLD = {"context", "data"}


class Stage(stage.Stage[Zab]):
    agrees = "delivers"

    def __init__(self, names: tuple[str, ...], config: ZabConfig) -> None:
        self.config = config
        self.cluster = ClusterInvariants()
        super().__init__(names)

    def make(self, name: str, disk: StageDisk, entries: list[Entry], dice: OrderedDice, now: int) -> Zab:
        return Zab(name, self.members[name], disk.ballot, disk.mark, entries, self.config, dice, now)

    def view(self, machine: Zab) -> View:
        return view(machine)

    def check(self, machine: Zab) -> None:
        check(machine)

    def check_turn(self, before: View, machine: Zab, effects: Effects) -> None:
        check_step(before, machine)
        self.cluster.check(machine, self.machines.values())
        self.cluster.agreed(machine, effects.commit)

    def role(self, machine: Zab) -> str:
        return machine.standing().role

    def tell_role(self, machine: Zab) -> str:
        return self.role(machine)

    def tell_save(self, save: Save) -> str:
        entries = "".join(f"{word(entry)} " for entry in save.entries)
        return f"{entries}accepted={save.ballot.term} current={save.ballot.settled}"

    def tell_message(self, message: object) -> str:
        return tell(message)

    def tell_status(self, machine: Zab) -> str:
        return (
            f"{machine.standing().role} accepted={machine.term} current={machine.settled}"
            f" last={machine.last_index}@{machine.last_term} commit={machine.commit}"
            f" leader={machine.leader}"
        )


def tell(message: object) -> str:
    if isinstance(message, Notification):
        return f"{message.phase.name} round={message.round} epoch={message.term} {tell_field(message.vote)}"
    assert isinstance(message, msgspec.Struct)
    told = [MESSAGES[type(message).__name__]]
    for field in message.__struct_fields__:
        value = getattr(message, field)
        if field in UNTOLD:
            continue
        if isinstance(value, bool):
            told += [field] if value else []
        else:
            told.append(f"{WORDS.get(field, field)}={tell_field(value)}")
    return " ".join(told)


def tell_field(value: Any) -> str:
    match value:
        case Vote(settled, last_term, last_index, appointed, name):
            how = "appoints" if appointed else "votes for"
            return f"{how} {name} (current={settled} last={last_index}@{last_term})"
        case SnapshotMark(index, term, _):
            return f"{index}@{term}"
        case [Entry(), *_] as entries:
            return "[" + " ".join(f"{word(e)}{_content(e)}" for e in entries) + "]"
        case [(int(), int()), *_] as ends:
            return "[" + " ".join(f"{index}@{term}" for term, index in ends) + "]"
    return str(value)


def _content(entry: Entry) -> str:
    return "" if entry.kind == EntryKind.NOTHING else f" {entry.payload.decode()}"
