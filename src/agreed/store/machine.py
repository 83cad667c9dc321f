"""The replicated state machine: the same commands in the same order make the same store, byte for byte.

`Store.execute` is the only door, but for `look`, which changes nothing.  It reads no clock and rolls no dice:
time is the stamp which the leader put into the payload (`begin`), and what is random (the id of a lease, its
secret) was drawn before the command was proposed.

    for batch in payload.batches:                     once per payload: store.begin(payload.stamp_ms, term)
        skip = store.admit(batch)
        for command in batch.commands[skip:]:
            result = store.execute(command, batch.origin)
            ... store.fresh holds the events; read and clear it

Every command on the tree or on a session consumes exactly one revision, also when it is refused: a client
that saw a refusal at revision n knows that all it did before is in every state from n on (and a ZooKeeper
server does the same with its zxid).  A `Multi` consumes one for all its operations.

The flat space counts as etcd does: a `Put`, `DeleteRange` or `Transaction` consumes one if it writes, the end
of a plain lease one if keys go with it, and nothing else any.  The first `SetConfiguration` makes an empty
store's revision 1, so that the first put of a cluster with etcd clients only is revision 2, as in etcd.  A
refused command changes nothing else.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agreed.clocks.cluster import advanced
from agreed.store import alarms, commands, etcd_members, flat_commands, lease_commands, tree_commands
from agreed.store import user_commands as users
from agreed.store.commands import Batch, Checkpoint, Command, OnBehalf
from agreed.store.guarded import refusal_of
from agreed.store.multi import multi
from agreed.store.mvcc import SWEPT_PER_PAYLOAD
from agreed.store.results import Done, Result
from agreed.store.snapshot import Capture, Reader
from agreed.store.state import State
from agreed.types import NodeId, Stamp, Term


def _checkpoint(state: State, command: Checkpoint, origin: NodeId) -> Done:
    """Nothing to do here: the replica takes a snapshot after it."""
    return Done.DONE


def _on_behalf(state: State, command: OnBehalf, origin: NodeId) -> Result:
    """Whether he may was asked before, if it had to be."""
    return HANDLERS[type(command.command)](state, command.command, origin)


HANDLERS: Final[dict[type, Callable[[Any, Any, NodeId], Result]]] = {
    commands.GrantLease: lease_commands.grant,
    commands.AttachLease: lease_commands.attach,
    commands.AddCredential: lease_commands.add_credential,
    commands.RevokeLease: lease_commands.revoke,
    commands.ExpireLease: lease_commands.expire,
    commands.Create: tree_commands.create,
    commands.SetData: tree_commands.set_data,
    commands.Delete: tree_commands.delete,
    commands.SetAcl: tree_commands.set_acl,
    commands.Multi: multi,
    commands.RemoveIdle: tree_commands.remove_idle,
    commands.Put: flat_commands.put,
    commands.DeleteRange: flat_commands.delete_range,
    commands.Transaction: flat_commands.transaction,
    commands.Compact: flat_commands.compact,
    commands.Sweep: flat_commands.sweep,
    commands.Checkpoint: _checkpoint,
    commands.SetConfiguration: tree_commands.set_configuration,
    commands.SetAlarm: alarms.set_alarm,
    commands.EnableAuth: users.enable,
    commands.DisableAuth: users.disable,
    commands.AddUser: users.add_user,
    commands.DeleteUser: users.delete_user,
    commands.ChangePassword: users.change_password,
    commands.GrantRole: users.grant_role,
    commands.RevokeRole: users.revoke_role,
    commands.AddRole: users.add_role,
    commands.DeleteRole: users.delete_role,
    commands.GrantPermission: users.grant_permission,
    commands.RevokePermission: users.revoke_permission,
    commands.IssueToken: users.issue_token,
    commands.ForgetTokens: users.forget_tokens,
    etcd_members.AnnounceMember: etcd_members.announce,
    etcd_members.ArriveMember: etcd_members.arrive,
    etcd_members.PublishMember: etcd_members.publish,
    etcd_members.UpdateMember: etcd_members.update,
    etcd_members.ForgetMember: etcd_members.forget,
    commands.OnBehalf: _on_behalf,
}


class Store(State):
    """The state, and its door."""

    __slots__ = ()

    def begin(self, stamp_ms: Stamp, term: Term = 0) -> None:
        """A new payload, of an entry of this term: the cluster's clock moves, and never back (a new leader's
        may be behind the last one's)."""
        self.term = term
        self.stamp_ms = advanced(self.stamp_ms, stamp_ms)
        self.feed.trim()
        if self.flat.history.sweeping:
            self.flat.history.sweep(SWEPT_PER_PAYLOAD)

    def admit(self, batch: Batch) -> int:
        """How many of the batch's first commands must be skipped.  To be asked once per batch, before any of
        it is executed: it takes note of the batch.  (`once.judge`, asked before this, tells why.)"""
        return self.once.admit(batch)

    def execute(self, command: Command, origin: NodeId = "") -> Result:
        """Applies a command which came from the node `origin`, and tells what came of it."""
        if self.guarded:
            refusal = refusal_of(self, command)
            if refusal is not None:
                return refusal
        return HANDLERS[type(command)](self, command, origin)

    def look(self, command: Command) -> Result:
        """One that only reads, here and now: it is no part of what all nodes do."""
        if self.guarded:
            refusal = refusal_of(self, command, alarms=False)
            if refusal is not None:
                return refusal
        return HANDLERS[type(command)](self, command, "")

    def capture(self) -> Capture:
        """What the store is now, to be written at leisure: lists of references, one pass over all records."""
        return Capture(self)


class Restorer:
    """A store from the pieces of a capture, fed in their order."""

    __slots__ = ("_reader", "_store")

    def __init__(self) -> None:
        self._store = Store()
        self._reader = Reader(self._store)

    def feed(self, piece: bytes) -> None:
        """Raises `CorruptData` for what is not the next piece of a capture."""
        self._reader.feed(piece)

    def finish(self) -> Store:
        """Raises `CorruptData` if pieces are missing."""
        self._reader.finish()
        return self._store
