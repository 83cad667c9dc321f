"""What a message vouches for must lie on its sender's disk when it leaves; and what a leader counts for a
node, that node must have voted for.

A promise that is spoken before it is durable does harm only where its sender crashes just then, and somebody
asks it again; here it is noticed when it is spoken.  What each message vouches for is told where the messages
are defined; what lies on a disk, `votes.py` knows.

Who has promised a newer ballot vouches for nothing in an older one: what waited to be said is forgotten.

Beside that, what a leader alone can do wrong: to name an epoch that is not above all that were accepted, and
to tell who joins of commits that are not the newest.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from agreed.consensus import protocols
from agreed.consensus.machine import Entry
from agreed.consensus.multipaxos import messages as of_multipaxos
from agreed.consensus.multipaxos.invariants import check_message
from agreed.consensus.multipaxos.leader import Leader
from agreed.consensus.vr import messages as of_vr
from agreed.consensus.vr.primary import Primary
from agreed.consensus.zab import messages as of_zab
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.leading import Leading, Stage
from agreed.sim.outcome import Broken
from agreed.sim.votes import Acceptor, Votes
from agreed.types import Index, NodeId, Term


class Told(msgspec.Struct, frozen=True):
    """Of a machine, when it was last asked what to do."""

    term: Term = 0
    commit: Index = 0


def _require(truth: bool, kind: str, acceptor: Acceptor, *facts: object) -> None:
    if not truth:
        raise Broken(kind, ", ".join([acceptor.name, *map(str, facts), str(acceptor.ballot)]))


class Vouching(Protocol):
    """What the judge must know of one protocol."""

    def check(self, machine: Any, acceptor: Acceptor, message: object, told: Told) -> None:
        """A message leaves; `told` is how things were when the last ones left.  Raises Broken."""

    def began_at(self, machine: Any) -> Index | None:
        """Where what is its own begins in the log of a leader whose log is final; None of anybody else."""

    def counted(self, machine: Any) -> list[tuple[NodeId, Index]]:
        """Up to where a leader believes that whose votes it has."""

    def check_counted(
        self, machine: Any, votes: Votes, name: NodeId, news: range, agreed: Mapping[Index, Entry]
    ) -> None:
        """It counts `news` now; `agreed` is what anybody has said to be.  Raises Broken."""

    def check_follower(self, machine: Any, machine_of: Callable[[NodeId], Any]) -> None:
        """Somebody who does not lead; `machine_of` knows the others that are up.  Raises Broken."""


def vouching(consensus: str) -> Vouching:
    if consensus == protocols.MULTIPAXOS:
        return _MultiPaxos()
    return _Viewstamped() if consensus == protocols.VR else _Zab()


class _MultiPaxos:
    def check(self, machine: Any, acceptor: Acceptor, message: object, told: Told) -> None:
        check_message(machine, message, acceptor.ballot, acceptor.log)
        if isinstance(message, of_multipaxos.Promise | of_multipaxos.Accepted):
            _require(message.ballot >= told.term, _OF_OLD, acceptor, message)

    def began_at(self, machine: Any) -> Index | None:
        return machine.role.began_at if isinstance(machine.role, Leader) else None

    def counted(self, machine: Any) -> list[tuple[NodeId, Index]]:
        return [(name, follower.match) for name, follower in machine.role.progress.items()]

    def check_counted(
        self, machine: Any, votes: Votes, name: NodeId, news: range, agreed: Mapping[Index, Entry]
    ) -> None:
        """Each slot by itself, under this ballot or a newer one, unless the acceptor knew that it is
        chosen.  That it may be so by luck does not count."""
        for index in news:
            if index > machine.slots.base_index and not votes.has_voted_since(name, index, machine.term):
                known = machine.slots.value(index) == agreed.get(index)
                _require(known, _NOT_VOTED, votes.acceptors[name], "by", machine.me, machine.term, index)


    def check_follower(self, machine: Any, machine_of: Callable[[NodeId], Any]) -> None:
        """Nothing more: what it accepts under a ballot is its vote."""


_NOT_VOTED = "counted and not voted for"
_NOT_PROMISED = "a promise is durable"
_NOT_ACCEPTED = "accepted is durable"
_OF_OLD = "an answer in a ballot that was left"


def _check_logged(
    acceptor: Acceptor, message: object, told: Told, term: Term, settled: Term = 0, last: Index = 0
) -> None:
    """Ballots and a log up to an index."""
    _require(term >= told.term, _OF_OLD, acceptor, message)
    _require(acceptor.ballot.term >= term, _NOT_PROMISED, acceptor, message)
    _require(acceptor.ballot.settled >= settled, "what is settled is durable", acceptor, message)
    _require(acceptor.holds(last), _NOT_ACCEPTED, acceptor, message)


def _check_voted(machine: Any, votes: Votes, name: NodeId, last: Index) -> None:
    """The end of what it has, and with it all before."""
    term = machine.log.term(last)
    if term is not None and last > machine.log.base_index:
        voted = votes.has_voted(name, last, (machine.term, term))
        _require(voted, _NOT_VOTED, votes.acceptors[name], "by", machine.me, machine.term, last)


class _Viewstamped:
    def check(self, machine: Any, acceptor: Acceptor, message: object, told: Told) -> None:
        match message:
            case of_vr.DoViewChange():
                _check_logged(acceptor, message, told, message.view, message.settled, message.last_index)
            case of_vr.PrepareOk():
                settled, last = (message.view, message.match) if message.joined else (0, 0)
                _check_logged(acceptor, message, told, message.view, settled, last)
            case of_vr.StartView() | of_vr.Prepare() | of_vr.Commit():
                _check_logged(acceptor, message, told, message.view, message.view)

    def began_at(self, machine: Any) -> Index | None:
        return machine.role.began_at if isinstance(machine.role, Primary) else None

    def counted(self, machine: Any) -> list[tuple[NodeId, Index]]:
        return [(name, backup.match) for name, backup in machine.role.progress.items() if backup.joined]

    def check_counted(
        self, machine: Any, votes: Votes, name: NodeId, news: range, agreed: Mapping[Index, Entry]
    ) -> None:
        if news[-1] >= machine.role.began_at:  # before that nothing is agreed by counting
            _check_voted(machine, votes, name, news[-1])


    def check_follower(self, machine: Any, machine_of: Callable[[NodeId], Any]) -> None:
        """Nothing more: what it holds of a view is its vote."""


class _Zab:
    def check(self, machine: Any, acceptor: Acceptor, message: object, told: Told) -> None:
        match message:
            case of_zab.FollowerInfo():
                _check_logged(acceptor, message, told, message.term)
            case of_zab.LeaderInfo():
                _check_logged(acceptor, message, told, message.term)
                self._check_epoch(machine, acceptor, message.term)
            case of_zab.AckEpoch():
                _check_logged(acceptor, message, told, message.term, message.settled, message.history[0][1])
            case of_zab.AckNewLeader():
                _check_logged(acceptor, message, told, message.term, message.term, message.index)
            case of_zab.Ack() | of_zab.PingReply():
                _check_logged(acceptor, message, told, message.term, 0, message.index)
            case of_zab.UpToDate():
                newest = message.commit >= told.commit
                _require(newest, "who joins is told of the newest commit", acceptor, message, told.commit)

    def _check_epoch(self, machine: Any, acceptor: Acceptor, term: Term) -> None:
        """Above all that those who follow had accepted when it was chosen."""
        role = machine.role
        if isinstance(role, Leading) and role.stage is not Stage.DISCOVERY:
            newest = max(role.accepted.values())
            _require(term > newest, "an epoch is above all that were accepted", acceptor, term, newest)

    def began_at(self, machine: Any) -> Index | None:
        role = machine.role
        final = isinstance(role, Leading) and role.stage is Stage.SYNCHRONIZATION
        return role.broadcast.began_at if final else None

    def counted(self, machine: Any) -> list[tuple[NodeId, Index]]:
        broadcast = machine.role.broadcast
        learners = [broadcast.own, *broadcast.followers]
        return [(learner.name, learner.match) for learner in learners if learner.ready]

    def check_counted(
        self, machine: Any, votes: Votes, name: NodeId, news: range, agreed: Mapping[Index, Entry]
    ) -> None:
        _check_voted(machine, votes, name, news[-1])

    def check_follower(self, machine: Any, machine_of: Callable[[NodeId], Any]) -> None:
        """What it takes for the leader's history is that: by it commits are understood."""
        role = machine.role
        if not isinstance(role, Following) or not role.accepted:
            return
        leader, joined = machine_of(role.source), role.joined
        if joined <= machine.commit or leader is None or leader.term != machine.term:
            return
        if self.began_at(leader) is not None and joined > leader.log.base_index:
            ours = machine.log.term(joined)
            if leader.log.term(joined) != ours:
                told = f"{machine.me} in {machine.term} takes {joined} of {ours} for {role.source}'s"
                raise Broken("joined to what is not the leader's history", told)
