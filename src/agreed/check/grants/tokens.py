"""Fencing tokens, and what a resource lets through that looks at them.  Pure.

    one token twice     two grants of one name have the same one
    not larger          who began to ask after another had obtained it has a token that is no larger
    went back           the resource let an older holder through after a newer one had been there: the two
                        are interleaved
    older leader        somebody is told of a leader after all had been told of a newer one

The third is what fences are for, and the first two are what makes fences possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from agreed.check.grants.records import Access, Look, Tenure
from agreed.check.verdict import Finding, Outcome, Verdict

OF_ONE_NAME = TypeVar("OF_ONE_NAME", Tenure, Access, Look)


def fenced(tenures: Iterable[Tenure], accesses: Iterable[Access], *, exclusive: bool = True) -> Verdict:
    """`exclusive`: one holder at a time, so that the resource can refuse smaller tokens.  Where several hold
    at once it cannot, and only the tokens themselves are looked at."""
    found: list[Finding] = []
    grants = refused = came = 0
    for name, granted in by_name(tenures).items():
        grants += len(granted)
        found += _twice(name, granted)
        found += _not_larger(name, granted)
    for name, those in by_name(accesses).items():
        came += len(those)
        refused += sum(1 for each in those if not each.accepted)
        if exclusive:
            found += _went_back(name, those)
    return verdict(
        "tokens grow, and nobody is let through after a newer one" if exclusive else "tokens grow",
        found,
        f"{grants} grants, {came} accesses, {refused} of them refused by the fence",
        grants + came,
    )


def leaders_seen(looks: Iterable[Look], *, by_everybody: bool = True) -> Verdict:
    """`by_everybody`: who looks after another was answered sees no older leader than that one; else only
    each for himself."""
    found: list[Finding] = []
    number = 0
    for name, those in by_name(looks).items():
        number += len(those)
        groups = [those] if by_everybody else list(_by_looker(those).values())
        for group in groups:
            found += _older(name, group)
    return verdict("leaders follow one another", found, f"{number} looks", number)


def by_name(those: Iterable[OF_ONE_NAME]) -> dict[str, list[OF_ONE_NAME]]:
    found: dict[str, list[OF_ONE_NAME]] = defaultdict(list)
    for each in those:
        found[each.name].append(each)
    return found


def verdict(judged: str, found: Sequence[Finding], reason: str, steps: int) -> Verdict:
    outcome = Outcome.VIOLATED if found else Outcome.HOLDS
    return Verdict(judged, outcome, found[0].steps[0] if found else reason, findings=found, steps=steps)


def _twice(name: str, granted: Sequence[Tenure]) -> list[Finding]:
    known: dict[int, Tenure] = {}
    found = []
    for each in granted:
        other = known.setdefault(each.token, each)
        if other is not each:
            said = f"{name}: token {each.token} was given to {other.holder} and to {each.holder}"
            found.append(Finding("one token twice", (), (said,), key=name))
    return found


def _not_larger(name: str, granted: Sequence[Tenure]) -> list[Finding]:
    """The largest token of all who had obtained it before this one began to ask."""
    by_obtained = sorted(granted, key=lambda each: each.obtained)
    largest: Tenure | None = None
    found = []
    before = 0
    for each in sorted(granted, key=lambda each: each.asked):
        while before < len(by_obtained) and by_obtained[before].obtained < each.asked:
            candidate = by_obtained[before]
            if largest is None or candidate.token > largest.token:
                largest = candidate
            before += 1
        if largest is not None and each.token < largest.token:
            said = f"{name}: {each} began to ask after {largest} had obtained it, and has a smaller token"
            found.append(Finding("not larger", (), (said,), key=name))
    return found


def _went_back(name: str, those: Sequence[Access]) -> list[Finding]:
    newest: Access | None = None
    found = []
    for each in those:
        if not each.accepted:
            continue
        if newest is not None and each.token == newest.token and each.holder != newest.holder:
            said = f"{name}: {each.holder} and {newest.holder} came with the same token {each.token}"
            found.append(Finding("one token twice", (), (said,), key=name))
        if newest is not None and each.token < newest.token:
            said = (
                f"{name}: {each.holder} with token {each.token} was let through after {newest.holder} with"
                f" token {newest.token} had been there"
            )
            found.append(Finding("went back", (), (said,), key=name))
        else:
            newest = each
    return found


def _by_looker(those: Sequence[Look]) -> dict[str, list[Look]]:
    found: dict[str, list[Look]] = defaultdict(list)
    for each in those:
        found[each.by].append(each)
    return found


def _older(name: str, those: Sequence[Look]) -> list[Finding]:
    by_answered = sorted(those, key=lambda each: each.answered)
    newest: Look | None = None
    found = []
    before = 0
    for each in sorted(those, key=lambda each: each.asked):
        while before < len(by_answered) and by_answered[before].answered < each.asked:
            candidate = by_answered[before]
            if candidate.token is not None and (newest is None or candidate.token > (newest.token or 0)):
                newest = candidate
            before += 1
        if newest is not None and each.token is not None and each.token < (newest.token or 0):
            said = (
                f"{name}: {each.by} was told of leader {each.token} after {newest.by} had been told of"
                f" {newest.token}"
            )
            found.append(Finding("older leader", (), (said,), key=name))
    return found
