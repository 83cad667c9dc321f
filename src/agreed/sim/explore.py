"""Everything that can happen to a small cluster of Raft: all orders, all losses, all crashes, to the end.

A simulation draws one run in a million; this plays them all, within a `Scope` so small that all is
possible to play: a few nodes, terms, client operations, crashes and messages under way.  Most bugs of
consensus protocols need no more than that (the small scope hypothesis), and what is found is a shortest
counterexample.

What steps is the shipped `Raft`, not a model of it.  A state of the cluster is: its nodes (machine, disk,
saves under way), the messages in flight, the ledger of what was agreed, and what is left of the budget.
The search is breadth first, with a set of 128-bit digests of the states seen; states that differ only in
the names of the nodes count once (`symmetry`).  After every step the invariants of
`agreed.consensus.raft.invariants` are checked, the machine's own and the cluster's, and the ledger's:
what was agreed stays agreed, and was durable.

Why this is quick enough in Python: a machine is deterministic, so one node does the same with the same
event in whatever cluster it stands.  Each node state has a number; what became of it on an action is
computed once, by the real machine, and looked up ever after.  The states of the cluster are many, those
of one node are few.

What the network may do: a message stays in flight until it is delivered, which may be never, and in any
order. The same message is in flight once; delivering it and keeping it costs one of `duplicates`.  At
most `messages` are in flight: where a step would send more, any of them may be lost, and each choice is
explored.

Not explored: several events in one turn of a driver, timers that fire late, disks that rot, leases.
"""
from __future__ import annotations

from array import array
from collections.abc import Callable
from hashlib import blake2b

from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.raft import Raft
from agreed.sim.explore_cluster import Cluster, Move, State, Violation
from agreed.sim.explore_node import CONFIG, Deliver, Node
from agreed.sim.explore_scope import Progress, Report, Scope, Step

LOOK_EVERY = 500
"""States expanded between two looks at the clock."""

TELL_EVERY_S = 0.2


def explore(
    scope: Scope,
    *,
    seconds: float | None = None,
    clock: Callable[[], float] = lambda: 0.0,
    machine: type[Raft] = Raft,
    config: RaftConfig = CONFIG,
    symmetry: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Play all of the scope, or as much as fits into `seconds` of this clock; ends at the first violation.

    Symmetry is for scopes without changes of members: the names inside an entry are not exchanged.
    """
    cluster = Cluster(scope, config=config, machine=machine, symmetry=symmetry and not scope.changes)
    return _Search(cluster, seconds, clock, progress).run()


class _Search:
    """Breadth first.  A state is remembered as a digest, and as the move that found it first."""

    def __init__(
        self,
        cluster: Cluster,
        seconds: float | None,
        clock: Callable[[], float],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._cluster = cluster
        self._seconds = seconds
        self._clock = clock
        self._progress = progress
        self._seen: set[int] = set()
        self._parents = array("q")
        self._moves = array("q")
        self._began_at = self._told_at = clock()
        self._transitions = 0
        self._depth = 0
        self._waiting = 0
        self._widest = 1

    def run(self) -> Report:
        beginning = self._cluster.beginning()
        self._find(beginning, -1, (0, 0, -1))
        frontier = [(0, beginning)]
        try:
            while frontier:
                later = self._expand(frontier)
                if later is None:
                    return self._report(complete=False)
                frontier = later
                self._depth += bool(frontier)
                self._widest = max(self._widest, len(frontier))
        except _Found as found:
            steps = self._steps_to(found.number, found.violation)
            return self._report(complete=False, broken=found.violation.text, steps=steps)
        return self._report(complete=True)

    def _expand(self, frontier: list[tuple[int, State]]) -> list[tuple[int, State]] | None:
        """The states one step further that are new; None where the time is over."""
        later: list[tuple[int, State]] = []
        successors = self._cluster.successors
        for position, (number, state) in enumerate(frontier):
            if position % LOOK_EVERY == 0 and self._look(len(frontier) - position + len(later)):
                return None
            try:
                for move, after in successors(state):
                    self._transitions += 1
                    if self._find(after, number, move):
                        later.append((len(self._parents) - 1, after))
            except Violation as violation:
                raise _Found(number, violation) from None
        return later

    def _find(self, state: State, parent: int, move: Move) -> bool:
        """Whether it is new."""
        nodes, flying, ledger, budget = self._cluster.key(state)
        packed = array("i", (*nodes, ledger, budget, *flying)).tobytes()
        digest = int.from_bytes(blake2b(packed, digest_size=16).digest(), "little")
        if digest in self._seen:
            return False
        self._seen.add(digest)
        self._parents.append(parent)
        self._moves.append(_packed(move))
        return True

    def _look(self, waiting: int) -> bool:
        """Tell how it goes; whether the time is over."""
        now = self._clock()
        self._waiting = waiting
        if self._progress is not None and now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            elapsed = now - self._began_at
            self._progress(Progress(len(self._parents), self._transitions, self._depth, waiting, elapsed))
        return self._seconds is not None and now - self._began_at >= self._seconds

    def _report(self, *, complete: bool, broken: str | None = None, steps: tuple[Step, ...] = ()) -> Report:
        cluster = self._cluster
        return Report(
            scope=cluster.scope,
            states=len(self._parents),
            transitions=self._transitions,
            node_states=len(cluster.nodes.objects),
            steps_of_machines=cluster.steps_of_machines,
            depth=self._depth,
            widest=self._widest,
            seconds=self._clock() - self._began_at,
            complete=complete,
            broken=broken,
            steps=steps,
        )

    def _steps_to(self, number: int, violation: Violation) -> tuple[Step, ...]:
        """From the beginning to this state and on to the violation."""
        moves = [violation.move]
        while self._parents[number] >= 0:
            moves.append(_unpacked(self._moves[number]))
            number = self._parents[number]
        moves.reverse()
        return tuple(self._retell(moves, violation.after))

    def _retell(self, moves: list[Move], last: Node) -> list[Step]:
        cluster = self._cluster
        nodes = list(cluster.beginning()[0])
        steps: list[Step] = []
        for place, number, consumed in moves:
            action = cluster.actions[number]
            kept = isinstance(action, Deliver) and consumed < 0
            if len(steps) == len(moves) - 1:
                after = last
            else:
                nodes[place] = cluster.after(nodes[place], number)
                after = cluster.nodes.objects[nodes[place]]
            steps.append(Step(cluster.names[place], action, kept, after))
        return steps


class _Found(Exception):
    def __init__(self, number: int, violation: Violation) -> None:
        super().__init__(number)
        self.number = number
        self.violation = violation


def _packed(move: Move) -> int:
    place, action, consumed = move
    return place | action << 4 | (consumed + 1) << 32


def _unpacked(packed: int) -> Move:
    return packed & 15, packed >> 4 & 0xFFF_FFFF, (packed >> 32) - 1
