"""A message of any protocol as the few words that fit onto an arrow."""
from __future__ import annotations

from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.multipaxos import messages as paxos
from agreed.consensus.multipaxos.ballots import RANKS
from agreed.consensus.raft import messages as raft
from agreed.consensus.vr import messages as vr
from agreed.consensus.zab import messages as zab


def is_routine(message: object) -> bool:
    """Heartbeats and their answers, and notices of what is agreed: they would fill the page."""
    match message:
        case raft.AppendEntries(entries=[]) | paxos.Accept(entries=[]):
            return True
        case vr.Commit() | zab.Ping() | zab.PingReply() | zab.Commit():
            return True
    return False


def told(message: object) -> str:
    match message:
        case raft.RequestVote() | raft.RequestVoteReply():
            return _vote(message)
        case raft.AppendEntries():
            after = f"after {message.prev_index} of t{message.prev_term}"
            return f"AppendEntries t{message.term}, {after}: {_entries(message.entries) or 'nothing'}"
        case raft.AppendEntriesReply():
            if message.rejected:
                return f"no: nothing like it at {message.rejected}"
            return f"matches to {message.match}"
    return _of_paxos(message) or _of_vr(message) or _of_zab(message) or type(message).__name__


def _vote(message: raft.RequestVote | raft.RequestVoteReply) -> str:
    pre = "pre" if message.pre else ""
    if isinstance(message, raft.RequestVote):
        log = f"log to {message.last_index} of t{message.last_term}"
        return f"Request{pre.capitalize()}Vote t{message.term}, {log}"
    return f"{pre}vote t{message.term}" if message.granted else f"no {pre}vote"


def _ballot(number: int) -> str:
    """Its round and its owner, whose rank it contains."""
    return f"{number // RANKS}.n{number % RANKS + 1}"


def _of_paxos(message: object) -> str | None:
    match message:
        case paxos.Canvass():
            return "Canvass: is the leader gone?"
        case paxos.CanvassReply():
            return "it is" if message.granted else "it is not"
        case paxos.Prepare():
            return f"Prepare {_ballot(message.ballot)}, slots from {message.first}"
        case paxos.Promise():
            accepted = [f"{_entries([each.value])} ({_ballot(each.ballot)})" for each in message.accepted]
            return f"Promise {_ballot(message.ballot)}: {', '.join(accepted) or 'nothing accepted'}"
        case paxos.Accept():
            return f"Accept {_ballot(message.ballot)}: {_entries(message.entries) or 'nothing'}"
        case paxos.Accepted():
            return f"Accepted to {message.upto}"
        case paxos.Nack():
            return f"Nack: {_ballot(message.ballot)} is promised"
    return None


def _of_vr(message: object) -> str | None:
    match message:
        case vr.StartViewChange():
            return f"StartViewChange v{message.view}"
        case vr.DoViewChange():
            last = f"log v{message.settled}, ends at {message.last_index}"
            return f"DoViewChange v{message.view}: {last}{_and(message.entries)}"
        case vr.StartView():
            return f"StartView v{message.view}{_and(message.entries)}"
        case vr.Prepare():
            return f"Prepare v{message.view}: {_entries(message.entries)}"
        case vr.PrepareOk():
            return f"PrepareOk to {message.match}"
        case vr.GetState():
            return f"GetState after {message.after}"
        case vr.NewState():
            return f"NewState{_and(message.entries)}"
    return None


def _of_zab(message: object) -> str | None:
    match message:
        case zab.Notification():
            vote = message.vote
            return f"vote for {vote.name} ({vote.last_term}.{vote.last_index})"
        case zab.FollowerInfo():
            return f"FOLLOWERINFO e{message.term}"
        case zab.LeaderInfo():
            return f"LEADERINFO e{message.term}"
        case zab.AckEpoch():
            ends = " ".join(f"{term}.{index}" for term, index in message.history)
            return f"ACKEPOCH e{message.term}, history {ends}"
        case zab.Diff():
            word = "TRUNC" if message.truncate else "DIFF"
            return f"{word} to {message.prev_term}.{message.prev_index}{_and(message.entries)}"
        case zab.NewLeader():
            return f"NEWLEADER e{message.term}"
        case zab.AckNewLeader():
            return f"ACK NEWLEADER e{message.term}"
        case zab.UpToDate():
            return "UPTODATE"
        case zab.Proposal():
            return f"PROPOSAL {_entries(message.entries)}"
        case zab.Ack():
            return f"ACK to {message.index}"
    return None


def _and(entries: list[Entry]) -> str:
    return f", {_entries(entries)}" if entries else ""


def _entries(entries: list[Entry]) -> str:
    return " ".join(f"{entry.index}={_text(entry)}" for entry in entries)


def _text(entry: Entry) -> str:
    return entry.payload.decode() if entry.kind == EntryKind.PAYLOAD else "·"
