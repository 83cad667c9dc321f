"""Members are announced, arrive, tell how they want to be shown, and go."""
from __future__ import annotations

import pytest

from agreed.store import etcd_members
from agreed.store.commands import Command
from agreed.store.etcd_members import (
    AnnounceMember,
    ArriveMember,
    EtcdMember,
    ForgetMember,
    PublishMember,
    UpdateMember,
)
from agreed.store.invariants import check
from agreed.store.machine import Store
from agreed.store.results import Done, Refusal

A, B, C = ("http://a",), ("http://b",), ("http://c",)

STORY: list[tuple[Command, Done | Refusal]] = [
    (PublishMember(1, "n1", A, C), Done.DONE),
    (AnnounceMember(9, A, True), Refusal.PEER_URL_EXISTS),
    (AnnounceMember(9, (), True), Refusal.BAD_ARGUMENTS),
    (AnnounceMember(0, B, True), Refusal.MEMBER_EXISTS),
    (AnnounceMember(9, B, True), Done.DONE),
    (AnnounceMember(9, C, True), Refusal.MEMBER_EXISTS),
    (ArriveMember(8, 2), Refusal.NO_MEMBER),
    (ArriveMember(9, 2), Done.DONE),
    (ArriveMember(9, 2), Done.DONE),
    (ArriveMember(9, 3), Refusal.NO_MEMBER),
    (PublishMember(0, "nobody", A, ()), Refusal.BAD_ARGUMENTS),
    (UpdateMember(8, C), Refusal.NO_MEMBER),
    (UpdateMember(9, A), Refusal.PEER_URL_EXISTS),
    (UpdateMember(9, ()), Refusal.BAD_ARGUMENTS),
]


@pytest.fixture
def store() -> Store:
    store = Store()
    for command, expected in STORY:
        assert store.execute(command) is expected, command
        check(store)
    return store


def row(store: Store, number: int) -> EtcdMember:
    return store.etcd_members.table[number]


def test_a_member_keeps_the_id_it_was_announced_with(store: Store) -> None:
    assert row(store, 1) == EtcdMember(1, 1, "n1", A, C)
    assert row(store, 9) == EtcdMember(9, 2, "", B, (), True)
    assert store.execute(PublishMember(2, "n2", C, C)) is Done.DONE
    assert row(store, 9) == EtcdMember(9, 2, "n2", B, C, True), "its addresses were told by who announced it"
    assert store.etcd_members.of(2) == row(store, 9)
    assert store.etcd_members.of(0) is None
    assert store.revision == 0


def test_who_has_published_before_it_was_recognized_is_still_one_member(store: Store) -> None:
    store.execute(AnnounceMember(8, C, False))
    store.execute(PublishMember(3, "n3", C, B))
    assert len(store.etcd_members) == 4
    assert store.execute(ArriveMember(8, 3)) is Done.DONE
    check(store)
    assert len(store.etcd_members) == 3
    assert row(store, 8) == EtcdMember(8, 3, "n3", C, B)


def test_addresses_are_changed_and_a_voter_is_one_for_good(store: Store) -> None:
    assert store.execute(UpdateMember(9, (*B, *C))) is Done.DONE
    assert store.execute(UpdateMember(9, votes=True)) is Done.DONE
    assert row(store, 9) == EtcdMember(9, 2, "", (*B, *C), (), False)


def test_who_is_forgotten_may_come_again(store: Store) -> None:
    assert store.execute(ForgetMember(9)) is Done.DONE
    assert store.execute(ForgetMember(9)) is Refusal.NO_MEMBER
    assert store.execute(AnnounceMember(7, B, False)) is Done.DONE


def test_there_are_only_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_members, "MEMBERS_MOST", 2)
    assert store.execute(AnnounceMember(7, C, False)) is Refusal.BAD_ARGUMENTS
    assert store.execute(PublishMember(3, "n3", C, B)) is Refusal.BAD_ARGUMENTS
    assert store.execute(PublishMember(1, "new", C, B)) is Done.DONE
