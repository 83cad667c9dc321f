"""Tenures and accesses in few words; moments are whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

from agreed.check.grants import Access, Tenure
from agreed.check.verdict import Outcome, Verdict

NAME = "a"


def tenure(
    holder: str,
    token: int,
    asked: int,
    obtained: int,
    certain_until: int | None = None,
    ended: int | None = None,
    name: str = NAME,
) -> Tenure:
    return Tenure(
        name=name,
        holder=holder,
        token=token,
        asked=asked,
        obtained=obtained,
        certain_until=certain_until,
        ended=ended,
    )


def came(at: int, holder: str, token: int, accepted: bool = True, name: str = NAME) -> Access:
    return Access(at=at, name=name, token=token, holder=holder, accepted=accepted)


def found(verdict: Verdict) -> Sequence[str]:
    """The names of what was found, in order; the outcome says the same."""
    names = [finding.name for finding in verdict.findings]
    assert verdict.outcome is (Outcome.VIOLATED if names else Outcome.HOLDS)
    assert all(finding.steps for finding in verdict.findings)
    return names
