"""Who was told that nobody else can have it was told the truth.  Pure.

    too many holders    more of them were certain at one moment than there may be (one; of a semaphore as many
                        as it has permits)
    handed on backwards an exclusive thing went from a larger token to a smaller one, both certain
    a holder refused    the fence turned somebody away who was certain at that moment

It says nothing of who was not certain: a process that stood still may still believe what it read long ago,
and for that there is the fence (`tokens.py`).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence

from agreed.check.grants.records import Access, Tenure, seconds
from agreed.check.grants.tokens import by_name, verdict
from agreed.check.verdict import Finding, Verdict


def certain_holders(
    tenures: Iterable[Tenure], accesses: Iterable[Access] = (), *, permits: int = 1
) -> Verdict:
    """`accesses` are looked at where `permits` is 1: others are not refused by anybody."""
    found: list[Finding] = []
    certain = 0
    came = by_name(accesses) if permits == 1 else {}
    for name, granted in by_name(tenures).items():
        sure = sorted((each for each in granted if each.certain is not None), key=lambda each: each.obtained)
        certain += len(sure)
        found += _too_many(name, sure, permits)
        if permits == 1:
            found += _backwards(name, sure)
            found += _refused(name, sure, came.get(name, ()))
    most = "one holder" if permits == 1 else f"{permits} holders"
    return verdict(
        f"no more than {most} certain at a time", found, f"{certain} tenures were certain", certain
    )


def _until(each: Tenure) -> int:
    assert each.certain is not None
    return each.certain[1]


def _too_many(name: str, sure: Sequence[Tenure], permits: int) -> list[Finding]:
    found = []
    holding: list[tuple[int, int, Tenure]] = []
    for number, each in enumerate(sure):
        while holding and holding[0][0] <= each.obtained:
            heapq.heappop(holding)
        heapq.heappush(holding, (_until(each), number, each))
        if len(holding) > permits:
            others = ", ".join(str(other) for _, _, other in sorted(holding) if other is not each)
            overlap = min(until for until, _, _ in holding) - each.obtained
            said = f"{name}: {each} was certain for {seconds(overlap)} together with {others}"
            found.append(Finding("too many holders", (), (said,), key=name))
    return found


def _backwards(name: str, sure: Sequence[Tenure]) -> list[Finding]:
    found = []
    for earlier, later in itertools.pairwise(sure):
        if later.token < earlier.token:
            said = f"{name}: {later} followed on {earlier}"
            found.append(Finding("handed on backwards", (), (said,), key=name))
    return found


def _refused(name: str, sure: Sequence[Tenure], came: Sequence[Access]) -> list[Finding]:
    by_token = {(each.holder, each.token): each for each in sure}
    found = []
    for access in came:
        tenure = by_token.get((access.holder, access.token))
        if access.accepted or tenure is None:
            continue
        if tenure.obtained <= access.at <= _until(tenure):
            said = f"{name}: {tenure} was refused while it was certain"
            found.append(Finding("a holder refused", (), (said,), key=name))
    return found
