"""Members that do not vote (ZooKeeper's observers) find the leader, are given its history, and count for
nothing."""
from __future__ import annotations

from agreed.consensus.machine import Entry
from agreed.consensus.members import Members
from tests.consensus.zab.nodes import Node
from tests.consensus.zab.world import World


class ObservedWorld(World):
    """The last of its nodes does not vote."""

    def node(self, name: str, identity: int, members: Members) -> Node:
        voters = tuple(member for member in members.voters if member.name != "n4")
        observers = tuple(member for member in members.voters if member.name == "n4")
        return Node(name, identity, Members(voters, observers))

    def check_step(self, node: Node, before: object) -> None:
        super().check_step(node, before)
        assert node.name != "n4" or not node.zab.leads

    def check_durable(self, node: Node, entry: Entry) -> None:
        holding = [name for name, other in self.nodes.items() if name != "n4" and self.holds(other, entry)]
        assert len(holding) >= 2, f"committed is durable: {entry} is only on {holding}"


def test_an_observer_has_everything_in_the_end_and_never_counts() -> None:
    agreed = 0
    for seed in range(12):
        world = ObservedWorld(seed, size=4)
        world.storm(800)
        world.converge()
        agreed += world.counts.get("agreed", 0)
        assert world.nodes["n4"].store.index >= 2
    assert agreed > 50
