"""What must always be true of Viewstamped Replication, for tests and simulations to check after every step.

Three kinds, by what one has to see: `check` looks at one machine now; `View` and `check_step` at one machine
before and after a step; `ClusterInvariants` at all machines, over a whole run: one normal primary a view, and
a view that begins once; what was agreed is in the log of every later primary; equal entries in one order; and
no replica ever gives up its copy of what was agreed.  That all commit the same in the same order is no matter
of this protocol's alone and lives in `agreed.consensus.contract`.

All raise `InvariantBroken`, an AssertionError whose message begins with the invariant's name.
"""
from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agreed.consensus.machine import Entry
from agreed.consensus.vr.backup import Backup
from agreed.consensus.vr.changing import Changing
from agreed.consensus.vr.primary import Primary
from agreed.consensus.vr.recovering import Recovering
from agreed.consensus.vr.viewstamped import Viewstamped
from agreed.types import Index, NodeId, Term


class InvariantBroken(AssertionError):
    """The message tells which, on which node, and the numbers."""


def _require(truth: bool, name: str, vr: Viewstamped, *facts: object) -> None:
    if not truth:
        raise InvariantBroken(f"{name}: {vr.me} in view {vr.view}: " + ", ".join(map(str, facts)))


# --- one machine, now ---------------------------------------------------------------------------------


def check(vr: Viewstamped) -> None:
    """All that must be true of one machine at any time between two steps."""
    log = vr.log
    _require(
        log.base_index <= log.mark.index <= vr.commit <= log.last_index,
        "bounds of the log", vr, log.base_index, log.mark.index, vr.commit, log.last_index,
    )  # fmt: skip
    if not isinstance(vr.role, Recovering):
        _require(log.last_term <= vr.view, "no entry of a future view", vr, log.last_term)
    _require(vr.settled <= vr.view, "settled in no future view", vr, vr.settled)
    _require(vr.saved <= log.last_index, "saved within the log", vr, vr.saved, log.last_index)
    _require(
        all(upto <= log.last_index for upto in vr.saving.values()),
        "a save counts only for what still stands", vr, vr.saving, log.last_index,
    )  # fmt: skip
    _require(
        (vr.ballot.term, vr.ballot.settled) == (vr.view, vr.settled),
        "the ballot is what is saved", vr, vr.ballot, vr.settled,
    )  # fmt: skip
    earliest = vr.promises.earliest
    _require(
        earliest is None or earliest > vr.saved_serial,
        "nothing is held longer than needed", vr, earliest, vr.saved_serial,
    )  # fmt: skip
    _require(vr.leads == isinstance(vr.role, Primary), "one role at a time", vr, vr.role.name)
    _require(vr.wake is not None or not vr.promotable, "a replica has a deadline", vr)
    _check_log(vr)
    if isinstance(vr.role, Primary):
        _check_primary(vr, vr.role)
    elif isinstance(vr.role, Backup):
        _require(vr.settled == vr.view, "normal means settled", vr, vr.settled)
        _require(vr.leader in (None, vr.primary_of(vr.view)), "one follows the primary", vr, vr.leader)
        _require(vr.leader != vr.me, "nobody follows itself", vr, vr.leader)
    elif isinstance(vr.role, Changing):
        _require(vr.settled < vr.view, "who changes is not normal", vr, vr.settled)


def _check_log(vr: Viewstamped) -> None:
    log = vr.log
    index, term = log.base_index, log.base_term
    for entry in log.between(log.base_index + 1, log.last_index):
        index += 1
        _require(entry.index == index, "indexes are consecutive", vr, entry.index, index)
        _require(entry.term >= term, "views do not go down", vr, entry.index, entry.term, term)
        term = entry.term
    _require(index == log.last_index, "the log ends where it says", vr, index, log.last_index)
    _require(term == log.last_term, "the log ends in the view it says", vr, term, log.last_term)


def _check_primary(vr: Viewstamped, primary: Primary) -> None:
    log, config = vr.log, vr.config
    _require(vr.primary_of(vr.view) == vr.me, "whose turn it is leads", vr)
    _require(vr.leader == vr.me and vr.settled == vr.view, "a primary is normal", vr, vr.leader, vr.settled)
    _require(
        log.last_index >= primary.began_at and log.term(primary.began_at) in (vr.view, None),
        "a view begins with an entry of its own", vr, primary.began_at,
    )  # fmt: skip
    _require(primary.own.match <= vr.saved, "our own log counts once saved", vr, primary.own.match)
    for name, backup in primary.progress.items():
        _require(backup.match <= log.last_index, "match within the log", vr, name, backup.match)
        _require(backup.match == 0 or backup.joined, "only who has joined counts", vr, name, backup.match)
        _require(backup.next <= log.last_index + 1, "next within the log", vr, name, backup.next)
        _require(backup.round <= primary.reads.round, "rounds come from us", vr, name, backup.round)
        # Beside the Prepares, a StartView.
        _require(
            backup.in_flight <= config.window_messages + 1
            and backup.in_flight_bytes - backup.newest_bytes < config.window_bytes + config.max_append_bytes,
            "the window is bounded", vr, name, backup.in_flight, backup.in_flight_bytes,
        )  # fmt: skip


# --- one machine, before and after a step -------------------------------------------------------------


class View(msgspec.Struct, frozen=True):
    """What `check_step` remembers of a machine."""

    view: Term
    settled: Term
    commit: Index
    leads: bool
    last_index: Index
    last_term: Term
    serial: int
    saved_serial: int
    matches: dict[NodeId, Index]


def view(vr: Viewstamped) -> View:
    backups = vr.role.backups if isinstance(vr.role, Primary) else ()
    return View(
        view=vr.view,
        settled=vr.settled,
        commit=vr.commit,
        leads=vr.leads,
        last_index=vr.log.last_index,
        last_term=vr.log.last_term,
        serial=vr.serial,
        saved_serial=vr.saved_serial,
        matches={backup.name: backup.match for backup in backups},
    )


def check_step(before: View, vr: Viewstamped) -> None:
    """All that must be true between two states of one life of a machine."""
    log = vr.log
    _require(vr.view >= before.view, "view numbers never go back", vr, before.view)
    _require(vr.settled >= before.settled, "nor the last normal view", vr, before.settled, vr.settled)
    _require(vr.commit >= before.commit, "the commit number never goes back", vr, before.commit)
    _require(vr.saved_serial >= before.saved_serial, "saves are done in order", vr)
    _require(vr.serial >= before.serial, "serials only grow", vr)
    if vr.role.normal and before.settled == before.view == vr.view:
        kept = log.term(before.last_index)
        _require(
            log.last_index >= before.last_index and kept in (before.last_term, None),
            "a normal log only grows", vr, before.last_index, before.last_term, kept,
        )  # fmt: skip
    if isinstance(vr.role, Primary) and before.leads and vr.view == before.view:
        for backup in vr.role.backups:
            match = before.matches.get(backup.name, 0)
            _require(backup.match >= match, "match never goes back", vr, backup.name, match)


# --- all machines, over a run -------------------------------------------------------------------------


class ClusterInvariants:
    """Fed with every machine after every step; `truth` is what has been agreed, by index."""

    def __init__(self) -> None:
        self.began: dict[Term, tuple[NodeId, Index, Term | None]] = {}
        """Of each view that was led: by whom, and where in which log it began."""
        self.truth: dict[Index, Entry] = {}
        self._agreed_in: dict[Index, Term] = {}
        self._highest = 0
        self._copies: dict[NodeId, tuple[Viewstamped, set[Index]]] = {}
        """Who holds which agreed entries beyond its own commit number, in this life."""

    def check(self, vr: Viewstamped, others: Iterable[Viewstamped]) -> None:
        """After a step of `vr`."""
        if isinstance(vr.role, Primary) and vr.ballot_saved:  # before that nobody hears that it has begun
            began_at = vr.role.began_at
            began = (vr.me, began_at, vr.log.term(began_at - 1))
            known = self.began.setdefault(vr.view, began)
            if began[2] is None:
                began = (*began[:2], known[2])
            _require(known[0] == vr.me, "one normal primary a view", vr, "was led by", known[0])
            _require(known == began, "a view begins once", vr, known, began)
            self._check_completeness(vr)
        self._check_copies(vr)
        for other in others:
            if other is not vr:
                self._check_matching(vr, other)

    def agreed(self, vr: Viewstamped, entries: list[Entry]) -> None:
        """`vr` has just said that these are committed."""
        for entry in entries:
            self.truth.setdefault(entry.index, entry)
            self._agreed_in.setdefault(entry.index, vr.view)
            self._highest = max(self._highest, entry.index)

    def _check_completeness(self, primary: Viewstamped) -> None:
        """What was agreed in an earlier view is in every later primary's log."""
        log = primary.log
        for index in range(log.base_index + 1, self._highest + 1):
            entry = self.truth.get(index)
            if entry is not None and self._agreed_in[index] < primary.view:
                _require(
                    log.term(index) == entry.term,
                    "what was agreed is in every later primary", primary, entry, log.term(index),
                )  # fmt: skip

    def _check_copies(self, vr: Viewstamped) -> None:
        """A replica never takes back what it vouched for and a quorum agreed on; the paper's state transfer
        does.

        Only what was agreed on in its view or before: a replica that lags behind may give up a copy in favour
        of a view which no quorum followed, while a later one, of which it has not heard, agrees on just that
        entry.  Nobody counts on its copy."""
        known = self._copies.get(vr.me)
        log, holding = vr.log, set()
        for index in range(max(vr.commit, log.base_index) + 1, min(self._highest, log.last_index) + 1):
            entry = self.truth.get(index)
            if entry is not None and log.term(index) == entry.term:
                holding.add(index)
        if known is not None and known[0] is vr and not isinstance(vr.role, Recovering):
            lost = [
                index
                for index in known[1]
                if index > vr.commit and index not in holding and self._agreed_in[index] <= vr.view
            ]
            _require(not lost, "a copy of what is agreed is never given up", vr, lost)
        self._copies[vr.me] = (vr, holding)

    def _check_matching(self, vr: Viewstamped, other: Viewstamped) -> None:
        """The same index and view is the same entry, and so are all before it."""
        last = min(vr.log.last_index, other.log.last_index)
        first = max(vr.log.base_index, other.log.base_index) + 1
        same = False
        for index in range(last, first - 1, -1):
            mine, yours = vr.log.entry(index), other.log.entry(index)
            same = same or mine.term == yours.term
            _require(
                not same or mine == yours, "who shares an entry shares all before it", vr, mine, yours
            )
