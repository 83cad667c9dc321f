"""The random world of Raft: what changes the members of a cluster, and Raft's own invariants.

Disks are wiped and replaced under a new identity; members are added, promoted, removed and replaced.  After
every step the invariants are checked, and the disks: whatever is said to be committed must lie on the disks
of a quorum.
"""
from __future__ import annotations

from collections.abc import Callable

from agreed.consensus.machine import Entry, EntryKind, MembersChangeRequested
from agreed.consensus.members import (
    AddLearner,
    Member,
    Members,
    MembersChange,
    Promote,
    Remove,
    Replace,
    SetVoters,
    decode_members,
    everybody,
)
from agreed.consensus.quorum import Quorum
from agreed.consensus.raft.config import RaftConfig
from agreed.consensus.raft.invariants import ClusterInvariants, InvariantBroken, check, check_step, view
from agreed.consensus.raft.raft import Raft
from tests.consensus import world
from tests.consensus.nodes import Disk, Weather
from tests.consensus.raft.nodes import CONFIG, Node

Factory = Callable[..., Raft]


class World(world.World[Node]):
    node_type = Node

    def __init__(
        self,
        seed: int,
        size: int = 3,
        factory: Factory = Raft,
        weather: Weather | None = None,
        config: RaftConfig = CONFIG,
    ) -> None:
        self.factory, self.config = factory, config
        self.cluster = ClusterInvariants()
        self.members_at: dict[int, Members] = {}
        self.ghosts: dict[tuple[str, int], Disk] = {}
        """Lost disks: what was agreed before the loss was agreed with them."""
        super().__init__(seed, size, weather)

    # --- what must be true ---

    def view(self, node: Node) -> object:
        return view(node.raft)

    def check_started(self, node: Node) -> None:
        check(node.raft)

    def check_step(self, node: Node, before: object) -> None:
        check(node.raft)
        check_step(before, node.raft)
        self.cluster.check(node.raft, [other.raft for other in self.nodes.values() if other.up])

    def check_agreed(self, node: Node, entries: list[Entry]) -> None:
        self.cluster.agreed(node.raft, entries)
        for entry in entries:
            if entry.kind == EntryKind.MEMBERS:
                self.members_at[entry.index] = decode_members(entry.payload)

    def disk_of(self, member: Member) -> Disk:
        node = self.nodes[member.name]
        return node.disk if node.identity == member.identity else self.ghosts[member.name, member.identity]

    def check_durable(self, node: Node, entry: Entry) -> None:
        """Who says "committed" first must be right: a quorum of the members in force has it on disk."""
        members = node.raft.members
        holding = {m.name for m in everybody(members).values() if self.disk_of(m).holds(entry)}
        quorum = Quorum(members)
        if not quorum.has(holding):
            raise InvariantBroken(f"committed is durable: {entry} is only on {sorted(holding)}")

    def admits(self, node: Node, other: Node) -> bool:
        """Drivers check identities when they connect: another one than our members say is only admitted if it
        knows newer members than we do, and is one of them."""
        known = everybody(node.raft.members).get(other.name)
        if known is None or known.identity == other.identity:
            return True
        listed = everybody(other.raft.members).get(other.name) == other.member()
        return listed and other.raft.log.members_index > node.raft.log.members_index

    # --- mischief with the members ---

    def change(self, node: Node, what: str) -> None:
        if what == "change":
            self.change_members(node)
        elif self.can_lose(node):
            self.wipe(node)
            self.start(node)
            self.count("wipe")

    def wipe(self, node: Node) -> None:
        """A new disk under the old name: another member, who knows nothing."""
        self.ghosts[node.name, node.identity] = node.disk
        node.up = False
        node.life += 1
        node.disk = Disk()
        node.identity = next(self.identities)
        node.members = Members(())

    def can_lose(self, node: Node) -> bool:
        """A cluster survives a lost disk only as long as a majority keeps theirs; and one at a time."""
        leader = self.leader()
        if leader is None or leader is node or leader.raft.members.outgoing:
            return False
        members = leader.raft.members
        voters = members.voters
        if leader.raft.log.members_index > leader.raft.commit:
            return False
        for other in self.nodes.values():
            if other.up and other.raft.members not in (members, other.members):
                return False
        good = [
            member
            for member in voters
            if member.name != node.name and self.nodes[member.name].identity == member.identity
        ]
        # Every voter that stays must have all that is agreed, or the wiped disk was needed.
        everything = all(
            all(self.nodes[m.name].disk.holds(e) for e in self.contract.agreed.values()) for m in good
        )
        return len(good) >= 2 and len(good) == len(voters) - 1 and everything

    def change_members(self, node: Node) -> None:
        if not node.up:
            return
        members, dice = node.raft.members, self.dice
        if any(self.nodes[member.name].identity != member.identity for member in everybody(members).values()):
            # Whoever would change anything else now would take a majority from those who are left.
            self.operator()
            return
        fresh = f"n{dice.randint(1, 5)}"
        if fresh not in self.nodes:
            newcomer = Node(fresh, next(self.identities), Members(()))
            self.nodes[fresh] = newcomer
            self.start(newcomer)
        someone = self.nodes[fresh]
        voters = [member for member in members.voters if dice.random() < 0.8]
        if fresh not in {member.name for member in members.voters} and dice.random() < 0.5:
            voters.append(someone.member())
        change: MembersChange = dice.choice(
            [
                AddLearner(someone.member()),
                Promote(fresh),
                Promote(fresh),
                Remove(fresh),
                Replace(someone.member()),
                SetVoters(tuple(voters)),
            ]
        )
        self.turn(node, MembersChangeRequested(next(self.tickets), change))

    # --- peace ---

    def operator(self) -> None:
        """Who finds that a voter's disk was replaced says so."""
        leader = self.leader()
        if leader is None:
            return
        for member in everybody(leader.raft.members).values():
            node = self.nodes[member.name]
            if node.identity != member.identity:
                change = MembersChangeRequested(next(self.tickets), Replace(node.member()))
                self.turn(leader, change)

    def converged(self, leader: Node) -> bool:
        members = leader.raft.members
        if members.outgoing or leader.raft.commit != leader.raft.log.last_index:
            return False
        for member in everybody(members).values():
            node = self.nodes[member.name]
            if node.identity != member.identity or node.store.digest != leader.store.digest:
                return False
        return all(self.contract.unanswered(node.name) == 0 for node in self.nodes.values())
