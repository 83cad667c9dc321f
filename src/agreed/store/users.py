"""Users, roles and what they may do to which keys of the flat space, as etcd has it.

A role is a list of permissions to read, write, or both, each for one key or a range.  A user has roles, and
may do what any of them permits: the ranges of all are merged, so that two which touch permit what reaches
over both.  The role `root` permits everything; it need not exist to be given.

While authentication is on, everything that clients of etcd do is done for a user, and judged when it is
applied, by the rules that are in force then (`guards.py`).  `revision` counts the changes of these rules: who
was recognized under older ones is refused, and asks again.  It is not the revision of the store.

Tokens (etcd's simple ones) are replicated, so that each node knows who calls and none is lost when a node
starts anew.  How long a token lives is not decided here: some node sees that it was not used for too long,
and puts `ForgetTokens` into the log.  Passwords come as hashes; nothing here ever sees one.
"""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from agreed.store.ranges import FROM_KEY_ON
from agreed.store.results import Refusal
from agreed.types import Stamp

ROOT: Final = "root"
"""The name of a user and of a role that are guarded while authentication is on."""

TOKENS_MOST: Final = 100_000
"""Of all users.  Then old ones go: anybody with a password may ask for any number of them."""


class Access(IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class KeyPermission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`range_end` None: just `key`; b"\\0": all from `key` on; else [key, range_end), empty where it ends
    before it begins."""

    access: Access
    key: bytes
    range_end: bytes | None


class User(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`password_hash` None: can be recognized by a certificate only.  `roles` are sorted."""

    name: str
    password_hash: bytes | None
    roles: tuple[str, ...] = ()


class Token(NamedTuple):
    user: str
    issued_ms: Stamp


_Intervals = tuple[list[bytes], list[bytes | None]]
"""Where they begin and where they end (None: nowhere); sorted, and neither touching nor overlapping."""


class Users:
    """What is known of users.  Changed by commands only (`user_commands.py`)."""

    __slots__ = ("_merged", "enabled", "revision", "roles", "tokens", "users")

    def __init__(self) -> None:
        self.enabled = False
        self.revision = 1
        self.users: dict[str, User] = {}
        self.roles: dict[str, tuple[KeyPermission, ...]] = {}
        self.tokens: dict[str, Token] = {}
        self._merged: dict[tuple[str, Access], _Intervals] = {}

    # --- who may do what ------------------------------------------------------------------------------

    def is_root(self, user: str) -> bool:
        """Whether this user may do everything."""
        found = self.users.get(user)
        return found is not None and ROOT in found.roles

    def permits(self, user: str, key: bytes, range_end: bytes | None, access: Access) -> bool:
        """Whether the user may read or write (not: both at once) the key, or all of the range."""
        if self.is_root(user):
            return True
        begins, ends = self._intervals(user, access)
        position = bisect_right(begins, key) - 1
        if position < 0:
            return False
        end = ends[position]
        if range_end == FROM_KEY_ON:
            return end is None
        if range_end is None or range_end <= key:
            # There is nothing in a range that ends before it begins: as in etcd, the key alone is looked at.
            return end is None or key < end
        return end is None or range_end <= end

    def refusal(self, user: str, auth_revision: int) -> Refusal | None:
        """Why nothing is done for whoever was recognized as `user` at this revision of the rules; None while
        nobody has to say who he is."""
        if not self.enabled:
            return None
        if not user:
            return Refusal.USER_EMPTY
        if auth_revision < self.revision:
            return Refusal.AUTH_OLD
        return None if user in self.users else Refusal.PERMISSION_DENIED

    def range_refusal(
        self, user: str, auth_revision: int, key: bytes, range_end: bytes | None, access: Access
    ) -> Refusal | None:
        """The same, and whether the user may do this to these keys."""
        if not self.enabled:
            return None
        refusal = self.refusal(user, auth_revision)
        if refusal is None and not self.permits(user, key, range_end, access):
            return Refusal.PERMISSION_DENIED
        return refusal

    def admin_refusal(self, user: str) -> Refusal | None:
        """Why a user may not do what only those with the role root may.  Does not ask when he was recognized:
        two changes of the rules that are under way at the same time are both done."""
        if not self.enabled:
            return None
        if not user:
            return Refusal.USER_EMPTY
        return None if self.is_root(user) else Refusal.PERMISSION_DENIED

    # --- keeping what follows -------------------------------------------------------------------------

    def changed(self) -> None:
        """The rules are others than before."""
        self.revision += 1
        self._merged.clear()

    def forget_tokens_of(self, user: str) -> None:
        for name in [name for name, token in self.tokens.items() if token.user == user]:
            del self.tokens[name]

    def cached(self) -> Mapping[tuple[str, Access], _Intervals]:
        """What was merged, and is thought to be true still."""
        return self._merged

    def _intervals(self, user: str, access: Access) -> _Intervals:
        known = self._merged.get((user, access))
        if known is None:
            found = self.users.get(user)
            permissions = [
                permission
                for role in (found.roles if found is not None else ())
                for permission in self.roles.get(role, ())
                if permission.access in (access, Access.READWRITE)
            ]
            known = self._merged[user, access] = merged(permissions)
        return known


def merged(permissions: list[KeyPermission]) -> _Intervals:
    """The keys that at least one of them speaks of."""
    begins: list[bytes] = []
    ends: list[bytes | None] = []
    for permission in sorted(permissions, key=lambda each: each.key):
        begin, end = permission.key, permission.range_end
        if end is None:
            end = begin + b"\0"
        elif end == FROM_KEY_ON:
            end = None
        elif end <= begin:
            continue
        if begins and (ends[-1] is None or begin <= ends[-1]):
            last = ends[-1]
            ends[-1] = None if last is None or end is None else max(last, end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends
