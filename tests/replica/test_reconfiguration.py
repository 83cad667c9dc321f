"""ZooKeeper's view of the members: their numbers, the text of the configuration, and reconfig."""

from __future__ import annotations

import pytest

from agreed.consensus.members import Member, Members, SetVoters
from agreed.replica.reconfiguration import (
    configuration_text,
    configuration_version,
    members_change,
    server_number,
    servers_of,
)
from agreed.store.commands import SetConfiguration
from agreed.store.machine import Store
from agreed.store.records import Credential
from agreed.wire.zookeeper.messages import ErrorCode, ReconfigRequest

N1, N2, N3, N4 = (Member(f"n{i}", 100 + i, f"127.0.0.1:742{i}", f"127.0.0.1:218{i}") for i in range(1, 5))
THREE = Members((N1, N2, N3))
SUPER = (Credential("super", ""),)


def store_of(members: Members) -> Store:
    store = Store()
    store.execute(SetConfiguration(configuration_text(members), 0))
    return store


def asked(
    joining: str = "",
    leaving: str = "",
    new_members: str = "",
    version: int = -1,
    credentials: tuple[Credential, ...] = SUPER,
    strangers: dict[str, Member] | None = None,
) -> SetVoters | ErrorCode:
    request = ReconfigRequest(joining, leaving, new_members, version)
    found = members_change(request, store_of(THREE), THREE, credentials, strangers or {})
    assert isinstance(found, SetVoters | ErrorCode)
    return found


@pytest.mark.parametrize(("name", "number"), [("n2", 2), ("east-17", 17), ("alone", 4), ("n007", 7)])
def test_the_number_of_a_member_is_at_the_end_of_its_name(name: str, number: int) -> None:
    assert server_number(name, 3) == number


def test_members_whose_names_end_alike_have_numbers_of_their_own() -> None:
    alike = tuple(Member(name, 1, "h:1", "h:2") for name in ("east1", "north1", "west1"))
    assert len(servers_of(Members(alike))) == 3
    assert configuration_text(Members(alike)).count(b"server.") == 3


def test_the_text_names_every_member_with_its_role() -> None:
    lines = configuration_text(Members((N1, N2), (N3,))).decode().splitlines()
    assert [line.partition("=")[0] for line in lines] == ["server.1", "server.2", "server.3"]
    assert ":participant;127.0.0.1:2181" in lines[0]
    assert ":observer;127.0.0.1:2183" in lines[2]


def test_the_version_is_the_revision_at_which_it_came_into_force() -> None:
    assert configuration_version(Store()) == -1
    assert configuration_version(store_of(THREE)) == 1


def test_who_leaves_is_no_voter_any_more_and_the_others_stay_who_they_are() -> None:
    assert asked(leaving="2") == SetVoters((N1, N3), ())


def test_who_joins_must_have_called_before_it_votes() -> None:
    line = "server.4=127.0.0.1:7424:7425:participant;127.0.0.1:2184"
    assert asked(joining=line) is ErrorCode.NEW_CONFIG_NO_QUORUM
    change = asked(joining=line, strangers={"n4": N4})
    assert isinstance(change, SetVoters)
    assert [(member.name, member.identity) for member in change.voters] == [
        ("n1", 101), ("n2", 102), ("n3", 103), ("n4", 104),
    ]  # fmt: skip


def test_an_observer_may_be_named_in_advance() -> None:
    change = asked(joining="server.4=127.0.0.1:7424:7425:observer;127.0.0.1:2184")
    assert isinstance(change, SetVoters)
    assert [member.name for member in change.learners] == ["n4"]


def test_a_whole_set_may_be_given() -> None:
    lines = configuration_text(THREE).decode().splitlines()[:2]
    assert asked(new_members=",".join(lines)) == SetVoters((N1, N2), ())


@pytest.mark.parametrize(
    ("request_of", "refusal"),
    [
        ({"joining": "nonsense"}, ErrorCode.BAD_ARGUMENTS),
        ({"leaving": "2", "version": 77}, ErrorCode.BAD_VERSION),
        ({"leaving": "2", "credentials": ()}, ErrorCode.NO_AUTH),
    ],
)
def test_what_cannot_be_asked_for_is_told(request_of: dict[str, object], refusal: ErrorCode) -> None:
    assert asked(**request_of) is refusal  # type: ignore[arg-type]
