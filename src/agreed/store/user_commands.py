"""The commands on users, roles, permissions and tokens, with their guards in etcd's order.

None consumes a revision of the store.  Each that changes something raises the revision of the rules, but for
switching authentication on, and for tokens.
"""
from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from agreed.store.commands import (
    AddRole,
    AddUser,
    ChangePassword,
    DeleteRole,
    DeleteUser,
    DisableAuth,
    EnableAuth,
    ForgetTokens,
    GrantPermission,
    GrantRole,
    IssueToken,
    RevokePermission,
    RevokeRole,
)
from agreed.store.results import Done, Refusal
from agreed.store.state import State
from agreed.store.users import ROOT, TOKENS_MOST, Access, KeyPermission, Token, User
from agreed.types import NodeId

_ACCESSES = frozenset(Access)


def enable(state: State, command: EnableAuth, origin: NodeId) -> Done | Refusal:
    """Somebody must be left who can switch it off again."""
    users = state.users
    if users.enabled:
        return Done.DONE
    if ROOT not in users.users:
        return Refusal.ROOT_USER_MISSING
    if not users.is_root(ROOT):
        return Refusal.ROOT_ROLE_MISSING
    users.enabled = True
    state.note_guarded()
    return Done.DONE


def disable(state: State, command: DisableAuth, origin: NodeId) -> Done:
    users = state.users
    if users.enabled:
        users.enabled = False
        users.tokens.clear()
        users.changed()
        state.note_guarded()
    return Done.DONE


# --- users ----------------------------------------------------------------------------------------


def add_user(state: State, command: AddUser, origin: NodeId) -> Done | Refusal:
    if not command.name:
        return Refusal.USER_EMPTY
    if command.name in state.users.users:
        return Refusal.USER_EXISTS
    return _put(state, User(command.name, command.password_hash))


def delete_user(state: State, command: DeleteUser, origin: NodeId) -> Done | Refusal:
    users = state.users
    if users.enabled and command.name == ROOT:
        return Refusal.ROOT_IS_NEEDED
    if users.users.pop(command.name, None) is None:
        return Refusal.USER_NOT_FOUND
    users.forget_tokens_of(command.name)
    users.changed()
    return Done.DONE


def change_password(state: State, command: ChangePassword, origin: NodeId) -> Done | Refusal:
    """A user without a password stays without one."""
    user = state.users.users.get(command.name)
    if user is None:
        return Refusal.USER_NOT_FOUND
    state.users.forget_tokens_of(command.name)
    if user.password_hash is not None:
        user = replace(user, password_hash=command.password_hash)
    return _put(state, user)


def grant_role(state: State, command: GrantRole, origin: NodeId) -> Done | Refusal:
    user = state.users.users.get(command.user)
    if user is None:
        return Refusal.USER_NOT_FOUND
    if command.role != ROOT and command.role not in state.users.roles:
        return Refusal.ROLE_NOT_FOUND
    if command.role in user.roles:
        return Done.DONE
    return _put(state, replace(user, roles=tuple(sorted((*user.roles, command.role)))))


def revoke_role(state: State, command: RevokeRole, origin: NodeId) -> Done | Refusal:
    if state.users.enabled and command.user == command.role == ROOT:
        return Refusal.ROOT_IS_NEEDED
    user = state.users.users.get(command.user)
    if user is None:
        return Refusal.USER_NOT_FOUND
    if command.role not in user.roles:
        return Refusal.ROLE_NOT_GRANTED
    return _put(state, _without(user, command.role))


# --- roles ----------------------------------------------------------------------------------------


def add_role(state: State, command: AddRole, origin: NodeId) -> Done | Refusal:
    if not command.name:
        return Refusal.ROLE_EMPTY
    if command.name in state.users.roles:
        return Refusal.ROLE_EXISTS
    return _put_role(state, command.name, [])


def delete_role(state: State, command: DeleteRole, origin: NodeId) -> Done | Refusal:
    """All who had it have it no more."""
    users = state.users
    if users.enabled and command.name == ROOT:
        return Refusal.ROOT_IS_NEEDED
    if users.roles.pop(command.name, None) is None:
        return Refusal.ROLE_NOT_FOUND
    for user in list(users.users.values()):
        if command.name in user.roles:
            users.users[user.name] = _without(user, command.name)
    users.changed()
    return Done.DONE


def grant_permission(state: State, command: GrantPermission, origin: NodeId) -> Done | Refusal:
    """Replaces what the role says of just this key or range."""
    if command.access not in _ACCESSES:
        return Refusal.BAD_ARGUMENTS
    permissions = state.users.roles.get(command.role)
    if permissions is None:
        return Refusal.ROLE_NOT_FOUND
    granted = KeyPermission(Access(command.access), command.key, command.range_end)
    others = [each for each in permissions if not _speaks_of(each, command.key, command.range_end)]
    return _put_role(state, command.role, [*others, granted])


def revoke_permission(state: State, command: RevokePermission, origin: NodeId) -> Done | Refusal:
    permissions = state.users.roles.get(command.role)
    if permissions is None:
        return Refusal.ROLE_NOT_FOUND
    others = [each for each in permissions if not _speaks_of(each, command.key, command.range_end)]
    if len(others) == len(permissions):
        return Refusal.PERMISSION_NOT_GRANTED
    return _put_role(state, command.role, others)


# --- tokens ---------------------------------------------------------------------------------------


def issue_token(state: State, command: IssueToken, origin: NodeId) -> Done | Refusal:
    """Not if the rules have changed since the password was looked at: it may have been changed with them."""
    users = state.users
    if not users.enabled:
        return Refusal.AUTH_NOT_ENABLED
    if command.auth_revision != users.revision:
        return Refusal.AUTH_OLD
    if command.user not in users.users:
        return Refusal.USER_NOT_FOUND
    if len(users.tokens) >= TOKENS_MOST:
        _make_room(users.tokens)
    users.tokens[command.token] = Token(command.user, state.stamp_ms)
    return Done.DONE


def _make_room(tokens: dict[str, Token]) -> None:
    """The oldest half of whoever has most, or else one user could end the logins of all others by logging in
    himself; where nobody has many, the oldest.  Several at a time: to count takes milliseconds."""
    few = max(1, len(tokens) // 100)
    ((user, most),) = Counter([token.user for token in tokens.values()]).most_common(1)
    old = [name for name, token in tokens.items() if most <= few or token.user == user]
    for name in old[: few if most <= few else most // 2]:
        del tokens[name]


def forget_tokens(state: State, command: ForgetTokens, origin: NodeId) -> Done:
    for token in command.tokens:
        state.users.tokens.pop(token, None)
    return Done.DONE


# --- how it is kept -------------------------------------------------------------------------------


def _put(state: State, user: User) -> Done:
    state.users.users[user.name] = user
    state.users.changed()
    return Done.DONE


def _put_role(state: State, name: str, permissions: list[KeyPermission]) -> Done:
    permissions.sort(key=lambda each: (each.key, each.range_end or b""))
    state.users.roles[name] = tuple(permissions)
    state.users.changed()
    return Done.DONE


def _without(user: User, role: str) -> User:
    return replace(user, roles=tuple(each for each in user.roles if each != role))


def _speaks_of(permission: KeyPermission, key: bytes, range_end: bytes | None) -> bool:
    return permission.key == key and permission.range_end == range_end
