"""A transaction over several databases that happens on all of them or on none, for users.

    with agreed.atomic("agreed://127.0.0.1:2181", orders=orders, billing=billing) as tx:
        tx.orders.execute("...")
        tx.billing.execute("...")

Two-phase commit whose decision is an entry of the replicated store (`agreed.atomic_commit.replicated` is the
same as a pure machine): whoever finds a prepared branch can find out how it ends, and finish it, whether the
coordinator lives or not.

    transaction.py    `atomic`, for blocking programs            aio.py    for those that await
    coordinator.py    the protocol, step by step
    decisions.py      the log of decisions in the store          records.py, names.py    what lies there
    participants.py   what is asked of a branch                  deadlines.py            and for how long
                      postgresql.py, mariadb.py, pep249.py, sqlalchemy_engines.py
    recovery.py       finishes what others have begun            rounds.py    how; databases.py    where
                      election.py                                which of several does it
    inquiry.py        what has become of a transaction           operator.py  what a person may decide
    work.py           why all of this is written once and runs in both worlds

It promises: uniform agreement, integrity, commit validity and, while a majority of the cluster and the
databases answer, termination (`agreed.atomic_commit.invariants`).  It does not promise isolation over the
databases: a reader may see one of them committed and the other not yet.
"""
from __future__ import annotations

from agreed.transactions.errors import Aborted, AtomicCommitError, Forgotten, InDoubt, Refused
from agreed.transactions.inquiry import outcome_of, wait_for
from agreed.transactions.records import Outcome
from agreed.transactions.transaction import Transaction, atomic

__all__ = [
    "Aborted",
    "AtomicCommitError",
    "Forgotten",
    "InDoubt",
    "Outcome",
    "Refused",
    "Transaction",
    "atomic",
    "outcome_of",
    "wait_for",
]
