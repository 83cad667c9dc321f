"""What must always be true of Raft, for tests and simulations to check after every step.

Three kinds, by what one has to see: `check` looks at one machine now; `View` and `check_step` at one machine
before and after a step; `ClusterInvariants` at all machines, over a whole run.  The first paper names them
(figure 3): election safety, leader append-only, log matching, leader completeness; state-machine safety is no
matter of Raft's alone and lives in `agreed.consensus.contract`.

All raise `InvariantBroken`, an AssertionError whose message begins with the invariant's name.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.consensus.log import Log
from agreed.consensus.machine import Entry, EntryKind
from agreed.consensus.members import decode_members, fault
from agreed.consensus.raft.candidate import Candidate
from agreed.consensus.raft.follower import Follower
from agreed.consensus.raft.leader import Leader
from agreed.consensus.raft.progress import Pace
from agreed.consensus.raft.raft import Raft
from agreed.types import Identity, Index, NodeId, Term


class InvariantBroken(AssertionError):
    """The message tells which, on which node, and the numbers."""


def _require(truth: bool, name: str, raft: Raft, *facts: object) -> None:
    if not truth:
        raise InvariantBroken(f"{name}: {raft.me} in term {raft.term}: " + ", ".join(map(str, facts)))


# --- one machine, now ---------------------------------------------------------------------------------


def check(raft: Raft) -> None:
    """All that must be true of one machine at any time between two steps."""
    log = raft.log
    _require(
        log.base_index <= log.mark.index <= raft.commit <= log.last_index,
        "bounds of the log", raft, log.base_index, log.mark.index, raft.commit, log.last_index,
    )  # fmt: skip
    _require(log.last_term <= raft.term, "no entry of a future term", raft, log.last_term)
    _require(raft.saved <= log.last_index, "saved within the log", raft, raft.saved, log.last_index)
    _require(
        all(upto <= log.last_index for upto in raft.saving.values()),
        "a save counts only for what still stands", raft, raft.saving, log.last_index,
    )  # fmt: skip
    _require(
        (raft.ballot.term, raft.ballot.vote) == (raft.term, raft.vote),
        "the ballot is what is saved", raft, raft.ballot, raft.vote,
    )  # fmt: skip
    earliest = raft.promises.earliest
    _require(
        earliest is None or earliest > raft.saved_serial,
        "nothing is held longer than needed", raft, earliest, raft.saved_serial,
    )  # fmt: skip
    _require(raft.leads == isinstance(raft.role, Leader), "one role at a time", raft, raft.role.name)
    _check_log(raft, log)
    if isinstance(raft.role, Leader):
        _check_leader(raft, raft.role)
    elif isinstance(raft.role, Candidate):
        _require(raft.leader is None, "a candidate knows no leader", raft, raft.leader)
        _require(raft.role.pre or raft.vote == raft.me, "a candidate votes for itself", raft, raft.vote)
        _require(raft.wake is not None, "a candidate has a deadline", raft)
    elif isinstance(raft.role, Follower):
        _require(raft.leader != raft.me, "nobody follows itself", raft)
        _require(
            raft.wake is not None or not raft.promotable, "a voter that follows has a deadline", raft
        )


def _check_log(raft: Raft, log: Log) -> None:
    index, term, members = log.base_index, log.base_term, log.members_at(log.base_index)
    for entry in log.between(log.base_index + 1, log.last_index):
        index += 1
        _require(entry.index == index, "indexes are consecutive", raft, entry.index, index)
        _require(entry.term >= term, "terms do not go down", raft, entry.index, entry.term, term)
        if entry.term != term:
            _require(log.first_of_term(index) == index, "runs of terms", raft, index)
        term = entry.term
        if entry.kind == EntryKind.MEMBERS:
            members = decode_members(entry.payload)
    _require(index == log.last_index, "the log ends where it says", raft, index, log.last_index)
    _require(term == log.last_term, "the log ends in the term it says", raft, term, log.last_term)
    _require(members == log.members, "the newest members in the log are in force", raft, members)
    _require(fault(log.members) is None, "members are sound", raft, log.members)


def _check_leader(raft: Raft, leader: Leader) -> None:
    log = raft.log
    _require(raft.leader == raft.me, "a leader follows itself", raft, raft.leader)
    _require(raft.wake is not None, "a leader has a heartbeat", raft)
    _require(log.last_index >= leader.term_began_at, "a leader begins with an entry", raft)
    _require(leader.own.match <= raft.saved, "our own log counts once saved", raft, leader.own.match)
    for name, follower in leader.progress.items():
        _require(follower.match < follower.next, "match before next", raft, name, follower.match)
        _require(follower.match <= log.last_index, "match within the log", raft, name, follower.match)
        _require(follower.next <= log.last_index + 1, "next within the log", raft, name, follower.next)
        _require(follower.round <= leader.reads.round, "rounds come from us", raft, name, follower.round)
        _require(
            follower.pace is Pace.REPLICATE or follower.in_flight == follower.in_flight_bytes == 0,
            "only who replicates has a window", raft, name,
        )  # fmt: skip
        config = raft.config
        _require(
            follower.in_flight <= config.window_messages
            and follower.in_flight_bytes - follower.newest_bytes < config.window_bytes,
            "the window is bounded", raft, name, follower.in_flight, follower.in_flight_bytes,
        )  # fmt: skip
    if leader.settled:
        _require(
            log.term(raft.commit) == raft.term or log.term(raft.commit) is None,
            "a commit ends in our own term", raft, raft.commit,
        )  # fmt: skip


# --- one machine, before and after a step -------------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """What `check_step` remembers of a machine."""

    term: Term
    vote: NodeId | None
    commit: Index
    leads: bool
    last_index: Index
    last_term: Term
    serial: int
    saved_serial: int
    matches: dict[tuple[NodeId, Identity | None], Index]
    leader_role: int


def view(raft: Raft) -> View:
    role = raft.role
    followers = role.progress.values() if isinstance(role, Leader) else ()
    return View(
        term=raft.term,
        vote=raft.vote,
        commit=raft.commit,
        leads=raft.leads,
        last_index=raft.log.last_index,
        last_term=raft.log.last_term,
        serial=raft.serial,
        saved_serial=raft.saved_serial,
        matches={(follower.name, follower.identity): follower.match for follower in followers},
        leader_role=id(role),
    )


def check_step(before: View, raft: Raft) -> None:
    """All that must be true between two states of one life of a machine."""
    log = raft.log
    _require(raft.term >= before.term, "terms only grow", raft, before.term)
    _require(raft.commit >= before.commit, "the commit index never goes back", raft, before.commit)
    _require(raft.saved_serial >= before.saved_serial, "saves are done in order", raft)
    _require(raft.serial >= before.serial, "serials only grow", raft)
    if raft.term == before.term:
        _require(
            before.vote is None or raft.vote == before.vote, "one vote a term", raft, before.vote, raft.vote
        )
    if raft.leads and before.leads and raft.term == before.term:
        kept = log.term(before.last_index)
        _require(
            log.last_index >= before.last_index and kept in (before.last_term, None),
            "leader append-only", raft, before.last_index, before.last_term, kept,
        )  # fmt: skip
    if isinstance(raft.role, Leader) and id(raft.role) == before.leader_role:
        for follower in raft.role.progress.values():
            match = before.matches.get((follower.name, follower.identity), 0)
            _require(follower.match >= match, "match never goes back", raft, follower.name, match)


# --- all machines, over a run -------------------------------------------------------------------------


class ClusterInvariants:
    """Fed with every machine after every step; `truth` is what has been agreed, by index."""

    def __init__(self) -> None:
        self.leaders: dict[Term, NodeId] = {}
        self.truth: dict[Index, Entry] = {}
        self._agreed_in: dict[Index, Term] = {}
        self._highest = 0

    def check(self, raft: Raft, others: Iterable[Raft]) -> None:
        """After a step of `raft`."""
        if isinstance(raft.role, Leader):
            known = self.leaders.setdefault(raft.term, raft.me)
            _require(known == raft.me, "election safety", raft, "also leads in this term:", known)
            self._check_completeness(raft)
        for other in others:
            if other is not raft:
                self._check_matching(raft, other)

    def agreed(self, raft: Raft, entries: list[Entry]) -> None:
        """`raft` has just said that these are committed."""
        for entry in entries:
            self.truth.setdefault(entry.index, entry)
            self._agreed_in.setdefault(entry.index, raft.term)
            self._highest = max(self._highest, entry.index)

    def _check_completeness(self, leader: Raft) -> None:
        """Leader completeness (§5.4.3): what was agreed in an earlier term is in every later leader's log."""
        log = leader.log
        for index in range(log.base_index + 1, self._highest + 1):
            entry = self.truth.get(index)
            if entry is not None and self._agreed_in[index] < leader.term:
                _require(
                    log.term(index) == entry.term, "leader completeness", leader, entry, log.term(index)
                )

    def _check_matching(self, raft: Raft, other: Raft) -> None:
        """Log matching (§5.3): the same index and term, and so the same entries up to there."""
        last = min(raft.log.last_index, other.log.last_index)
        first = max(raft.log.base_index, other.log.base_index) + 1
        same = False
        for index in range(last, first - 1, -1):
            mine, yours = raft.log.entry(index), other.log.entry(index)
            same = same or mine.term == yours.term
            _require(not same or mine == yours, "log matching", raft, other.me, mine, yours)
