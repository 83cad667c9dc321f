"""What every verdict on a small history must be: that of the definition, with proofs that can be replayed."""
from __future__ import annotations

from agreed.check import linearizable, replay
from agreed.check.history import History
from agreed.check.models import AnyModel
from agreed.check.verdict import Outcome, Verdict
from tests.check.brute import linearizable_by_trying


def judged(told: History, model: AnyModel) -> Verdict:
    """The verdict, compared with every order tried, and its proofs replayed."""
    verdict = linearizable(told, model)
    assert verdict.outcome is (Outcome.HOLDS if linearizable_by_trying(told, model) else Outcome.VIOLATED)
    problems = replay.verdict(told, model, verdict)
    for finding in verdict.findings:
        assert finding.culprit is not None
        for attempt in finding.attempts:
            problems += replay.attempt(told, model, attempt, finding.culprit)
    assert problems == []
    return verdict


def holds(told: History, model: AnyModel) -> bool:
    """Whether it is linearizable, said by the search and by the definition."""
    return judged(told, model).holds
