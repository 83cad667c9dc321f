"""What an object promises: from which state to which an operation may lead, and with which answer.

A model is a plain sequential machine.  The checkers ask it three things: where does it begin (`initial`),
what may an operation lead to (`step`), and which operations are the same for it (`effect`).  All else here
is optional: it never changes a verdict, and lets the search skip what cannot matter.

States and effects are immutable and hashable.  A model keeps nothing between calls, so one may serve many
searches.

Answers that are not known.  An operation that was never answered (INFO) may have happened with any answer:
`step` takes it so, and gives several states where the answer decides what happened (a crashed dequeue took
some element).  Whether it happened at all is the search's business, not the model's.

Operations that surely did not happen (FAIL) are evidence in a few models only (`effect` says which): a
compare-and-set that was *refused by the system* (`error is None`) says that the expected value was not there.
One that failed with an error (connection refused) says nothing.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from agreed.check.history import Operation

State = TypeVar("State", bound=Hashable)


class Model(ABC, Generic[State]):
    """One kind of object.  `name` is what `agreed check --model` calls it."""

    name: str

    @property
    @abstractmethod
    def initial(self) -> State:
        """The state before the first operation."""

    @abstractmethod
    def effect(self, operation: Operation) -> Hashable:
        """What the operation is to the model: operations of equal effect lead from equal states to equal
        states, so that of two that were never answered any may stand for the other.

        None: it says nothing (a read without an answer, a failure without a reason), and may be left out.
        Raises MalformedInput for a function, argument or result that the model does not know; `step` is only
        called with operations that came through here."""

    @abstractmethod
    def step(self, state: State, operation: Operation) -> Sequence[State]:
        """The states to which it may lead; none if it cannot happen, or not with this answer."""

    def reads_only(self, operation: Operation) -> bool:
        """Whether it leaves every state as it is (so that it may be placed as soon as its answer fits)."""
        return False

    def may_follow(self, first: Operation, second: Operation) -> bool:
        """Whether `first`, wherever it could come directly before `second`, could as well come directly after
        it: `second` is possible without it, and what the one order leads to, the other does as well.
        (Asked of operations of different effect.)"""
        return False

    def prepared(self, operation: Operation) -> Operation:
        """The same operation in the form that is quickest to work with (a set for a long list)."""
        return operation

    def always(self, operation: Operation) -> bool:
        """Whether it is possible in every state."""
        return False

    def still_possible(self, state: State, read: Operation) -> bool:
        """Whether `read`, which reads only, can be answered so at some time after `state` although nothing
        that `makes_possible` such an answer comes in between.  (A text that is only appended to never becomes
        shorter.)  True where the model cannot tell."""
        return True

    def makes_possible(self, change: Operation, read: Operation) -> bool:
        """Whether `read` may become possible by `change` where it was not `still_possible`."""
        return True

    def parts(self, operations: Sequence[Operation]) -> Mapping[Hashable, Sequence[Operation]]:
        """The operations by independent object, each in the given order: the history is linearizable if and
        only if each part is, from `initial`.  By `Operation.key` unless a model knows better.

        Valid for linearizability alone; other models of consistency are not local (`Keyed` makes one object
        of many for them)."""
        found: dict[Hashable, list[Operation]] = {}
        for operation in operations:
            found.setdefault(operation.key, []).append(operation)
        return found

    def idle(self, operations: Sequence[Operation]) -> frozenset[int]:
        """Which never-answered operations of a part (by `Operation.index`) can be left out of any
        explanation, because nothing in it can tell that they happened (a write of a value nobody saw)."""
        return frozenset()

    def foreseeing(self, operations: Sequence[Operation], optional: frozenset[int]) -> AnyModel:
        """A model for searching just these operations of one object, from `initial`: one that takes the same
        orders of all of them, and may refuse sooner what leads nowhere.  It may know all that they will ever
        be told, except of those that need not have happened: such as were never answered, and `optional`
        (by `Operation.index`).  Witnesses are replayed on this one."""
        return self

    def resolved(self, order: Sequence[Operation]) -> Sequence[Operation]:
        """An order of all operations of an object, with answers filled in where there were none and the rest
        of the order tells which will do; so that not all that were possible have to be followed."""
        return order

    def states(self, operations: Sequence[Operation]) -> Sequence[State] | None:
        """Every state in which the object can be if it saw some of these operations; None if there are too
        many to say.  Lets a counterexample begin in the middle: "whatever came before"."""
        return None

    def show(self, state: State) -> str:
        """The state as text for people."""
        return repr(state)


AnyModel = Model[Any]
"""A model of whatever states, for those who only hand it on."""
