"""What operators ask of one member of the cluster over the etcd API.

Where etcd looks after a file, here is memory with a log behind it; so some of it means something else:

    Status        sizes are those of the keys and their history in memory, not of a file
    Defragment    nothing is fragmented; a checkpoint is asked for, after which the log on the disk is short
    Hash          is HashKV of all there is
    MoveLeader    as `agreed transfer`; to be asked of the leader
    Downgrade     is answered: which version could be returned to, and that none is

The numbers of Hash and HashKV are equal on members that hold the same; they are not those of a real etcd.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agreed.consensus.machine import TransferRequested
from agreed.replica.etcd.calls import Call
from agreed.replica.etcd.cluster import Census, is_learner
from agreed.replica.etcd.snapshot_stream import SnapshotStream
from agreed.store.alarms import Alarm, AlarmKind
from agreed.store.commands import Checkpoint, SetAlarm
from agreed.store.kv_hash import KvHash, kv_hash
from agreed.store.results import Refusal, Result
from agreed.types import Instant, NodeId
from agreed.wire.etcd import errors
from agreed.wire.etcd.messages import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmResponse,
    AlarmType,
    DefragmentRequest,
    DefragmentResponse,
    DowngradeAction,
    DowngradeRequest,
    DowngradeResponse,
    HashKVRequest,
    HashKVResponse,
    HashRequest,
    HashResponse,
    MoveLeaderRequest,
    MoveLeaderResponse,
    SnapshotRequest,
    StatusRequest,
    StatusResponse,
)
from agreed.wire.etcd.translate import status_of
from agreed.wire.etcd.version import CLUSTER_VERSION, SERVER_VERSION
from agreed.wire.grpc.status import Status

if TYPE_CHECKING:
    from agreed.replica.etcd.front import EtcdClients

TRANSFER_WITHIN_MS = 3_000
"""The consensus machine gives a transfer up after an election timeout."""

CHECKPOINT_AT_MOST_EVERY_MS = 10_000
"""Anybody may ask every member to defragment: that is one checkpoint, not one each."""

class MaintenanceService:
    def __init__(self, front: EtcdClients) -> None:
        self._front = front
        self._replica = front.replica
        self._hashes: list[tuple[Call, KvHash, Callable[[KvHash], None]]] = []
        self._snapshots: list[SnapshotStream] = []
        self._transfers: list[tuple[Call, NodeId, Instant]] = []
        self._next_checkpoint: Instant = 0
        front.on_turn.append(self._turn)
        front.on_round.append(self._round)

    def handlers(self) -> dict[str, Callable[[Call, Any], None]]:
        return {
            "/etcdserverpb.Maintenance/Status": self.status,
            "/etcdserverpb.Maintenance/Alarm": self.alarm,
            "/etcdserverpb.Maintenance/Defragment": self.defragment,
            "/etcdserverpb.Maintenance/Hash": self.hash,
            "/etcdserverpb.Maintenance/HashKV": self.hash_kv,
            "/etcdserverpb.Maintenance/Snapshot": self.snapshot,
            "/etcdserverpb.Maintenance/MoveLeader": self.move_leader,
            "/etcdserverpb.Maintenance/Downgrade": self.downgrade,
        }

    # --- what there is ------------------------------------------------------------------------------------

    def status(self, call: Call, request: StatusRequest) -> None:
        replica = self._replica
        machine, store = replica.machine, replica.store
        leader = self._leader_id()
        alarms = tuple(map(_alarm_text, store.alarms.table))
        size_bytes = store.flat.history.size_bytes
        call.reply(
            StatusResponse(
                self._front.header(),
                SERVER_VERSION,
                size_bytes,
                leader,
                machine.commit,
                machine.term,
                replica.applied,
                alarms if leader else (errors.NO_LEADER.message, *alarms),
                size_bytes,
                is_learner(replica),
            )
        )

    def _leader_id(self) -> int:
        """0 where nobody leads."""
        leader = self._replica.machine.leader
        standing = Census(self._replica).standing()
        return next((row_id for row_id, (member, _) in standing.items() if member.name == leader), 0)

    def hash(self, call: Call, request: HashRequest) -> None:
        store = self._replica.store
        hashing = KvHash(store.flat.history, store.revision)
        self._hashes.append(
            (call, hashing, lambda done: call.reply(HashResponse(self._front.header(), done.value)))
        )

    def hash_kv(self, call: Call, request: HashKVRequest) -> None:
        def begin() -> None:
            store = self._replica.store
            hashing = kv_hash(store.flat.history, request.revision, store.revision)
            if isinstance(hashing, Refusal):
                future = hashing is Refusal.FUTURE_REVISION
                call.fail(errors.FUTURE_REVISION if future else errors.COMPACTED)
            else:
                self._hashes.append((call, hashing, answer))

        def answer(done: KvHash) -> None:
            call.reply(HashKVResponse(self._front.header(), done.value, done.compacted))

        begin()

    def snapshot(self, call: Call, request: SnapshotRequest) -> None:
        self._snapshots.append(SnapshotStream(call, self._replica))

    def _turn(self) -> bool:
        """A piece of every hash and snapshot under way; whether there is more to do."""
        if not self._hashes and not self._snapshots:
            return False
        self._hashes = [
            (call, hashing, then)
            for call, hashing, then in self._hashes
            if not call.closed and not self._hashed(hashing, then)
        ]
        for snapshot in self._snapshots:
            snapshot.work()
        self._snapshots = [snapshot for snapshot in self._snapshots if not snapshot.over]
        return bool(self._hashes) or any(snapshot.may_go_on for snapshot in self._snapshots)

    @staticmethod
    def _hashed(hashing: KvHash, then: Callable[[KvHash], None]) -> bool:
        if not hashing.step():
            return False
        then(hashing)
        return True

    # --- alarms -------------------------------------------------------------------------------------------

    def alarm(self, call: Call, request: AlarmRequest) -> None:
        if request.action == AlarmAction.GET:
            self._front.read(call, lambda: call.reply(self._standing(request.alarm)))
        elif request.action not in (AlarmAction.ACTIVATE, AlarmAction.DEACTIVATE):
            call.fail(errors.UNKNOWN_METHOD)
        elif request.alarm not in (AlarmType.NOSPACE, AlarmType.CORRUPT):
            # No alarm at all.  A real server of 3.4 dies of this, and again of the log when it is restarted.
            call.reply(AlarmResponse(self._front.header()))
        else:
            self._set_alarm(call, request)

    def _standing(self, kind: int) -> AlarmResponse:
        alarms = self._replica.store.alarms.table
        shown = [alarm for alarm in alarms if kind in (AlarmType.NONE, alarm.kind)]
        return AlarmResponse(
            self._front.header(), tuple(AlarmMember(alarm.member, alarm.kind) for alarm in shown)
        )

    def _set_alarm(self, call: Call, request: AlarmRequest) -> None:
        def done(result: Result) -> None:
            if result is Refusal.STALE:
                call.reply(AlarmResponse(self._front.header()))
            elif isinstance(result, Refusal):
                call.fail(status_of(result))
            else:
                changed = AlarmMember(request.memberID, request.alarm)
                call.reply(AlarmResponse(self._front.header(), (changed,)))

        on = request.action == AlarmAction.ACTIVATE
        self._front.submit(call, SetAlarm(request.memberID, AlarmKind(request.alarm), on), done)

    # --- what is to be done -------------------------------------------------------------------------------

    def defragment(self, call: Call, request: DefragmentRequest) -> None:
        replica = self._replica
        if replica.now >= self._next_checkpoint and replica.machine.leader is not None:
            self._next_checkpoint = replica.now + CHECKPOINT_AT_MOST_EVERY_MS
            replica.submit(Checkpoint())
        call.reply(DefragmentResponse())

    def move_leader(self, call: Call, request: MoveLeaderRequest) -> None:
        replica = self._replica
        if not replica.leads:
            call.fail(errors.NOT_LEADER)
            return
        member, _ = Census(replica).standing().get(request.targetID, (None, None))
        if member is None or all(voter.name != member.name for voter in replica.members.voters):
            call.fail(errors.BAD_LEADER_TRANSFEREE)
        elif member.name == replica.name:
            call.reply(MoveLeaderResponse())
        else:
            self._transfers.append((call, member.name, replica.now + TRANSFER_WITHIN_MS))
            replica.machine.step(TransferRequested(member.name))

    def _round(self) -> None:
        replica = self._replica
        waiting = []
        for call, target, until in self._transfers:
            if replica.machine.leader == target:
                call.reply(MoveLeaderResponse())
            elif replica.now >= until:
                call.fail(errors.LEADER_TRANSFER_TIMEOUT)
            elif not call.closed:
                waiting.append((call, target, until))
        self._transfers = waiting

    def downgrade(self, call: Call, request: DowngradeRequest) -> None:
        refusal = self._downgrade_refusal(request)
        if refusal is not None:
            call.fail(refusal)
        else:
            self._front.read(
                call, lambda: call.reply(DowngradeResponse(self._front.header(), CLUSTER_VERSION))
            )

    @staticmethod
    def _downgrade_refusal(request: DowngradeRequest) -> Status | None:
        """Nothing is ever under way, for there is nothing to return to.  `VALIDATE` is answered as a cluster
        of etcd's version answers it, and `ENABLE` is refused."""
        if request.action == DowngradeAction.CANCEL:
            return errors.DOWNGRADE_NOT_IN_PROGRESS
        if request.action not in (DowngradeAction.VALIDATE, DowngradeAction.ENABLE):
            return errors.UNKNOWN_METHOD
        asked = re.fullmatch(r"(\d{1,9})\.(\d{1,9})(?:\.\d{1,9})?(?:[-+].*)?", request.version, re.ASCII)
        if asked is None:
            return errors.DOWNGRADE_BAD_FORMAT
        major, minor = map(int, CLUSTER_VERSION.split(".")[:2])
        if (int(asked[1]), int(asked[2])) != (major, minor - 1):
            return errors.DOWNGRADE_BAD_VERSION
        return errors.DOWNGRADE_BAD_VERSION if request.action == DowngradeAction.ENABLE else None


def _alarm_text(alarm: Alarm) -> str:
    """As Go prints the message."""
    member = f"memberID:{alarm.member} " if alarm.member else ""
    return f"{member}alarm:{'NOSPACE' if alarm.kind is AlarmKind.NO_SPACE else 'CORRUPT'} "
