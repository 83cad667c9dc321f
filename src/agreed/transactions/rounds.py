"""One round of recovery: look, and finish what is left.

    1   ask each database for its prepared branches
    2   ask the cluster for its time, by a write
    3   read the records, by the same session: they are at least as new as that write, hence as 1
    4   an open record beyond its limit: decide abort
    5   finish each prepared branch by its record: commit, roll back; no record: roll back; open: leave
    6   finish each decided record that has been left for a while: every branch, found in 1 or not
    7   forget those of which every branch has been finished, after some more time

Why 1 comes before 3: the record is there before the branch is prepared.  So of a branch that we have seen no
record can only be missing because the transaction was aborted, or has been finished meanwhile: then the
branch is gone, and rolling it back does nothing.  The other way round, a branch could be prepared just after
we had looked for its record, and we would roll back what is about to be committed.

Why 6 looks at branches that were not in 1: they may have been prepared after it, and committed by a decision
that 3 has seen.  A record of a commit is forgotten only when every branch *said* that it is finished.

Why 7 waits: who sent the decision and lost the reply has to find the record (`decisions.py`).
"""
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from agreed.transactions.databases import Database, Prepared
from agreed.transactions.decisions import Decisions
from agreed.transactions.errors import Forgotten, NotFinished
from agreed.transactions.names import BranchName
from agreed.transactions.records import Filed, Record, State
from agreed.transactions.work import run

if TYPE_CHECKING:
    from agreed.transactions.recovery import Recovery

log = logging.getLogger("agreed.transactions")


class Report(msgspec.Struct):
    """What one round has done and seen."""

    aborted: int = 0
    """Open records beyond their limit, decided."""
    committed: int = 0
    rolled_back: int = 0
    """Prepared branches, finished."""
    forgotten: int = 0
    waiting: int = 0
    """Prepared branches that are left for now: their transaction is under way, or could not be finished."""
    old: int = 0
    """Of these, those older than `alert_s`."""
    foreign: int = 0
    """Prepared branches of other clusters."""
    unreachable: tuple[str, ...] = ()
    """Databases that do not answer."""

    @property
    def quiet(self) -> bool:
        """Nothing was left to be done."""
        return not (self.waiting or self.old or self.unreachable)


class Round:
    """One round; the numbers are those at the head of this file."""

    def __init__(self, recovery: Recovery, decisions: Decisions, deadline: float) -> None:
        self.report = Report()
        self._recovery = recovery
        self._decisions = decisions
        self._deadline = deadline
        self._databases: dict[str, Database] = {}
        """By identity, those that answer."""
        self._records: dict[str, Filed | None] = {}
        self._now_ms = 0

    def play(self) -> None:
        found = self._observe()
        for transaction, filed in list(self._records.items()):
            if filed is not None:
                self._records[transaction] = self._aborted_if_old(transaction, filed)  # 4
        for identity, prepared in found:
            self._finish_prepared(identity, prepared)  # 5
        for transaction, filed in self._records.items():
            if filed is not None:
                self._finish_record(transaction, filed)  # 6, 7
        self._recovery.finished &= self._records.keys()

    def _observe(self) -> list[tuple[str, Prepared]]:
        """The prepared branches, each with the identity of its database, and then the records."""
        found = self._look()  # 1
        if not found and not run(self._decisions.names(self._deadline)):
            return found  # nothing is under way: an idle cluster is not written to
        self._now_ms = run(self._decisions.now_ms(self._deadline))  # 2
        self._records = run(self._decisions.all(self._deadline))  # 3
        return found

    def _look(self) -> list[tuple[str, Prepared]]:
        found: list[tuple[str, Prepared]] = []
        for each in self._recovery.databases:
            try:
                identity = each.identity()
                prepared = each.prepared()
            except NotFinished as error:
                self.report.unreachable = (*self.report.unreachable, each.label)
                self._say_once(f"{each.label} unreachable", f"recovery cannot look: {error}")
                continue
            if identity not in self._databases:
                self._databases[identity] = each
                found += [(identity, one) for one in prepared]
        return found

    def _aborted_if_old(self, transaction: str, filed: Filed) -> Filed:
        record = filed.record
        if record.state is not State.OPEN or self._now_ms - filed.begun_ms <= record.limit_s * 1000:
            return filed
        wish = record.aborted(self._recovery.who, f"it was undecided for more than {record.limit_s} s")
        try:
            standing = run(self._decisions.decide(transaction, wish, self._deadline))
        except Forgotten:
            return filed  # its coordinator was faster, with everything; the next round does not see it
        self.report.aborted += standing == wish
        log.warning("%s of %s is %s: %s", transaction, record.coordinator, standing.state, wish.reason)
        # As old as it is: its coordinator had its time, and does not get `patience_s` on top of it.
        return Filed(standing, filed.begun_ms, filed.changed_ms)

    def _finish_prepared(self, identity: str, prepared: Prepared) -> None:
        name, age_s = prepared
        where = self._databases[identity]
        if name.cluster != self._decisions.cluster:
            self.report.foreign += 1
            self._say_once(name.text, f"{where.label}: {name.text} belongs to another cluster; left alone")
            return
        if not self._may_finish(name.transaction) or not self._finish(identity, name):
            self.report.waiting += 1
            if age_s is not None and age_s > self._recovery.alert_s:
                self.report.old += 1
                self._say_once(name.text, f"{where.label}: {name.text} has been prepared for {age_s:.0f} s")
        elif self._committed(name.transaction):
            self.report.committed += 1
        else:
            self.report.rolled_back += 1

    def _may_finish(self, transaction: str) -> bool:
        """Decided, and left alone by its coordinator; or aborted and forgotten.  Not what cannot be read."""
        if transaction not in self._records:
            return True
        filed = self._records[transaction]
        return filed is not None and filed.record.state is not State.OPEN and self._left_alone(filed)

    def _left_alone(self, filed: Filed) -> bool:
        return self._now_ms - filed.changed_ms >= self._recovery.patience_s * 1000

    def _committed(self, transaction: str) -> bool:
        filed = self._records.get(transaction)
        return filed is not None and filed.record.state is State.COMMITTED

    def _finish(self, identity: str, name: BranchName) -> bool:
        """By the decision: no record is none to commit."""
        where = self._databases[identity]
        try:
            if self._committed(name.transaction):
                where.commit(name, identity)
            else:
                where.rollback(name, identity)
        except NotFinished as error:
            self._say_once(f"{name.text} failed", f"recovery will try again: {error}")
            return False
        return True

    def _finish_record(self, transaction: str, filed: Filed) -> None:
        if filed.record.state is State.OPEN or not self._left_alone(filed):
            return
        finished = self._recovery.finished
        if transaction not in finished and not self._finish_branches(transaction, filed.record):
            return
        finished.add(transaction)
        if self._now_ms - filed.changed_ms >= self._recovery.keep_s * 1000:
            run(self._decisions.forget(transaction, self._deadline))
            self.report.forgotten += 1

    def _finish_branches(self, transaction: str, record: Record) -> bool:
        for branch in record.branches:
            if branch.database not in self._databases:
                self._say_once(
                    f"{transaction} {branch.name}",
                    f"{transaction} is {record.state}, and its branch {branch.name} is in {branch.database}, "
                    "which is not among the databases of recovery or does not answer",
                )
                return False
            name = BranchName(self._decisions.cluster, transaction, branch.name)
            if not self._finish(branch.database, name):
                return False
        return True

    def _say_once(self, about: str, sentence: str) -> None:
        self._recovery.say_once(about, sentence)
