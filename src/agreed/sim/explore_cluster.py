"""The cluster of an exploration: which steps can follow a state, and what is wrong with one.

A state of the cluster is four things, all of them numbers: its nodes, the messages in flight, the ledger,
the budget.  A machine is deterministic, so what an action makes of a node is the same in whatever cluster
that node stands: the real machine is stepped once for each (node, action), and what it did is looked up
ever after. The same holds for what the invariants say of a ledger and a step, and of two logs.
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import TypeAlias

import msgspec

from agreed.consensus.members import Member, Members
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import InvariantBroken
from agreed.consensus.raft.raft import Raft
from agreed.sim.explore_ledger import Ledger, check_durable, check_pair
from agreed.sim.explore_node import (
    Action,
    Change,
    Compact,
    Crash,
    Deliver,
    Disconnect,
    Node,
    Outcome,
    Player,
    Propose,
    Read,
    Tick,
    Transfer,
    choices,
)
from agreed.sim.explore_numbers import Numbers, number_node
from agreed.sim.explore_scope import Scope
from agreed.types import NodeId

State: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], int, int]
"""Numbers of: the nodes, the messages in flight in ascending order, the ledger, the budget."""

Move: TypeAlias = tuple[int, int, int]
"""Place of the node, number of the action, message that leaves the network by it (-1: none)."""


class Violation(Exception):
    """`text`: what does not hold; `after`: the node whose step showed it; `move`: that step."""

    def __init__(self, text: str, after: Node, move: Move) -> None:
        super().__init__(text)
        self.text = text
        self.after = after
        self.move = move


class Budget(msgspec.Struct, frozen=True):
    """What is left of a scope."""

    operations: int
    reads: int
    crashes: int
    compactions: int
    transfers: int
    disconnects: int
    duplicates: int
    changes: tuple[int, ...]
    """Places in `Scope.changes` of those not yet asked for."""

    def without(self, cost: str) -> Budget | None:
        left: int = getattr(self, cost)
        return msgspec.structs.replace(self, **{cost: left - 1}) if left else None


class Transition(msgspec.Struct, frozen=True, eq=False):
    """What one action makes of one node."""

    number: int
    outcome: Outcome
    after: int
    sends: frozenset[int]
    asked: int | None
    """Ticket of the read that begins."""


class Cluster:
    """The machines of an exploration, and all that is known of their steps."""

    def __init__(self, scope: Scope, *, config: RaftConfig, machine: type[Raft], symmetry: bool) -> None:
        self.scope = scope
        names = self.names = [f"n{number}" for number in range(1, scope.nodes + scope.spares + 1)]
        voters = tuple(Member(name, place, f"{name}:1") for place, name in enumerate(names, start=1))
        members = Members(voters[: scope.nodes])
        self._player = Player(members, config, machine, prompt_disks=scope.prompt_disks)
        self._callers = frozenset(names[: scope.callers])
        self._orders = _orders(names, self._callers) if symmetry else []
        self._place: dict[NodeId, int] = {name: place for place, name in enumerate(names)}
        self.nodes: Numbers[Node] = Numbers(self._orders)
        self.messages: Numbers[tuple[NodeId, NodeId, object]] = Numbers(self._orders)
        self.ledgers: Numbers[Ledger] = Numbers(self._orders)
        self.actions: list[Action] = []
        self.transitions: list[Transition] = []
        self._action_numbers: dict[Action | int, int] = {}
        """Of a delivery by the number of its message."""
        self._known: dict[tuple[int, int], Transition | None] = {}
        self._ledger_after: dict[tuple[int, int], int] = {}
        self._matching: set[tuple[int, int]] = set()
        self._options: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._arrivals: dict[int, tuple[int, int]] = {}
        self._budgets: list[Budget] = []
        self._budget_numbers: dict[Budget, int] = {}
        self._spent: dict[tuple[int, str], int] = {}
        self._trying: Move = (0, 0, -1)
        self._ascending: dict[tuple[int, ...], list[int]] = {}

    @property
    def steps_of_machines(self) -> int:
        return len(self._known)

    def beginning(self) -> State:
        """All nodes are up, nobody leads, nothing is under way."""
        scope = self.scope
        numbers = tuple(number_node(self.nodes, self._player.born(name)) for name in self.names)
        budget = Budget(
            scope.operations, scope.reads, scope.crashes, scope.compactions, scope.transfers,
            scope.disconnects, scope.duplicates, tuple(range(len(scope.changes))),
        )  # fmt: skip
        return numbers, (), self.ledgers.number(Ledger()), self._budget_number(budget)

    # --- what may follow ---

    def successors(self, state: State) -> list[tuple[Move, State]]:
        """Each with the move that leads there.  Raises Violation."""
        nodes, flying, _, budget = state
        found: list[tuple[Move, State]] = []
        for place, node in enumerate(nodes):
            options = self._options.get((node, budget))
            if options is None:
                options = self._options[node, budget] = list(self._make_options(node, budget))
            for action, left in options:
                self._follow(state, (place, action, -1), left, found)
        keeping = self._spend(budget, "duplicates")
        for message in flying:
            place, action = self._arrivals.get(message) or self._arrival(message)
            if self.nodes.objects[nodes[place]].raft is not None:
                self._follow(state, (place, action, message), budget, found)
                if keeping >= 0:
                    self._follow(state, (place, action, -1), keeping, found)
        return found

    def _follow(self, state: State, move: Move, budget: int, found: list[tuple[Move, State]]) -> None:
        """Make this move, and find what it leads to: several states where messages have to be lost."""
        nodes, flying, ledger, _ = state
        place, action, consumed = move
        before = nodes[place]
        self._trying = move
        try:
            transition = self._known[before, action]
        except KeyError:
            transition = self._known[before, action] = self._make_transition(before, action)
        if transition is None:
            return
        after, sends = transition.after, transition.sends
        if after == before and not sends:
            return  # as if it were lost, and what is lost need not be told from what is never delivered
        changed = (*nodes[:place], after, *nodes[place + 1 :])
        ledger_after = self._ledger_after.get((ledger, transition.number))
        if ledger_after is None:
            ledger_after = self._judge(transition, ledger, changed)
        for other in changed:
            if other != after and (after, other) not in self._matching:
                self._check_matching(after, other)
        if not sends:
            kept = flying if consumed < 0 else tuple([each for each in flying if each != consumed])
            found.append((move, (changed, kept, ledger_after, budget)))
            return
        in_flight = sends.union([each for each in flying if each != consumed])
        kept = tuple(sorted(in_flight))
        most = self.scope.messages
        if len(kept) <= most:
            found.append((move, (changed, kept, ledger_after, budget)))
        else:
            found += [(move, (changed, some, ledger_after, budget)) for some in combinations(kept, most)]

    def _make_options(self, node: int, budget: int) -> Iterator[tuple[int, int]]:
        """What may happen to a node without a message, and the budget after that."""
        for action, cost in self._make_own(self.nodes.objects[node]):
            left = budget if not cost else self._spend(budget, cost)
            if left >= 0:
                yield action, left
        yield from self._client_actions(node, budget)

    def _make_own(self, node: Node) -> Iterator[tuple[int, str]]:
        scope, raft = self.scope, node.raft
        for action in choices(node):
            if isinstance(action, Tick) and (node.fired >= scope.timers or node.name not in self._callers):
                continue
            yield self._action_number(action), "crashes" if isinstance(action, Crash) else ""
        if raft is None:
            return
        if raft.commit > (node.disk.mark.index if node.disk.mark is not None else 0) and scope.compactions:
            yield self._action_number(Compact()), "compactions"
        for other in self.names:
            if other != node.name and scope.disconnects:
                yield self._action_number(Disconnect(other)), "disconnects"
            if other != node.name and scope.transfers and raft.leads:
                yield self._action_number(Transfer(other)), "transfers"

    def _client_actions(self, node: int, budget: int) -> Iterator[tuple[int, int]]:
        """What clients may ask of it, and the budget after that."""
        raft = self.nodes.objects[node].raft
        left = self._budgets[budget]
        if raft is None:
            return
        if left.reads:
            ticket = self.scope.reads - left.reads + 1
            yield self._action_number(Read(ticket)), self._spend(budget, "reads")
        if not raft.leads:
            return
        if left.operations:
            payload = b"x%d" % (self.scope.operations - left.operations + 1)
            yield self._action_number(Propose(payload)), self._spend(budget, "operations")
        for which in left.changes:
            rest = tuple(other for other in left.changes if other != which)
            number = self._budget_number(msgspec.structs.replace(left, changes=rest))
            yield self._action_number(Change(self.scope.changes[which])), number

    def _budget_number(self, budget: Budget) -> int:
        number = self._budget_numbers.get(budget)
        if number is None:
            number = self._budget_numbers[budget] = len(self._budgets)
            self._budgets.append(budget)
        return number

    def _spend(self, budget: int, cost: str) -> int:
        """The budget after it; -1 where nothing is left."""
        key = budget, cost
        number = self._spent.get(key)
        if number is None:
            left = self._budgets[budget].without(cost)
            number = self._spent[key] = self._budget_number(left) if left is not None else -1
        return number

    def _action_number(self, action: Action) -> int:
        number = self._action_numbers.get(action)
        if number is None:
            number = self._action_numbers[action] = len(self.actions)
            self.actions.append(action)
        return number

    def _arrival(self, message: int) -> tuple[int, int]:
        """Place of the target, number of the delivery."""
        known = self._arrivals.get(message)
        if known is None:
            source, target, content = self.messages.objects[message]
            known = self._arrivals[message] = (self._place[target], len(self.actions))
            self.actions.append(Deliver(source, content))
        return known

    # --- one step of one node ---

    def after(self, node: int, action: int) -> int:
        """The number of the node after an action that has been played."""
        transition = self._known[node, action]
        assert transition is not None
        return transition.after

    def _make_transition(self, node_number: int, action_number: int) -> Transition | None:
        """None: it leads out of the scope."""
        node, action = self.nodes.objects[node_number], self.actions[action_number]
        outcome = self._player.play(node, action)
        if outcome.broken is not None:
            raise Violation(outcome.broken, outcome.node, self._trying)
        after = outcome.node
        if after.raft is not None and after.raft.term > self.scope.terms:
            return None
        if any(getattr(message, "term", 0) > self.scope.terms for _, message in outcome.sends):
            return None  # a pre-vote: it could only lead to what is not explored
        sends = frozenset(
            self.messages.number((node.name, target, message))
            for target, message in outcome.sends
            if target in self._place
        )
        asked = action.ticket if isinstance(action, Read) else None
        number = len(self.transitions)
        transition = Transition(number, outcome, number_node(self.nodes, after), sends, asked)
        self.transitions.append(transition)
        return transition

    # --- the judge ---

    def _judge(self, transition: Transition, ledger: int, nodes: tuple[int, ...]) -> int:
        """The ledger after a step; what was found right is not looked at again."""
        before, outcome = self.ledgers.objects[ledger], transition.outcome
        try:
            after = before.after(outcome, transition.asked)
            fresh = [entry for entry in outcome.agreed if entry.index > before.highest]
            if fresh:
                check_durable(outcome.node, fresh, [self.nodes.objects[each] for each in nodes])
        except InvariantBroken as broken:
            raise Violation(str(broken), outcome.node, self._trying) from None
        number = self.ledgers.number(after)
        if not fresh:  # what is durable depends on the other nodes, too
            self._ledger_after[ledger, transition.number] = number
        return number

    def _check_matching(self, node: int, other: int) -> None:
        try:
            check_pair(self.nodes.objects[node], self.nodes.objects[other])
        except InvariantBroken as broken:
            raise Violation(str(broken), self.nodes.objects[node], self._trying) from None
        self._matching.add((node, other))
        self._matching.add((other, node))

    # --- states up to the names of the nodes ---

    def key(self, state: State) -> State:
        """The same for states that differ in the names of the nodes alone; without symmetry, the state.

        Nodes are put in the order of their orbits, and so renamed; where two are in the same orbit, whichever
        renaming gives the least.
        """
        nodes, flying, ledger, budget = state
        if not self._orders:
            return state
        orbits = self.nodes.orbits
        ranks = tuple([orbits[node] for node in nodes])
        renamings = self._ascending.get(ranks)
        if renamings is None:
            renamings = self._ascending[ranks] = self._ascending_orders(ranks)
        of_nodes, of_messages = self.nodes.classes, self.messages.classes
        of_ledger = self.ledgers.classes[ledger]
        least: State | None = None
        for which in renamings:
            told = tuple(sorted([of_nodes[node][which] for node in nodes]))
            key = told, tuple(sorted([of_messages[each][which] for each in flying])), of_ledger[which], budget
            if least is None or key < least:
                least = key
        assert least is not None
        return least

    def _ascending_orders(self, ranks: tuple[int, ...]) -> list[int]:
        """Which renamings put the nodes of these ranks in ascending order; where none does, all are tried."""
        place, chosen = self._place, []
        for which, order in enumerate(self._orders):
            ranked = {place[name]: rank for name, rank in zip(order, ranks, strict=True)}
            told = [ranked[position] for position in range(len(ranks))]
            if told == sorted(told):
                chosen.append(which)
        return chosen or list(range(len(self._orders)))


def _orders(names: list[NodeId], callers: frozenset[NodeId]) -> list[tuple[NodeId, ...]]:
    """All in which the callers stay the callers."""
    callers_are = [name in callers for name in names]
    return [order for order in permutations(names) if [name in callers for name in order] == callers_are]
