"""What has become of a transaction: asked once, or until it is decided.

    outcome_of(cluster, transaction)                    now; None while it is open
    wait_for(cluster, transaction, timeout_s)           until it is decided
"""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

from agreed.client import sync
from agreed.client.errors import Unanswered
from agreed.transactions.decisions import USUAL_TIMEOUT_S, Decisions
from agreed.transactions.errors import Forgotten, NotFinished
from agreed.transactions.records import Outcome
from agreed.transactions.sessions import renewing, session_of
from agreed.transactions.work import Work, run

ASK_EVERY_S = 0.25

Look: TypeAlias = Callable[[float], Work[Outcome | None]]
"""Asks once, until a deadline; None: undecided."""


def in_log(decisions: Decisions, transaction: str) -> Look:
    """What the log of decisions says."""

    def look(deadline: float) -> Work[Outcome | None]:
        record = yield from decisions.read(transaction, deadline, fresh=True)
        if record is None:
            raise Forgotten(transaction)
        return record.outcome

    return look


def asked(look: Look, wait_s: float | None, pause: Any) -> Work[Outcome | None]:
    """None for `wait_s`: ask once.  Else whoever does not answer is asked again until the time is over; then
    TimeoutError, or what was raised last.  Raises Forgotten, which waiting does not change."""
    ends_at = time.monotonic() + (wait_s if wait_s is not None else USUAL_TIMEOUT_S)
    while True:
        try:
            outcome = yield from look(ends_at)
            if outcome is not None or wait_s is None:
                return outcome
            if time.monotonic() >= ends_at:
                raise TimeoutError("it is still undecided")
        except (Unanswered, NotFinished):
            if wait_s is None or time.monotonic() >= ends_at:
                raise
        yield lambda: pause(ASK_EVERY_S)


def _decisions(cluster: str | sync.Session) -> Decisions:
    return Decisions(session_of(cluster), renewing(cluster))


def outcome_of(cluster: str | sync.Session, transaction: str) -> Outcome | None:
    """None: it is still open.  Raises Forgotten, and what the session raises."""
    return run(asked(in_log(_decisions(cluster), transaction), None, time.sleep))


def wait_for(cluster: str | sync.Session, transaction: str, timeout_s: float = 60.0) -> Outcome:
    """Raises TimeoutError if it is still open then, Forgotten, and what the session raises."""
    outcome = run(asked(in_log(_decisions(cluster), transaction), timeout_s, time.sleep))
    assert outcome is not None
    return outcome
