"""What must always be true of ZAB, for tests and simulations to check after every step.

Three kinds, by what one has to see: `check` looks at one machine now; `View` and `check_step` at one machine
before and after a step; `ClusterInvariants` at all machines, over a whole run.  The last are the properties
of the paper: integrity, agreement (all histories that hold an entry are equal up to it), local primary
order, global primary order and primary integrity, and that an epoch has one primary, whose history holds all
that was committed before.  Total order is no matter of ZAB's alone and lives in `agreed.consensus.contract`.

All raise `InvariantBroken`, an AssertionError whose message begins with the invariant's name.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.consensus.machine import Entry
from agreed.consensus.zab.following import Following
from agreed.consensus.zab.leading import Leading, Stage
from agreed.consensus.zab.learner import Pace
from agreed.consensus.zab.looking import Looking
from agreed.consensus.zab.zab import Zab
from agreed.types import Index, NodeId, Term


class InvariantBroken(AssertionError):
    """The message tells which, on which node, and the numbers."""


def _require(truth: bool, name: str, zab: Zab, *facts: object) -> None:
    if not truth:
        raise InvariantBroken(f"{name}: {zab.me} in epoch {zab.term}: " + ", ".join(map(str, facts)))


# --- one machine, now ---------------------------------------------------------------------------------


def check(zab: Zab) -> None:
    """All that must be true of one machine at any time between two steps."""
    log = zab.log
    _require(
        log.base_index <= log.mark.index <= zab.commit <= log.last_index,
        "bounds of the log", zab, log.base_index, log.mark.index, zab.commit, log.last_index,
    )  # fmt: skip
    _require(log.last_term <= zab.term, "no entry of a future epoch", zab, log.last_term)
    _require(zab.settled <= zab.term, "currentEpoch is not above acceptedEpoch", zab, zab.settled)
    _require(zab.saved <= log.last_index, "saved within the log", zab, zab.saved, log.last_index)
    _require(
        all(upto <= log.last_index for upto in zab.saving.values()),
        "a save counts only for what still stands", zab, zab.saving, log.last_index,
    )  # fmt: skip
    ballot = zab.ballot
    _require(
        (ballot.term, ballot.vote, ballot.settled) == (zab.term, zab.vote, zab.settled),
        "the ballot is what is saved", zab, ballot, zab.vote, zab.settled,
    )  # fmt: skip
    earliest = zab.promises.earliest
    _require(
        earliest is None or earliest > zab.saved_serial,
        "nothing is held longer than needed", zab, earliest, zab.saved_serial,
    )  # fmt: skip
    _require(zab.wake is not None, "every role has a deadline", zab, zab.role.name)
    _check_order(zab)
    if isinstance(zab.role, Leading):
        _check_leading(zab, zab.role)
    else:
        _require(not zab.leads, "who leads is in the role of it", zab, zab.role.name)
    if isinstance(zab.role, Following):
        _require(zab.leader in (None, zab.role.source), "we know whom we follow", zab, zab.leader)
        _require(zab.role.joined <= log.last_index, "joined within the log", zab, zab.role.joined)
    if isinstance(zab.role, Looking):
        _require(zab.leader is None, "who looks for a leader knows none", zab, zab.leader)


def _check_order(zab: Zab) -> None:
    log = zab.log
    index, term = log.base_index, log.base_term
    for entry in log.between(log.base_index + 1, log.last_index):
        index += 1
        _require(entry.index == index, "zxids have no gaps", zab, entry.index, index)
        _require(entry.term >= term, "global primary order", zab, entry.index, entry.term, term)
        term = entry.term
    _require(term == log.last_term, "the log ends in the epoch it says", zab, term, log.last_term)


def _check_leading(zab: Zab, leading: Leading) -> None:
    log, broadcast = zab.log, leading.broadcast
    if leading.stage is not Stage.DISCOVERY:
        _require(zab.vote == zab.me, "who leads an epoch has accepted it from itself", zab, zab.vote)
    if leading.stage is Stage.SYNCHRONIZATION:
        _require(zab.settled == zab.term, "a leader's history is its epoch's", zab, zab.settled)
        _require(log.last_index >= broadcast.began_at > 0, "an epoch begins with an entry", zab)
    if zab.leads:
        _require(zab.leader == zab.me, "a leader follows itself", zab, zab.leader)
        _require(zab.commit >= broadcast.began_at, "primary integrity", zab, zab.commit, broadcast.began_at)
    own = broadcast.own
    _require(own.match <= zab.saved, "our own log counts once saved", zab, own.match, zab.saved)
    config = zab.config
    for learner in broadcast.followers:
        name = learner.name
        _require(learner.match < learner.next, "match before next", zab, name, learner.match)
        _require(learner.match <= log.last_index, "match within the log", zab, name, learner.match)
        _require(learner.next <= log.last_index + 1, "next within the log", zab, name, learner.next)
        _require(learner.round <= leading.reads.round, "rounds come from us", zab, name, learner.round)
        _require(
            not learner.ready or learner.match >= broadcast.began_at,
            "who is ready has what the epoch begins with", zab, name, learner.match,
        )  # fmt: skip
        _require(
            learner.pace is Pace.STREAM or learner.in_flight == learner.in_flight_bytes == 0,
            "only who is streamed to has a window", zab, name,
        )  # fmt: skip
        _require(
            learner.in_flight <= config.window_messages
            and learner.in_flight_bytes - learner.newest_bytes < config.window_bytes,
            "the window is bounded", zab, name, learner.in_flight, learner.in_flight_bytes,
        )  # fmt: skip


# --- one machine, before and after a step -------------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """What `check_step` remembers of a machine."""

    term: Term
    vote: NodeId | None
    settled: Term
    commit: Index
    last_index: Index
    last_term: Term
    serial: int
    saved_serial: int
    matches: dict[NodeId, Index]
    role: int
    began_at: Index


def view(zab: Zab) -> View:
    role = zab.role
    followers = role.broadcast.followers if isinstance(role, Leading) else []
    return View(
        term=zab.term,
        vote=zab.vote,
        settled=zab.settled,
        commit=zab.commit,
        last_index=zab.log.last_index,
        last_term=zab.log.last_term,
        serial=zab.serial,
        saved_serial=zab.saved_serial,
        matches={learner.name: learner.match for learner in followers},
        role=id(role),
        began_at=role.broadcast.began_at if isinstance(role, Leading) else 0,
    )


def check_step(before: View, zab: Zab) -> None:
    """All that must be true between two states of one life of a machine."""
    log = zab.log
    _require(zab.term >= before.term, "epochs only grow", zab, before.term)
    _require(zab.settled >= before.settled, "currentEpoch only grows", zab, before.settled)
    _require(zab.commit >= before.commit, "the commit index never goes back", zab, before.commit)
    _require(zab.saved_serial >= before.saved_serial, "saves are done in order", zab)
    _require(zab.serial >= before.serial, "serials only grow", zab)
    if zab.term == before.term:
        _require(zab.vote == before.vote, "an epoch is accepted from one leader", zab, before.vote, zab.vote)
    if isinstance(zab.role, Leading) and id(zab.role) == before.role:
        for learner in zab.role.broadcast.followers:
            match = before.matches.get(learner.name, 0)
            _require(learner.match >= match, "match never goes back", zab, learner.name, match)
        if before.began_at:
            kept = log.term(before.last_index)
            _require(
                log.last_index >= before.last_index and kept in (before.last_term, None),
                "a primary only appends", zab, before.last_index, before.last_term, kept,
            )  # fmt: skip


# --- all machines, over a run -------------------------------------------------------------------------


class ClusterInvariants:
    """Fed with every machine after every step; `truth` is what has been agreed, by index."""

    def __init__(self) -> None:
        self.primaries: dict[Term, NodeId] = {}
        self.established: dict[Term, NodeId] = {}
        self.truth: dict[Index, Entry] = {}
        self._agreed_in: dict[Index, Term] = {}
        self._highest = 0
        self._proposed: dict[tuple[Term, Index], Entry] = {}
        self._proposed_to: dict[Term, Index] = {}

    def stepped(self, zab: Zab) -> None:
        """After each step, also of those that a driver takes in one turn: a primary may begin its epoch, and
        leave it before anybody looks, and what it began with may still be agreed in a later one."""
        role = zab.role
        if isinstance(role, Leading) and role.stage is Stage.SYNCHRONIZATION:
            self._remember_proposals(zab, role.broadcast.began_at)

    def check(self, zab: Zab, others: Iterable[Zab]) -> None:
        """After a step of `zab`, or after those of a turn, if each was told to `stepped`."""
        role = zab.role
        if isinstance(role, Leading) and role.stage is Stage.SYNCHRONIZATION:
            known = self.primaries.setdefault(zab.term, zab.me)
            _require(known == zab.me, "one primary in an epoch", zab, "also:", known)
            self._remember_proposals(zab, role.broadcast.began_at)
            self._check_completeness(zab)
        if zab.leads:
            self.established[zab.term] = zab.me
        for other in others:
            if other is not zab:
                self._check_agreement(zab, other)

    def agreed(self, zab: Zab, entries: list[Entry]) -> None:
        """`zab` has just said that these are committed."""
        for entry in entries:
            proposed = self._proposed.get((entry.term, entry.index))
            _require(proposed == entry, "integrity", zab, entry, proposed)
            before = self.truth.get(entry.index - 1)
            _require(before is None or before.term <= entry.term, "global primary order", zab, before, entry)
            self.truth.setdefault(entry.index, entry)
            self._agreed_in.setdefault(entry.index, zab.term)
            self._highest = max(self._highest, entry.index)

    def _remember_proposals(self, primary: Zab, began_at: Index) -> None:
        """Local primary order: what a primary proposes, it proposes once and in order."""
        epoch = primary.term
        first = self._proposed_to.get(epoch, began_at - 1) + 1
        for index in range(first, primary.log.last_index + 1):
            if index > primary.log.base_index:
                entry = primary.log.entry(index)
                _require(entry.term == epoch, "local primary order", primary, entry)
                self._proposed[epoch, index] = entry
        self._proposed_to[epoch] = primary.log.last_index

    def _check_completeness(self, primary: Zab) -> None:
        """What was agreed in an earlier epoch is in the history of every later one's primary."""
        log = primary.log
        for index in range(log.base_index + 1, self._highest + 1):
            entry = self.truth.get(index)
            if entry is not None and self._agreed_in[index] < primary.term:
                _require(
                    log.term(index) == entry.term,
                    "a primary's history has all that was committed", primary, entry, log.term(index),
                )  # fmt: skip

    def _check_agreement(self, zab: Zab, other: Zab) -> None:
        """Two histories that hold an entry are equal up to it, and no two entries have one zxid."""
        last = min(zab.log.last_index, other.log.last_index)
        first = max(zab.log.base_index, other.log.base_index) + 1
        same = False
        for index in range(last, first - 1, -1):
            mine, yours = zab.log.entry(index), other.log.entry(index)
            same = same or mine.term == yours.term
            _require(not same or mine == yours, "agreement of histories", zab, other.me, mine, yours)
