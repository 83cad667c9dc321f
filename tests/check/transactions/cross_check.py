"""Judges random small histories twice: by the checkers, and by the definitions tried in every way there is.

    python -m tests.check.transactions.cross_check --histories 1000 --seed 1

Sound: no model is ruled out of which a history is.  Never, for any model.  Every finding is replayed, and
every witness.

Complete: every model of which a history is not is ruled out.  Not always, and where it must be is counted:

* lists: serializable, strong-session-serializable, strict-serializable always; the forms of snapshot
  isolation, read-committed and below, consistent-view and repeatable-read where no key has two unread
  elements without a revision (read-uncommitted only if no two reads contradict each other, which is given
  as a breach of read-committed);
* registers: the same models where every writer has a revision.

Of all other cases is said how many were missed.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from agreed.check.history import History, Status
from agreed.check.transactions import Options, list_append, rw_register
from agreed.check.transactions.replay import problem
from agreed.check.verdict import Outcome, Verdict
from tests.check.transactions import definitions
from tests.check.transactions.definitions import Edges, Small, acyclic, no_single_miss
from tests.check.transactions.small_worlds import small_world

ISOLATED = (
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
    "snapshot-isolation",
    "strong-session-snapshot-isolation",
    "strong-snapshot-isolation",
)
ALWAYS_DECIDED = ISOLATED[:3]

MOST_OF_A_KEY = 8
"""Of more values of a key there are too many orders; such a history is tried for the models above only."""


def by_definition(history: History, options: Options, *, lists: bool) -> Mapping[str, Callable[[], bool]]:
    """For each model, a look at whether the history is one of it."""
    small = definitions.small(history)
    sessions, time = definitions.in_sessions(small), definitions.in_time(small)
    rules = [definitions.by_revision(small)]
    if options.sequential_keys and not lists:
        rules.append(definitions.by_touch(small, sessions))
    if options.linearizable_keys and not lists:
        rules.append(definitions.by_touch(small, time - sessions | _returned(small, sessions)))

    def ordered(key: Any, order: Any) -> bool:
        return all(rule(key, order) for rule in rules)

    written = {(key, value) for each in history for f, key, value in _argument(each) if f != "r"}

    @cache
    def graphs(committed_reads: bool) -> frozenset[Edges]:
        return definitions.histories(small, written, lists, committed_reads=committed_reads, ordered=ordered)

    def adya(fits: Callable[[Edges], bool], committed_reads: bool = True) -> Callable[[], bool]:
        return lambda: any(fits(edges) for edges in graphs(committed_reads))

    found: dict[str, Callable[[], bool]] = {}
    for name, after in (("", frozenset[tuple[int, int]]()), ("strong-session-", sessions), ("strong-", time)):
        serializable = "strict-serializable" if name == "strong-" else name + "serializable"
        found[serializable] = lambda after=after: definitions.serial(small, lists, after, ordered)
        found[name + "snapshot-isolation"] = lambda after=after: definitions.snapshots(
            small, lists, after, ordered
        )
        found[name + "read-committed"] = adya(lambda e, after=after: acyclic(e.ww | e.wr | after))
        if not options.writes_follow_reads_keys:
            found[name + "read-uncommitted"] = adya(lambda e, after=after: acyclic(e.ww | after), False)
    found["consistent-view"] = adya(no_single_miss)
    found["repeatable-read"] = adya(lambda e: acyclic(e.ww | e.wr | e.rw))
    if max(Counter(key for key, _ in written).values(), default=0) > MOST_OF_A_KEY:
        found = {model: is_one for model, is_one in found.items() if model in ISOLATED}
    if not lists and len(small) <= 5:
        for name, axioms in (
            ("read-atomic", {}),
            ("update-atomic", {"no_conflict": True}),
            ("causal-cerone", {"transitive": True}),
            ("prefix", {"prefix": True}),
            ("parallel-snapshot-isolation", {"transitive": True, "no_conflict": True}),
        ):
            found[name] = lambda axioms=axioms: definitions.visibility(small, ordered=ordered, **axioms)
    return found


def _returned(small: list[Small], sessions: definitions.Pairs) -> definitions.Pairs:
    return frozenset(
        (one, other)
        for one, other in sessions
        if (returned := small[one].operation.returned) is not None
        and returned < small[other].operation.called
    )


def options_for(random: Random, *, lists: bool) -> Options:
    return Options(
        models=("strict-serializable",),
        writes_follow_reads_keys=not lists and random.random() < 0.5,
        sequential_keys=not lists and random.random() < 0.2,
        linearizable_keys=not lists and random.random() < 0.2,
        garbage_reads=True,
    )


def fully_ordered(history: History, verdict: Verdict, *, lists: bool) -> bool:
    """Whether the checker knows the order of all versions of each key (see above)."""
    if not lists:
        return all(
            operation.revision is not None and operation.status is not Status.INFO
            for operation in history
            if any(f != "r" for f, *_ in _argument(operation))
        )
    read = {
        (key, element)
        for operation in history
        if operation.status is Status.OK
        for function, key, value in _result(operation)
        if function == "r"
        for element in value or ()
    }
    unread: Counter[Any] = Counter()
    for operation in history:
        if operation.status is Status.INFO or (operation.status is Status.OK and operation.revision is None):
            unread.update(
                {key for f, key, value in _argument(operation) if f != "r" and (key, value) not in read}
            )
    return all(count < 2 for count in unread.values())


def _argument(operation: Any) -> Any:
    return operation.argument


def _result(operation: Any) -> Any:
    return operation.result


class Tally:
    def __init__(self) -> None:
        self.histories = 0
        self.wrong: list[str] = []
        self.is_not: Counter[tuple[str, str]] = Counter()
        self.is_one: Counter[tuple[str, str]] = Counter()
        self.decided: Counter[tuple[str, str]] = Counter()
        self.missed: Counter[tuple[str, str]] = Counter()
        self.found: Counter[str] = Counter()


def look(seed: int, tally: Tally) -> None:
    """One history, from its seed."""
    random = Random(seed)
    lists = random.random() < 0.5
    kind = "lists" if lists else "registers"
    history = small_world(random, lists=lists, revisions=random.random() < 0.4)
    options = options_for(random, lists=lists)
    verdict = (list_append if lists else rw_register)(history, options)
    tally.histories += 1
    names = {finding.name for finding in verdict.findings}
    tally.found.update(names)
    wrong = problem(history, "append" if lists else "w", verdict, options)
    if wrong is not None:
        tally.wrong.append(f"seed {seed}: {wrong}")
    ruled_out = {*verdict.ruled_out, *verdict.also_ruled_out}
    if (verdict.outcome is Outcome.VIOLATED) != ("strict-serializable" in ruled_out):
        tally.wrong.append(f"seed {seed}: {verdict.outcome.value}, and ruled out is {sorted(ruled_out)}")
    ordered = fully_ordered(history, verdict, lists=lists)
    for model, holds in by_definition(history, options, lists=lists).items():
        truth = holds()
        (tally.is_one if truth else tally.is_not)[kind, model] += 1
        if truth and model in ruled_out:
            tally.wrong.append(f"seed {seed}: {model} is ruled out, and has an explanation")
        if truth or model in (
            "read-atomic",
            "update-atomic",
            "causal-cerone",
            "prefix",
            "parallel-snapshot-isolation",
        ):
            tally.missed[kind, model] += not truth and model not in ruled_out
            continue
        must = ordered or (lists and model in ALWAYS_DECIDED)
        if lists and model.endswith("read-uncommitted") and "incompatible-order" in names:
            must = False
        tally.decided[kind, model] += must
        if model not in ruled_out:
            tally.missed[kind, model] += 1
            if must:
                tally.wrong.append(f"seed {seed}: {model} is not ruled out, and has no explanation")


def report(tally: Tally) -> str:
    lines = [
        f"{tally.histories} histories; findings: "
        + ", ".join(f"{n} {c}" for n, c in sorted(tally.found.items()))
    ]
    for kind, model in sorted(tally.is_not | tally.is_one):
        case = kind, model
        lines.append(
            f"  {kind:9} {model:34} is {tally.is_one[case]:6}  is not {tally.is_not[case]:6}"
            f"  (must be found {tally.decided[case]:6})  missed {tally.missed[case]:6}"
        )
    lines += tally.wrong[:20] or ["no mismatch"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    tally = Tally()
    for seed in range(asked.seed, asked.seed + asked.histories):
        look(seed, tally)
    print(report(tally))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
