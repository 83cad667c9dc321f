"""What is agreed, done: every node executes the same commands in the same order, and answers its own clients.

Between a command and its answer stands what the command has changed for others: watchers hear of it before
whoever asked for it is told that it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from agreed.consensus.machine import Entry, EntryKind
from agreed.replica.clients import WRITE, Client
from agreed.store.commands import (
    AttachLease,
    Batch,
    Checkpoint,
    EnableAuth,
    ExpireLease,
    GrantLease,
    OnBehalf,
    Payload,
    RevokeLease,
)
from agreed.store.events import Space
from agreed.store.results import LeaseResult, Refusal, Result
from agreed.types import NodeId

if TYPE_CHECKING:
    from agreed.replica.replica import Replica

_FLAT = Space.FLAT

_decoder = msgspec.msgpack.Decoder(Payload)


class Applying:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def apply(self, entry: Entry) -> None:
        replica = self._replica
        if entry.kind is EntryKind.PAYLOAD:
            payload = _decoder.decode(entry.payload)
            replica.store.begin(payload.stamp_ms, entry.term)
            checkpoint, commands = False, 0
            for batch in payload.batches:
                commands += len(batch.commands)
                checkpoint |= self._apply_batch(batch)
            replica.applied = entry.index
            replica.checkpoint.applied(commands, len(entry.payload))
            if checkpoint:
                replica.snapshots.take(entry)
        else:
            replica.applied = entry.index
            if entry.kind is EntryKind.MEMBERS:
                replica.members_changed(replica.machine.snapshot_mark(entry.index).members)

    def _apply_batch(self, batch: Batch) -> bool:
        """Whether a checkpoint was among the commands."""
        replica = self._replica
        store = replica.store
        skip = store.admit(batch)
        commands = batch.commands
        if skip:
            commands = commands[skip:]
            if not commands:
                return False
        checkpoint = False
        origin = batch.origin
        mine = origin == replica.origin and batch.life == replica.requests.life
        tickets = replica.requests.tickets
        execute = store.execute
        fresh = store.fresh
        zookeeper = replica.zookeeper
        watched = zookeeper.watches.watched
        tell_etcd = replica.etcd.notify
        tree_is_shown = replica.settings.znode_view
        for command in commands:
            if mine:
                ticket = tickets[0]
                if isinstance(ticket, Client) and not ticket.closed and ticket.queue[0][2] is not WRITE:
                    zookeeper.overtaken(ticket)
            result = execute(command, origin)
            if fresh:
                if watched:
                    zookeeper.notify(fresh)
                # Where a lease ends, what it takes along of the flat space comes last.
                if fresh[-1].space is _FLAT or tree_is_shown:
                    tell_etcd(fresh)
                fresh.clear()
            if type(command) in _NOTED:
                if type(command) is Checkpoint:
                    checkpoint = True
                else:
                    done = command.command if isinstance(command, OnBehalf) else command
                    if type(done) is EnableAuth:
                        # Of a restarted node its newest snapshot is all that it is sure of: it must not tell
                        # its Status to anybody because the rules are behind that in its log.
                        replica.checkpoint.wanted()
                    else:
                        self._lease_changed(done, origin, result)
            if mine:
                ticket = tickets.popleft()
                if isinstance(ticket, Client):
                    if not ticket.closed:
                        zookeeper.result(ticket, result)
                elif ticket.done is not None:
                    ticket.done(result)
        if mine:
            replica.requests.applied(batch.first + len(batch.commands) - 1, replica.now)
        return checkpoint

    def _lease_changed(self, command: object, origin: NodeId, result: Result) -> None:
        replica = self._replica
        if isinstance(result, Refusal):
            return
        if isinstance(result, LeaseResult):
            if replica.machine.leads:
                plain = isinstance(command, GrantLease) and command.credentials is None
                replica.expiry.add(result.lease, result.ttl_ms, replica.now, plain=plain)
            if origin != replica.origin:
                replica.zookeeper.sessions.lease_left(result.lease, "its session moved to another node")
            return
        if not isinstance(command, RevokeLease | ExpireLease):
            return  # one of the other commands of somebody who has a name
        replica.expiry.remove(command.lease)
        if isinstance(command, ExpireLease):
            replica.zookeeper.sessions.lease_left(command.lease, "its session expired")


_NOTED = frozenset({GrantLease, AttachLease, RevokeLease, ExpireLease, OnBehalf, EnableAuth, Checkpoint})
"""Commands after which the replica itself has something to do; those on behalf of somebody may hold one: a
lease that the leader does not hear of would live until there is another leader."""
