"""Who may do what: ranges of all roles merged, compared with a look at every key."""
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.store.results import Refusal
from agreed.store.users import ROOT, Access, KeyPermission, User, Users, merged

KEYS = tuple(bytes(key) for size in (1, 2, 3) for key in itertools.product(b"\0ab", repeat=size))
"""Close to each other: with the key that comes right after a key among them, so that ends meet beginnings."""

keys = st.sampled_from([key for key in KEYS if len(key) < 3])
range_ends = st.one_of(st.none(), st.just(b"\0"), keys)
permissions = st.builds(KeyPermission, st.sampled_from(Access), keys, range_ends)


def speaks_of(key: bytes, range_end: bytes | None, candidate: bytes) -> bool:
    if range_end is None:
        return candidate == key
    return candidate >= key and (range_end == b"\0" or candidate < range_end)


roles_of_a_user = st.lists(st.lists(permissions, max_size=4), max_size=2)


@given(roles_of_a_user, keys, range_ends, st.sampled_from((Access.READ, Access.WRITE)))
def test_a_range_is_permitted_if_every_key_of_it_is(
    roles: list[list[KeyPermission]], key: bytes, range_end: bytes | None, access: Access
) -> None:
    users = Users()
    users.roles = {str(number): tuple(role) for number, role in enumerate(roles)}
    users.users["u"] = User("u", None, tuple(users.roles))
    asked = [candidate for candidate in KEYS if speaks_of(key, range_end, candidate)]
    permitted = all(
        any(
            speaks_of(permission.key, permission.range_end, candidate)
            for permission in itertools.chain.from_iterable(roles)
            if permission.access in (access, Access.READWRITE)
        )
        for candidate in asked
    )
    if not asked:
        # There is nothing in it: who may speak of its first key may ask for it.
        assert users.permits("u", key, range_end, access) is users.permits("u", key, None, access)
    elif range_end == b"\0" and permitted:
        # Of all keys from one on, the last three letters were looked at, and there are more.
        last = max(asked) + b"\xff"
        endless = any(
            p.range_end == b"\0" and p.access in (access, Access.READWRITE)
            for p in itertools.chain.from_iterable(roles)
        )
        assert users.permits("u", key, range_end, access) is endless, last
    else:
        assert users.permits("u", key, range_end, access) is permitted


@given(st.lists(permissions, max_size=6))
def test_merged_ranges_neither_touch_nor_overlap(some: list[KeyPermission]) -> None:
    begins, ends = merged(some)
    for end, begin in zip(ends, begins[1:], strict=False):
        assert end is not None
        assert end < begin
    assert merged(some[::-1]) == (begins, ends)


def test_root_may_everything() -> None:
    users = Users()
    users.users = {"u": User("u", None, (ROOT,)), "v": User("v", None)}
    assert users.permits("u", b"a", b"\0", Access.WRITE)
    assert not users.permits("v", b"a", None, Access.READ)
    assert not users.permits("nobody", b"a", None, Access.READ)


REFUSALS = [
    (True, "", 2, Refusal.USER_EMPTY),
    (True, "u", 1, Refusal.AUTH_OLD),
    (True, "nobody", 2, Refusal.PERMISSION_DENIED),
    (True, "u", 2, None),
    (False, "", 0, None),
]


@pytest.mark.parametrize(("enabled", "user", "auth_revision", "refusal"), REFUSALS)
def test_who_is_served(enabled: bool, user: str, auth_revision: int, refusal: Refusal | None) -> None:
    users = Users()
    users.users["u"] = User("u", None)
    users.revision, users.enabled = 2, enabled
    assert users.refusal(user, auth_revision) is refusal
    denied = Refusal.PERMISSION_DENIED if enabled else None
    assert users.range_refusal(user, auth_revision, b"k", None, Access.READ) is (refusal or denied)
    assert users.admin_refusal(user) is (refusal if refusal is Refusal.USER_EMPTY else denied)
