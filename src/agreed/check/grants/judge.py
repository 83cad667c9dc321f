"""Every promise that what was told is about, each judged by itself; or all of them as one verdict."""

from __future__ import annotations

from collections.abc import Iterable

from agreed.check.grants.certainty import certain_holders
from agreed.check.grants.jobs import jobs_done
from agreed.check.grants.records import Told
from agreed.check.grants.tokens import fenced, leaders_seen
from agreed.check.verdict import Outcome, Verdict

TOKENS, CERTAINTY, LEADERS, JOBS = "tokens", "certainty", "leaders", "jobs"


def grants(told: Told) -> dict[str, Verdict]:
    """By the names above; leaders and jobs where there are any."""
    permits = told.terms.permits
    verdicts = {
        TOKENS: fenced(told.tenures, told.accesses, exclusive=permits == 1),
        CERTAINTY: certain_holders(told.tenures, told.accesses, permits=permits),
    }
    if told.looks:
        verdicts[LEADERS] = leaders_seen(told.looks)
    if told.puts or told.acknowledgements:
        verdicts[JOBS] = jobs_done(
            told.puts, told.tenures, told.acknowledgements, told.accesses, told.effects_by_job
        )
    return verdicts


def together(verdicts: Iterable[Verdict]) -> Verdict:
    those = list(verdicts)
    found = [finding for each in those for finding in each.findings]
    return Verdict(
        "grants: " + "; ".join(each.judged for each in those),
        Outcome.VIOLATED if found else Outcome.HOLDS,
        found[0].steps[0] if found else "; ".join(each.reason for each in those),
        findings=found,
        steps=sum(each.steps for each in those),
    )
