"""What an operator asks: the status of a node, changes of members, a transfer of leadership.

Only the leader can change anything; another node answers with the leader's address.  ZooKeeper's `reconfig`
comes through here too, and from any node: it is passed on to the leader and answered when the change is
committed *and* stands in `/zookeeper/config`.

A change is answered exactly once.  If leadership changes meanwhile its outcome is unknown, and the answer
says so: the operator looks at `agreed status` and asks again if need be (a repeated change is refused
harmlessly).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agreed.consensus.machine import Answer, MembersChangeRequested, TransferRequested
from agreed.consensus.members import AddLearner, Member, Members, MembersChange, Promote, Remove, Replace
from agreed.replica import events
from agreed.replica.founding import all_members
from agreed.store.results import Result
from agreed.types import Identity, Instant, NodeId, Revision
from agreed.wire.peer.messages import (
    ChangeAnswer,
    ChangeAsked,
    FollowerStatus,
    LeadershipTransfer,
    MemberAdd,
    MemberPromote,
    MemberRemove,
    MemberReplace,
    OperatorReply,
    StatusReply,
    StatusRequest,
)

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

Answered = Callable[[str | None, Revision], None]
"""Called once with the refusal (None: done) and the revision from which on the store shows the change."""

OUTCOME_UNKNOWN = "the leader changed meanwhile: whether the change was made is not known, look at the status"


TRANSFER_WITHIN_MS = 3_000

MAX_STRANGERS = 64


class Operators:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.strangers: dict[NodeId, Member] = {}
        self._next_ticket = replica.requests.first_ticket
        self._under_way: dict[int, Answered] = {}
        """Changes which this node, as the leader, gave to the consensus machine."""
        self._passed_on: dict[int, Answered] = {}
        """Changes which this node asked the leader for."""
        self._transfers: list[tuple[int, Instant]] = []
        """Tickets of those who wait for another leader, and until when."""

    # --- changes, from anywhere -------------------------------------------------------------------------

    def change(self, change: MembersChange, answered: Answered) -> None:
        replica = self._replica
        ticket = self._next_ticket
        self._next_ticket += 1
        if replica.leads:
            self._under_way[ticket] = answered
            replica.machine.step(MembersChangeRequested(ticket, change))
        elif replica.machine.leader is not None:
            self._passed_on[ticket] = answered
            replica.effects.send.append((replica.machine.leader, ChangeAsked(ticket, change)))
        else:
            answered("nobody leads at the moment", 0)

    def answered(self, answer: Answer) -> None:
        """The consensus machine has committed or refused a change."""
        answered = self._under_way.pop(answer.ticket, None)
        if answered is None:
            return
        if answer.refusal is not None:
            answered(answer.refusal, 0)
            return

        def shown(result: Result | None) -> None:
            answered(None, self._replica.store.revision)

        if all(member.name != self._replica.name for member in all_members(self._replica.members)):
            # It has removed itself: the next leader will show the change, this node will hear no more.
            answered(None, 0)
        else:
            self._replica.submit_configuration(shown)

    def leader_changed(self) -> None:
        for waiting in (self._under_way, self._passed_on):
            for answered in list(waiting.values()):
                answered(OUTCOME_UNKNOWN, 0)
            waiting.clear()
        for ticket, _ in self._transfers:
            self._reply(ticket, None)
        self._transfers.clear()

    def change_asked(self, source: NodeId, message: ChangeAsked) -> None:
        def answered(refusal: str | None, revision: Revision) -> None:
            self._replica.effects.send.append((source, ChangeAnswer(message.ticket, refusal, revision)))

        if self._replica.leads:
            self.change(message.change, answered)
        else:
            answered("not the leader", 0)

    def change_answered(self, source: NodeId, message: ChangeAnswer) -> None:
        answered = self._passed_on.pop(message.ticket, None)
        if answered is not None:
            answered(message.refusal, message.revision)

    # --- the command line -------------------------------------------------------------------------------

    def stranger_seen(self, event: events.StrangerSeen) -> None:
        """Only the last ones that called are remembered: anybody may call, and call himself anything."""
        self.strangers.pop(event.name, None)
        if self._is_known(event.name, event.identity):
            return  # a new member calls as a stranger until it has heard that it is none
        self.strangers[event.name] = Member(event.name, event.identity, event.address, event.client_address)
        if len(self.strangers) > MAX_STRANGERS:
            del self.strangers[next(iter(self.strangers))]

    def joined(self, members: Members) -> None:
        """Whoever is a member is no stranger any more, not even when it is removed one day.

        The story: n4 joins, is removed, and comes back with an empty directory.  A leader that knew n4 by its
        first identity added *that* one again, if it was asked before it had heard of the new one; and the
        node that was there, with another identity, was refused by everybody."""
        for member in all_members(members):
            stranger = self.strangers.get(member.name)
            if stranger is not None and stranger.identity == member.identity:
                del self.strangers[member.name]

    def _is_known(self, name: NodeId, identity: Identity) -> bool:
        return any((m.name, m.identity) == (name, identity) for m in all_members(self._replica.members))

    def asked(self, event: events.OperatorAsked) -> None:
        request, ticket = event.request, event.ticket
        replica = self._replica
        if isinstance(request, StatusRequest):
            replica.effects.operator_replies.append((ticket, self.status()))
            return
        if not replica.leads:
            self._refuse(ticket, "not the leader", self._leader_address())
            return
        change: MembersChange
        match request:
            case MemberAdd(name) | MemberReplace(name) if name not in self.strangers:
                self._refuse(
                    ticket, f"{name} has not called yet: start it with --join and the peers' addresses"
                )
                return
            case MemberAdd(name):
                change = AddLearner(self.strangers[name])
            case MemberReplace(name):
                change = Replace(self.strangers[name])
            case MemberPromote(name):
                change = Promote(name)
            case MemberRemove(name):
                change = Remove(name)
            case LeadershipTransfer(target):
                self._transfer(ticket, target)
                return
            case _:
                self._refuse(ticket, f"{type(request).__name__} is not a request")
                return
        self.change(change, lambda refusal, _: self._reply(ticket, refusal))

    def _transfer(self, ticket: int, target: NodeId | None) -> None:
        voters = {member.name for member in self._replica.members.voters}
        if target is not None and target not in voters:
            self._refuse(ticket, f"{target} is not a voter")
        elif len(voters) == 1:
            self._refuse(ticket, "there is nobody to transfer to")
        elif target == self._replica.name:
            self._reply(ticket, None)
        else:
            self._transfers.append((ticket, self._replica.now + TRANSFER_WITHIN_MS))
            self._replica.machine.step(TransferRequested(target))

    def give_up(self, now: Instant) -> None:
        """The consensus machine gives a transfer up after an election timeout, and leads on."""
        while self._transfers and self._transfers[0][1] <= now:
            ticket, _ = self._transfers.pop(0)
            self._refuse(ticket, "the target did not take over in time; this node leads on")

    def _reply(self, ticket: int, refusal: str | None) -> None:
        self._replica.effects.operator_replies.append((ticket, OperatorReply(refusal)))

    def _refuse(self, ticket: int, refusal: str, leader_address: str | None = None) -> None:
        self._replica.effects.operator_replies.append((ticket, OperatorReply(refusal, leader_address)))

    def _leader_address(self) -> str | None:
        leader = self._replica.machine.leader
        return next((m.address for m in all_members(self._replica.members) if m.name == leader), None)

    def status(self) -> StatusReply:
        """This node as it sees itself; what only the outside knows (memory) is filled in there."""
        replica, machine = self._replica, self._replica.machine
        standing = machine.standing()
        me = next((m for m in all_members(machine.members) if m.name == replica.name), None)
        return StatusReply(
            name=replica.name,
            identity=me.identity if me else 0,
            cluster=0,
            role=standing.role,
            term=machine.term,
            leader=machine.leader,
            members=machine.members,
            commit_index=machine.commit,
            applied_index=replica.applied,
            last_index=standing.last_index,
            first_index=standing.first_index,
            snapshot_index=replica.snapshot_index,
            revision=replica.store.revision,
            keys=len(replica.store.tree.records),
            sessions=len(replica.store.leases),
            connections=len(replica.zookeeper),
            watches=replica.zookeeper.watches.totals().watches,
            uptime_ms=replica.now - replica.started_at,
            resident_bytes=0,
            followers=tuple(
                FollowerStatus(f.name, f.match_index, f.state, replica.now - f.heard_at)
                for f in standing.followers
            ),
            problem=replica.problem or (None if replica.serving else "nobody leads: no quorum"),
            version="",
        )
