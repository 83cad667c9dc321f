"""Linearizability: is there one order of the operations, each somewhere between its call and its return, that
the model accepts?  (Herlihy and Wing 1990.)

The history is cut into independent objects (`Model.parts`), for it is linearizable if and only if each of
them is.  They are searched in turns, a few thousand steps each: one key may be beyond all means while another
is refuted at once.

The answer is the same on every run, with the same witness or counterexample: turns are counted in steps, not
in time.  Only a bound on time can turn it into UNKNOWN.
"""
from __future__ import annotations

from collections.abc import Hashable, Sequence

from agreed.check.counterexample import finding
from agreed.check.history import History, Operation
from agreed.check.models.model import AnyModel
from agreed.check.search import Search
from agreed.check.timeline import Timeline
from agreed.check.verdict import Budget, Finding, Outcome, Verdict, Witness
from agreed.check.witness import witness


def linearizable(history: History, model: AnyModel, budget: Budget | None = None) -> Verdict:
    """HOLDS with a witness for each object, VIOLATED with the first object found that cannot be explained, or
    UNKNOWN with the bound that was reached.

    Raises MalformedInput for operations that the model does not know."""
    return _Judgement(history, model, budget or Budget()).verdict()


class _Part:
    """One object, and how far its search is."""

    def __init__(self, model: AnyModel, key: Hashable, operations: Sequence[Operation]) -> None:
        idle = model.idle(operations)
        considered = [each for each in operations if each.index not in idle]
        foreseeing = model.foreseeing(considered, frozenset())
        self.model = model
        self.key = key
        self.timeline = Timeline(foreseeing, considered)
        self.search = Search(foreseeing, self.timeline)
        self.turns = self.search.run()
        self.witness: Witness | None = None

    def go_on(self) -> bool | None:
        """Whether it is linearizable; None: not known yet."""
        try:
            next(self.turns)
        except StopIteration as end:
            if end.value:
                _, (*_, path) = self.search.ends[0]
                self.witness = witness(self.model, self.timeline, path, self.model.initial, self.key)
                self.search.forget()
            return bool(end.value)
        return None

    def finding(self) -> Finding:
        """Why it is not."""
        return finding(self.model, self.key, self.timeline, self.search)


class _Judgement:
    def __init__(self, history: History, model: AnyModel, budget: Budget) -> None:
        self.model = model
        self.budget = budget
        self.clock = budget.clock if budget.seconds is not None else None
        self.began = self.clock() if self.clock else 0.0
        self.parts = [_Part(model, key, each) for key, each in model.parts(history.operations).items()]

    def verdict(self) -> Verdict:
        searching = list(self.parts)
        given_up: list[str] = []
        while searching:
            for part in list(searching):
                holds = part.go_on()
                if holds is False:
                    return self._verdict(Outcome.VIOLATED, findings=[part.finding()])
                if holds:
                    searching.remove(part)
                elif reason := self._out_of_time() or self._out_of_steps():
                    return self._verdict(Outcome.UNKNOWN, "; ".join([*given_up, reason]))
            if reason := self._out_of_memory(searching):
                given_up.append(reason)
        if given_up:
            return self._verdict(Outcome.UNKNOWN, "; ".join(given_up))
        return self._verdict(Outcome.HOLDS)

    def _verdict(self, outcome: Outcome, reason: str = "", findings: Sequence[Finding] = ()) -> Verdict:
        return Verdict(
            judged=f"linearizable {self.model.name}",
            outcome=outcome,
            reason=reason,
            witnesses=[part.witness for part in self.parts if part.witness is not None],
            findings=findings,
            steps=sum(part.search.steps for part in self.parts),
        )

    def _out_of_time(self) -> str:
        most = self.budget.seconds
        if self.clock is None or most is None or self.clock() - self.began < most:
            return ""
        return f"{most:g} s have passed"

    def _out_of_steps(self) -> str:
        most = self.budget.steps
        if most is None or sum(part.search.steps for part in self.parts) < most:
            return ""
        return f"{most} steps were made"

    def _out_of_memory(self, searching: list[_Part]) -> str:
        """Gives up the largest search where all together keep too much."""
        if sum(part.search.kept for part in searching) < self.budget.states:
            return ""
        largest = max(searching, key=lambda part: part.search.kept)
        searching.remove(largest)
        largest.turns.close()
        largest.search.forget()
        of_which = "" if largest.key is None else f" (of key {largest.key!r})"
        return f"more than {self.budget.states} configurations would have to be kept{of_which}"
