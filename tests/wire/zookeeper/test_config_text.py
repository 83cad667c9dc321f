"""Who belongs to the ensemble, in text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreed.errors import MalformedInput
from agreed.wire.zookeeper.config_text import (
    Ensemble,
    Role,
    Server,
    changed,
    election_port_of,
    parse_ensemble,
    parse_server,
    print_ensemble,
    print_server,
)

ONE = Server(1, "localhost", 20001, 20002, Role.PARTICIPANT, "0.0.0.0", 20000)
TWO = Server(2, "localhost", 20011, 20012, Role.PARTICIPANT, "0.0.0.0", 20010)
THREE = Server(3, "localhost", 20021, 20022)
TEXT = """\
server.1=localhost:20001:20002:participant;0.0.0.0:20000
server.2=localhost:20011:20012:participant;0.0.0.0:20010
server.3=localhost:20021:20022:participant
version=10000000a"""


def test_a_configuration_is_read_and_written_byte_by_byte():
    ensemble = parse_ensemble(TEXT)
    assert ensemble == Ensemble((ONE, TWO, THREE), 0x10000000A)
    assert print_ensemble(ensemble) == TEXT


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("h:1:2", Server(7, "h", 1, 2)),
        ("h:1:2:observer", Server(7, "h", 1, 2, Role.OBSERVER)),
        ("h:1:2:PARTICIPANT", Server(7, "h", 1, 2)),
        ("h:1:2;3", Server(7, "h", 1, 2, Role.PARTICIPANT, "0.0.0.0", 3)),
        ("h:1:2:observer;3", Server(7, "h", 1, 2, Role.OBSERVER, "0.0.0.0", 3)),
        ("h:1:2;c.example:3", Server(7, "h", 1, 2, Role.PARTICIPANT, "c.example", 3)),
        (" h:1:2:observer;c:65535 ", Server(7, "h", 1, 2, Role.OBSERVER, "c", 65535)),
        ("[::1]:1:2;[fe80::1%lo]:3", Server(7, "::1", 1, 2, Role.PARTICIPANT, "fe80::1%lo", 3)),
    ],
)
def test_every_legal_form_of_a_server(address, server):
    assert parse_server(7, address) == server
    number, _, printed = print_server(server).partition("=")
    assert number == "server.7"
    assert parse_server(7, printed) == server


@pytest.mark.parametrize(
    "address",
    [
        "",
        "h",
        "h:1",
        "h:1:",
        ":1:2",
        "h:1:2:",
        "h:1:2:leader",
        "h:1:2;",
        "h:1:2;:3",
        "h:1:2;c:3:4",
        "h:0:2",
        "h:1:65536",
        "h:1:" + "9" * 5000,
        "h:-1:2",
        "h:1:2;99999",
        "h h:1:2",
        "h:1:2|i:1:2",
        "::1:1:2",
        "[::1:1:2",
        "h:²:2",
    ],
)
def test_what_is_no_server(address):
    with pytest.raises(MalformedInput):
        parse_server(7, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version=1",
        "some thing",
        "server.1=h:1:2,server.1=i:1:2",
        "server.1=h:1:2\nserver.2=h:1:3",
        "server.1=h:1:2\nserver.2=h:3:1",
        "server.1=h:1:2:observer",
        "server.x=h:1:2",
        "server.9223372036854775808=h:1:2",
        "server." + "9" * 5000 + "=h:1:2",
        "server.1=h:1:2\nversion=",
        "server.1=h:1:2\nversion=xyz",
        "server.1=h:1:2\nversion=11112222333344445",
        "server.1=h:1:2\ngroup.1=1:2",
        "server.1=h:1:2\nweight.1=2",
    ],
)
def test_what_is_no_configuration(text):
    with pytest.raises(MalformedInput):
        parse_ensemble(text)


def test_a_whole_new_configuration_may_have_commas_or_lines_and_no_version():
    text = "server.2=localhost:20011:20012;20010, server.1=localhost:20001:20002;20000"
    assert parse_ensemble(text) == Ensemble((ONE, TWO), None)
    assert parse_ensemble(text.replace(",", "\n")) == Ensemble((ONE, TWO), None)


def test_an_incremental_change():
    """The steps of kazoo's own test: one joins, then it leaves."""
    joining = "server.100=0.0.0.0:30001:30002:observer;0.0.0.0:30000"
    grown = changed((ONE, TWO, THREE), joining, "")
    assert joining in print_ensemble(Ensemble(grown, 1))
    assert len(grown) == 4
    assert changed(grown, "", "100") == (ONE, TWO, THREE)


def test_who_joins_under_a_known_number_takes_its_place():
    assert changed((ONE, TWO), "server.2=other:1:2", "") == (ONE, Server(2, "other", 1, 2))


def test_who_leaves_makes_room_for_who_joins():
    heir = "server.4=localhost:20011:20012"
    assert [server.number for server in changed((ONE, TWO), heir, "2")] == [1, 4]
    with pytest.raises(MalformedInput, match="same address"):
        changed((ONE, TWO), heir, "")


@pytest.mark.parametrize(
    ("peer", "election"), [(2888, 3888), (1, 1001), (64535, 65535), (64536, 63536), (65535, 64535)]
)
def test_the_port_shown_for_elections_is_a_port_and_never_the_peer_port(peer, election):
    assert election_port_of(peer) == election


def test_a_port_that_is_only_shown_for_elections_is_in_nobodys_way():
    neighbours = "server.1=h:7000:8000,server.2=h:8000:9000"
    assert [server.number for server in parse_ensemble(neighbours).servers] == [1, 2]
    with pytest.raises(MalformedInput, match="same address"):
        parse_ensemble("server.1=h:7000:8001,server.2=h:8001:9001")


def test_several_join_and_leave_at_once():
    told = changed((ONE, TWO, THREE), "server.4=a:1:2, server.5=b:1:2:observer;3", "2, 3")
    assert [server.number for server in told] == [1, 4, 5]


def test_who_is_not_there_may_leave_again():
    assert changed((ONE,), "", "9") == (ONE,)


@pytest.mark.parametrize(
    ("joining", "leaving"),
    [
        ("some thing", ""),
        ("server.4", ""),
        ("version=3", ""),
        ("", "x"),
        ("", "-1"),
        ("", "server.1"),
        ("", "1"),
        ("", "9" * 5000),
    ],
)
def test_a_change_that_makes_no_sense_or_leaves_no_voter(joining, leaving):
    with pytest.raises(MalformedInput):
        changed((ONE,), joining, leaving)


PORT = st.integers(1, 65535)
HOST = st.from_regex(r"[a-z0-9.-]{1,10}", fullmatch=True) | st.ip_addresses().map(str)


@given(
    st.lists(
        st.builds(
            Server,
            st.integers(0, 2**63 - 1),
            HOST,
            PORT,
            PORT,
            st.sampled_from(Role),
            HOST,
            PORT,
        ),
        min_size=1,
        max_size=4,
        unique_by=(
            lambda s: s.number,
            lambda s: s.host,
        ),
    ),
    st.none() | st.integers(0, 2**64 - 1),
)
def test_every_configuration_comes_back(servers, version):
    ordered = tuple(sorted(servers, key=lambda server: server.number))
    text = print_ensemble(Ensemble(ordered, version))
    sound = any(s.role is Role.PARTICIPANT for s in ordered)
    if sound:
        assert parse_ensemble(text) == Ensemble(ordered, version)
    else:
        with pytest.raises(MalformedInput):
            parse_ensemble(text)


@given(st.text(st.sampled_from("server.1=[]:;,0 \nabcvion²")))
def test_any_text_is_read_or_refused(text):
    try:
        parse_ensemble(text)
    except MalformedInput:
        pass
