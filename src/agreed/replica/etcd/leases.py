"""The Lease service: a time to live that keys are attached to, renewed by whoever holds it.

Grants and revocations go through the log, and so does the end of a lease that nobody renewed
(`replica/upkeep.py`); renewals do not (`renewals.py`).  A time to live is a lower bound: no lease ends before
its time is over on the leader's clock, and a new leader gives every lease its full time again.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.long_answers import ITEMS, LongAnswers, is_long
from agreed.store.commands import GrantLease, RevokeLease
from agreed.store.leases import Lease
from agreed.store.results import LeaseResult, Result
from agreed.types import LeaseId
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseStatus,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
)

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

_Item = TypeVar("_Item")

TTL_LEAST_S = 2
"""As etcd: one and a half times its time of an election, in whole seconds.  Who asks for less gets this."""

TTL_MOST_S = 9_000_000_000

UNTAKEN_MOST_BYTES = 1024 * 1024
"""Of answers on one stream: who renews and never listens is sent away."""


class LeaseService:
    """The totals are of this member: what its clients were granted and revoked, what it has renewed for them,
    and what it has let expire while it led."""

    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._long = LongAnswers(front)
        self.granted = 0
        self.revoked = 0
        self.renewed = 0
        self.expired = 0
        front.on_expired.append(self._ended)

    def _ended(self) -> None:
        self.expired += 1

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {
            "/etcdserverpb.Lease/LeaseGrant": self.grant,
            "/etcdserverpb.Lease/LeaseRevoke": self.revoke,
            "/etcdserverpb.Lease/LeaseKeepAlive": self.keep_alive,
            "/etcdserverpb.Lease/LeaseTimeToLive": self.time_to_live,
            "/etcdserverpb.Lease/LeaseLeases": self.leases,
        }

    def grant(self, call: Call, request: LeaseGrantRequest) -> None:
        if request.TTL > TTL_MOST_S:
            call.fail(errors.LEASE_TTL_TOO_LARGE)
            return
        front = self._front
        lease = request.ID or int.from_bytes(front.replica.entropy(8), "big") >> 1 or 1
        ttl_ms = max(request.TTL, TTL_LEAST_S) * 1000

        def granted(result: LeaseResult) -> LeaseGrantResponse:
            self.granted += 1
            return LeaseGrantResponse(front.header(), result.lease, result.ttl_ms // 1000)

        front.submit_for_reply(call, GrantLease(lease, ttl_ms, b"", None), granted)

    def revoke(self, call: Call, request: LeaseRevokeRequest) -> None:
        front = self._front

        def revoked(_: Result) -> LeaseRevokeResponse:
            self.revoked += 1
            return LeaseRevokeResponse(front.header())

        front.submit_for_reply(call, RevokeLease(request.ID, plain=True), revoked)

    def keep_alive(self, call: Call, request: LeaseKeepAliveRequest) -> None:
        stream = _KeepAlive(self, self._front, call)
        call.on_message = stream.asked
        call.on_ended = stream.ended
        stream.asked(request)

    def time_to_live(self, call: Call, request: LeaseTimeToLiveRequest) -> None:
        """How much is left the leader knows, and only while it leads."""
        front = self._front
        if front.replica.leads:
            front.read(call, lambda: self._tell_time(call, request))
        else:
            front.forward(call, request)

    def _tell_time(self, call: Call, request: LeaseTimeToLiveRequest) -> None:
        front = self._front
        replica = front.replica
        if not replica.leads:
            call.fail(errors.LEADER_CHANGED)
            return
        lease = replica.store.leases.get(request.ID)
        left_ms = replica.expiry.remaining_ms(request.ID, replica.now)
        if lease is None or lease.credentials is not None or left_ms is None:
            call.reply(LeaseTimeToLiveResponse(front.header(), request.ID, -1))
            return
        keys = sorted(lease.flat_keys) if request.keys else []
        refusal = front.may_see(call, keys)
        if refusal is not None:
            call.fail(refusal)
            return
        left_s = max(left_ms, 0) // 1000
        told = LeaseTimeToLiveResponse(front.header(), lease.id, left_s, lease.ttl_ms // 1000)
        if is_long(call, len(keys)):
            slices = (LeaseTimeToLiveResponse(keys=some) for some in _slices(keys))
            self._long.reply(call, chain((told,), slices))
        else:
            call.reply(msgspec.structs.replace(told, keys=tuple(keys)))

    def leases(self, call: Call, request: LeaseLeasesRequest) -> None:
        """As this node sees them, in the order in which they were granted."""
        front = self._front
        leases = [lease for lease in front.replica.store.leases if lease.credentials is None]
        refusal = front.may_see(call, (key for lease in leases for key in lease.flat_keys))
        if refusal is not None:
            call.fail(refusal)
            return
        if is_long(call, len(leases)):
            slices = (_statuses(some) for some in _slices(leases))
            self._long.reply(call, chain((LeaseLeasesResponse(front.header()),), slices))
        else:
            call.reply(msgspec.structs.replace(_statuses(leases), header=front.header()))


def _statuses(leases: Sequence[Lease]) -> LeaseLeasesResponse:
    return LeaseLeasesResponse(leases=tuple([LeaseStatus(lease.id) for lease in leases]))


def _slices(items: Sequence[_Item]) -> Iterator[tuple[_Item, ...]]:
    return (tuple(items[first : first + ITEMS]) for first in range(0, len(items), ITEMS))


class _Renewal:
    """`ttl_ms` None: not answered yet."""

    __slots__ = ("lease", "ttl_ms")

    def __init__(self, lease: LeaseId) -> None:
        self.lease = lease
        self.ttl_ms: int | None = None


class _KeepAlive:
    """One stream of renewals: answers leave in the order of the requests, and the stream ends behind them.

    What was asked later may be known sooner: an answer is lost and said again, or the leader waits for what
    comes of a decision.  Clients count on the order, and some do not look which lease an answer names."""

    __slots__ = ("_call", "_front", "_over", "_service", "_under_way")

    def __init__(self, service: LeaseService, front: EtcdClients, call: Call) -> None:
        self._service = service
        self._front = front
        self._call = call
        self._under_way: deque[_Renewal] = deque()
        self._over = False

    def asked(self, request: Any) -> None:
        assert isinstance(request, LeaseKeepAliveRequest)
        call = self._call
        if call.backlog > UNTAKEN_MOST_BYTES:
            call.fail(errors.TOO_MANY_REQUESTS)
            return
        refusal = self._front.callers.may_renew(call, request.ID)
        if refusal is not None:
            call.fail(refusal)
            return
        renewal = _Renewal(request.ID)
        self._under_way.append(renewal)
        self._front.renewals.renew(request.ID, partial(self._told, renewal))

    def _told(self, renewal: _Renewal, ttl_ms: int | None) -> None:
        call = self._call
        if ttl_ms is None:
            leads = self._front.replica.machine.leader
            call.fail(errors.NO_LEADER if leads is None else errors.TIMEOUT)
            return
        renewal.ttl_ms = ttl_ms
        under_way = self._under_way
        while under_way and (first_ms := under_way[0].ttl_ms) is not None:
            lease = under_way.popleft().lease
            self._service.renewed += first_ms > 0
            call.send(LeaseKeepAliveResponse(self._front.header(), lease, first_ms // 1000))
        if self._over and not under_way:
            call.end()

    def ended(self) -> None:
        self._over = True
        if not self._under_way:
            self._call.end()
