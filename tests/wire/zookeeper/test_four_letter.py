"""What operators and monitors read."""

from __future__ import annotations

import re

import pytest

from agreed.wire.zookeeper import four_letter as words
from agreed.wire.zookeeper.connection import FOUR_LETTER_WORDS
from agreed.wire.zookeeper.four_letter import (
    ConfigurationStatus,
    ConnectionStatus,
    LatencyStatus,
    LeaderStatus,
    Mode,
    ProposalSizes,
    ServerStatus,
)

VERSION = words.version_text("0.1.0", "2026-11-22 08:00 UTC")


def server(mode: Mode, leader: LeaderStatus | None = None) -> ServerStatus:
    return ServerStatus(
        version=VERSION,
        mode=mode,
        latency=LatencyStatus(0, 0.25, 7),
        packets_received=11,
        packets_sent=10,
        connections=2,
        outstanding_requests=1,
        zxid=0x10000002A,
        node_count=5,
        watch_count=3,
        ephemerals_count=2,
        approximate_data_size=44,
        open_file_descriptors=20,
        max_file_descriptors=1024,
        global_sessions=2,
        uptime_ms=1000,
        quorum_size=3,
        leader=leader,
    )


LEADER = server(Mode.LEADER, LeaderStatus(2, 2, 0, 1, 500, ProposalSizes(48, 32, 96)))
SRVR = f"""\
Zookeeper version: {VERSION}
Latency min/avg/max: 0/0.25/7
Received: 11
Sent: 10
Connections: 2
Outstanding: 1
Zxid: 0x10000002a
Mode: follower
Node count: 5
"""
CONNECTED = ConnectionStatus("127.0.0.1:40000", 0, 5, 4)
IN_SESSION = ConnectionStatus(
    "[::1]:40001",
    1,
    6,
    5,
    session_id=0x1000042AF4A001E,
    last_operation="PING",
    established_ms=1795329307000,
    timeout_ms=10_000,
    last_xid=26,
    last_zxid=42,
    last_response_ms=1795329308000,
    last_latency_ms=1,
    latency=LatencyStatus(0, 0.9, 3),
)


def test_srvr():
    assert words.srvr(server(Mode.FOLLOWER)).decode() == SRVR


def test_a_leader_tells_the_sizes_of_its_proposals():
    assert words.srvr(LEADER).decode() == SRVR.replace("follower", "leader") + (
        "Proposal sizes last/min/max: 48/32/96\n"
    )


def test_a_read_only_server_says_so_in_its_second_line():
    lines = words.srvr(server(Mode.READ_ONLY)).decode().splitlines()
    assert lines[1] == "READ-ONLY mode; serving only read-only clients"
    assert "Mode: read-only" in lines


def test_stat_is_srvr_with_the_clients_before_it():
    told = words.stat(server(Mode.FOLLOWER), [CONNECTED, IN_SESSION]).decode()
    version, rest = SRVR.split("\n", 1)
    assert told == (
        f"{version}\nClients:\n"
        " /127.0.0.1:40000[1](queued=0,recved=5,sent=4)\n"
        " /[::1]:40001[1](queued=1,recved=6,sent=5)\n"
        f"\n{rest}"
    )


def test_cons():
    assert words.cons([CONNECTED, IN_SESSION]).decode() == (
        " /127.0.0.1:40000[1](queued=0,recved=5,sent=4)\n"
        " /[::1]:40001[1](queued=1,recved=6,sent=5,sid=0x1000042af4a001e,lop=PING,est=1795329307000,"
        "to=10000,lcxid=0x1a,lzxid=0x2a,lresp=1795329308000,llat=1,minlat=0,avglat=0,maxlat=3)\n"
        "\n"
    )


def test_the_xid_is_left_out_as_long_as_nothing_was_asked():
    quiet = ConnectionStatus("h:1", 0, 1, 1, session_id=-1)
    told = words.cons([quiet]).decode()
    assert "lcxid" not in told
    assert ",sid=0xffffffffffffffff,lop=NA," in told


def test_mntr_is_a_table_of_keys_and_tabs():
    lines = words.mntr(LEADER).decode().splitlines()
    table = dict(line.split("\t") for line in lines)
    assert len(table) == len(lines)
    assert lines[0] == f"zk_version\t{VERSION}"
    assert table["zk_server_state"] == "leader"
    assert table["zk_avg_latency"] == "0.25"
    assert table["zk_znode_count"] == "5"
    assert table["zk_synced_followers"] == "2"
    assert table["zk_quorum_size"] == "3"
    assert set(table) >= {
        "zk_peer_state",
        "zk_min_latency",
        "zk_max_latency",
        "zk_packets_received",
        "zk_packets_sent",
        "zk_num_alive_connections",
        "zk_outstanding_requests",
        "zk_watch_count",
        "zk_ephemerals_count",
        "zk_approximate_data_size",
        "zk_open_file_descriptor_count",
        "zk_max_file_descriptor_count",
        "zk_global_sessions",
        "zk_local_sessions",
        "zk_uptime",
        "zk_learners",
        "zk_synced_observers",
        "zk_synced_non_voting_followers",
        "zk_pending_syncs",
        "zk_leader_uptime",
        "zk_last_proposal_size",
        "zk_min_proposal_size",
        "zk_max_proposal_size",
    }


def test_only_a_leader_tells_of_its_followers():
    assert b"synced" not in words.mntr(server(Mode.FOLLOWER))


CONFIGURATION = ConfigurationStatus(
    client_port=2181,
    secure_client_port=None,
    data_directory="/var/lib/agreed/version-2",
    data_bytes=100,
    log_directory="/var/log/agreed/version-2",
    log_bytes=200,
    tick_ms=2000,
    connections_per_address_max=60,
    session_timeout_ms_min=4000,
    session_timeout_ms_max=40_000,
    listen_backlog=-1,
    server_number=1,
)


def test_conf_of_a_server_alone():
    assert words.conf(CONFIGURATION).decode() == (
        "clientPort=2181\n"
        "dataDir=/var/lib/agreed/version-2\ndataDirSize=100\n"
        "dataLogDir=/var/log/agreed/version-2\ndataLogSize=200\n"
        "tickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n"
        "clientPortListenBacklog=-1\nserverId=1\n"
    )


def test_conf_of_a_member_goes_on_with_the_membership():
    from msgspec.structs import replace

    member = replace(
        CONFIGURATION,
        secure_client_port=2281,
        init_limit=10,
        sync_limit=5,
        election_port=3888,
        quorum_port=2888,
        membership="server.1=a:2888:3888:participant\nversion=0",
    )
    told = words.conf(member).decode()
    assert told.startswith("clientPort=2181\nsecureClientPort=2281\ndataDir=")
    assert told.endswith(
        "serverId=1\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\n"
        "peerType=0\nmembership: \nserver.1=a:2888:3888:participant\nversion=0\n"
    )


def test_kazoo_finds_our_version_in_envi():
    """`KazooClient.server_version` splits the lines at `=` and takes digits and dots from the start."""
    told = words.envi(VERSION, [("host.name", "h"), ("user.dir", "/a\nb")]).decode()
    assert told.splitlines()[0] == "Environment:"
    table = dict(line.split("=", 1) for line in told.splitlines()[1:])
    assert re.match(r"([\d\.]*).*", table["zookeeper.version"])[1] == "3.9.3"
    assert table["user.dir"] == "/a b"


def test_aiozk_finds_our_version_in_srvr():
    assert re.search(rb"Zookeeper version: (\d+)\.(\d+)\.(\d+)-.*", words.srvr(LEADER)).groups() == (
        b"3",
        b"9",
        b"3",
    )


def test_dump():
    told = words.dump([(0x10, 4000), (-1, 6000)], [(0x10, [b"/e1", "/ä".encode()])])
    assert told.decode() == (
        "SessionTracker dump:\nGlobal Sessions(2):\n0x10\t4000ms\n0xffffffffffffffff\t6000ms\n"
        "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x10:\n\t/e1\n\t/ä\nConnections dump:\n"
    )


def test_watches():
    assert words.wchs(1, 2, 3) == b"1 connections watching 2 paths\nTotal watches:3\n"
    assert words.wchc([(0x10, [b"/a", b"/b"])]) == b"0x10\n\t/a\n\t/b\n\n"
    assert words.wchp([(b"/a", [0x10, 0x11]), (b"/\xff", [])]).decode() == "/a\n\t0x10\n\t0x11\n/\ufffd\n\n"


@pytest.mark.parametrize(
    ("mode", "told"),
    [(None, b"null"), (Mode.READ_ONLY, b"ro"), (Mode.LEADER, b"rw"), (Mode.STANDALONE, b"rw")],
)
def test_isro(mode, told):
    assert words.isro(mode) == told


def test_the_short_ones():
    assert words.ruok() == b"imok"
    assert words.dirs(1, 2) == b"datadir_size: 1\nlogdir_size: 2\n"
    assert words.crst() == b"Connection stats reset.\n"
    assert words.srst() == b"Server stats reset.\n"
    assert words.not_serving() == b"This ZooKeeper instance is not currently serving requests\n"
    assert words.not_whitelisted(b"hash") == (b"hash is not executed because it is not in the whitelist.\n")


def test_every_word_that_is_recognised_is_served_or_is_one_of_three():
    assert {b"hash", b"gtmk", b"stmk"} == FOUR_LETTER_WORDS - words.SERVED
    for word in words.SERVED:
        assert callable(getattr(words, word.decode()))
    assert words.WHITELIST <= words.SERVED
    assert words.ALWAYS_ANSWERED <= words.SERVED
