"""What a person may decide about an open transaction: to abort it, or to commit what can only be committed.

An open transaction is decided by its coordinator, or aborted by recovery once its limit is over; an operator
is needed for neither.  To abort earlier is always allowed.  To commit is allowed only if every branch is
seen prepared now: then each has voted yes, as a commit demands, and only its coordinator did not live to say
so.  One with operations on the cluster cannot be committed by hand: they have to happen with the decision,
and nobody else knows them.  Nothing can undo a decision: one that stands is told, not changed.
"""
from __future__ import annotations

import time
from collections.abc import Sequence

from agreed.atomic_commit.messages import Vote
from agreed.client.sync import Session
from agreed.transactions.databases import Database
from agreed.transactions.decisions import USUAL_TIMEOUT_S, Decisions
from agreed.transactions.errors import NotFinished, Refused
from agreed.transactions.names import BranchName
from agreed.transactions.records import Outcome, Record
from agreed.transactions.work import run


def resolve(
    session: Session, transaction: str, outcome: Outcome, who: str, databases: Sequence[Database] = ()
) -> Record:
    """The record with the decision.  Raises Refused, and what the session raises.

    Its branches are finished by recovery, or by its coordinator if that lives."""
    deadline = time.monotonic() + USUAL_TIMEOUT_S
    decisions = Decisions(session)
    run(decisions.open(deadline))
    record = run(decisions.read(transaction, deadline, fresh=True))
    if record is None:
        raise Refused(f"{transaction} is not known: it was finished and forgotten, or never begun")
    if record.outcome is None:
        if outcome is Outcome.COMMITTED:
            if record.operations:
                raise Refused(
                    f"{transaction} has operations on the cluster that only its coordinator knows; by hand "
                    "it can only be aborted"
                )
            check_prepared(decisions.cluster, transaction, record, databases)
            wish = record.committed({each.name: Vote.YES for each in record.branches}, who)
        else:
            wish = record.aborted(who, "an operator has decided so")
        record = run(decisions.decide(transaction, wish, deadline))
    if record.outcome is not outcome:
        raise Refused(f"{transaction} is {record.state} already, decided by {record.by}; that is final")
    return record


def check_prepared(cluster: str, transaction: str, record: Record, databases: Sequence[Database]) -> None:
    """Raises Refused unless every branch is prepared.  One that is stays so until it is told the decision."""
    known: dict[str, Database] = {}
    for each in databases:
        try:
            known[each.identity()] = each
        except NotFinished as error:
            raise Refused(f"to commit, every database must answer: {error}") from error
    for branch in record.branches:
        where = known.get(branch.database)
        if where is None:
            raise Refused(
                f"{branch.name} is in {branch.database}, which is not among the databases given; to commit, "
                "every branch must be seen to be prepared"
            )
        if BranchName(cluster, transaction, branch.name) not in [each.name for each in where.prepared()]:
            raise Refused(f"{branch.name} is not prepared in {where.label}: it has not voted")
