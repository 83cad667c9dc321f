"""The commands on leases.

On a session each consumes one revision, also when refused, but for `AddCredential`.  On a plain lease only
its end consumes one, and only if keys go with it, as in etcd.  A command that names no lease at all is one
on a session, unless it says otherwise."""
from __future__ import annotations

from msgspec.structs import replace

from agreed.store.commands import AddCredential, AttachLease, ExpireLease, GrantLease, RevokeLease
from agreed.store.flat_commands import delete_keys
from agreed.store.leases import Lease
from agreed.store.paths import parent_of
from agreed.store.results import Done, LeaseResult, Refusal
from agreed.store.state import State
from agreed.store.tree_commands import remove_key, session_refusal
from agreed.types import NodeId


def grant(state: State, command: GrantLease, origin: NodeId) -> LeaseResult | Refusal:
    """A session belongs to the node that asks for it, a plain lease to nobody.  0 is not the id of a
    lease."""
    plain = command.credentials is None
    if not plain:
        state.revision += 1
    if command.lease == 0:
        return Refusal.BAD_ARGUMENTS
    if command.lease in state.leases.table:
        return Refusal.LEASE_EXISTS
    if plain:
        state.leases.granted += 1
    owner, number = (None, state.leases.granted) if plain else (origin, state.revision)
    lease = Lease(command.lease, command.ttl_ms, command.secret, command.credentials, owner, number, {}, {})
    return _in_force(state, lease)


def attach(state: State, command: AttachLease, origin: NodeId) -> LeaseResult | Refusal:
    """Credentials belong to a connection: those of the one before are gone, clients prove theirs anew."""
    revision = state.revision = state.revision + 1
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner is None:
        return Refusal.NO_LEASE
    if lease.secret != command.secret:
        return Refusal.WRONG_SECRET
    return _in_force(
        state,
        replace(
            lease,
            ttl_ms=command.ttl_ms,
            credentials=command.credentials,
            owner=origin,
            attach_revision=revision,
        ),
    )


CREDENTIALS_MOST = 256
"""Of one session.  Every node keeps them, and anybody can prove to be anybody in the scheme `digest`."""


def add_credential(state: State, command: AddCredential, origin: NodeId) -> Done | Refusal:
    lease = state.leases.table.get(command.lease)
    if lease is None or lease.owner != origin or lease.credentials is None:
        return session_refusal(lease)
    if command.credential not in lease.credentials:
        if len(lease.credentials) >= CREDENTIALS_MOST:
            return Refusal.BAD_ARGUMENTS
        credentials = (*lease.credentials, command.credential)
        state.leases.table[command.lease] = replace(lease, credentials=credentials)
    return Done.DONE


def revoke(state: State, command: RevokeLease, origin: NodeId) -> Done | Refusal:
    """A session is closed through the node it is attached to, a plain lease through any."""
    lease = _to_end(state, command)
    if lease is None:
        return Refusal.NO_LEASE
    if lease.owner is not None and lease.owner != origin:
        return Refusal.LEASE_MOVED
    return _end(state, lease)


def expire(state: State, command: ExpireLease, origin: NodeId) -> Done | Refusal:
    lease = _to_end(state, command)
    if lease is None:
        return Refusal.NO_LEASE
    if lease.attach_revision != command.attach_revision or command.term != state.term:
        return Refusal.STALE
    return _end(state, lease)


def _to_end(state: State, command: RevokeLease | ExpireLease) -> Lease | None:
    """The lease that is meant.  Here a command on a session consumes its revision, whatever comes of it."""
    lease = state.leases.table.get(command.lease)
    if command.plain:
        return lease if lease is not None and lease.owner is None else None
    if lease is None or lease.owner is not None:
        state.revision += 1
    return lease


def _in_force(state: State, lease: Lease) -> LeaseResult:
    state.leases.table[lease.id] = lease
    return LeaseResult(lease.id, lease.ttl_ms, lease.secret, lease.attach_revision)


def _end(state: State, lease: Lease) -> Done:
    """All keys go in one revision, in the order of their names: the order in which they were made is not
    part of a snapshot, and the feed must be the same on a node that was restored from one.  That of a session
    was consumed before, whatever comes of its end."""
    if lease.owner is None and (lease.tree_keys or lease.flat_keys):
        state.revision += 1
    revision = state.revision
    records = state.tree.records
    for path in sorted(lease.tree_keys):
        remove_key(state, records[path], records[parent_of(path)], revision)
    if lease.flat_keys:
        delete_keys(state, [state.flat.history.current[key] for key in sorted(lease.flat_keys)], revision)
    del state.leases.table[lease.id]
    return Done.DONE
