"""What must always be true of Multi-Paxos, for tests and simulations to check after every step.

Four kinds, by what one has to see: `check` looks at one machine now; `View` and `check_step` at one machine
before and after a step; `check_message` at a message that leaves, and what lies on its sender's disk;
`ClusterInvariants` at all machines, over a whole run.  That no two nodes tell different values of one slot is
no matter of Paxos alone and lives in `agreed.consensus.contract`.

All raise `InvariantBroken`, an AssertionError whose message begins with the invariant's name.
"""
from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agreed.consensus.machine import Ballot, Entry
from agreed.consensus.multipaxos.candidate import Candidate, Preparing
from agreed.consensus.multipaxos.follower import Follower
from agreed.consensus.multipaxos.leader import Leader
from agreed.consensus.multipaxos.messages import Accepted, Prepare, Promise
from agreed.consensus.multipaxos.multipaxos import MultiPaxos
from agreed.consensus.multipaxos.progress import Pace
from agreed.consensus.multipaxos.slots import from_disk
from agreed.types import Index, NodeId, Term


class InvariantBroken(AssertionError):
    """The message tells which, on which node, and the numbers."""


def _require(truth: bool, name: str, paxos: MultiPaxos, *facts: object) -> None:
    if not truth:
        told = ", ".join(map(str, facts))
        raise InvariantBroken(f"{name}: {paxos.me} in ballot {paxos.term}: {told}")


# --- one machine, now ---------------------------------------------------------------------------------


def check(paxos: MultiPaxos) -> None:
    """All that must be true of one machine at any time between two steps."""
    slots = paxos.slots
    _require(
        slots.base_index <= slots.mark.index <= paxos.commit <= paxos.chosen <= paxos.held <=
        slots.last_index, "bounds of the log", paxos, slots.base_index, slots.mark.index, paxos.commit,
        paxos.chosen, paxos.held,
    )  # fmt: skip
    _require(
        paxos.commit == min(paxos.chosen, paxos.durable) and paxos.durable <= paxos.held,
        "committed is chosen and durable here", paxos, paxos.commit, paxos.chosen, paxos.durable,
    )  # fmt: skip
    _require(
        all(upto <= paxos.held for upto in paxos.saving.values()),
        "a save counts only for what still counts", paxos, paxos.saving, paxos.held,
    )  # fmt: skip
    _require(paxos.ballot.term == paxos.term, "the ballot is what is saved", paxos, paxos.ballot)
    earliest = paxos.promises.earliest
    _require(
        earliest is None or earliest > paxos.saved_serial,
        "nothing is held longer than needed", paxos, earliest, paxos.saved_serial,
    )  # fmt: skip
    _require(paxos.leads == isinstance(paxos.role, Leader), "one role at a time", paxos, paxos.role.name)
    _check_slots(paxos)
    role = paxos.role
    if isinstance(role, Leader):
        _check_leader(paxos, role)
    elif isinstance(role, Preparing):
        _check_preparing(paxos, role)
    elif isinstance(role, Candidate):
        _require(paxos.leader is None and paxos.wake is not None, "a candidate has a deadline", paxos)
    elif isinstance(role, Follower):
        _require(paxos.leader != paxos.me, "nobody follows itself", paxos)
        _require(
            paxos.wake is not None or not paxos.promotable, "a voter that follows has a deadline", paxos
        )


def _check_slots(paxos: MultiPaxos) -> None:
    slots = paxos.slots
    for index in range(slots.base_index + 1, slots.last_index + 1):
        ballot, value = slots.ballot(index), slots.value(index)
        _require(ballot <= paxos.term, "accepted is at most promised", paxos, index, ballot)
        _require((value is None) == (ballot == 0), "a value has a ballot", paxos, index, ballot)
        if value is not None:
            _require(value.index == index, "a value knows its slot", paxos, index, value.index)
            _require(0 < value.term <= ballot, "proposed before accepted", paxos, index, value.term, ballot)
        if index <= paxos.held:
            _require(value is not None, "no hole in what is held", paxos, index)
            _require(
                ballot == paxos.term or index <= paxos.chosen,
                "held is of the present ballot, or chosen", paxos, index, ballot,
            )  # fmt: skip


def _check_preparing(paxos: MultiPaxos, role: Preparing) -> None:
    _require(paxos.leader is None and paxos.wake is not None, "a candidate has a deadline", paxos)
    _require(paxos.ballots.owner(paxos.term) == paxos.me, "a ballot is its proposer's", paxos)
    _require(role.first == paxos.chosen + 1, "phase 1 is for all that is not chosen", paxos, role.first)


def _check_leader(paxos: MultiPaxos, leader: Leader) -> None:
    last = paxos.slots.last_index
    _require(paxos.leader == paxos.me, "a leader follows itself", paxos, paxos.leader)
    _require(paxos.wake is not None, "a leader has a heartbeat", paxos)
    _require(paxos.ballots.owner(paxos.term) == paxos.me, "a ballot is its proposer's", paxos)
    _require(paxos.held == last >= leader.began_at, "a leader has no holes", paxos, paxos.held, last)
    _require(leader.own.match <= paxos.durable, "our own voice counts once durable", paxos, leader.own.match)
    for name, follower in leader.progress.items():
        _require(follower.match <= last, "match within the log", paxos, name, follower.match)
        _require(0 < follower.next <= last + 1, "next within the log", paxos, name, follower.next)
        _require(follower.round <= leader.reads.round, "rounds come from us", paxos, name, follower.round)
        _require(
            follower.pace is Pace.REPLICATE or follower.in_flight == follower.in_flight_bytes == 0,
            "only who replicates has a window", paxos, name,
        )  # fmt: skip
        _require(
            follower.in_flight <= paxos.config.window_messages,
            "the window is bounded", paxos, name, follower.in_flight,
        )  # fmt: skip


# --- one machine, before and after a step -------------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """What `check_step` remembers of a machine."""

    term: Term
    commit: Index
    chosen: Index
    held: Index
    serial: int
    saved_serial: int
    accepted: dict[Index, tuple[Term, Entry | None]]
    matches: dict[NodeId, Index]


def view(paxos: MultiPaxos) -> View:
    role, slots = paxos.role, paxos.slots
    return View(
        term=paxos.term,
        commit=paxos.commit,
        chosen=paxos.chosen,
        held=paxos.held,
        serial=paxos.serial,
        saved_serial=paxos.saved_serial,
        accepted={
            index: (slots.ballot(index), slots.value(index))
            for index in range(slots.base_index + 1, slots.last_index + 1)
        },
        matches={f.name: f.match for f in role.progress.values()} if isinstance(role, Leader) else {},
    )


def check_step(before: View, paxos: MultiPaxos) -> None:
    """All that must be true between two states of one life of a machine."""
    _require(paxos.term >= before.term, "a promise is never taken back", paxos, before.term)
    _require(paxos.commit >= before.commit, "the commit index never goes back", paxos, before.commit)
    _require(paxos.chosen >= before.chosen, "what is chosen stays chosen", paxos, before.chosen)
    _require(paxos.saved_serial >= before.saved_serial, "saves are done in order", paxos)
    _require(paxos.serial >= before.serial, "serials only grow", paxos)
    if paxos.term == before.term:
        _require(paxos.held >= before.held, "within a ballot held only grows", paxos, before.held)
    _check_accepted(before, paxos)
    role = paxos.role
    if isinstance(role, Leader) and paxos.term == before.term:
        for follower in role.progress.values():
            match = before.matches.get(follower.name, 0)
            _require(follower.match >= match, "match never goes back", paxos, follower.name, match)


def _check_accepted(before: View, paxos: MultiPaxos) -> None:
    """An acceptor's answer for a slot is replaced only by that of a higher ballot, and forgotten only where a
    snapshot holds what was chosen."""
    slots = paxos.slots
    for index, (ballot, value) in before.accepted.items():
        if index <= slots.base_index:
            continue
        now = slots.ballot(index)
        _require(now >= ballot, "the accepted ballot never goes back", paxos, index, ballot, now)
        if now == ballot or index <= before.chosen:
            _require(
                slots.value(index) == value, "one value per slot and ballot", paxos, value, slots.value(index)
            )


# --- what leaves, and what lies on disk ---------------------------------------------------------------


def check_message(paxos: MultiPaxos, message: object, ballot: Ballot, log: Mapping[Index, Entry]) -> None:
    """What a message vouches for is durable when it leaves; `ballot` and `log` are what lies on disk."""
    if isinstance(message, Prepare | Promise | Accepted):
        _require(ballot.term >= message.ballot, "a promise is durable", paxos, message, ballot)
    if isinstance(message, Accepted):
        for index in range(paxos.chosen + 1, message.upto + 1):
            entry = log.get(index)
            accepted = from_disk(entry)[0] if entry is not None else 0
            _require(accepted >= message.ballot, "accepted is durable", paxos, message, index, accepted)


# --- all machines, over a run -------------------------------------------------------------------------


class ClusterInvariants:
    """Fed with every machine after every step; `truth` is what has been agreed, by index."""

    def __init__(self) -> None:
        self.leaders: dict[Term, NodeId] = {}
        self.proposed: dict[tuple[Term, Index], Entry] = {}
        self.truth: dict[Index, tuple[Term, Entry]] = {}

    def check(self, paxos: MultiPaxos) -> None:
        """After a step of `paxos`."""
        if paxos.leads:
            known = self.leaders.setdefault(paxos.term, paxos.me)
            _require(known == paxos.me, "one proposer per ballot", paxos, "also its proposer:", known)
        slots = paxos.slots
        for index in range(slots.mark.index + 1, slots.last_index + 1):
            value = slots.value(index)
            if value is not None:
                self._check_accepted(paxos, slots.ballot(index), value)

    def _check_accepted(self, paxos: MultiPaxos, ballot: Term, value: Entry) -> None:
        known = self.proposed.setdefault((ballot, value.index), value)
        _require(known == value, "one value per slot and ballot", paxos, value, "elsewhere", known)
        agreed = self.truth.get(value.index)
        if agreed is not None and ballot >= agreed[0]:
            _require(
                value == agreed[1],
                "a later ballot proposes what is chosen", paxos, value, "is accepted, but chosen is",
                agreed[1],
            )  # fmt: skip

    def agreed(self, paxos: MultiPaxos, entries: list[Entry]) -> None:
        """`paxos` has just said that these are committed: they were chosen under its ballot or an older
        one."""
        for entry in entries:
            _, known = self.truth.setdefault(entry.index, (paxos.term, entry))
            _require(known == entry, "one value per slot", paxos, entry, "elsewhere", known)
