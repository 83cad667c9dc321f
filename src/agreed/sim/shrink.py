"""Makes a failing run small: fewer faults, fewer operations, fewer nodes, and still the same failure.

The material is the plan of the run, where everything that was to happen stands in a list.  Delta debugging
(Zeller and Hildebrandt 2002, `ddmin`) leaves out halves, quarters, ... single items of a list and keeps
whatever still fails in the same way.  Leaving out an item does not shift the dice of the others, because each
draws from a stream of its own name; but it does change what happens, so nothing is assumed: every candidate
is played.

The passes, repeated until none of them helps: what comes after the failure, whole nodes, whole clients,
faults, operations, and the conditions, which become the usual ones where they do not matter.  Coarse ones
come first: what goes there need not be played in every later attempt.

The result depends on the plan and on the number of plays alone; a bound in seconds (`out_of_time`) can only
end the search sooner.  It is a local minimum: no single item can be left out, as far as the bounds allowed.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from agreed.sim.outcome import Outcome
from agreed.sim.plan import Conditions, Plan, client_names

Item = TypeVar("Item")

ATTEMPTS_MOST = 500
"""Plays of one search.  Most failures are small long before."""


class NotRepeatable(Exception):
    """The plan of a failed run did not fail again in the same way: the run depends on something beside it."""


class Shrunk(msgspec.Struct, frozen=True):
    """The smallest plan found, what came of it, and what the search cost."""

    before: Plan
    outcome: Outcome
    attempts: int
    finished: bool
    """No single thing can be left out any more; False: a bound was reached first."""

    @property
    def plan(self) -> Plan:
        return self.outcome.plan


class _Exhausted(Exception):
    """The bound of plays or of time is reached."""


def shrink(
    failed: Outcome,
    play: Callable[[Plan], Outcome],
    *,
    attempts_most: int = ATTEMPTS_MOST,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Shrunk:
    """Search for the smallest plan that fails as `failed` did.  `play` plays one.

    Raises NotRepeatable if the plan of `failed` itself does not.
    """
    search = _Search(failed, play, attempts_most, out_of_time)
    try:
        search.until_nothing_helps()
    except _Exhausted:
        return Shrunk(failed.plan, search.best, search.attempts, False)
    return Shrunk(failed.plan, search.best, search.attempts, True)


class _Search:
    """The best so far, and what has been tried."""

    def __init__(
        self,
        failed: Outcome,
        play: Callable[[Plan], Outcome],
        attempts_most: int,
        out_of_time: Callable[[], bool],
    ) -> None:
        if failed.failure is None:
            raise NotRepeatable(f"{failed.profile} {failed.seed} has not failed")
        self._play = play
        self._attempts_most = attempts_most
        self._out_of_time = out_of_time
        self._kind = failed.failure
        self._tried: set[Plan] = set()
        self.attempts = 0
        self.best = play(failed.plan)
        if (self.best.failure, self.best.trace_hash) != (failed.failure, failed.trace_hash):
            raise NotRepeatable(
                f"{failed.profile} {failed.seed} failed with {failed.failure!r} (trace {failed.trace_hash}),"
                f" and played again with {self.best.failure!r} (trace {self.best.trace_hash})"
            )

    @property
    def plan(self) -> Plan:
        return self.best.plan

    def until_nothing_helps(self) -> None:
        before = None
        while before != self.plan:
            before = self.plan
            self._shorter_storm()
            self._first_that_fails(self.plan.smaller(nodes=count) for count in range(1, self.plan.nodes))
            self._fewer_clients()
            self._fewer_faults()
            self._fewer_asks()
            self._usual_conditions()
            self._shorter_faults()

    def fails(self, plan: Plan) -> bool:
        """Whether it fails in the same way; then it is the best so far."""
        if plan == self.plan:
            return True
        if plan in self._tried:
            return False
        if self.attempts >= self._attempts_most or self._out_of_time():
            raise _Exhausted
        self.attempts += 1
        self._tried.add(plan)
        outcome = self._play(plan)
        if outcome.failure != self._kind:
            return False
        self.best = outcome
        return True

    def _first_that_fails(self, plans: Iterable[Plan]) -> bool:
        return any(self.fails(plan) for plan in plans)

    def _shorter_storm(self) -> None:
        """To the failure, if it came during the storm; else halved as long as that fails."""
        plan, end = self.plan, self.best.simulated_ms + 1
        if end < plan.storm_ms and self.fails(plan.smaller(storm_ms=end)):
            return
        while self.plan.storm_ms > 1 and self.fails(self.plan.smaller(storm_ms=self.plan.storm_ms // 2)):
            pass

    def _fewer_clients(self) -> None:
        """First those whom nobody needs say nothing more, then the last ones go."""
        for client in client_names(self.plan.clients):
            its = [ask.number for ask in self.plan.asks if ask.client == client]
            if its:
                self.fails(self.plan.without(asks=its))
        speaking = {ask.client for ask in self.plan.asks}
        for count in range(self.plan.clients):
            if speaking <= set(client_names(count)) and self.fails(self.plan.smaller(clients=count)):
                return

    def _fewer_faults(self) -> None:
        plan = self.plan
        numbers = [fault.number for fault in plan.faults]
        minimal(numbers, lambda kept: self.fails(plan.without(faults=set(numbers) - set(kept))))

    def _fewer_asks(self) -> None:
        plan = self.plan
        numbers = [ask.number for ask in plan.asks]
        minimal(numbers, lambda kept: self.fails(plan.without(asks=set(numbers) - set(kept))))

    def _usual_conditions(self) -> None:
        usual = Conditions()
        for field in Conditions.__struct_fields__:
            conditions = msgspec.structs.replace(self.plan.conditions, **{field: getattr(usual, field)})
            self.fails(msgspec.structs.replace(self.plan, conditions=conditions))

    def _shorter_faults(self) -> None:
        """Each lasts half as long, as long as that fails."""
        for number in [fault.number for fault in self.plan.faults]:
            while self._first_that_fails(_with_half(self.plan, number)):
                pass


def _with_half(plan: Plan, number: int) -> Iterator[Plan]:
    """The same, but the fault of this number lasts half as long (or nothing, if it lasts as long already)."""
    for place, fault in enumerate(plan.faults):
        if fault.number == number and fault.lasting_ms > 1:
            shorter = msgspec.structs.replace(fault, lasting_ms=fault.lasting_ms // 2)
            faults = (*plan.faults[:place], shorter, *plan.faults[place + 1 :])
            yield msgspec.structs.replace(plan, faults=faults)


def minimal(items: Sequence[Item], fails: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """A part of `items`, in their order, that fails, and no longer does without any one of them (ddmin).

    Assumes that all of `items` fail.  Later items are left out first: what comes after the failure goes at
    once.  Whatever `fails` raises ends the search.
    """
    kept = tuple(items)
    if kept and fails(()):
        return ()
    size = len(kept) // 2
    while size:
        start = len(kept) - size
        shorter = False
        while start > -size:
            candidate = kept[: max(start, 0)] + kept[start + size :]
            if len(candidate) < len(kept) and candidate and fails(candidate):
                kept, shorter = candidate, True
            start -= size
        # Single items are tried again until none can go; larger pieces get one round each.
        if size > 1 or not shorter:
            size //= 2
    return kept
