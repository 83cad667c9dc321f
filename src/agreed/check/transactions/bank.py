"""Transfers between accounts: whatever is read at once adds up to the same.

| function | argument                               | result                                |
| -------- | -------------------------------------- | ------------------------------------- |
| read     |                                        | a map of all accounts to balances     |
| transfer | {"from": "a", "to": "b", "amount": 5}  |                                       |

A transfer leaves the total as it is.  A read that finds another total saw a transfer half done, or some of
its effects were lost: no snapshot of the accounts was ever like that.  Only reads are looked at, so this
takes linear time and finds less than the model of the same name does (`models.bank`), which asks for the
balances of each account.

    wrong-total        the balances add up to something else
    negative-balance   an account is overdrawn
    unknown-account    an account that is none
    missing-balance    an account without a balance

Names of accounts are compared as text, because JSON has no other.
"""
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from agreed.check.history import History, Operation, Status
from agreed.check.models.values import malformed
from agreed.check.verdict import Finding, Outcome, Verdict

MOST_OF_A_NAME: Final = 8
JUDGED: Final = "bank"


def bank(
    history: History,
    *,
    accounts: Collection[object] | None = None,
    total: int | None = None,
    negative_balances: bool = False,
) -> Verdict:
    """Judges the reads of a bank.  What is not told, `accounts` and `total`, is taken from the read that was
    answered first; `negative_balances`: accounts may be overdrawn.

    Raises MalformedInput for a read that is no map of accounts to numbers."""
    reads = [each for each in history if each.function == "read" and each.status is Status.OK]
    if not reads:
        return Verdict(JUDGED, Outcome.UNKNOWN, "nothing was read")
    first = min(reads, key=lambda read: (read.returned, read.index))
    names = frozenset(map(str, _balances(first) if accounts is None else accounts))
    expected = _sum(first) if total is None else total
    source = f"operation {first.index} had found" if total is None else "there should be"
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    for read in reads:
        for name, sentence in _wrongs(read, names, expected, source, negative_balances):
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= MOST_OF_A_NAME:
                pieces = (first.index, read.index) if first.index != read.index else (read.index,)
                findings.append(Finding(name, pieces, (sentence,)))
    if counts:
        reason = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        return Verdict(JUDGED, Outcome.VIOLATED, reason, findings=tuple(findings), steps=len(reads))
    reason = f"each of {len(reads)} reads found {expected} in all"
    return Verdict(JUDGED, Outcome.HOLDS, reason, steps=len(reads))


def _wrongs(
    read: Operation, names: frozenset[str], expected: int, source: str, negative_balances: bool
) -> Iterator[tuple[str, str]]:
    """What is wrong with one read; a total is only that of accounts that are known and have a balance."""
    balances = _balances(read)
    unknown = sorted({str(name) for name in balances} - names)
    missing = sorted(str(name) for name, balance in balances.items() if balance is None)
    overdrawn = sorted((str(name), balance) for name, balance in balances.items() if (balance or 0) < 0)
    if unknown:
        yield (
            "unknown-account",
            f"Operation {read.index} found {', '.join(unknown)}, and no such accounts exist.",
        )
    if missing:
        yield "missing-balance", f"Operation {read.index} found no balance for {', '.join(missing)}."
    if not unknown and not missing and (found := _sum(read)) != expected:
        yield "wrong-total", f"Operation {read.index} found {found} in all, and {source} {expected}."
    if overdrawn and not negative_balances:
        which = ", ".join(f"{name} with {balance}" for name, balance in overdrawn)
        yield "negative-balance", f"Operation {read.index} found overdrawn accounts: {which}."


def _sum(read: Operation) -> int:
    return sum(balance for balance in _balances(read).values() if balance is not None)


def _balances(read: Operation) -> Mapping[Any, int | None]:
    if not isinstance(read.result, Mapping):
        raise malformed(read, "a map of accounts to balances", read.result)
    for balance in read.result.values():
        if balance is not None and (isinstance(balance, bool) or not isinstance(balance, int)):
            raise malformed(read, "whole numbers", balance)
    return read.result
