"""The Election service: who stands first in a row (`rows.py`) leads, and his key's value is what he says.

Whoever leads proves it with the key and its create_revision (`LeaderKey`): what he proclaims or gives up
counts only while that key is the one he was elected with.  `Observe` tells who leads and what is proclaimed;
who reads slowly is told the newest when he is done.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.rows import Place, Rows, as_unknown
from agreed.store.commands import DeleteRange, Guard, Put, Transaction
from agreed.store.ranges import prefix_end
from agreed.store.records import Record
from agreed.store.results import Refusal, Result, TransactionResult
from agreed.types import LeaseId, Revision
from agreed.wire.etcd import errors, translate
from agreed.wire.etcd.messages import (
    CampaignRequest,
    CampaignResponse,
    LeaderKey,
    LeaderRequest,
    LeaderResponse,
    ProclaimRequest,
    ProclaimResponse,
    ResignRequest,
    ResignResponse,
)

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

UNTAKEN_MOST_BYTES = 1024 * 1024
"""Of what an observer has not taken: above that it is told nothing, and then the newest."""


class ElectionService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._rows = Rows(front)

    def handlers(self) -> Mapping[str, Callable[[Call, Any], None]]:
        return {
            "/v3electionpb.Election/Campaign": self.campaign,
            "/v3electionpb.Election/Proclaim": self.proclaim,
            "/v3electionpb.Election/Leader": self.leader,
            "/v3electionpb.Election/Observe": self.observe,
            "/v3electionpb.Election/Resign": self.resign,
        }

    # --- to lead ------------------------------------------------------------------------------------------

    def campaign(self, call: Call, request: CampaignRequest) -> None:
        """The header is of the moment at which the candidate stood for election, as in etcd."""
        front, rows = self._front, self._rows

        def entered(place: Place, record: Record | None) -> None:
            header = front.header()

            def elected() -> None:
                lease = int(place.key[len(place.prefix) :], 16)
                key = LeaderKey(request.name, place.key, place.revision, lease)
                call.reply(CampaignResponse(header, key))

            def stand() -> None:
                rows.wait(place, elected, errors.ELECTION_NOT_LEADER)

            if record is None or record.value == request.value:
                stand()
            else:
                self._proclaim(call, place.key, place.revision, request.value, record.lease, stand)

        rows.enter(call, request.name, request.lease, request.value, entered)

    def proclaim(self, call: Call, request: ProclaimRequest) -> None:
        leader = request.leader
        if leader is None:
            call.fail(errors.ELECTION_LEADER_FIELD)
            return

        def done() -> None:
            call.reply(ProclaimResponse(self._front.header()))

        def proclaim(lease: LeaseId) -> None:
            self._proclaim(call, leader.key, leader.rev, request.value, lease, done)

        if leader.lease:
            proclaim(leader.lease)
        else:
            self._rows.granted(call, proclaim)

    def _proclaim(
        self,
        call: Call,
        key: bytes,
        revision: Revision,
        value: bytes,
        lease: LeaseId,
        done: Callable[[], None],
    ) -> None:
        def applied(result: Result) -> None:
            if isinstance(result, Refusal):
                call.fail(as_unknown(translate.status_of(result)))
            elif isinstance(result, TransactionResult) and not result.succeeded:
                call.fail(errors.ELECTION_NOT_LEADER)
            else:
                done()

        still = Guard(key, None, "create_revision", "=", revision)
        self._front.submit(call, Transaction((still,), (Put(key, value, lease),), ()), applied)

    def resign(self, call: Call, request: ResignRequest) -> None:
        """Also of who does not lead."""
        leader = request.leader
        if leader is None:
            call.fail(errors.ELECTION_LEADER_FIELD)
            return

        def applied(result: Result) -> None:
            if isinstance(result, Refusal):
                call.fail(as_unknown(translate.status_of(result)))
            else:
                call.reply(ResignResponse(self._front.header()))

        still = Guard(leader.key, None, "create_revision", "=", leader.rev)
        self._front.submit(call, Transaction((still,), (DeleteRange(leader.key, None),), ()), applied)

    # --- who leads ----------------------------------------------------------------------------------------

    def leader(self, call: Call, request: LeaderRequest) -> None:
        def read() -> None:
            if not self._may_read(call, request.name):
                return
            record = self._rows.oldest(request.name + b"/")
            if record is None:
                call.fail(errors.ELECTION_NO_LEADER)
            else:
                call.reply(LeaderResponse(self._front.header(), translate.key_value(record)))

        self._front.after_barrier(call, read)

    def observe(self, call: Call, request: LeaderRequest) -> None:
        """As in etcd it is looked at each leader anew whether the caller may know of him: observers stay for
        longer than permissions."""
        prefix = request.name + b"/"
        rows = self._rows
        told: Revision = 0
        leader: Revision = 0

        def look() -> None:
            nonlocal told, leader
            record = rows.oldest(prefix)
            if record is None or record.modify_revision == told or call.backlog > UNTAKEN_MOST_BYTES:
                return
            if record.create_revision != leader and not self._may_read(call, request.name):
                rows.stop(prefix, call)
                return
            told, leader = record.modify_revision, record.create_revision
            call.send(LeaderResponse(self._front.header(), translate.key_value(record)))

        def begin() -> None:
            if not self._may_read(call, request.name):
                return
            rows.watch(prefix, call, look, puts=True)
            call.on_closed = lambda: rows.stop(prefix, call)
            call.on_drained = look
            look()

        self._front.after_barrier(call, begin)

    def _may_read(self, call: Call, name: bytes) -> bool:
        """By what this node knows now."""
        prefix = name + b"/"
        front = self._front
        refusal = front.callers.again(call) or front.may_read(call, prefix, prefix_end(prefix))
        if refusal is not None:
            call.fail(as_unknown(refusal))
        return refusal is None
