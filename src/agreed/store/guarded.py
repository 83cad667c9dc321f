"""What is asked of a command before it is done, while authentication is on or an alarm stands.

First whether he may for whom it is done, as in etcd:

    Put             WRITE on the key, READ as well where what was there before is shown, and WRITE on all keys
                    that hang on the lease it names: with it, they live as long as this one
    DeleteRange     WRITE on all of the range, READ as well where what was there is shown
    Transaction     READ for all guards and reads, WRITE for all puts and deletions: in both branches, and in
                    whatever is nested in them, for one may not learn by a failure what one may not read
    RevokeLease     WRITE on all keys that hang on it
    GrantLease      some user
    all others      the role root: also Compact, which takes the history away from everybody

Then whether an alarm forbids it (`alarms.py`); what only reads, and is no part of the log, none does.  Not
looked at is what nodes do for themselves, and all that
clients of ZooKeeper do: they have access lists.  Without `OnBehalf` a command of the flat space was sent
before authentication came on, and is refused.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agreed.store.alarms import AlarmKind
from agreed.store.commands import (
    Command,
    Compact,
    DeleteRange,
    GrantLease,
    OnBehalf,
    Put,
    Range,
    RevokeLease,
    Transaction,
    UserCommand,
)
from agreed.store.duplicate_keys import is_too_deep
from agreed.store.results import Refusal
from agreed.store.state import State
from agreed.store.users import Access
from agreed.types import LeaseId

_Need = tuple[bytes, bytes | None, Access]

_OF_USERS: Final = frozenset(UserCommand.__args__)
_WRITERS: Final = frozenset({Put, DeleteRange, Transaction, Compact})


def refusal_of(state: State, command: Command, *, alarms: bool = True) -> Refusal | None:
    """Why it is not done; None if nothing speaks against it here.  `alarms`: whether these are looked at."""
    asked = command.command if isinstance(command, OnBehalf) else command
    if isinstance(asked, Transaction) and is_too_deep(asked):
        return Refusal.BAD_ARGUMENTS
    if isinstance(command, OnBehalf):
        refusal = _not_permitted(state, command)
    else:
        refusal = Refusal.USER_EMPTY if state.users.enabled and _is_of_a_client(command) else None
    return _alarmed(state, asked) if refusal is None and alarms else refusal


def _is_of_a_client(command: Command) -> bool:
    """Whether only a client of etcd can have asked for this."""
    kind = type(command)
    if kind is GrantLease or kind is RevokeLease:
        return is_plain(command)
    return kind in _OF_USERS or (kind in _WRITERS and kind is not Compact)


def is_plain(command: Command) -> bool:
    """Whether it is a command on a plain lease."""
    return (isinstance(command, GrantLease) and command.credentials is None) or (
        isinstance(command, RevokeLease) and command.plain
    )


# --- permissions ----------------------------------------------------------------------------------


def _not_permitted(state: State, command: OnBehalf) -> Refusal | None:
    users, asked = state.users, command.command
    if isinstance(asked, GrantLease | RevokeLease):
        if not is_plain(asked):
            return Refusal.BAD_ARGUMENTS
    elif type(asked) is Compact or type(asked) not in _WRITERS:
        return users.admin_refusal(command.user)
    refusal = users.refusal(command.user, command.auth_revision)
    if refusal is not None or not users.enabled or users.is_root(command.user):
        return refusal
    for key, range_end, access in _needs(state, asked):
        if not users.permits(command.user, key, range_end, access):
            return Refusal.PERMISSION_DENIED
    return None


def _needs(state: State, asked: object) -> Iterator[_Need]:
    if isinstance(asked, Put):
        yield asked.key, None, Access.WRITE
        if asked.shown:
            yield asked.key, None, Access.READ
        if asked.lease:
            yield from _keys_on(state, asked.lease)
    elif isinstance(asked, DeleteRange):
        yield asked.key, asked.range_end, Access.WRITE
        if asked.shown:
            yield asked.key, asked.range_end, Access.READ
    elif isinstance(asked, Range):
        yield asked.key, asked.range_end, Access.READ
    elif isinstance(asked, RevokeLease):
        yield from _keys_on(state, asked.lease)
    elif isinstance(asked, Transaction):
        for guard in asked.guards:
            yield guard.key, guard.range_end, Access.READ
        for operation in (*asked.then, *asked.otherwise):
            yield from _needs(state, operation)


def _keys_on(state: State, lease: LeaseId) -> Iterator[_Need]:
    found = state.leases.get(lease)
    for key in found.flat_keys if found is not None else ():
        yield key, None, Access.WRITE


# --- alarms ---------------------------------------------------------------------------------------


def _alarmed(state: State, asked: object) -> Refusal | None:
    if not len(state.alarms):
        return None
    plain_lease = isinstance(asked, GrantLease | RevokeLease) and is_plain(asked)
    if AlarmKind.CORRUPT in state.alarms and (plain_lease or type(asked) in _WRITERS):
        return Refusal.CORRUPT
    if AlarmKind.NO_SPACE in state.alarms and takes_space(asked):
        return Refusal.NO_SPACE
    return None


def takes_space(asked: object) -> bool:
    """Whether it is one that may leave the flat space larger: also where only a branch that is not taken
    would."""
    if isinstance(asked, Transaction):
        return any(takes_space(operation) for operation in (*asked.then, *asked.otherwise))
    return isinstance(asked, Put) or (isinstance(asked, GrantLease) and asked.credentials is None)
