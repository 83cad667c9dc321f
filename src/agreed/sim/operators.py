"""The people (or scripts) who run the cluster: they hand leadership over, add, remove and replace members.

They ask as the command line does: one request to whoever leads, again to the next leader where nothing came
of it.  A node whose data directory is refused, or whose machine was replaced, is started with an empty disk
and replaced as a member, as its own message advises.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from agreed.consensus.members import everybody
from agreed.replica import events
from agreed.replica.founding import all_members
from agreed.sim.world import MS
from agreed.wire.peer.messages import (
    LeadershipTransfer,
    MemberAdd,
    MemberPromote,
    MemberRemove,
    MemberReplace,
)

if TYPE_CHECKING:
    from agreed.sim.cluster import Cluster
    from agreed.sim.node import Node

LOOK_EVERY_MS = 90
PATIENCE_MS = 1_200
"""How long an operator waits for an answer before asking again."""
NEW_DISK_AFTER_MS = 200


Request = MemberAdd | MemberPromote | MemberRemove | MemberReplace


class Wish:
    """Something that an operator wants to be true, and the request that is under way for it."""

    def __init__(self, request: Request, done_if: str = "") -> None:
        self.request = request
        self.name = request.name
        self.done_if = done_if
        """A refusal that says that it is true already."""
        self.asked: tuple[Node, int, int, int] | None = None
        """Whom, in which of its lives, under which ticket, and when."""


class Operators:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self._wishes: list[Wish] = []
        self._next_ticket = 1

    def begin(self) -> None:
        self._world.later(LOOK_EVERY_MS * MS, self._look)

    @property
    def changing(self) -> bool:
        """A change of members is wished for or under way."""
        return bool(self._wishes)

    # --- wishes -------------------------------------------------------------------------------------------

    def transfer(self, target: str | None) -> None:
        leader = self._cluster.leader()
        if leader is not None:
            leader.happened(events.OperatorAsked(self._ticket(), LeadershipTransfer(target)))

    def add(self, name: str, *, promote: bool) -> bool:
        node = self._cluster.nodes.get(name)
        if self._cluster.leader() is None:
            return False
        if node is None:
            node = self._cluster.add_node(name, joining=True)
        elif node.up or any(name in names for names in self._all_member_names()):
            return False
        else:
            node.wipe()
            node.joining = True
        node.start()
        self._wishes.append(Wish(MemberAdd(name), "is a member already"))
        if promote:
            self._wishes.append(Wish(MemberPromote(name), "votes already"))
        return True

    def remove(self, name: str) -> bool:
        leader = self._cluster.leader()
        if leader is None or name not in self._member_names():
            return False
        if len(leader.replica.members.voters) <= 2:
            return False
        self._cluster.removed.add(name)
        self._wishes.append(Wish(MemberRemove(name), "is not a member"))
        return True

    def _member_names(self) -> set[str]:
        leader = self._cluster.leader()
        return set() if leader is None else {member.name for member in all_members(leader.replica.members)}

    def _all_member_names(self) -> list[set[str]]:
        """As each node sees them, or saw them last."""
        nodes = [node for node in self._cluster.nodes.values() if node.has_served]
        return [{member.name for member in all_members(node.replica.members)} for node in nodes]

    # --- what they do about it ----------------------------------------------------------------------------

    def _look(self, _: object, __: object) -> None:
        self.look()
        if not self._cluster.calm:
            self._world.later(LOOK_EVERY_MS * MS, self._look)

    def look(self) -> None:
        """See to whatever is broken, and for each node to the first wish.

        Operators do not know of each other: wishes for two nodes may be asked for at the same moment."""
        self._replace_the_lost()
        while done := [wish for wish in self._first_wishes() if self._pursue(wish)]:
            for wish in done:
                self._wishes.remove(wish)

    def _first_wishes(self) -> list[Wish]:
        first: dict[str, Wish] = {}
        for wish in self._wishes:
            first.setdefault(wish.name, wish)
        return list(first.values())

    def _replace_the_lost(self) -> None:
        cluster = self._cluster
        for node in cluster.nodes.values():
            if node.refused is not None:
                node.wipe()
                node.restart_after(NEW_DISK_AFTER_MS)
        leader = cluster.leader()
        if leader is None:
            return
        wished = {wish.request.name for wish in self._wishes if isinstance(wish.request, MemberReplace)}
        for name, member in everybody(leader.replica.members).items():
            node = cluster.nodes[name]
            if node.up and node.identity not in (0, member.identity) and name not in wished:
                self._wishes.insert(0, Wish(MemberReplace(name), "is this very member already"))
        for name in sorted(cluster.removed):
            node = cluster.nodes[name]
            gone = name not in {member.name for member in all_members(leader.replica.members)}
            if cluster.calm and gone and node.up:
                node.end("removed, and shut down by its operator")

    def _ticket(self) -> int:
        self._next_ticket += 1
        return self._next_ticket

    def _pursue(self, wish: Wish) -> bool:
        """Whether it has come true, or never will."""
        now = self._world.now
        if wish.asked is not None:
            node, boot, ticket, asked_at = wish.asked
            reply = node.replies.pop(ticket, None) if node.boot == boot else None
            if reply is not None:
                wish.asked = None
                if reply.refusal is None or (wish.done_if and wish.done_if in reply.refusal):
                    self._world.mark(f"members: {type(wish.request).__name__}")
                    return True
                if self._hopeless(wish):
                    return True
            elif node.boot == boot and now - asked_at < PATIENCE_MS * MS:
                return False
        if self._hopeless(wish):
            return True
        leader = self._cluster.leader()
        if leader is None:
            return False
        if self._leads_what_goes(leader, wish):
            self.transfer(None)
            return False
        ticket = self._ticket()
        wish.asked = (leader, leader.boot, ticket, now)
        leader.happened(events.OperatorAsked(ticket, wish.request))
        return False

    def _leads_what_goes(self, leader: Node, wish: Wish) -> bool:
        """Nobody replaces the member that leads."""
        return isinstance(wish.request, MemberReplace) and wish.request.name == leader.name

    def _hopeless(self, wish: Wish) -> bool:
        """What the wish is about has changed meanwhile."""
        leader = self._cluster.leader()
        if leader is None:
            return False
        members = everybody(leader.replica.members)
        match wish.request:
            case MemberReplace(name):
                member = members.get(name)
                return member is None or member.identity == self._cluster.nodes[name].identity
            case MemberPromote(name):
                return name not in members or self._cluster.calm
            case MemberAdd() | MemberRemove():
                return self._cluster.calm
        return False
