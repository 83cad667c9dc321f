"""The stage of Raft's scripts with ZABs on it: nothing moves unless it is told to, and everything they do is
written down, in ZooKeeper's words."""
from __future__ import annotations

import msgspec

from agreed.consensus.machine import Effects, Entry, EntryKind, Event, SnapshotMark
from agreed.consensus.zab.config import ZabConfig
from agreed.consensus.zab.invariants import ClusterInvariants, check, check_step, view
from agreed.consensus.zab.messages import Notification, Vote
from agreed.consensus.zab.zab import Zab
from tests.consensus.raft import stage
from tests.consensus.raft.stage import OrderedDice, StageDisk, members_of

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


class Stage(stage.Stage):
    machines: dict[str, Zab]  # type: ignore[assignment]

    def __init__(self, names: tuple[str, ...], config: ZabConfig) -> None:
        super().__init__((), config)  # type: ignore[arg-type]
        self.cluster = ClusterInvariants()  # type: ignore[assignment]
        for name in names:
            self.add(name, members_of(*names))

    def start(self, name: str) -> None:
        disk: StageDisk = self.disks[name]
        self.clocks.setdefault(name, 0)
        self.machines[name] = Zab(
            name, self.members[name], disk.ballot, disk.mark, [disk.log[i] for i in sorted(disk.log)],
            self.config, OrderedDice(int(name[1:])), self.clocks[name],  # type: ignore[arg-type]
        )  # fmt: skip

    def turn(self, name: str, *events: Event) -> Effects:
        machine = self.machines[name]
        was, before = machine.standing().role, view(machine)
        for event in events:
            machine.step(event)
            check(machine)
        effects = machine.take()
        check(machine)
        check_step(before, machine)
        self.cluster.check(machine, self.machines.values())  # type: ignore[arg-type]
        self.cluster.agreed(machine, effects.commit)  # type: ignore[arg-type]
        if machine.standing().role != was:
            self.lines.append(f"{name}: {was} ⇨ {machine.standing().role}")
        self._perform(name, effects)
        self.effects[name] = effects
        return effects

    def _perform(self, name: str, effects: Effects) -> None:
        first = len(self.lines)
        sends, effects.send = effects.send, []
        super()._perform(name, effects)
        save = effects.save
        if save is not None:
            what = "".join(f" {stage.word(entry)}" for entry in save.entries)
            ballot = save.ballot
            told = f"{name} saves #{save.serial}{what} accepted={ballot.term} current={ballot.settled}"
            self.lines[first] = told
        self.lines[first:] = [line.replace(" agrees ", " delivers ") for line in self.lines[first:]]
        for send in sends:
            self.post.append((name, send))
            self.lines.append(f"{name} → {send.target} {tell(send.message)}")
        effects.send = sends


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


def tell_field(value: object) -> str:
    match value:
        case Vote(settled, last_term, last_index, appointed, name):
            how = "appoints" if appointed else "votes for"
            return f"{how} {name} (current={settled} last={last_index}@{last_term})"
        case SnapshotMark(index, term, _):
            return f"{index}@{term}"
        case [Entry(), *_] as entries:
            return "[" + " ".join(f"{stage.word(e)}{_content(e)}" for e in entries) + "]"
        case [(int(), int()), *_] as ends:
            return "[" + " ".join(f"{index}@{term}" for term, index in ends) + "]"
    return str(value)


def _content(entry: Entry) -> str:
    return "" if entry.kind == EntryKind.NOTHING else f" {entry.payload.decode()}"
