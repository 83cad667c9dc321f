"""The members of the cluster for etcd's clients: list, add, remove, update, promote.

etcd changes its members one at a time and lets a new voter count at once.  Here a change of voters is a joint
one, and a new member gets the log as a learner first; so what etcd asks for is done in steps:

    MemberAdd     the member is announced: a row with an id in the replicated table (`store/etcd_members.py`)
    hello         a node that was started with `--join` at the announced address calls as a stranger
    AddLearner    the leader takes it in, and notes in the row whose data directory it is
    Promote       a member that was announced as a voter votes as soon as it has caught up

The steps after the first are the leader's own business, in `Mending`: it looks at the table and at the
members and does what is missing.  So it does not matter which leader began, or whether one died between two
steps.

Every change is made by the leader, one after the other, with etcd's checks in etcd's order; any node may be
asked.  Where etcd wants to have been connected to all voters for five seconds, here the leader must have
heard all of them within `HEARD_WITHIN_MS`.
"""
from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from agreed.consensus import members as consensus
from agreed.consensus.members import AddLearner, Promote, Remove, Replace, everybody
from agreed.consensus.protocol_machine import ProtocolMachine
from agreed.replica.etcd.calls import Call
from agreed.replica.operators import OUTCOME_UNKNOWN
from agreed.store.etcd_members import (
    AnnounceMember,
    ArriveMember,
    EtcdMember,
    ForgetMember,
    PublishMember,
    UpdateMember,
)
from agreed.store.results import Refusal, Result
from agreed.types import Instant, NodeId, Revision
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    Member,
    MemberAddRequest,
    MemberAddResponse,
    MemberListRequest,
    MemberListResponse,
    MemberPromoteRequest,
    MemberPromoteResponse,
    MemberRemoveRequest,
    MemberRemoveResponse,
    MemberUpdateRequest,
    MemberUpdateResponse,
)
from agreed.wire.etcd.translate import status_of
from agreed.wire.grpc.status import Code, Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients
    from agreed.replica.replica import Replica

LEARNERS_MOST = 1
"""As etcd's `--max-learners`."""

HEARD_WITHIN_MS = 1_500
"""A voter that the leader has not heard for longer is taken for dead."""

IN_SYNC = 0.9
"""How much of the leader's log a learner must have before it may vote, by etcd's rule."""

PUBLISH_AGAIN_AFTER_MS = 2_000

_URL = re.compile(r"https?://([^/?#@:\s]+:\d{1,5}|\[[0-9A-Fa-f:.]+\]:\d{1,5})|unixs?://[^\s]+")


def urls_of(asked: tuple[str, ...]) -> tuple[str, ...] | None:
    """Sorted, as etcd keeps them; None where one of them is none (a host and a port, nothing else)."""
    urls = tuple(sorted(url.strip() for url in asked))
    return urls if urls and all(_URL.fullmatch(url) for url in urls) else None


def address_of(url: str) -> str:
    """`http://127.0.0.1:2380` is, for our peers, `127.0.0.1:2380`."""
    return url.partition("://")[2]


def peer_address(member: consensus.Member) -> str:
    """Without the second port which a member named by ZooKeeper's reconfig may have."""
    return re.sub(r"^(.*:\d+):\d+$", r"\1", member.address)


class Census:
    """Who is a member, out of the two tables: of the consensus layer and of the store."""

    def __init__(self, replica: Replica) -> None:
        self._rows = replica.store.etcd_members
        self._members = replica.machine.members

    def standing(self) -> dict[int, tuple[consensus.Member, EtcdMember | None]]:
        """Those that have a data directory, by the id that clients are told.  An observer that ZooKeeper's
        reconfig has named in advance has neither, and is not shown."""
        members = (*self._members.voters, *self._members.learners)
        announced = {address_of(url): row for row in self.announced().values() for url in row.peer_urls}
        found = [
            (member, _as_one(announced.get(peer_address(member)), self._rows.of(member.identity)))
            for member in members
            if member.identity
        ]
        return {row.id if row else member.identity: (member, row) for member, row in found}

    def announced(self) -> dict[int, EtcdMember]:
        """Those of which it is not noted yet whose data directory they are."""
        return {row.id: row for row in self._rows if row.identity == 0}

    def pending(self) -> dict[int, EtcdMember]:
        """Those that were not even seen."""
        standing = self.standing()
        return {row_id: row for row_id, row in self.announced().items() if row_id not in standing}

    def votes(self, member: consensus.Member, row: EtcdMember | None) -> bool:
        """Or will, without being asked again."""
        is_voter = any(voter.name == member.name for voter in self._members.voters)
        return is_voter or (row is not None and row.joins_as_voter)

    def shown(self) -> tuple[Member, ...]:
        """In the order of their ids, as etcd shows them."""
        shown = [
            Member(
                row_id,
                row.name if row and row.name else member.name,
                row.peer_urls if row and row.peer_urls else (f"http://{peer_address(member)}",),
                row.client_urls if row else (),
                not self.votes(member, row),
            )
            for row_id, (member, row) in self.standing().items()
        ]
        shown += [
            Member(row.id, "", row.peer_urls, (), not row.joins_as_voter) for row in self.pending().values()
        ]
        return tuple(sorted(shown, key=lambda member: member.ID))

    def voters(self) -> dict[int, bool]:
        """Who counts as a voter in etcd's arithmetic, and whether it was ever started."""
        voters = {
            row_id: True for row_id, (member, row) in self.standing().items() if self.votes(member, row)
        }
        return voters | {row.id: False for row in self.pending().values() if row.joins_as_voter}


def _as_one(announced: EtcdMember | None, own: EtcdMember | None) -> EtcdMember | None:
    """A node may have told of itself before it was noted that it is the one which was announced: the table
    has two rows of it then, for a moment, and clients are told of one member, by the id that it will keep."""
    if announced is None or own is None:
        return announced or own
    return replace(announced, name=own.name, client_urls=own.client_urls)


def is_learner(replica: Replica) -> bool:
    """Whether this node is one that etcd's clients are to be told of as a learner."""
    members = replica.machine.members
    if all(member.name != replica.name for member in members.learners):
        return False
    _, row = _own(replica)
    return not (row is not None and row.joins_as_voter)


def member_id(replica: Replica) -> int:
    return _own(replica)[0]


def _own(replica: Replica) -> tuple[int, EtcdMember | None]:
    """Id and row of this node."""
    for row_id, (member, row) in Census(replica).standing().items():
        if member.identity == replica.identity:
            return row_id, row
    return replica.identity, None


class ClusterService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._replica = front.replica
        self._queue: deque[tuple[Call, Callable[[], None]]] = deque()
        self._current: Call | None = None
        self._publish_at: Instant = 0
        self._mending = Mending(front.replica)
        front.on_round.append(self._round)

    def handlers(self) -> dict[str, Callable[[Call, Any], None]]:
        return {
            "/etcdserverpb.Cluster/MemberList": self.list_members,
            "/etcdserverpb.Cluster/MemberAdd": self._by_the_leader(self._add),
            "/etcdserverpb.Cluster/MemberRemove": self._by_the_leader(self._remove),
            "/etcdserverpb.Cluster/MemberUpdate": self._by_the_leader(self._update),
            "/etcdserverpb.Cluster/MemberPromote": self._by_the_leader(self._promote),
        }

    # --- reading ------------------------------------------------------------------------------------------

    def list_members(self, call: Call, request: MemberListRequest) -> None:
        def answer() -> None:
            call.reply(MemberListResponse(self._front.header_at(0), Census(self._replica).shown()))

        if request.linearizable:
            self._front.read(call, answer)
        else:
            answer()

    # --- changing -----------------------------------------------------------------------------------------

    def _by_the_leader(self, handler: Callable[[Call, Any], None]) -> Callable[[Call, Any], None]:
        """One change at a time, as etcd: each is judged by what the one before has made."""

        def handle(call: Call, request: Any) -> None:
            machine = self._replica.machine
            if isinstance(machine, ProtocolMachine) and machine.members_refusal:
                call.fail(Status(Code.FAILED_PRECONDITION, f"etcdserver: {machine.members_refusal}"))
            elif self._replica.leads:
                self._queue.append((call, lambda: handler(call, request)))
                self._next()
            elif machine.leader is None:
                call.fail(errors.UNHEALTHY)
            else:
                self._front.forward(call, request)

        return handle

    def _next(self) -> None:
        while self._queue and (self._current is None or self._current.closed):
            self._current, handle = self._queue.popleft()
            if not self._current.closed:
                handle()

    def _reply(self, call: Call, reply: Callable[[tuple[Member, ...]], Any]) -> None:
        call.reply(reply(Census(self._replica).shown()))
        self._next()

    def _fail(self, call: Call, status: Status) -> None:
        call.fail(status)
        self._next()

    def _add(self, call: Call, request: MemberAddRequest) -> None:
        urls = urls_of(request.peerURLs)
        refusal = errors.MEMBER_BAD_URLS if urls is None else self._may_add(urls, request.isLearner)
        if refusal is not None or urls is None:
            self._fail(call, refusal or errors.MEMBER_BAD_URLS)
            return
        new_id = int.from_bytes(self._replica.entropy(8), "big") >> 1 or 1

        def announced(result: Result) -> None:
            if isinstance(result, Refusal):
                self._fail(call, status_of(result))
                return
            added = Member(new_id, "", urls, (), request.isLearner)
            self._reply(call, lambda shown: MemberAddResponse(self._front.header_at(0), added, shown))

        self._front.submit(call, AnnounceMember(new_id, urls, not request.isLearner), announced)

    def _may_add(self, urls: tuple[str, ...], as_learner: bool) -> Status | None:
        census = Census(self._replica)
        voters = census.voters()
        if not as_learner:
            started = sum(voters.values())
            alone = started == 1 and len(voters) == 1
            if not alone and started < (len(voters) + 1) // 2 + 1:
                return errors.MEMBER_NOT_ENOUGH_STARTED
        if len(self._heard(voters)) < len(voters):
            return errors.UNHEALTHY
        shown = census.shown()
        if any(url in member.peerURLs for member in shown for url in urls):
            return errors.PEER_URL_EXISTS
        if as_learner and sum(member.isLearner for member in shown) >= LEARNERS_MOST:
            return errors.TOO_MANY_LEARNERS
        return None

    def _heard(self, voters: dict[int, bool]) -> set[int]:
        """Those of them that the leader hears, itself included."""
        replica = self._replica
        heard: set[NodeId] = {replica.name}
        for follower in replica.machine.standing().followers:
            if replica.now - follower.heard_at <= HEARD_WITHIN_MS:
                heard.add(follower.name)
        standing = Census(replica).standing()
        return {row_id for row_id in voters if row_id in standing and standing[row_id][0].name in heard}

    def _remove(self, call: Call, request: MemberRemoveRequest) -> None:
        refusal = self._may_remove(request.ID)
        if refusal is not None:
            self._fail(call, refusal)
            return
        standing = Census(self._replica).standing()
        forget = ForgetMember(request.ID)

        def removed(result: Result | None) -> None:
            self._reply(call, lambda shown: MemberRemoveResponse(self._front.header_at(0), shown))

        def changed(refusal: str | None, revision: Revision) -> None:
            if refusal is not None:
                self._fail(call, _refused(refusal))
            elif self._replica.leads and request.ID in self._replica.store.etcd_members.table:
                self._front.submit(call, forget, removed)
            else:
                removed(None)  # the next leader forgets it

        if request.ID in standing:
            self._replica.operators.change(Remove(standing[request.ID][0].name), changed)
        else:
            self._front.submit(call, forget, removed)

    def _may_remove(self, removed: int) -> Status | None:
        census = Census(self._replica)
        standing = census.standing()
        voters = census.voters()
        known = removed in voters
        if (removed in standing or removed in census.pending()) and not known:
            return None  # a learner: nobody counts on it
        rest = {row_id: started for row_id, started in voters.items() if row_id != removed}
        if not rest or sum(rest.values()) < len(rest) // 2 + 1:
            return errors.MEMBER_NOT_ENOUGH_STARTED
        if not known:
            return errors.MEMBER_NOT_FOUND
        heard = self._heard(voters)
        if removed in heard and len(heard) - 1 < 1 + (len(voters) - 1) // 2:
            return errors.UNHEALTHY
        return None

    def _promote(self, call: Call, request: MemberPromoteRequest) -> None:
        census = Census(self._replica)
        shown = next((member for member in census.shown() if request.ID == member.ID), None)
        if shown is None:
            self._fail(call, errors.MEMBER_NOT_FOUND)
        elif not shown.isLearner:
            self._fail(call, errors.MEMBER_NOT_LEARNER)
        elif request.ID not in census.standing() or not in_sync(
            self._replica, name := census.standing()[request.ID][0].name
        ):
            self._fail(call, errors.LEARNER_NOT_READY)
        else:

            def changed(refusal: str | None, revision: Revision) -> None:
                if refusal is not None:
                    self._fail(call, _refused(refusal, errors.LEARNER_NOT_READY))
                else:
                    header = self._front.header_at(0)
                    self._reply(call, lambda members: MemberPromoteResponse(header, members))

            self._replica.operators.change(Promote(name), changed)

    def _update(self, call: Call, request: MemberUpdateRequest) -> None:
        urls = urls_of(request.peerURLs)
        if urls is None:
            self._fail(call, errors.MEMBER_BAD_URLS)
            return
        census = Census(self._replica)
        shown = {member.ID: member for member in census.shown()}
        if request.ID not in shown:
            self._fail(call, errors.MEMBER_NOT_FOUND)
            return
        others = (member for member in shown.values() if request.ID != member.ID)
        if any(url in member.peerURLs for member in others for url in urls):
            self._fail(call, errors.PEER_URL_EXISTS)
            return

        def updated(result: Result) -> None:
            if isinstance(result, Refusal):
                self._fail(call, status_of(result))
            else:
                self._reply(call, lambda members: MemberUpdateResponse(self._front.header_at(0), members))

        def moved(refusal: str | None, revision: Revision) -> None:
            if refusal is not None:
                self._fail(call, _refused(refusal))
            else:
                self._front.submit(call, UpdateMember(request.ID, urls), updated)

        member, row = census.standing().get(request.ID, (None, None))
        if member is not None and row is None:
            self._fail(call, errors.UNHEALTHY)  # it has not said who it is yet: it was just started
        elif member is None or peer_address(member) in map(address_of, urls):
            moved(None, 0)
        else:
            replaced = consensus.Member(
                member.name, member.identity, address_of(urls[0]), member.client_address
            )
            self._replica.operators.change(Replace(replaced), moved)

    # --- what a node does unasked -------------------------------------------------------------------------

    def _round(self) -> None:
        replica = self._replica
        self._next()
        self._front.member_id = member_id(replica)
        if replica.now >= self._publish_at and replica.serving and replica.machine.leader is not None:
            self._publish_at = replica.now + PUBLISH_AGAIN_AFTER_MS
            self._publish()
        if replica.leads:
            self._mending.round()

    def _publish(self) -> None:
        """This node's name and addresses, where the table does not have them."""
        replica = self._replica
        me = next((m for m in everybody(replica.machine.members).values() if m.name == replica.name), None)
        if me is None or me.identity != replica.identity or replica.settings.etcd_client_urls is None:
            return
        row = replica.store.etcd_members.of(replica.identity)
        urls = replica.settings.etcd_client_urls
        if row is None or (row.name, row.client_urls) != (replica.name, urls):
            peer_urls = (f"http://{peer_address(me)}",)
            replica.submit(PublishMember(replica.identity, replica.name, peer_urls, urls))


def in_sync(replica: Replica, name: NodeId) -> bool:
    followers = {follower.name: follower for follower in replica.machine.standing().followers}
    return name in followers and followers[name].match_index >= IN_SYNC * replica.machine.last_index


MEND_EVERY_MS = 300
GIVE_UP_A_STEP_AFTER_MS = 5_000


class Mending:
    """What a leader does to make members of those that were announced, a step at a time."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._next_look: Instant = 0

    def round(self) -> None:
        replica = self._replica
        if replica.now < self._next_look or replica.machine.members.outgoing:
            return
        self._next_look = replica.now + MEND_EVERY_MS
        step = self._missing()
        if step is not None:
            self._next_look = replica.now + GIVE_UP_A_STEP_AFTER_MS
            if isinstance(step, AddLearner | Promote):
                replica.operators.change(step, self._changed)
            else:
                replica.submit(step, lambda result: self._look_again())

    def _changed(self, refusal: str | None, revision: Revision) -> None:
        """A learner that lags is refused until it does not."""
        self._look_again()

    def _look_again(self) -> None:
        self._next_look = self._replica.now + MEND_EVERY_MS

    def _missing(self) -> AddLearner | Promote | ArriveMember | UpdateMember | ForgetMember | None:
        """The first step that is, or None."""
        replica = self._replica
        members = replica.machine.members
        rows = replica.store.etcd_members
        census = Census(replica)
        standing = {member.identity: member for member in (*members.voters, *members.learners)}
        pending = {address_of(url): row for row in census.announced().values() for url in row.peer_urls}
        gone = next((row for row in rows if row.identity and row.identity not in standing), None)
        if gone is not None:
            return ForgetMember(gone.id)
        for member in standing.values():
            # It may have published itself before it was recognized, and have a row of its own by now.
            if (announced := pending.get(peer_address(member))) is not None:
                return ArriveMember(announced.id, member.identity)
        for member in standing.values():
            row = rows.of(member.identity)
            if row is None or not row.joins_as_voter:
                continue
            if member in members.voters:
                return UpdateMember(row.id, votes=True)
            if in_sync(replica, member.name):
                return Promote(member.name)
        for stranger in replica.operators.strangers.values():
            if peer_address(stranger) in pending and stranger.name not in everybody(members):
                return AddLearner(stranger)
        return None


def _refused(reason: str, otherwise: Status = errors.UNHEALTHY) -> Status:
    """The consensus machine says in words why it refuses a change of members."""
    return errors.LEADER_CHANGED if reason == OUTCOME_UNKNOWN else otherwise
